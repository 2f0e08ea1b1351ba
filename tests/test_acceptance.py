"""Which labels enter a set, which failures a rerun repeats, and the record of every frame."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from polymorphkd.errors import StageError
from polymorphkd.frames import Frames, from_atoms
from polymorphkd.label import deal, gather, label_shard, make_engine
from polymorphkd.label.gates import apply_gates, measured
from polymorphkd.label.result import Result, as_record, crashed, is_final
from polymorphkd.label.store import Store
from polymorphkd.settings import Gates, Label

EMT = Label(engine="ase")


def table(**columns) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    plain = {
        "status": ["ok"] * size,
        "reason": [""] * size,
        "n_atoms": [2] * size,
        "composition": ["13:1"] * size,
        "energy": [-6.0] * size,
        "max_force": [1.0] * size,
        "pressure": [0.0] * size,
        "min_distance": [2.5] * size,
    }
    return pd.DataFrame({**plain, **columns})


class Scripted:
    """An engine that answers with one given result after the other."""

    version, settings_hash = "scripted 1", "scripted"

    def __init__(self, *results: Result) -> None:
        self.results, self.calls = list(results), 0

    def calculate(self, atoms, mesh_cell=None):
        self.calls += 1
        return self.results.pop(0)


class Counting(Scripted):
    """The same engine in good health: EMT."""

    def calculate(self, atoms, mesh_cell=None):
        self.calls += 1
        return make_engine(EMT).calculate(atoms)


@pytest.mark.parametrize(
    ("result", "final"),
    [
        (Result("ok", "", 1.0, -1.0, np.zeros((1, 3)), np.zeros(6)), True),
        (Result("unconverged", "80 steps", 1.0), True),
        (Result("crashed", "brmix", 1.0), True),
        (Result("rejected:charge", "one electron too many", 1.0), True),
        (Result("timeout", "hung", 1.0), False),
        (Result("truncated", "no closing tag", 1.0), False),
        (Result("crashed", "killed by signal 9", 1.0, infrastructure=True), False),
        (crashed(MemoryError("no room"), 0.0), False),
        (crashed(OSError("disk full"), 0.0), False),
        (crashed(ValueError("atoms\ntoo close"), 0.0), True),
    ],
)
def test_a_rerun_repeats_what_machines_did_and_only_that(tmp_path, result, final):
    store = Store(tmp_path, "hash")
    store.put("f01", as_record(result))
    assert (store.get("f01") is not None) == final
    assert "\n" not in result.reason


def test_old_records_of_crashes_are_tried_again():
    assert is_final({"status": "unconverged"})
    assert not is_final({"status": "crashed"})
    assert not is_final({})


def test_a_second_run_asks_the_engine_for_infrastructure_failures_only(aluminium, tmp_path):
    frames = aluminium.take([0, 1, 2])
    first = Scripted(
        Result("crashed", "edddav", 1.0),
        Result("timeout", "stopped after 60 s", 60.0),
        Result("truncated", "the output ends in step 3", 1.0),
    )
    label_shard(frames, first, tmp_path)
    second = Counting()
    again = label_shard(frames, second, tmp_path)
    assert second.calls == 2
    # Frames are worked on in random order.
    assert sorted(again.meta["status"]) == ["crashed", "ok", "ok"]
    assert set(again.meta["reason"]) == {"edddav", ""}
    label_shard(frames, third := Scripted(), tmp_path)
    assert third.calls == 0


def test_every_gate_rejects_by_its_name():
    records = table(
        min_distance=[0.4, 2.5, 2.5, 2.5, 2.5, np.nan, np.nan],
        max_force=[1.0, 15.1, 1.0, 1.0, 1.0, 1.0, 1.0],
        pressure=[0.0, 0.0, -81.0, 0.0, 0.0, np.nan, 9.0],
        entropy=[0.0, 0.0, 0.0, -0.05, 0.0, np.nan, 0.03],
        energy=[1e9, -6.0, -6.0, -6.0, 46.6, -6.0, -6.0],
    )
    apply_gates(records, Gates())
    names = ["min_distance", "max_force", "max_pressure", "max_entropy", "energy_window"]
    assert records["status"].tolist() == [*(f"rejected:{name}" for name in names), "ok", "ok"]
    assert records["reason"][0] == "min_distance 0.4 below 0.5 Å"
    assert (
        records["reason"][4]
        == "energy is 26.3 above 20 eV/atom from the median of its composition"
    )


def test_the_energy_window_compares_frames_of_one_composition():
    records = table(energy=[-6.0, -900.0, -6.2, -901.0], composition=["13:1", "6:1"] * 2)
    apply_gates(records, Gates())
    assert (records["status"] == "ok").all()
    records = table(energy=[-6.0, -900.0, -6.2])
    apply_gates(records, Gates(energy_window=None))
    assert (records["status"] == "ok").all()


def test_what_gates_look_at_is_measured():
    pair = Atoms("AlCu2", [[0, 0, 0], [0, 0, 2.0], [0, 0, 5]], cell=[9, 9, 9.0], pbc=True)
    pair.info["REF_energy"] = -3.0
    pair.info["REF_stress"] = np.array([-0.1, -0.2, -0.3, 0, 0, 0])
    pair.arrays["REF_forces"] = np.array([[3.0, 4, 0], [0, 0, 0], [1, 0, 0]])
    row = measured(from_atoms([pair])).iloc[0]
    assert row["composition"] == "13:1 29:2"
    assert row["max_force"] == 5
    assert row["min_distance"] == pytest.approx(2.0)
    assert row["pressure"] == pytest.approx(0.2 * 160.21766, rel=1e-6)
    alone = measured(from_atoms([Atoms("Al", cell=[9, 9, 9], pbc=True)])).iloc[0]
    assert np.isnan([alone["min_distance"], alone["max_force"], alone["pressure"]]).all()


def test_a_selected_frame_without_a_record_is_missing(aluminium, tmp_path):
    part = label_shard(deal(aluminium, 0, 3), make_engine(EMT), tmp_path)
    settings = EMT.model_copy(update={"max_failed_fraction": 0.7})
    labelled, records = gather([part], settings, aluminium)
    assert records["frame_id"].tolist() == sorted(aluminium.frame_ids())
    counts = records["status"].value_counts()
    assert counts.to_dict() == {"ok": 4, "missing": 8}
    assert len(labelled) == 4
    with pytest.raises(StageError, match="8  missing: selected, but no record"):
        gather([part], EMT, aluminium)


def test_a_frame_that_nobody_touched_is_missing(aluminium, tmp_path):
    part = label_shard(aluminium, make_engine(EMT), tmp_path)
    part.meta.loc[3, ["status", "reason", "settings_hash"]] = None
    part.energy[3] = np.nan
    labelled, records = gather([part], EMT, aluminium)
    assert records["status"].value_counts().to_dict() == {"ok": 11, "missing": 1}
    assert len(labelled) == 11


def test_an_empty_set_is_measured():
    assert len(measured(Frames(np.zeros(1), [], [], [], []))) == 0
