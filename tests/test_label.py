"""Labels: engines, the store, gates, records, kills."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import GPa
from conftest import REPOSITORY
from polymorphkd.errors import EngineError, StageError
from polymorphkd.frames import Frames, concatenate, from_atoms
from polymorphkd.label import ENGINES, deal, gather, label_shard, make_engine
from polymorphkd.label.mesh import mesh
from polymorphkd.label.store import Store
from polymorphkd.settings import AseEngine, Gpaw, Label

COARSE = {"ecut": 200, "kspacing": 0.6, "width": 0.4}


def recording(log, **arguments) -> Label:
    values = {"log": str(log), **arguments}
    calculator = "recording_calculators.RecordingEMT"
    return Label(engine="ase", ase={"calculator": calculator, "arguments": values})


def test_labels_are_those_of_the_calculator(aluminium, tmp_path):
    labelled = label_shard(aluminium, make_engine(Label(engine="ase")), tmp_path)
    for i in range(len(aluminium)):
        atoms = aluminium.atoms(i)
        atoms.calc = EMT()
        assert labelled.energy[i] == pytest.approx(atoms.get_potential_energy())
        np.testing.assert_allclose(labelled.forces[labelled.atoms_of(i)], atoms.get_forces())
        np.testing.assert_allclose(labelled.stress[i], atoms.get_stress(), atol=1e-12)


def test_a_second_run_computes_nothing(aluminium, tmp_path):
    settings = recording(tmp_path / "log")
    first = label_shard(aluminium, make_engine(settings), tmp_path / "store")
    again = label_shard(aluminium, make_engine(settings), tmp_path / "store")
    assert len((tmp_path / "log").read_text().splitlines()) == len(aluminium)
    np.testing.assert_array_equal(first.forces, again.forces)


def test_other_settings_have_their_own_labels(aluminium, tmp_path):
    label_shard(aluminium, make_engine(recording(tmp_path / "a")), tmp_path / "store")
    label_shard(aluminium, make_engine(recording(tmp_path / "b")), tmp_path / "store")
    assert len((tmp_path / "b").read_text().splitlines()) == len(aluminium)


def test_a_duplicate_is_labelled_once_whatever_the_order_of_its_atoms(aluminium, tmp_path):
    random = np.random.default_rng(1)
    twins, orders = [], []
    for i in range(len(aluminium)):
        atoms = aluminium.atoms(i)
        orders.append(random.permutation(len(atoms)))
        shifted = atoms[orders[-1]]
        shifted.positions += random.integers(-1, 2, (len(atoms), 3)) @ atoms.cell.array
        twins.append(shifted)
    same = from_atoms(twins)
    assert same.frame_ids() == aluminium.frame_ids()
    settings = recording(tmp_path / "log")
    both = concatenate([aluminium, aluminium, same])
    parts = [
        label_shard(deal(both, k, 2), make_engine(settings), tmp_path / "store") for k in range(2)
    ]
    labelled, records = gather(parts, settings, both)
    assert len(labelled) == len(records) == len(aluminium) == _lines(tmp_path / "log")
    # Taken from the store for the twins, forces follow the atoms.
    again = label_shard(same, make_engine(settings), tmp_path / "store")
    assert _lines(tmp_path / "log") == len(aluminium)
    first = label_shard(aluminium, make_engine(settings), tmp_path / "store")
    for i, order in enumerate(orders):
        wanted = first.forces[first.atoms_of(i)][order]
        np.testing.assert_array_equal(again.forces[again.atoms_of(i)], wanted)
        reference = same.atoms(i)
        reference.calc = EMT()
        np.testing.assert_allclose(wanted, reference.get_forces(), atol=1e-6)


@pytest.mark.parametrize("n_shards", [1, 3, 5])
def test_any_number_of_shards_gives_the_same_set(aluminium, tmp_path, n_shards):
    engine = make_engine(Label(engine="ase"))
    parts = [label_shard(deal(aluminium, k, n_shards), engine, tmp_path) for k in range(n_shards)]
    labelled, records = gather(parts[::-1], Label(engine="ase"))
    assert labelled.frame_ids() == sorted(aluminium.frame_ids())
    assert list(records["frame_id"]) == labelled.frame_ids()
    assert (records["status"] == "ok").all()


def test_a_failed_frame_is_a_row_and_the_next_go_on(aluminium, tmp_path):
    volumes = aluminium.volumes / aluminium.n_atoms
    limit = float(np.sort(volumes)[-2]) - 1e-6
    settings = recording(tmp_path / "log", fail_above=limit)
    settings = settings.model_copy(update={"max_failed_fraction": 0.5})
    shard = label_shard(aluminium, make_engine(settings), tmp_path / "store")
    labelled, records = gather([shard], settings)
    assert len(labelled) == len(aluminium) - 2
    failed = records[records["status"] == "crashed"]
    assert len(failed) == 2
    assert failed["reason"].str.contains("RuntimeError: the engine fell over").all()
    assert failed["energy"].isna().all()


def test_crashed_frames_are_tried_again_and_finished_ones_are_not(aluminium, tmp_path):
    store = Store(tmp_path, "hash")
    store.put("aa01", {"status": "crashed", "reason": "killed", "seconds": 1.0})
    store.put("aa02", {"status": "unconverged", "reason": "80 steps", "seconds": 1.0})
    assert store.get("aa01") is None
    assert store.get("aa02")["reason"] == "80 steps"
    store.path("aa03").parent.mkdir(parents=True)
    store.path("aa03").write_text('{"status": "ok", "ener')
    assert store.get("aa03") is None


def test_gates_reject_by_name(aluminium, tmp_path):
    shard = label_shard(aluminium, make_engine(Label(engine="ase")), tmp_path)
    forces = np.array(
        [np.linalg.norm(shard.forces[shard.atoms_of(i)], axis=1).max() for i in range(12)]
    )
    limit = float(np.sort(forces)[-3])
    strict = Label(engine="ase", gates={"max_force": limit}, max_failed_fraction=0.5)
    labelled, records = gather([shard], strict)
    assert (records["status"] == "rejected:max_force").sum() == 2
    assert len(labelled) == 10
    pressure = -shard.stress[:, :3].mean(axis=1) / GPa
    strict = Label(
        engine="ase", gates={"max_pressure": float(np.abs(pressure).max()) - 1e-6},
        max_failed_fraction=0.5,
    )  # fmt: skip
    assert (gather([shard], strict)[1]["status"] == "rejected:max_pressure").sum() == 1


def test_too_many_failures_stop_with_a_table(aluminium, tmp_path):
    shard = label_shard(aluminium, make_engine(Label(engine="ase")), tmp_path)
    strict = Label(engine="ase", gates={"max_force": 1e-6})
    with pytest.raises(StageError, match=r"12 of 12 frames failed") as error:
        gather([shard], strict)
    assert "rejected:max_force" in str(error.value)


def test_mixed_settings_never_meet(aluminium, tmp_path):
    one = label_shard(aluminium.take([0]), make_engine(recording(tmp_path / "a")), tmp_path / "s")
    two = label_shard(aluminium.take([1]), make_engine(recording(tmp_path / "b")), tmp_path / "s")
    with pytest.raises(StageError, match="different engine settings"):
        gather([one, two], Label(engine="ase"))


def test_results_that_are_not_finite_count_as_crashed(aluminium, tmp_path):
    class Broken:
        version = "broken 1"
        settings_hash = "broken"

        def calculate(self, atoms, mesh_cell=None):
            result = make_engine(Label(engine="ase")).calculate(atoms)
            result.forces[0, 0] = np.nan
            return result

    shard = label_shard(aluminium.take([0]), Broken(), tmp_path)
    assert shard.meta["status"].tolist() == ["crashed"]
    assert shard.meta["reason"].tolist() == ["forces is not finite"]
    assert np.isnan(shard.energy).all()


def test_kill_in_mid_labelling_loses_nothing_and_repeats_nothing(aluminium, tmp_path):
    """A process that labels is killed with -9 again and again; every label is made once."""
    from polymorphkd.frames import write_frames

    many = concatenate([aluminium, _scaled(aluminium, 1.01), _scaled(aluminium, 0.99)])
    write_frames(tmp_path / "frames.parquet", many)
    settings = recording(tmp_path / "log", seconds=0.1)
    program = (
        "import sys; from polymorphkd.readers import read_frames\n"
        "from polymorphkd.label import label_shard, make_engine\n"
        "from polymorphkd.settings import Label\n"
        f"frames = read_frames({str(tmp_path / 'frames.parquet')!r})\n"
        f"settings = Label.model_validate_json({settings.model_dump_json()!r})\n"
        f"label_shard(frames, make_engine(settings), {str(tmp_path / 'store')!r})\n"
    )
    paths = f"{REPOSITORY / 'scripts'}:{REPOSITORY / 'tests'}"
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", program], env={"PYTHONPATH": paths})
        done = _lines(tmp_path / "log")
        while process.poll() is None and (kills >= 3 or _lines(tmp_path / "log") < done + 4):
            time.sleep(0.02)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert process.returncode == 0
    assert kills == 3
    # A kill in the middle of writing leaves a file aside, under a hidden name.
    stored = list((tmp_path / "store").rglob("[!.]*.json"))
    assert len(stored) == len(many)
    assert all(json.loads(path.read_text())["status"] == "ok" for path in stored)
    # At most the one calculation in flight at each kill had finished without being stored.
    finished = [line.split()[1] for line in (tmp_path / "log").read_text().splitlines()]
    assert len(finished) <= len(many) + kills
    assert len(set(finished)) == len(many)


def _scaled(frames: Frames, factor: float) -> Frames:
    return Frames(
        frames.offsets,
        frames.numbers,
        frames.positions * factor,
        frames.cells * factor,
        frames.pbc,
    )


def _lines(path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize("name", ["gpaw", "ase"])
def test_a_frame_without_a_periodic_cell_is_refused_by_its_gate(name):
    """A label has a stress; programs with inputs of their own are tested with those."""
    slab = bulk("Al", cubic=True)
    slab.pbc = (True, True, False)
    result = make_engine(Label(engine=name)).calculate(slab)
    assert (result.status, result.retry) == ("rejected:pbc", False)
    assert "three periodic directions" in result.reason


@pytest.mark.parametrize(
    "damage", [{"forces": None}, {"energy": None}, {"seconds": ...}, {"status": ...}]
)
def test_a_record_that_lacks_something_counts_as_absent(tmp_path, damage):
    whole = {
        "status": "ok", "reason": "", "seconds": 1.0, "energy": -1.0, "forces": [[0, 0, 0]],
        "stress": [0] * 6,
    }  # fmt: skip
    store = Store(tmp_path, "hash")
    store.put("whole", whole)
    store.put("damaged", {k: v for k, v in {**whole, **damage}.items() if v is not ...})
    assert store.get("whole") is not None
    assert store.get("damaged") is None


def test_mesh_follows_the_spacing():
    cell = np.diag([4.0, 8.0, 20.0])
    assert mesh(cell, np.array([True] * 3), 0.32) == (5, 3, 1)
    assert mesh(cell, np.array([True, True, False]), 0.1) == (16, 8, 1)
    fcc = bulk("Al", "fcc", 4.05).cell.array
    spacing = 2 * np.pi * np.linalg.norm(np.linalg.inv(fcc), axis=0) / mesh(fcc, np.ones(3), 0.2)
    assert (spacing <= 0.2).all()


def test_problems_are_named():
    assert ENGINES["gpaw"].problem(Gpaw(), ["Al", "Cu"]) is None
    assert "no PBE setup for element Po" in ENGINES["gpaw"].problem(Gpaw(), ["Po"])
    assert "cannot be imported" in ENGINES["ase"].problem(
        AseEngine(calculator="no.such.Thing"), []
    )
    assert "element W" in ENGINES["ase"].problem(AseEngine(), ["W"])
    with pytest.raises(EngineError, match=r"label.engine: ase: .*wrong arguments"):
        make_engine(recording("log", no_such=1))


def test_the_hash_follows_what_decides_the_numbers():
    gpaw = ENGINES["gpaw"]
    assert gpaw(Gpaw()).settings_hash == gpaw(Gpaw()).settings_hash
    assert gpaw(Gpaw()).settings_hash != gpaw(Gpaw(kspacing=0.2)).settings_hash
    assert gpaw(Gpaw()).settings_hash != gpaw(Gpaw(moments={"Fe": 2.0})).settings_hash


@pytest.mark.dft
def test_an_unconverged_frame_is_recorded(tmp_path, aluminium):
    settings = Label(gpaw={**COARSE, "max_scf_steps": 2}, max_failed_fraction=1.0)
    shard = label_shard(aluminium.take([1]), make_engine(settings), tmp_path)
    labelled, records = gather([shard], settings)
    assert records["status"].tolist() == ["unconverged"]
    assert records["reason"].tolist() == ["not converged in 2 SCF steps"]
    assert len(labelled) == 0


def test_two_jobs_on_one_shard_share_the_work(aluminium, tmp_path):
    """As where Snakemake was killed, its jobs go on, and the next Snakemake starts the same."""
    many = concatenate([aluminium, _scaled(aluminium, 1.01), _scaled(aluminium, 0.99)])
    settings = recording(tmp_path / "log", seconds=0.2)
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(label_shard, many, make_engine(settings), tmp_path / "store")
            for _ in range(2)
        ]
        first, second = (job.result() for job in jobs)
    np.testing.assert_array_equal(first.energy, second.energy)
    assert (first.meta["status"] == "ok").all()
    assert _lines(tmp_path / "log") < 1.5 * len(many)
