"""Students: data, descriptor size, training, resumption, compression, prediction.

Labels come from ASE's EMT on small strained and rattled cells, so that every number has an
independent oracle.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list
from polymorphkd.deepmd.curve import learning_curve
from polymorphkd.deepmd.data import largest_neighbour_counts, sel_from_counts, write_systems
from polymorphkd.errors import EngineError, InputError, StageError
from polymorphkd.frames import Frames, from_atoms, write_frames
from polymorphkd.readers import read_frames
from polymorphkd.settings import Deepmd, Student
from polymorphkd.student import TrainingJob, deepmd_process, load_student, train_student
from polymorphkd.student.deepmd_input import training_input
from polymorphkd.student.deepmd_process import last_checkpoint, run_training
from polymorphkd.teacher.training import read_training_set

STEPS = 600
SETTINGS = Student(
    deepmd=Deepmd(
        rcut=4.5,
        embedding=[8, 16],
        axis_neuron=4,
        fitting=[24, 24],
        steps=STEPS,
        learning_rate=5e-3,
        final_learning_rate=1e-4,
        precision="float64",
    )
)


def labelled(atoms: Atoms) -> Atoms:
    """Copy with EMT's energy, forces and stress under the REF_ keys."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    atoms.info["REF_energy"] = atoms.get_potential_energy()
    atoms.info["REF_stress"] = atoms.get_stress()
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.calc = None
    return atoms


def distorted(n: int, seed: int, symbols: tuple[str, ...] = ("Al",)) -> Frames:
    """`n` strained and rattled fcc cells of 4 or 8 atoms."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        atoms = bulk("Al", "fcc", a=4.0, cubic=True).repeat((int(rng.integers(1, 3)), 1, 1))
        atoms.symbols = rng.choice(symbols, len(atoms))
        strain = np.eye(3) * (1 + rng.uniform(-0.04, 0.04)) + rng.normal(0, 0.02, (3, 3))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        atoms.rattle(0.15, rng=rng)
        images.append(labelled(atoms))
    return from_atoms(images)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Training, validation and (as if by a teacher) relabelled sets of Al."""
    folder = tmp_path_factory.mktemp("sets")
    sizes = {"train": 24, "valid": 6, "relabelled": 30}
    for seed, (name, n) in enumerate(sizes.items()):
        write_frames(folder / f"{name}.extxyz", distorted(n, seed))
    return {name: folder / f"{name}.extxyz" for name in sizes}


def job(files: dict[str, Path], folder: Path, variant: str = "dnn") -> TrainingJob:
    return TrainingJob(
        train=files["train"],
        valid=files["valid"],
        relabelled=files["relabelled"] if variant == "dnn-kd" else None,
        folder=folder,
        elements=["Al"],
        seed=7,
    )


# --- data -------------------------------------------------------------------------------


def test_systems_hold_the_frames_sorted_by_type(tmp_path):
    frames = distorted(12, 5, ("Cu", "Al")).sorted_by_id()
    systems = write_systems(frames, ["Al", "Cu", "Ni"], tmp_path)
    n_frames = 0
    for system in systems:
        types = np.loadtxt(system / "type.raw", dtype=int, ndmin=1)
        assert (np.diff(types) >= 0).all()
        assert (system / "type_map.raw").read_text().split() == ["Al", "Cu", "Ni"]
        arrays = {path.stem: np.load(path) for path in (system / "set.000").glob("*.npy")}
        for k in range(len(arrays["energy"])):
            n_frames += 1
            atoms = Atoms(
                [["Al", "Cu", "Ni"][t] for t in types],
                positions=arrays["coord"][k].reshape(-1, 3),
                cell=arrays["box"][k].reshape(3, 3),
                pbc=True,
                calculator=EMT(),
            )
            assert arrays["energy"][k] == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
            assert arrays["force"][k] == pytest.approx(atoms.get_forces().ravel(), abs=1e-5)
    assert n_frames == len(frames)


def test_virial_is_minus_the_strain_derivative_of_the_energy(tmp_path):
    frames = distorted(1, 3)
    (system,) = write_systems(frames, ["Al"], tmp_path)
    virial = np.load(system / "set.000" / "virial.npy")[0].reshape(3, 3)
    reference, step = frames.without_labels().atoms(0), 1e-4

    def energy(strain: np.ndarray) -> float:
        atoms = reference.copy()
        atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
        atoms.calc = EMT()
        return atoms.get_potential_energy()

    for a in range(3):
        for b in range(3):
            strain = np.zeros((3, 3))
            strain[a, b] += step / 2
            strain[b, a] += step / 2
            slope = (energy(strain) - energy(-strain)) / (2 * step)
            assert virial[a, b] == pytest.approx(-slope, abs=2e-3)


def test_order_of_the_file_does_not_matter(tmp_path):
    frames = distorted(8, 4)
    contents = []
    for name, order in (("a", np.arange(8)), ("b", np.arange(8)[::-1])):
        write_frames(tmp_path / f"{name}.extxyz", frames.take(order))
        training = read_training_set(tmp_path / f"{name}.extxyz", ["Al"])
        systems = write_systems(training, ["Al"], tmp_path / name)
        contents.append([p.read_bytes() for s in systems for p in sorted(s.rglob("*.npy"))])
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: setattr(f, "energy", None), "REF_energy"),
        (lambda f: f.forces.__setitem__((1, 0), np.nan), "REF_forces"),
        (lambda f: f.numbers.__setitem__(0, 29), "Cu"),
        (lambda f: f.pbc.__setitem__((2, 1), False), "frame 2 is not periodic"),
    ],
)
def test_unusable_frames_are_refused_with_the_reason(tmp_path, damage, message):
    frames = distorted(3, 1)
    damage(frames)
    write_frames(tmp_path / "own.extxyz", frames)
    with pytest.raises(InputError, match=message):
        read_training_set(tmp_path / "own.extxyz", ["Al"])


# --- descriptor size and input ----------------------------------------------------------


def test_neighbour_counts_equal_a_brute_force_count():
    cutoff, frames = 4.3, distorted(4, 9, ("Al", "Cu"))
    most, shortest = np.zeros(2, dtype=int), np.inf
    shifts = np.array(
        [(i, j, k) for i in range(-3, 4) for j in range(-3, 4) for k in range(-3, 4)]
    )
    for atoms in frames.without_labels().to_atoms():
        for centre in atoms.positions:
            count = {13: 0, 29: 0}
            for number, other in zip(atoms.numbers, atoms.positions, strict=True):
                distances = np.linalg.norm(other + shifts @ atoms.cell.array - centre, axis=1)
                distances = distances[distances > 1e-9]
                shortest = min(shortest, distances.min())
                count[number] += int((distances < cutoff).sum())
            most = np.maximum(most, [count[13], count[29]])
    counts, least = largest_neighbour_counts(frames, ["Al", "Cu"], cutoff)
    assert counts == most.tolist()
    assert least == pytest.approx(shortest)
    sel = sel_from_counts(counts)
    assert all(room > n and room % 4 == 0 for room, n in zip(sel, counts, strict=True))


@pytest.mark.parametrize("pbc", [True, False, (True, True, False)])
def test_neighbour_counts_equal_those_of_ase(pbc):
    random, images = np.random.default_rng(3), []
    for n in (1, 2, 30):  # cells much smaller than the cutoff and larger ones
        atoms = Atoms(random.choice(["Al", "Cu", "O"], n), cell=np.cbrt(15.0 * n) * np.eye(3))
        atoms.cell += random.normal(0, 0.3, (3, 3))
        atoms.set_scaled_positions(random.random((n, 3)))
        atoms.pbc = pbc
        images.append(atoms)
    most, shortest = np.zeros(2, dtype=int), np.inf
    for atoms in images:
        centres, others, distances = neighbor_list("ijd", atoms, 5.0)
        shortest = min(shortest, distances.min(initial=np.inf))
        for column, number in enumerate((13, 29)):  # O is not asked for
            mine = centres[atoms.numbers[others] == number]
            most[column] = max(most[column], np.bincount(mine, minlength=1).max())
    counts, least = largest_neighbour_counts(from_atoms(images), ["Al", "Cu"], 5.0)
    assert counts == most.tolist()
    assert least == pytest.approx(shortest)


def test_no_frames_and_lone_atoms_have_no_neighbours():
    assert largest_neighbour_counts(from_atoms([]), ["Al"], 5.0) == ([0], np.inf)
    assert largest_neighbour_counts(from_atoms([Atoms("Al")]), ["Al"], 5.0) == ([0], np.inf)


def test_neighbours_in_a_flat_cell_are_not_counted():
    flat = Atoms("Al2", [[0, 0, 0], [2, 0, 0]], cell=[[3, 0, 0], [0, 3, 0], [3, 3, 0]])
    flat.pbc = (True, True, False)
    with pytest.raises(InputError, match="frame 0: its cell vectors lie in one plane"):
        largest_neighbour_counts(from_atoms([flat]), ["Al"], 5.0)


def test_variants_differ_only_in_data():
    systems = {"dft": [Path("dft/Al4")], "teacher": [], "valid": [Path("valid/Al4")]}
    dnn = training_input(SETTINGS.deepmd, ["Al"], [80], 7, systems, 0.3)
    kd = training_input(
        SETTINGS.deepmd, ["Al"], [80], 7, systems | {"teacher": [Path("teacher/Al8")]}, 0.3
    )
    data = kd["training"].pop("training_data")
    del dnn["training"]["training_data"]
    assert dnn == kd
    assert data["systems"] == ["dft/Al4", "teacher/Al8"]
    assert data["auto_prob"] == "prob_sys_size;0:1:0.3;1:2:0.7"


def test_network_sizes_and_keys_that_win():
    small = Student.model_validate({"size": "small"}).deepmd
    assert (small.rcut, small.embedding, small.fitting) == (5.0, [8, 16, 32], [32, 32, 32])
    tiny = Student.model_validate({"size": "tiny"}).deepmd
    assert (tiny.rcut, tiny.embedding, tiny.fitting) == (4.0, [4, 8, 16], [32, 32])
    paper = Student.model_validate({"size": "paper", "deepmd": {"rcut": 7.0}})
    assert (paper.deepmd.rcut, paper.deepmd.fitting) == (7.0, [240] * 5)
    assert Student().deepmd == Deepmd() == Student.model_validate({"size": "medium"}).deepmd
    # What was written once is read back the same, whatever the size says.
    assert Student.model_validate(paper.model_dump()) == paper


def test_fine_tuning_sees_dft_frames_alone_and_the_prefactors_of_the_end():
    settings = SETTINGS.deepmd.model_copy(update={"fine_tune_steps": 100})
    systems = {"dft": [Path("dft/Al4")], "teacher": [], "valid": [Path("valid/Al4")]}
    first = training_input(settings, ["Al"], [80], 7, systems, 0.3)
    second = training_input(settings, ["Al"], [80], 7, systems, 0.3, fine_tune=True)
    assert first["model"] == second["model"]
    assert second["training"]["numb_steps"] == 100
    assert second["learning_rate"]["start_lr"] == settings.fine_tune_learning_rate
    for letter in "efv":
        end = first["loss"][f"limit_pref_{letter}"]
        assert second["loss"][f"start_pref_{letter}"] == end
        assert second["loss"][f"limit_pref_{letter}"] == end


# --- training ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def student(files, tmp_path_factory) -> Path:
    """Folder of a dnn-kd whose training was killed with -9 halfway and started again."""
    folder = tmp_path_factory.mktemp("dnn-kd")
    arguments = {**vars(job(files, folder, "dnn-kd"))}
    program = (
        "from pathlib import Path, PosixPath\n"
        "from polymorphkd.settings import Student\n"
        "from polymorphkd.student import TrainingJob, train_student\n"
        f"train_student(Student.model_validate({SETTINGS.model_dump()!r}),"
        f" TrainingJob(**{arguments!r}))\n"
    )
    scripts = Path(__file__).parents[1] / "scripts"
    child = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(scripts)}
    )
    work = folder / "work"
    deadline = time.monotonic() + 300
    while last_checkpoint(work)[0] < STEPS // 3 if work.is_dir() else True:
        assert child.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (folder / "model.pb").exists()
    train_student(SETTINGS, job(files, folder, "dnn-kd"))
    return folder


@pytest.mark.slow
def test_training_goes_on_after_a_kill_and_learns(student, files):
    metrics = json.loads((student / "metrics.json").read_text())
    assert STEPS // 3 <= metrics["resumed_from_step"] < STEPS
    curve = metrics["learning_curve"]
    assert curve["step"] == sorted(set(curve["step"]))
    assert curve["step"][-1] == STEPS
    force = curve["force_train_eV_per_A"]
    assert np.mean(force[-20:]) < 0.5 * np.mean(force[:5])
    assert metrics["frames"] == {"dft": 24, "teacher": 30, "valid": 6}
    # The reference of a useless model: no force at all.
    valid = read_frames(files["valid"])
    assert metrics["rmse"]["valid"]["force_meV_per_A"] < 400 * np.sqrt(np.mean(valid.forces**2))


@pytest.mark.slow
def test_fine_tuning_brings_a_student_of_a_wrong_teacher_back_to_dft(files, tmp_path):
    """The teacher's energies are off by 0.2 eV per atom; the last steps see DFT alone."""
    wrong = read_frames(files["relabelled"])
    wrong.energy = wrong.energy + 0.2 * wrong.n_atoms
    write_frames(tmp_path / "wrong.extxyz", wrong)
    biased = files | {"relabelled": tmp_path / "wrong.extxyz"}
    errors = {}
    for steps in (0, 300):
        tuned = SETTINGS.model_copy(
            update={"deepmd": SETTINGS.deepmd.model_copy(update={"fine_tune_steps": steps})}
        )
        folder = tmp_path / str(steps)
        train_student(tuned, job(biased, folder, "dnn-kd"))
        metrics = json.loads((folder / "metrics.json").read_text())
        errors[steps] = metrics["rmse"]["dft"]
        assert metrics["learning_curve"]["step"][-1] == STEPS + steps
    assert errors[300]["energy_meV_per_atom"] < 0.7 * errors[0]["energy_meV_per_atom"]
    # It went on from the trained weights: a few steps at a low rate from scratch learn nothing.
    assert errors[300]["force_meV_per_A"] < 1.2 * errors[0]["force_meV_per_A"]


@pytest.mark.slow
def test_what_the_teacher_does_not_teach_is_learned_from_dft_alone(files, tmp_path):
    """Energies and stresses of a teacher far off; forces still teach."""
    wrong = read_frames(files["relabelled"])
    wrong.energy = wrong.energy + 5.0 * wrong.n_atoms
    wrong.stress = wrong.stress + 0.1
    write_frames(tmp_path / "wrong.extxyz", wrong)
    settings = SETTINGS.model_copy(update={"taught": ["forces"]})
    astray = files | {"relabelled": tmp_path / "wrong.extxyz"}
    train_student(settings, job(astray, tmp_path / "student", "dnn-kd"))
    metrics = json.loads((tmp_path / "student/metrics.json").read_text())
    assert metrics["taught"] == ["forces"]
    assert metrics["rmse"]["valid"]["energy_meV_per_atom"] < 60
    assert metrics["rmse"]["valid"]["force_meV_per_A"] < 400 * np.sqrt(np.mean(wrong.forces**2))


@pytest.mark.slow
def test_child_dies_with_its_killed_parent(student):
    """The fixture killed the parent only: a child left over would have kept the lock."""
    log = (student / "work" / "dp.log").read_text()
    assert log.count("start training at lr") == 2


@pytest.mark.slow
def test_compressed_equals_frozen(student, files):
    frames = read_frames(files["valid"])
    frozen = load_student("deepmd", student / "frozen.pb").predict(frames)
    compressed = load_student("deepmd", student / "model.pb").predict(frames)
    assert compressed.forces == pytest.approx(frozen.forces, abs=1e-4)
    assert compressed.energy == pytest.approx(frozen.energy, abs=1e-4)
    assert compressed.stress == pytest.approx(frozen.stress, abs=1e-5)


@pytest.mark.slow
def test_predictions_are_derivatives_of_the_energy(student, files):
    model = load_student("deepmd", student / "frozen.pb")
    frames = read_frames(files["valid"]).take([3])
    predicted, step = model.predict(frames), 1e-3
    moved = frames.take([0, 0, 0, 0]).without_labels()
    moved.positions[1, 2] += step
    moved.positions[frames.n_atoms[0] + 1, 2] -= step
    for k, sign in ((2, 1), (3, -1)):
        scale = 1 + sign * step
        moved.cells[k] *= scale
        moved.positions[moved.atoms_of(k)] *= scale
    energy = model.predict(moved).energy
    assert predicted.forces[1, 2] == pytest.approx(-(energy[0] - energy[1]) / (2 * step), abs=1e-4)
    pressure = -predicted.stress[0, :3].mean()
    slope = (energy[2] - energy[3]) / (2 * step) / (3 * frames.volumes[0])
    assert pressure == pytest.approx(-slope, abs=1e-5)


@pytest.mark.slow
def test_prediction_keeps_order_and_refuses_other_elements(student):
    model = load_student("deepmd", student / "model.pb")
    frames = distorted(5, 11).with_meta(name=list("abcde"))
    together = model.predict(frames)
    assert together.meta["name"].tolist() == list("abcde")
    for k in range(5):
        alone = model.predict(frames.take([k]))
        assert together.energy[k] == pytest.approx(alone.energy[0], abs=1e-9)
        assert together.forces[together.atoms_of(k)] == pytest.approx(alone.forces, abs=1e-9)
    copper = from_atoms([bulk("Cu", cubic=True)])
    with pytest.raises(InputError, match="Cu"):
        model.predict(copper)


@pytest.mark.slow
def test_frames_with_more_neighbours_than_the_model_has_room_for_are_told(student, caplog):
    model = load_student("deepmd", student / "model.pb")
    room = json.loads((student / "metrics.json").read_text())["sel"][0]
    with caplog.at_level("WARNING", logger="polymorphkd"):
        model.predict(distorted(3, 12))
    assert "neighbours" not in caplog.text
    dense = from_atoms([bulk("Al", "fcc", a=3.0, cubic=True)])
    count = largest_neighbour_counts(dense, ["Al"], SETTINGS.deepmd.rcut)[0][0]
    assert count > room
    with caplog.at_level("WARNING", logger="polymorphkd"):
        model.predict(dense)
    assert (
        f"{count} neighbours of Al within 4.5 Å and the model has room for {room}" in caplog.text
    )


def test_files_that_are_no_model_are_refused(tmp_path):
    with pytest.raises(EngineError, match="no such file"):
        load_student("deepmd", tmp_path / "none.pb")
    with pytest.raises(EngineError, match="deepmd"):
        load_student("other", tmp_path / "none.pb")


@pytest.mark.parametrize(
    ("name", "data"), [("a.pb", b"no graph"), ("a.pb", b""), ("no_suffix", b"whatever")]
)
def test_files_of_something_else_are_told(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(EngineError, match=rf"{name}: cannot be loaded as a DeePMD model"):
        load_student("deepmd", tmp_path / name)


def test_learning_curve_survives_a_torn_and_repeated_tail(tmp_path):
    (tmp_path / "lcurve.out").write_text(
        "#  step  rmse_f_val rmse_f_trn lr\n# note\n"
        "0 2.0 1.0 1e-3\n100 1.5 0.5 1e-3\n200 1.2 0.4 1e-3\n100 1.4 0.6 1e-3\n200 1."
    )
    curve = learning_curve(tmp_path)
    assert curve["step"] == [0, 100, 200]
    assert curve["force_train_eV_per_A"] == [1.0, 0.6, 0.4]


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    names = ["model.ckpt-100", "model.ckpt-200"]
    (tmp_path / "checkpoint").write_text(
        f'model_checkpoint_path: "{names[1]}"\n'
        + "".join(f'all_model_checkpoint_paths: "{name}"\n' for name in names)
    )
    for name in ("model.ckpt-100.index", "model.ckpt-100.meta", "model.ckpt-200.index"):
        (tmp_path / name).touch()
    assert last_checkpoint(tmp_path) == (100, "model.ckpt-100")
    (tmp_path / "model.ckpt-200.meta").touch()
    assert last_checkpoint(tmp_path) == (200, "model.ckpt-200")
    assert last_checkpoint(tmp_path / "none") == (0, "")


def stand_in(tmp_path: Path, monkeypatch, script: str) -> None:
    """Put an executable that runs `script` in the place of ``dp``."""
    (tmp_path / "dp").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "dp").chmod(0o755)
    monkeypatch.setattr(deepmd_process, "program", lambda name: str(tmp_path / name))


def test_a_failing_training_names_the_reason(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "echo ValueError: sel is empty; exit 3")
    with pytest.raises(StageError, match=r"exit status 3\): ValueError: sel is empty.*dp\.log"):
        run_training(tmp_path, 10, 1)


LINES = "# step rmse_e_trn rmse_f_val rmse_f_trn\\n0 1 2 3\\n50 nan 1 nan\\n"
DIVERGES = f"printf '{LINES}' >lcurve.out; sleep 60"


def test_a_diverged_training_is_stopped_at_once(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, DIVERGES)
    started = time.monotonic()
    with pytest.raises(StageError, match=r"step 50 .*lower student.deepmd.learning_rate"):
        run_training(tmp_path, 100, 1)
    assert time.monotonic() - started < 30


def test_a_diverged_training_names_its_most_extreme_frames(files, tmp_path, monkeypatch):
    """The frame whose forces were damaged comes first; nothing stands under a final name."""
    frames = read_frames(files["train"])
    frames.forces[frames.atoms_of(5)] *= 1000
    write_frames(tmp_path / "train.extxyz", frames)
    stand_in(tmp_path, monkeypatch, DIVERGES)
    folder = tmp_path / "student"
    damaged = job(files | {"train": tmp_path / "train.extxyz"}, folder)
    first = f"largest forces: {frames.frame_ids()[5]} "
    with pytest.raises(StageError, match=re.escape(first)):
        train_student(SETTINGS, damaged)
    assert [path.name for path in folder.iterdir() if path.is_file()] == []
