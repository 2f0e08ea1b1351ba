"""What decides the error: how many frames, where they lie, how they are chosen, how made?

On the project's own set of aluminium, labelled by GPAW (about 330 generated frames and 110 of
MD; a fifth of each is the test), the network of the students is trained on DFT labels alone:

scaling      n frames drawn by the landscape grid, more and more of them
coverage     equally many frames, over the whole landscape or with a hole in it
selection    grid, random, farthest point and DIRECT at equal counts, out of both kinds
generation   equally many generated frames or frames of MD, tested on both and on dense ones
transfer     frames of the library of copper, elements replaced and cells rescaled, or of its own

    snakemake --until gather_labels --config 'materials=[Al_landscape, Al_md]'
    make evidence-transfer                      # labels of the study `transfer`
    python benchmarks/learning.py --results results --json OUT [--studies scaling ...] [--quick]

Every training is kept below --work and made once: a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from evidence.aluminium import (
    COMMAND,
    LABEL_SECONDS,
    LABELS,
    LANDSCAPE,
    PARTS,
    AluminiumSet,
    Training,
    read_set,
)
from evidence.case import acting, draw, recipe
from evidence.learning_figures import Covered, coverage_figure, scaling_figure
from evidence.results import earlier
from polymorphkd.errors import InputError, PolymorphKDError
from polymorphkd.frames import Frames, concatenate, write_frames
from polymorphkd.provenance import rng, write_json
from polymorphkd.select import near
from polymorphkd.settings import Settings, Split

RESULTS = Path(__file__).resolve().parent / "results/learning_Al.json"
COUNTS = (20, 40, 80, 160, 320)
EQUAL = 80
"""Frames where sets of equal size are compared."""

METHODS = ("grid", "random", "farthest-point", "direct")
HOLE_SHARE = 0.35
"""Share of the generated frames that lie in the hole."""

LEFT_IN_HOLE = 0.03
"""Share of a biased set that still lies in the hole."""

DENSE = 0.88
"""Frames of less than this part of the median volume per atom count as compressed."""


@dataclass(frozen=True)
class Study:
    """What the studies share."""

    data: AluminiumSet
    settings: Settings
    work: Path
    seeds: int
    quick: bool

    def train(self, rows: np.ndarray, seed: int) -> Training:
        """A model of some training frames."""
        return Training(self.data.frames.take(rows), self.settings, seed, self.work)

    def pool(self, made: str | None = None) -> tuple[np.ndarray, Frames]:
        """Training frames of one kind, or of both, and their rows."""
        rows = self.data.rows(False, made)
        return rows, self.data.frames.take(rows)

    def tests(self) -> dict[str, Frames]:
        """Test frames by how they were made."""
        return {m: self.data.frames.take(self.data.rows(True, m)) for m in ("generated", "md")}

    def drawn(self, count: int, method: str, seed: int, made: str | None = None) -> np.ndarray:
        """Rows of `count` training frames that a method chooses."""
        rows, frames = self.pool(made)
        if count >= len(rows):
            return rows
        return rows[draw(frames, count, method, rng(seed, "Al", method, count))]

    def shuffled(self, rows: np.ndarray, name: str, seed: int) -> np.ndarray:
        """Rows in a random order."""
        return rng(seed, "Al", f"order-{name}", 0).permutation(rows)

    def apart_and_together(
        self, orders: Mapping[str, np.ndarray], count: int, seed: int, tests: dict[str, Frames]
    ) -> Runs:
        """The first `count` frames of each kind, and half as many of both."""
        for made, order in orders.items():
            yield f"{made} {count}", seed, self.train(np.sort(order[:count]), seed), tests
        half = np.concatenate([order[: count // 2] for order in orders.values()])
        yield f"both {count}", seed, self.train(np.sort(half), seed), tests


Runs = Iterator[tuple[str, int, Training, dict[str, Frames]]]


def scaling(study: Study) -> Runs:
    """More and more frames, spread over the landscape."""
    most = len(study.pool("generated")[0])
    for seed in range(1, study.seeds + 1):
        for count in (10, 20) if study.quick else [*(n for n in COUNTS if n < most), most]:
            rows = study.drawn(count, "grid", seed, "generated")
            yield f"{count}", seed, study.train(rows, seed), study.tests()


def in_hole(frames: Frames, reference: Frames) -> np.ndarray:
    """Frames in the disordered corner of the landscape: high sS and low Q6 together."""

    def corner(of: Frames) -> np.ndarray:
        ranks = [
            np.searchsorted(np.sort(sign * reference.meta[axis]), sign * of.meta[axis])
            for axis, sign in (("sS", 1), ("Q6", -1))
        ]
        return np.minimum(*ranks)

    return np.asarray(corner(frames) > np.quantile(corner(reference), 1 - HOLE_SHARE))


def hole_in_tests(study: Study) -> tuple[Frames, np.ndarray]:
    """Generated test frames, and which of them lie in the hole."""
    tests = study.tests()["generated"]
    return tests, in_hole(tests, study.pool("generated")[1])


def coverage(study: Study) -> Runs:
    """A set over the whole landscape, and one as large with a hole in the disordered corner."""
    rows, frames = study.pool("generated")
    hole = in_hole(frames, frames)
    tests, test_hole = hole_in_tests(study)
    parts = {
        "inside": tests.take(np.flatnonzero(test_hole)),
        "outside": tests.take(np.flatnonzero(~test_hole)),
    }
    for seed in range(1, study.seeds + 1):
        for count in (12,) if study.quick else (EQUAL, 2 * EQUAL):
            random = rng(seed, "Al", "coverage", count)
            few = round(LEFT_IN_HOLE * count)
            uniform = random.permutation(rows)[:count]
            biased = np.concatenate(
                [
                    random.permutation(rows[hole])[:few],
                    random.permutation(rows[~hole])[: count - few],
                ]
            )
            for name, chosen in (("uniform", uniform), ("biased", biased)):
                yield f"{name} {len(chosen)}", seed, study.train(np.sort(chosen), seed), parts


def selection(study: Study) -> Runs:
    """Four ways to choose equally many of the generated frames and those of MD."""
    for seed in range(1, study.seeds + 1):
        for count in (12,) if study.quick else (EQUAL // 2, EQUAL):
            for method in METHODS:
                rows = study.drawn(count, method, seed)
                yield f"{method} {count}", seed, study.train(rows, seed), study.tests()


def generation(study: Study) -> Runs:
    """Generated frames, frames of MD, or half of each."""
    tests = study.tests()
    volumes = study.data.frames.volumes / study.data.frames.n_atoms
    own = np.isin(study.data.frames.meta["made"], list(PARTS))
    dense = volumes < DENSE * np.median(volumes[own])
    compressed = np.flatnonzero(dense & study.data.is_test)
    if len(compressed):
        tests["compressed"] = study.data.frames.take(compressed)
    most = min(EQUAL, len(study.data.rows(False, "md")))
    for seed in range(1, study.seeds + 1):
        count = 12 if study.quick else most
        orders = {made: study.shuffled(study.data.rows(False, made), made, seed) for made in PARTS}
        yield from study.apart_and_together(orders, count, seed, tests)


def transfer(study: Study) -> Runs:
    """Frames from the library of copper as frames of aluminium, its own ones, or half of each.

    Frames near a test frame are left out: both libraries start from the same prototypes.
    """
    tests = study.tests()
    held_out = concatenate(list(tests.values()))
    pools = {}
    for made in ("generated", "transferred"):
        rows, frames = study.pool(made)
        pools[made] = rows[~near(frames, held_out, LANDSCAPE, Split().duplicate_distance)]
    count = 12 if study.quick else min(EQUAL, *map(len, pools.values()))
    for seed in range(1, study.seeds + 1):
        orders = {made: study.shuffled(rows, made, seed) for made, rows in pools.items()}
        yield from study.apart_and_together(orders, count, seed, tests)


STUDIES: dict[str, Callable[[Study], Runs]] = {
    "scaling": scaling,
    "coverage": coverage,
    "selection": selection,
    "generation": generation,
    "transfer": transfer,
}


def table(runs: dict[str, dict[str, Any]]) -> str:
    """Force RMSE of every model, meV/Å, as Markdown: mean and spread over the seeds.

    In brackets the median of the frames' RMSE, which one wild frame does not move.
    """
    tests = list(next(iter(next(iter(runs.values())).values()))["errors"])
    lines = [f"| trained on | seeds | {' | '.join(tests)} |", "|---|---|" + "---|" * len(tests)]
    for name, seeds in runs.items():
        cells = []
        for test in tests:
            values = [one["errors"][test]["force"] for one in seeds.values()]
            spread = f" ± {statistics.stdev(values):.0f}" if len(values) > 1 else ""
            medians = [one["errors"][test]["force_median"] for one in seeds.values()]
            cells.append(
                f"{statistics.fmean(values):.0f}{spread} ({statistics.fmean(medians):.0f})"
            )
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train, print tables and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="with the labels")
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 1")
    parser.add_argument("--work", type=Path, default=Path("results/learning"), help="folder")
    parser.add_argument("--estimate", action="store_true", help="only say how long it will take")
    parser.add_argument(
        "--export", type=Path, help="only write the set with its split, for distillation.py"
    )
    parser.add_argument("--figures", type=Path, help="folder for scaling.png and coverage.png")
    parser.add_argument("--quick", action="store_true", help="minutes: shows that it runs")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        data = read_set(arguments.results)
        if not arguments.export and "transfer" in arguments.studies:
            data.require_transferred()
    except InputError as error:
        if not arguments.estimate:
            raise SystemExit(str(error)) from error
        hours = LABELS * LABEL_SECONDS / 3600
        print(
            f"labels of aluminium: {LABELS} frames by GPAW, {hours:.1f} core hours; then trainings"
        )
        return
    if arguments.export:
        arguments.export.parent.mkdir(parents=True, exist_ok=True)
        write_frames(arguments.export, data.split())
        return
    settings = recipe("Al", ["Al"], arguments.quick, {})
    seeds = 1 if arguments.quick else arguments.seeds
    study = Study(data, settings, arguments.work, seeds, arguments.quick)
    if arguments.estimate:
        print(estimate(study, arguments.studies))
        return
    try:
        found = run_all(study, arguments.studies, arguments.json)
    except PolymorphKDError as error:
        raise SystemExit(str(error)) from error
    if arguments.figures:
        draw_figures(study, found, arguments.studies, arguments.figures)
    for name in arguments.studies:
        print(f"\n{name}, force RMSE in meV/Å (median of the frames)\n\n{table(found[name])}")


def run_all(study: Study, names: Sequence[str], output: Path | None) -> dict[str, dict[str, Any]]:
    """Train and judge every model of some studies; others in the file of results stay."""
    head = heading(study)
    found = earlier(output, head, "studies")
    for name in names:
        runs = found.setdefault(name, {})
        for case, seed, training, tests in STUDIES[name](study):
            scores = training.scored(tests)
            runs.setdefault(case, {})[str(seed)] = scores
            errors = scores["errors"].items()
            forces = ", ".join(f"{test} {one['force']:.0f}" for test, one in errors)
            print(f"{name}, {case}, seed {seed}: {forces} meV/Å", flush=True)
            if output:
                write_json(output, {**head, "studies": found})
    return found


def draw_figures(
    study: Study, found: Mapping[str, dict[str, Any]], names: Sequence[str], folder: Path
) -> None:
    """Pictures of the studies that have one: scaling.png and coverage.png."""
    folder.mkdir(parents=True, exist_ok=True)
    if "scaling" in names:
        scaling_figure(found["scaling"], folder / "scaling.png")
    if "coverage" in names:
        tests, hole = hole_in_tests(study)
        trainings: dict[str, list[Training]] = {}
        for name, _, training, _ in coverage(study):
            trainings.setdefault(name, []).append(training)
        sets = [
            Covered(
                f"{name} frames",
                [one.frames for one in made],
                np.array([one.frame_errors(tests) for one in made]),
            )
            for name, made in list(trainings.items())[-2:]  # the larger ones
        ]
        coverage_figure(sets, tests, hole, folder / "coverage.png")


def estimate(study: Study, names: Sequence[str]) -> str:
    """What the studies will take, from the CPU seconds of earlier trainings, in one sentence."""
    trainings = [t for name in names for _, _, t, _ in STUDIES[name](study)]
    left = {t.folder for t in trainings if not t.done}
    known: list[float] = []
    if RESULTS.is_file():
        for runs in json.loads(RESULTS.read_text())["studies"].values():
            for seeds in runs.values():
                known += [one["cpu_seconds"] for one in seeds.values()]
    text = f"studies of Al: {len(left)} trainings"
    if not known:
        return f"{text} (never measured)"
    return f"{text}, {len(left) * statistics.fmean(known) / 3600:.1f} core hours"


def heading(study: Study) -> dict[str, Any]:
    """What all numbers of a file of results share."""
    kinds = study.data.frames.meta["made"].value_counts()
    settings = acting(study.settings)
    return {
        "data": COMMAND,
        "frames": {kind: int(kinds[kind]) for kind in PARTS},
        "quick": study.quick,
        "settings": {key: settings[key] for key in ("teacher", "student")},
    }


if __name__ == "__main__":
    main()
