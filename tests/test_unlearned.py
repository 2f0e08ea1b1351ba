"""Training frames that a teacher did not learn are named."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from polymorphkd.progress import logger
from polymorphkd.report.model_sections import _not_learned, _restarts
from polymorphkd.teacher.mace_training import Trained
from polymorphkd.teacher.scores import report_scores, scores
from test_student import distorted


def off(errors: np.ndarray):
    """A predictor with these energy errors, eV per atom."""

    def predict(frames):
        wrong = frames.take(range(len(frames)))
        assert wrong.energy is not None
        wrong.energy = wrong.energy + errors[: len(frames)] * frames.n_atoms
        return wrong

    return predict


def test_a_frame_that_was_not_learned_is_named(caplog):
    logger.propagate = True
    caplog.set_level(logging.WARNING, logger="polymorphkd")
    frames = distorted(8, 1)
    errors = 0.003 * np.array([1, -1, 0.5, 2, -0.2, 1, 1, -1.0])
    errors[6] = -0.37
    found = scores({"train": frames, "valid": frames.take([0, 1])}, off(errors))
    assert found["unlearned"] == [
        {
            "frame_id": frames.frame_ids()[6],
            "energy_error_meV_per_atom": pytest.approx(-370.0),
        }
    ]
    assert found["train"]["energy_meV_per_atom"] == pytest.approx(370 / np.sqrt(8), rel=1e-3)
    report_scores(found, len(frames))
    assert "1 of 8 training frames were not learned" in caplog.text
    assert f"{frames.frame_ids()[6]} (-370 meV/atom)" in caplog.text
    assert "another seed" in caplog.text
    assert found["learned_within_meV_per_atom"] == pytest.approx(30.0)
    run = SimpleNamespace(teachers={"0": found, "1": {}})
    assert f"{frames.frame_ids()[6]} (-370 meV/atom)" in _not_learned(run)


@pytest.mark.parametrize(
    "errors",
    [
        np.array([1, -1, 20, 2, -0.2, 1, 1, -1.0]),  # small, though 20 times the median
        np.array([90, -120, 150, 80, -100, 300, -130, 100.0]),  # all are wrong alike
    ],
)
def test_frames_learned_as_well_as_the_others_raise_no_alarm(errors, caplog):
    frames = distorted(8, 1)
    found = scores({"train": frames, "valid": frames}, off(1e-3 * errors))
    assert found["unlearned"] == []
    logger.propagate = True
    report_scores(found, len(frames))
    assert "WARNING" not in caplog.text
    assert _not_learned(SimpleNamespace(teachers={"0": found})) == ""


def trained(errors: np.ndarray, force: float, limit: float | None = None) -> Trained:
    """A model of these energy errors (eV per atom) and this force error (meV/Å)."""
    frames = distorted(8, 1)
    found = scores({"train": frames, "valid": frames}, off(errors), limit)
    found["valid"]["force_meV_per_A"] = force
    return Trained(Path(), 1, found, 0)


ONE_WRONG = 0.003 * np.array([1, -1, 1, -1, 1, 1, 100, -1.0])


@pytest.mark.parametrize(
    ("errors", "force", "better"),
    [
        (ONE_WRONG.clip(-0.01, 0.01), 50.0, True),
        (ONE_WRONG.clip(-0.01, 0.01), 70.0, False),  # learned by heart
        (np.full(8, 0.2), 50.0, False),  # all alike, and all wrong
        (0.2 * ONE_WRONG, 50.0, False),  # better, and the frame is still wrong
        (np.full(8, np.nan), np.nan, False),
        (ONE_WRONG.clip(-0.01, 0.01), np.nan, False),
    ],
)
def test_a_restart_is_kept_if_it_learned_more_and_spoilt_nothing(errors, force, better):
    before = trained(ONE_WRONG, 50.0)
    assert len(before.scores["unlearned"]) == 1
    limit = before.scores["learned_within_meV_per_atom"]
    assert trained(errors, force, limit).improves(before) is better


def test_the_report_names_the_frames_that_needed_a_restart():
    frame = {"frame_id": "f1", "energy_error_meV_per_atom": 300.0}
    records = [{"unlearned": [frame], "valid": {}, "kept": True},
               {"unlearned": [frame], "valid": None, "kept": False}]  # fmt: skip
    said = _restarts(SimpleNamespace(teachers={"model 0": {"restarts": records}, "model 1": {}}))
    assert said.count("model 0 had left its training frames f1 unlearned") == 2
    assert "learned more of them. model 0" in said
    assert said.endswith("was no better and is left out.")
    assert "model 1" not in said
