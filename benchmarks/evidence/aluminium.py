"""The project's own aluminium set: generated frames and frames of MD, labelled by GPAW."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from polymorphkd.errors import InputError
from polymorphkd.evaluate.compare import frame_table
from polymorphkd.frames import Frames, concatenate, write_frames
from polymorphkd.landscape import points
from polymorphkd.predict import Predictor
from polymorphkd.provenance import rng, write_json
from polymorphkd.readers import read_frames
from polymorphkd.select.split import groups
from polymorphkd.settings import Landscape, Settings, Split
from polymorphkd.student import POTENTIAL, load_student, train_student
from polymorphkd.student import TrainingJob as StudentJob

from .origin import origin
from .results import PACKAGES
from .stages import cpu_seconds, errors

PARTS = {"generated": "Al_landscape", "md": "Al_md"}
"""Materials whose labels the set is made of, by how their frames were made."""

TRANSFERRED = ("transferred", "Al_from_Cu")
"""Frames made from the library of copper: never tested on, and used by one study alone."""

COMMAND = "snakemake --until gather_labels --config 'materials=[Al_landscape, Al_md]'"
TRANSFER_COMMAND = "make evidence-transfer"

TEST_SHARE = 0.2
CHECK_SHARE = 0.1
LABELS, LABEL_SECONDS = 546, 15
"""Frames of all three sets, and seconds of a label: median of 362 on a core that was shared."""

LANDSCAPE = Landscape(cutoff=3.4)  # Å, as in the materials' files
MADE = "made.json"


@dataclass(frozen=True)
class AluminiumSet:
    """Labelled frames, with the metadata `made`, `sS` and `Q6`, and which of them are the test."""

    frames: Frames
    is_test: np.ndarray

    def rows(self, test: bool, made: str | None = None) -> np.ndarray:
        """Rows of test or training frames, of one kind or of both `PARTS`."""
        kinds = [made] if made else list(PARTS)
        return np.flatnonzero(
            (self.is_test == test) & self.frames.meta["made"].isin(kinds).to_numpy()
        )

    def require_transferred(self) -> None:
        """Raise InputError where the transferred set is not there."""
        made, material = TRANSFERRED
        if not len(self.rows(False, made)):
            raise InputError(
                f"{material}: no labels for the study transfer; make them with: "
                f"{TRANSFER_COMMAND}, or name the other --studies"
            )

    def split(self) -> Frames:
        """Both `PARTS` with the columns `split` (train or test) and `group` (how it was made)."""
        rows = np.flatnonzero(self.frames.meta["made"].isin(list(PARTS)))
        frames = self.frames.take(rows)
        return replace(
            frames,
            meta=pd.DataFrame(
                {
                    "split": np.where(self.is_test[rows], "test", "train"),
                    "group": frames.meta["made"].to_numpy(),
                }
            ),
        )


def read_set(results: Path) -> AluminiumSet:
    """The two labelled sets below a results folder, a fifth of each kept for tests.

    The transferred set is added if it is there.

    Raises
    ------
    InputError
        The labels were not made.
    """
    parts = []
    for made, material in [*PARTS.items(), TRANSFERRED]:
        path = results / material / "label/labelled.extxyz"
        if not path.is_file():
            if material == TRANSFERRED[1]:
                continue
            raise InputError(f"{path}: no such file; make it with: {COMMAND}")
        part = read_frames(path).sorted_by_id()
        table = points(part, LANDSCAPE)
        parts.append(
            part.with_meta(made=made, sS=table["sS"].to_numpy(), Q6=table["Q6"].to_numpy())
        )
    frames = concatenate(parts)
    return AluminiumSet(frames, _held_out(frames))


def _held_out(frames: Frames) -> np.ndarray:
    """Which frames are the test: a share of each of `PARTS`, near-duplicates and kin together."""
    made = frames.meta["made"].to_numpy()
    rows = np.flatnonzero(np.isin(made, list(PARTS)))
    own = frames.take(rows)
    group = groups(points(own, LANDSCAPE), own.meta, Split().duplicate_distance)
    room = {kind: round(TEST_SHARE * np.count_nonzero(made == kind)) for kind in PARTS}
    chosen = np.zeros(len(frames), dtype=bool)
    for number in rng(1, "Al", "test", 0).permutation(group.max() + 1):
        members = rows[group == number]
        counts = Counter(made[members])
        if all(count <= room[kind] for kind, count in counts.items()):
            chosen[members] = True
            room = {kind: left - counts[kind] for kind, left in room.items()}
    return chosen


@dataclass(frozen=True)
class Training:
    """One student of a study, on DFT labels alone."""

    frames: Frames
    settings: Settings
    seed: int
    work: Path

    @property
    def folder(self) -> Path:
        """Named by the frames, the settings and the seed: trainings are made once."""
        student = self.settings.student.model_dump(
            mode="json", exclude=self.settings.student.unused
        )
        energies = np.asarray(self.frames.energy).round(6).tolist()
        labels = sorted(zip(self.frames.frame_ids(), energies, strict=True))
        content = json.dumps([labels, "dnn", self.seed, student])
        return self.work / hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    def run(self) -> Predictor:
        """The trained model; a tenth of the frames only watches."""
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        count = max(2, round(CHECK_SHARE * len(self.frames)))
        order = rng(self.seed, "Al", "check", len(self.frames)).permutation(len(self.frames))
        check, fit = folder / "check.extxyz", folder / "fit.extxyz"
        write_frames(check, self.frames.take(np.sort(order[:count])))
        write_frames(fit, self.frames.take(np.sort(order[count:])))
        started = cpu_seconds()
        made = self._student(fit, check)
        if not self.done:
            cost = cpu_seconds() - started
            write_json(folder / MADE, {"cpu_seconds": cost, "origin": origin(*PACKAGES)})
        return made

    @property
    def done(self) -> bool:
        """Whether the model was trained before."""
        return (self.folder / MADE).is_file()

    def _student(self, fit: Path, check: Path) -> Predictor:
        if not (self.folder / "metrics.json").is_file():
            job = StudentJob(fit, check, None, self.folder, self.settings.elements, self.seed)
            train_student(self.settings.student, job)
        return load_student(self.settings.student.kind, self.folder / POTENTIAL)

    def frame_errors(self, frames: Frames) -> np.ndarray:
        """Force RMSE of the model on every frame, meV/Å."""
        reference = replace(frames, meta=pd.DataFrame())
        table = frame_table(reference, self.run().predict(frames.without_labels()))
        return table["force_rmse"].to_numpy()

    def scored(self, tests: dict[str, Frames]) -> dict[str, Any]:
        """Errors on each of some test sets, the CPU seconds of the training (of its last piece,
        if it was killed) and its origin; computed once, kept as JSON.
        """
        made: dict[str, Any] = {}
        loaded: Predictor | None = None
        for name, frames in tests.items():
            key = hashlib.blake2b("".join(frames.frame_ids()).encode(), digest_size=6).hexdigest()
            path = self.folder / f"errors-{key}.json"
            if not path.is_file():
                loaded = loaded or self.run()
                write_json(path, errors(loaded, frames))
            made[name] = json.loads(path.read_text())
        return {"errors": made, **json.loads((self.folder / MADE).read_text())}
