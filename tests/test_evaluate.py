"""Errors against hand-computed numbers, and the identities they must obey."""

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from polymorphkd.errors import StageError
from polymorphkd.evaluate import compare, distribution, gain, gather, with_cells
from polymorphkd.evaluate.run import evaluate_model
from polymorphkd.frames import Frames, concatenate, from_atoms, write_frames
from polymorphkd.landscape import points
from polymorphkd.settings import Landscape


def labelled(n_frames: int, seed: int) -> Frames:
    """Rattled fcc Al cells of 4 and 8 atoms with EMT labels."""
    rng = np.random.default_rng(seed)
    images = []
    for i in range(n_frames):
        atoms = bulk("Al", "fcc", a=4.0 * rng.uniform(0.96, 1.05), cubic=True)
        atoms = atoms.repeat((1 + i % 2, 1, 1))
        atoms.positions += rng.normal(0, 0.15, (len(atoms), 3))
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.info["REF_stress"] = atoms.get_stress()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.info["root"] = f"seed{i // 2}"
        atoms.calc = None
        images.append(atoms)
    return from_atoms(images)


def changed(frames: Frames, energy=0.0, forces=0.0, stress=0.0) -> Frames:
    """Copy with constant or per-item changes of the labels."""
    copy = frames.take(range(len(frames)))
    copy.energy = frames.energy + energy
    copy.forces = frames.forces + forces
    copy.stress = frames.stress + stress
    return copy


class Shifted:
    """Predictor that answers with given frames, as a model would."""

    def __init__(self, answer: Frames) -> None:
        self.answer = answer

    def predict(self, frames: Frames) -> Frames:
        assert frames.energy is None
        assert frames.forces is None
        return self.answer


@pytest.fixture(scope="module")
def reference() -> Frames:
    return labelled(8, seed=3)


def with_axes(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(sS=-np.arange(len(table), dtype=float), Q6=0.1, settings_digest="a")
    return with_cells(table, table, 2)


def numbers(reference: Frames, **answers: Frames) -> dict:
    tables = {}
    for name, answer in answers.items():
        frames, forces = compare(reference, answer)
        tables[name.replace("_", "-")] = (with_axes(frames), forces)
    return gather(tables, np.random.default_rng(0))


def test_a_perfect_model_has_no_error(reference):
    result = numbers(reference, teacher=changed(reference))
    assert set(result["rmse"]["teacher"].values()) == {0.0}


def test_constant_shift_of_the_energy_is_an_error_and_is_not_removed(reference):
    answer = changed(reference, energy=0.005 * reference.n_atoms)
    result = numbers(reference, teacher=answer)
    assert result["rmse"]["teacher"]["energy_meV_per_atom"] == pytest.approx(5.0)
    assert result["mae"]["teacher"]["energy_meV_per_atom"] == pytest.approx(5.0)
    assert result["distribution"]["teacher"]["energy_meV_per_atom"]["mean"] == pytest.approx(5.0)
    assert result["distribution"]["teacher"]["energy_meV_per_atom"]["std"] == pytest.approx(0.0)


def test_force_rmse_counts_components_of_all_atoms(reference):
    # One component of one atom off by 0.3 eV/Å: sqrt(300^2 / (3 N)) meV/Å.
    delta = np.zeros_like(reference.forces)
    delta[5, 1] = -0.3
    result = numbers(reference, teacher=changed(reference, forces=delta))
    n_components = 3 * len(reference.numbers)
    expected = 300 / np.sqrt(n_components)
    assert result["rmse"]["teacher"]["force_meV_per_A"] == pytest.approx(expected)
    assert result["mae"]["teacher"]["force_meV_per_A"] == pytest.approx(300 / n_components)
    assert result["test"] == {
        "frames": 8, "frames_with_stress": 8, "force_components": n_components,
    }  # fmt: skip
    # Atom 5 is in the second frame (4 atoms in the first, 8 in the second).
    frames, forces = compare(reference, changed(reference, forces=delta))
    assert frames["force_rmse"].to_numpy() == pytest.approx([0, 300 / np.sqrt(24)] + [0] * 6)
    assert frames["force_max_error"].to_numpy() == pytest.approx([0, 300] + [0] * 6)
    assert forces.loc[5, ["atom", "frame_id"]].tolist() == [1, frames["frame_id"][1]]


def test_virial_counts_the_nine_components_of_the_tensor_per_atom(reference):
    per_volume = (reference.n_atoms / reference.volumes)[:, None]
    # Virial = -V stress: xx off by +4 meV/atom, yz off by -3 meV/atom.
    delta = np.array([-0.004, 0, 0, 0.003, 0, 0]) * per_volume
    result = numbers(reference, teacher=changed(reference, stress=delta))
    expected = np.sqrt((4**2 + 2 * 3**2) / 9)
    assert result["rmse"]["teacher"]["virial_meV_per_atom"] == pytest.approx(expected)
    spread = result["distribution"]["teacher"]["virial_meV_per_atom"]
    assert (spread["min"], spread["max"]) == (pytest.approx(-3), pytest.approx(4))
    assert spread["n"] == 9 * len(reference)
    frames, _ = compare(reference, changed(reference, stress=delta))
    assert frames["virial_error"].to_numpy() == pytest.approx(np.full(8, expected))


def test_rmse_is_mean_and_spread_of_every_distribution(reference):
    rng = np.random.default_rng(1)
    answer = changed(
        reference,
        rng.normal(0.02, 0.1, len(reference)),
        rng.normal(0, 0.1, reference.forces.shape),
        rng.normal(0, 0.01, reference.stress.shape),
    )
    result = numbers(reference, teacher=answer)
    for key, rmse in result["rmse"]["teacher"].items():
        spread = result["distribution"]["teacher"][key]
        assert rmse == pytest.approx(np.hypot(spread["mean"], spread["std"]))
        assert spread["min"] < spread["q1"] < spread["median"] < spread["q3"] < spread["max"]


def test_distribution_of_known_values():
    assert distribution(np.array([4.0, 0.0, 1.0, 2.0, 3.0])) == {
        "min": 0.0,
        "q1": 1.0,
        "median": 2.0,
        "q3": 3.0,
        "max": 4.0,
        "mean": 2.0,
        "std": pytest.approx(np.sqrt(2)),
        "n": 5,
    }


def test_cells_span_the_box_of_all_labelled_frames():
    everything = pd.DataFrame({"sS": [-10.0, -5.0, 0.0], "Q6": [0.0, 0.5, 0.26]})
    everything["settings_digest"] = "a"
    table = with_cells(everything.iloc[[0, 1]], everything, 2)
    assert table.attrs["edges"] == {"sS": [-10.0, -5.0, 0.0], "Q6": [0.0, 0.25, 0.5]}
    assert table["cell_sS"].tolist() == [0, 1]
    assert table["cell_Q6"].tolist() == [0, 1]
    other = everything.assign(settings_digest=["a", "b", "b"])
    with pytest.raises(StageError, match="different settings"):
        with_cells(everything, other, 2)


def test_error_per_cell_is_the_force_rmse_of_its_frames(reference):
    delta = np.zeros_like(reference.forces)
    last = reference.atoms_of(7)
    delta[last] = 0.1
    result = numbers(reference, teacher=changed(reference, forces=delta))
    cells = result["cells"]["cells"]
    assert [c["frames"] for c in cells] == [4, 4]
    # sS falls with the index, so the first cell holds frames 4-7: 24 of 24 atoms' components
    # of which those of frame 7 (8 atoms) are off by 100 meV/Å.
    assert cells[0]["force_meV_per_A"]["teacher"] == pytest.approx(100 * np.sqrt(8 / 24))
    assert cells[1]["force_meV_per_A"]["teacher"] == 0.0


def test_gain_is_the_relative_change_and_its_interval_holds_it(reference):
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.1, reference.forces.shape)
    better = changed(reference, forces=0.8 * noise)
    result = numbers(reference, dnn=changed(reference, forces=noise), dnn_kd=better)
    assert result["gain"]["change"] == pytest.approx(-0.2)
    # Every frame is better by the same factor, so resampling cannot change the ratio.
    assert result["gain"]["interval_95"] == pytest.approx([-0.2, -0.2])
    assert result["gain"]["groups"] == 8


def test_gain_interval_grows_with_disagreement_between_families(reference):
    old, _ = compare(reference, changed(reference, forces=0.1))
    new = old.assign(force_rmse=old["force_rmse"] * ([0.5, 1.5] * 4))
    alone = gain(old, new, np.random.default_rng(2))
    assert alone["interval_95"][0] < 0 < alone["interval_95"][1]
    # One frame of each kind per family: every family then changes alike.
    lineage = old.assign(root=[f"seed{i // 4}" for i in range(8)])
    families = gain(lineage, new, np.random.default_rng(2))
    assert families["groups"] == 2
    assert families["interval_95"] == pytest.approx([families["change"]] * 2)


def test_answers_that_cannot_be_compared_are_refused(reference):
    with pytest.raises(StageError, match="same frames in order"):
        compare(reference, reference.take(range(7, -1, -1)))
    bad = changed(reference)
    bad.forces[5, 0] = np.nan
    with pytest.raises(StageError, match=f"1 of 8 frames.* {reference.frame_ids()[1]}"):
        compare(reference, bad)
    one, other = reference.take([0, 1]), reference.take([2, 3])
    tables = {name: (with_axes(compare(f, f)[0]), compare(f, f)[1]) for name, f in
              {"dnn": one, "dnn-kd": other}.items()}  # fmt: skip
    with pytest.raises(StageError, match="other test frames"):
        gather(tables, np.random.default_rng(0))


def test_evaluation_of_files_places_the_errors_on_the_landscape(tmp_path, reference):
    write_frames(tmp_path / "test.extxyz", reference)
    table = points(concatenate([labelled(6, seed=9), reference]), Landscape(cutoff=3.4))
    predictor = Shifted(changed(reference, forces=0.1))
    frames, forces = evaluate_model(predictor, tmp_path / "test.extxyz", table, 3)
    assert frames["sS"].tolist() == table["sS"].tolist()[6:]
    assert frames["force_rmse"].to_numpy() == pytest.approx(np.full(8, 100))
    assert frames["root"].tolist() == [f"seed{i // 2}" for i in range(8)]
    assert len(forces) == len(reference.numbers)
    assert set(frames["fidelity"]) == {"external"}
    by_frame = frames.set_index("frame_id")
    for atom in (0, len(forces) - 1):
        row = forces.iloc[atom]
        for name in ("fidelity", "cell_sS", "cell_Q6"):
            assert row[name] == by_frame.loc[row["frame_id"], name]
    named = reference.with_meta(fidelity=["gpaw"] * 7 + [None])
    write_frames(tmp_path / "named.parquet", named)
    again, _ = evaluate_model(predictor, tmp_path / "named.parquet", table, 3)
    assert again["fidelity"].tolist() == ["gpaw"] * 7 + ["external"]
    assert frames[["cell_sS", "cell_Q6"]].min().min() >= 0
    assert frames[["cell_sS", "cell_Q6"]].max().max() <= 2
    frames.to_parquet(tmp_path / "frames.parquet", index=False)
    kept = pd.read_parquet(tmp_path / "frames.parquet").attrs["edges"]
    assert kept == frames.attrs["edges"]
    assert len(kept["sS"]) == 4
    with pytest.raises(StageError, match="no landscape point"):
        evaluate_model(predictor, tmp_path / "test.extxyz", table.iloc[:7], 3)
