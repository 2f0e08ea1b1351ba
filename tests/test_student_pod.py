"""Linear students: their equations against LAMMPS's own fit and pair style, what they learn."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io import read
from labelled_by_emt import label, write_labelled
from polymorphkd.deploy import Example, check, write_example
from polymorphkd.errors import ConfigError, EngineError, InputError
from polymorphkd.frames import Frames, concatenate, from_atoms, write_frames
from polymorphkd.predict import labels_of
from polymorphkd.processes import program
from polymorphkd.readers import read_frames
from polymorphkd.settings import Deploy, Pod, Student
from polymorphkd.student import POTENTIAL, TrainingJob, load_student, train_student
from polymorphkd.student.pod import COEFFICIENTS, MODEL
from polymorphkd.student.pod_basis import PodBasis, parameters
from polymorphkd.student.pod_fit import Triangle

TEMPLATES = Path(__file__).parents[1] / "workflow" / "templates"
BASIS = Pod(rcut=4.5, two_body=4, three_body=(3, 3), four_body=(2, 2))


def alloy(n: int, seed: int) -> Frames:
    """Strained, sheared and rattled cells of 3 to 8 atoms of Al and Cu, labelled by EMT."""
    random = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        atoms = bulk("Al", "fcc", a=3.9, cubic=True).repeat((int(random.integers(1, 3)), 1, 1))
        if random.random() < 0.5:
            del atoms[0]
        atoms.symbols = random.choice(["Al", "Cu"], len(atoms))
        strain = np.eye(3) * (1 + random.uniform(-0.04, 0.04)) + random.normal(0, 0.03, (3, 3))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        atoms.rattle(0.15, rng=random)
        label(atoms)
        images.append(atoms)
    return from_atoms(images)


def basis(folder: Path, settings: Pod, elements: list[str]) -> PodBasis:
    (folder / MODEL).write_text(parameters(settings, elements))
    return PodBasis(folder / MODEL, elements, settings.rcut)


def trained(folder: Path, elements: list[str], frames: Frames, settings: Student, teacher=None):
    """Metrics of a student fitted to `frames`, of which the last four also watch."""
    folder.mkdir()
    sets = {"train": frames, "valid": frames.take(np.arange(len(frames) - 4, len(frames)))}
    if teacher is not None:
        sets["relabelled"] = teacher
    for name, part in sets.items():
        write_frames(folder / f"{name}.extxyz", part)
    files = {name: folder / f"{name}.extxyz" for name in sets}
    relabelled = files.get("relabelled")
    train_student(
        settings,
        TrainingJob(files["train"], files["valid"], relabelled, folder, elements, 1),
    )
    return json.loads((folder / "metrics.json").read_text())


def linear(**pod: object) -> Student:
    return Student.model_validate({"kind": "pod", "pod": {**BASIS.model_dump(), **pod}})


# --- equations --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A skewed frame of two elements and what multiplies the coefficients in its labels."""
    folder = tmp_path_factory.mktemp("rows")
    frames = alloy(1, 5)
    made = basis(folder, BASIS, ["Al", "Cu"])
    return folder, frames, made, made.rows(frames, 0)


def test_forces_and_virials_are_derivatives_of_the_energy(rows):
    _, frames, made, found = rows
    step = 1e-4

    def energy(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
        moved = replace(frames, positions=positions, cells=cell[None])
        return made.rows(moved, 0).energy

    positions, cell = frames.positions, frames.cells[0]
    for atom, axis in ((0, 0), (2, 1), (1, 2)):
        shift = np.zeros_like(positions)
        shift[atom, axis] = step
        slope = (energy(positions + shift, cell) - energy(positions - shift, cell)) / (2 * step)
        assert found.forces[atom, axis] == pytest.approx(-slope, abs=1e-5 * np.abs(slope).max())
    swell = [energy(positions * (1 + s), cell * (1 + s)) for s in (step, -step)]
    slope = (swell[0] - swell[1]) / (2 * step)
    expected = found.virials[:3].sum(axis=0)
    assert expected == pytest.approx(slope, abs=1e-5 * np.abs(slope).max())


def test_the_pair_style_of_lammps_says_the_same(rows):
    folder, frames, _, found = rows
    random = np.random.default_rng(2)
    largest = np.abs(found.forces).max(axis=(0, 1))
    coefficients = random.normal(0, 1, len(largest)) / np.where(largest > 0, largest, 1.0)
    head = f"model_coefficients: {len(coefficients)} 0 0"
    np.savetxt(folder / COEFFICIENTS, coefficients, "%.17g", header=head, comments="")
    energy, forces, stress = labels_of(load_student("pod", folder / MODEL).predict(frames))
    assert energy[0] == pytest.approx(found.energy @ coefficients, rel=1e-9)
    assert forces == pytest.approx(found.forces @ coefficients, abs=1e-7)
    virial = found.virials @ coefficients
    assert stress[0] * frames.volumes[0] == pytest.approx(virial, abs=1e-5 * np.abs(virial).max())


def lone_atoms() -> Frames:
    """A dimer with a far atom, and an atom alone, in cells of 20 Å."""
    images = [
        Atoms("Al2Cu", [[1, 1, 1], [3.6, 1, 1], [11, 11, 11]], cell=[20] * 3, pbc=True),
        Atoms("Cu", [[3, 3, 3]], cell=[20] * 3, pbc=True),
    ]
    for atoms in images:
        label(atoms)
    return from_atoms(images)


def test_atoms_without_neighbours_count_as_in_the_pair_style(tmp_path):
    frames = lone_atoms()
    made = basis(tmp_path, BASIS, ["Al", "Cu"])
    found = [made.rows(frames, index) for index in range(2)]
    per_element = len(found[0].energy) // 2
    assert found[0].energy[::per_element] == pytest.approx([2, 1])
    assert found[1].energy[::per_element] == pytest.approx([0, 1])
    coefficients = np.random.default_rng(1).normal(0, 0.01, 2 * per_element)
    coefficients[::per_element] = -50.0
    head = f"model_coefficients: {len(coefficients)} 0 0"
    np.savetxt(tmp_path / COEFFICIENTS, coefficients, "%.17g", header=head, comments="")
    predicted = load_student("pod", tmp_path / MODEL).predict(frames)
    for index, rows in enumerate(found):
        assert predicted.energy[index] == pytest.approx(rows.energy @ coefficients, abs=1e-9)


def test_an_atom_that_strain_takes_beyond_the_cutoff_has_no_virial(tmp_path):
    pair = Atoms("Al2", [[1, 1, 1], [BASIS.rcut + 0.9999, 1, 1]], cell=[20] * 3, pbc=True)
    rows = basis(tmp_path, BASIS, ["Al"]).rows(from_atoms([pair]), 0)
    assert np.abs(rows.virials).max() < 1e-6


def test_lammps_fits_the_same_potential_to_energies_and_forces(tmp_path):
    """``fitpod`` counts a frame's forces one by one, ours their mean: one weight per size."""
    frames = read_frames(
        write_labelled(tmp_path / "Al.extxyz", bulk("Al", cubic=True), 30, 1, (0.04, 0.02), 0.15)
    )
    frames = replace(frames, meta=frames.meta.iloc[:, :0])
    (tmp_path / "fit/set").mkdir(parents=True)
    with (tmp_path / "fit/set/Al.xyz").open("w") as file:
        for atoms in (frames.atoms(k) for k in range(len(frames))):
            cell = " ".join(f"{x:.12g}" for x in atoms.cell.array.ravel())
            energy, forces = atoms.info["REF_energy"], atoms.arrays["REF_forces"]
            file.write(f'{len(atoms)}\nLattice="{cell}" energy={energy:.10f} ')
            file.write('stress="0 0 0 0 0 0 0 0 0"\n')
            for symbol, *numbers in zip(atoms.symbols, atoms.positions, forces, strict=True):
                file.write(f"{symbol} " + " ".join(f"{x:.12g}" for x in np.ravel(numbers)) + "\n")
    (tmp_path / "fit/p.pod").write_text(parameters(BASIS, ["Al"]))
    (tmp_path / "fit/d.pod").write_text(
        'file_format extxyz\nfile_extension xyz\npath_to_training_data_set "set"\n'
        "fitting_weight_energy 100.0\nfitting_weight_force 1.0\nbasename_for_output_files o\n"
    )
    (tmp_path / "fit/in.lammps").write_text("fitpod p.pod d.pod\n")
    command = [program("lmp"), "-in", "in.lammps"]
    subprocess.run(command, cwd=tmp_path / "fit", check=True, capture_output=True)
    (tmp_path / "fit/o_coefficients.pod").rename(tmp_path / "fit" / COEFFICIENTS)
    (tmp_path / "fit/p.pod").rename(tmp_path / "fit" / MODEL)
    theirs = load_student("pod", tmp_path / "fit" / MODEL).predict(frames)

    weight = 100.0 / np.sqrt(3 * 4)  # four atoms per frame
    settings = linear(energy_weight=weight, force_weight=1.0, virial_weight=0.0)
    trained(tmp_path / "own", ["Al"], frames, settings)
    ours = load_student("pod", tmp_path / "own" / POTENTIAL).predict(frames)
    scale = np.sqrt(np.mean(frames.forces**2))
    assert np.abs(ours.forces - theirs.forces).max() < 0.01 * scale
    assert np.abs(ours.energy - theirs.energy).max() < 0.01 * np.std(frames.energy)


def test_equations_in_pieces_have_the_solution_of_all_at_once():
    random = np.random.default_rng(0)
    matrix, values = random.normal(0, 1, (9000, 6)), random.normal(0, 1, 9000)
    matrix[:, 4] *= 1e4
    matrix[:, 5] = 0  # an element that no frame holds
    triangle = Triangle()
    for part in np.array_split(np.column_stack([matrix, values]), 23):
        triangle.add(part)
    expected = np.linalg.lstsq(matrix[:, :5], values, rcond=None)[0]
    found = triangle.solve(1e-14)
    assert found[:5] == pytest.approx(expected, rel=1e-6)
    assert found[5] == 0


# --- training ---------------------------------------------------------------------------


def test_a_potential_of_the_family_is_recovered(tmp_path):
    """Labels by a first fit: a second one, to few of them, gives the same potential."""
    frames = alloy(60, 1)
    trained(tmp_path / "first", ["Al", "Cu"], frames, linear())
    exact = load_student("pod", tmp_path / "first" / POTENTIAL).predict(frames)
    few, others = np.arange(25), np.arange(25, 60)
    exactly = linear(regularization=1e-14)
    metrics = trained(tmp_path / "second", ["Al", "Cu"], exact.take(few), exactly)
    assert metrics["kind"] == "pod"
    assert metrics["variant"] == "dnn"
    again = load_student("pod", tmp_path / "second" / POTENTIAL).predict(exact.take(others))
    for found, expected in zip(labels_of(again), labels_of(exact.take(others)), strict=True):
        assert found == pytest.approx(expected, abs=1e-3 * np.std(expected))


def test_it_learns_real_labels_and_the_order_of_frames_does_not_matter(tmp_path):
    frames = alloy(60, 1)
    metrics = trained(tmp_path / "a", ["Al", "Cu"], frames, linear())
    errors = metrics["rmse"]["valid"]
    assert errors["force_meV_per_A"] < 250 * np.sqrt(np.mean(frames.forces**2))
    assert errors["energy_meV_per_atom"] < 60
    assert metrics["frames"] == {"dft": 60, "teacher": 0, "valid": 4}
    trained(tmp_path / "b", ["Al", "Cu"], frames.take(np.arange(60)[::-1]), linear())
    texts = [(tmp_path / name / COEFFICIENTS).read_text() for name in "ab"]
    assert texts[0] == texts[1]


def test_share_and_taught_decide_what_the_teacher_teaches(tmp_path):
    """A teacher whose energies and stresses are far off, forces right."""
    frames = alloy(40, 3)
    wrong = frames.take(np.arange(20))
    wrong = replace(wrong, energy=wrong.energy + 5.0 * wrong.n_atoms, stress=wrong.stress + 0.1)
    errors = {}
    for name, settings in {
        "all": linear(),
        "forces": linear().model_copy(update={"taught": ["forces"]}),
        "little": linear().model_copy(update={"dft_probability": 0.9999}),
    }.items():
        metrics = trained(
            tmp_path / name, ["Al", "Cu"], frames.take(np.arange(20, 40)), settings, wrong
        )
        assert metrics["variant"] == "dnn-kd"
        errors[name] = metrics["rmse"]["dft"]["energy_meV_per_atom"]
    assert errors["all"] > 1000
    assert errors["forces"] < 60
    assert errors["little"] < 60


def test_frames_without_stress_teach_energies_and_forces(tmp_path):
    frames = alloy(30, 4)
    stress = frames.stress.copy()
    stress[::2] = np.nan
    metrics = trained(tmp_path / "a", ["Al", "Cu"], replace(frames, stress=stress), linear())
    assert metrics["rmse"]["dft"]["stress_GPa"] < 3.0


def test_a_killed_fit_leaves_no_model_and_is_done_again(tmp_path, monkeypatch):
    frames = alloy(12, 6)
    from polymorphkd.student import pod

    def lost(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pod, "load", lost)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "a", ["Al", "Cu"], frames, linear())
    assert {p.name for p in (tmp_path / "a").iterdir()} == {"train.extxyz", "valid.extxyz", "work"}
    monkeypatch.undo()
    files = [tmp_path / "a" / f"{name}.extxyz" for name in ("train", "valid")]
    train_student(linear(), TrainingJob(*files, None, tmp_path / "a", ["Al", "Cu"], 1))
    assert load_student("pod", tmp_path / "a" / POTENTIAL).elements == ["Al", "Cu"]


# --- in LAMMPS --------------------------------------------------------------------------


def test_lammps_conserves_its_energy_and_agrees_with_python(tmp_path):
    cell = make_supercell(bulk("Al", "fcc", a=4.0), 2 * np.eye(3))
    data = write_labelled(tmp_path / "Al.extxyz", cell, 40, 1, (0.05, 0.01), (0.05, 0.2))
    frames = read_frames(data)
    trained(tmp_path / "dnn", ["Al"], replace(frames, meta=frames.meta.iloc[:, :0]), linear())
    settings = Deploy(repeat=3, steps=300, timestep=1.0, temperature=150.0, timing_atoms=100)
    example = Example("Al", "dnn", "fcc", 16.0, ["Al"], np.random.default_rng(1))
    write_example(tmp_path / "dnn", TEMPLATES / "in.lammps.j2", example, settings)
    text = (tmp_path / "dnn/in.lammps").read_text()
    assert "another LAMMPS needs the package ML-POD." in text
    model = load_student("pod", tmp_path / "dnn" / POTENTIAL)
    _, result = check(tmp_path / "dnn", tmp_path / "work", ["Al"], model, settings, 1)
    assert result["passed"], result["reason"]
    assert result["forces_agree_eV_per_A"] < 1e-6
    atoms = read(tmp_path / "dnn/structure.data", format="lammps-data")
    assert np.isfinite(model.predict(from_atoms([atoms])).energy).all()


# --- bad input --------------------------------------------------------------------------


def test_atoms_nearer_than_the_inner_cutoff_are_refused_before_the_fit(tmp_path):
    frames = alloy(8, 7)
    with pytest.raises(InputError, match=r"student.pod.inner_cutoff: 3 Å, and two atoms .* apart"):
        trained(tmp_path / "a", ["Al", "Cu"], frames, linear(inner_cutoff=3.0))
    shortest = min(
        one.get_all_distances(mic=True)[~np.eye(len(one), dtype=bool)].min()
        for one in (frames.atoms(k).repeat(2) for k in range(len(frames)))
    )
    with pytest.raises(InputError, match=r"student.pod.inner_cutoff"):  # strain takes it nearer
        trained(tmp_path / "b", ["Al", "Cu"], frames, linear(inner_cutoff=shortest))


def test_frames_of_the_teacher_nearer_than_the_inner_cutoff_are_left_out(tmp_path, caplog):
    frames = alloy(16, 7)
    taught = frames.take(np.arange(4))
    hit = taught.atoms(2)
    hit.positions[1] = hit.positions[0] + [0.5, 0.0, 0.0]
    label(hit)
    taught = concatenate([taught, from_atoms([hit])])
    with caplog.at_level("WARNING", logger="polymorphkd"):
        metrics = trained(tmp_path / "a", ["Al", "Cu"], frames, linear(), taught)
    assert metrics["frames"] == {"dft": 16, "teacher": 4, "valid": 4}
    assert "1 of 5 frames of the teacher have atoms within student.pod.inner_cutoff" in caplog.text


def test_a_frame_nearer_than_the_inner_cutoff_is_told(tmp_path, caplog):
    trained(tmp_path / "a", ["Al", "Cu"], alloy(12, 8), linear())
    model = load_student("pod", tmp_path / "a" / POTENTIAL)
    frames = [
        Atoms("Al2", [[1, 1, 1], [1 + far, 1, 1]], cell=[12] * 3, pbc=True) for far in (1.05, 0.9)
    ]
    with caplog.at_level("WARNING", logger="polymorphkd"):
        model.predict(from_atoms(frames[:1]))
        assert "inner cutoff" not in caplog.text
        model.predict(from_atoms(frames))
    assert "two atoms are 0.900 Å apart, not beyond the inner cutoff" in caplog.text


def test_an_element_that_no_frame_holds_is_told(tmp_path, caplog):
    frames = alloy(12, 8)
    with caplog.at_level("WARNING", logger="polymorphkd"):
        trained(tmp_path / "a", ["Al", "Cu", "Ni"], frames, linear())
    assert "no training frame holds Ni" in caplog.text


def test_frames_and_files_that_it_cannot_use_are_refused(tmp_path):
    frames = alloy(12, 8)
    trained(tmp_path / "a", ["Al", "Cu"], frames, linear())
    model = load_student("pod", tmp_path / "a" / POTENTIAL)
    with pytest.raises(EngineError, match="does not know Ni"):
        model.predict(from_atoms([bulk("Ni", cubic=True)]))
    slab = bulk("Al", cubic=True)
    slab.pbc = (True, True, False)
    with pytest.raises(InputError, match="frame 0 is not periodic"):
        model.predict(from_atoms([slab]))
    (tmp_path / "a" / COEFFICIENTS).unlink()
    with pytest.raises(InputError, match=r"coefficients\.pod: no such file; .* potential\.lmp"):
        load_student("pod", tmp_path / "a" / POTENTIAL)
    with pytest.raises(EngineError, match=r"coefficients\.pod: no such file"):
        load_student("pod", tmp_path / "a" / MODEL)
    (tmp_path / "a" / COEFFICIENTS).write_text("of another one")
    with pytest.raises(InputError, match=r"coefficients\.pod: changed since it was trained"):
        load_student("pod", tmp_path / "a" / POTENTIAL)
    with pytest.raises(EngineError, match=r"model\.pod: LAMMPS fails at frame 0: .*coefficient"):
        load_student("pod", tmp_path / "a" / MODEL).predict(frames)
    (tmp_path / COEFFICIENTS).write_text("")
    (tmp_path / MODEL).write_bytes(b"\x00\xffnothing")
    with pytest.raises(EngineError, match="it names no species"):
        load_student("pod", tmp_path / MODEL)


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        ({"inner_cutoff": 5.0}, "inner_cutoff must be smaller than rcut"),
        ({"three_body": [7, 4]}, "three_body must not have more functions than two_body"),
        ({"four_body": [4, 5]}, "four_body must not have more functions than three_body"),
        ({"three_body": [5, 13]}, "angular degree of three_body is at most 12"),
        ({"four_body": [4, 3, 1]}, "student.pod.four_body"),
        ({"two_body": 21}, "two_body must be at most 20, 3 * bessel_degree + inverse_degree"),
        ({"bessel_degree": 1, "inverse_degree": 1}, "two_body must be at most 4"),
        ({"energy_weight": float("inf")}, "student.pod.energy_weight"),
        ({"energy_weight": 0, "force_weight": 0, "virial_weight": 0}, "pod.energy_weight"),
    ],
)
def test_settings_that_lammps_would_refuse_are_refused_at_once(pod, message):
    from polymorphkd.config import validate

    values = {"material": "Al", "elements": ["Al"], "student": {"kind": "pod", "pod": pod}}
    with pytest.raises(ConfigError) as caught:
        validate(values, "Al.yaml")
    assert message in str(caught.value)


def test_a_folder_whose_name_has_spaces(tmp_path):
    folder = tmp_path / "a b" / "c  d"
    folder.parent.mkdir()
    metrics = trained(folder, ["Al", "Cu"], alloy(12, 8), linear())
    assert metrics["coefficients"] > 0


def test_settings_of_the_other_family_count_for_nothing():
    assert Student(kind="pod").unused == {"deepmd", "size"}
    assert Student().unused == {"pod"}
