"""Graphite to diamond: generation, lowest maximum over the landscape, elastic band.

    python examples/graphite_diamond/run.py OUT [--config FILE] [--figure FILE]

Writes OUT/seeds.extxyz, OUT/<strategy>.parquet (library) and .energies.parquet, the paths as
OUT/<path>.<method>.extxyz, OUT/profiles.parquet and OUT/summary.json.  A library that is there
is not generated again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa
from polymorphkd.config import read_yaml
from polymorphkd.errors import PolymorphKDError, StageError
from polymorphkd.frames import Frames, concatenate, from_atoms, write_frames
from polymorphkd.generate_files import generate_files
from polymorphkd.lammps import Potential
from polymorphkd.landscape import points
from polymorphkd.paths import (
    BandSettings,
    Profile,
    Reach,
    Refinement,
    Surface,
    make_graph,
    measure,
    minimax_path,
    refine,
    relax_band,
    trace,
)
from polymorphkd.plots.style import RC, landscape_labels
from polymorphkd.provenance import write_json
from polymorphkd.readers import read_frames
from polymorphkd.seeds.carbon import PATHWAYS, pathway
from polymorphkd.select.cells import first_of_each
from polymorphkd.settings import Constraints, Generate, Landscape

RELAXED = {"fmax": 2e-3, "steps": 500}
"""Of the ends, eV/Å and most steps."""

STYLES: dict[str, dict[str, Any]] = {
    "straight line": {"color": "#666666", "ls": ":", "lw": 1},
    "edges": {"color": "#56B4E9", "ls": "-", "lw": 1},
    "fill": {"color": "#E69F00", "ls": "-", "lw": 1},
    "refined": {"color": "#D55E00", "ls": "-"},
    "NEB": {"color": "#0072B2", "ls": "-"},
    "NEB from refined": {"color": "#000000", "ls": "--", "lw": 1},
}


def relaxed(atoms: Atoms, surface: Surface) -> Atoms:
    """Nearest minimum, cell and atoms."""
    image = surface.with_calculator(atoms)
    free = FrechetCellFilter(image, scalar_pressure=surface.pressure)
    if not BFGS(free, logfile=None).run(**RELAXED):
        raise StageError(f"an end of the path, {atoms.info.get('share')}, did not relax")
    return Atoms(image.numbers, image.positions, cell=image.cell, pbc=True)


def make_seeds(config: dict[str, Any], surface: Surface) -> dict[str, list[Atoms]]:
    """Structures along each built-in pathway; its ends are relaxed, and all follow them."""
    found = {}
    for name in PATHWAYS:
        images = pathway(name, config["seeds_per_pathway"], tuple(config["repeat"]))
        images[0], images[-1] = relaxed(images[0], surface), relaxed(images[-1], surface)
        for image in images:
            image.info.clear()
        found[name] = images
    return found


def library(name: str, config: dict[str, Any], out: Path, surface: Surface) -> Frames:
    """Generated frames with their energies."""
    path, kept = out / f"{name}.parquet", out / f"{name}.energies.parquet"
    if not path.is_file():
        started = time.process_time()
        done = generate_files(
            [out / "seeds.extxyz"], path, Generate(**config["generate"][name]),
            Landscape(**config["landscape"]), config["seed"], 1, out / f"{name}.filling.png",
        )  # fmt: skip
        print(f"{name}: {done.n_frames} frames, {done.n_cells} cells, {done.outcome}, "
              f"{time.process_time() - started:.0f} s of CPU", flush=True)  # fmt: skip
    frames = read_frames(path)
    if not kept.is_file():
        pd.DataFrame({"enthalpy": surface.of_frames(frames)}).to_parquet(kept)
    frames.meta["enthalpy"] = pd.read_parquet(kept)["enthalpy"].to_numpy()
    return frames


def thinned(frames: Frames, place: pd.DataFrame, config: dict[str, Any]) -> Frames:
    """The lowest frame of each cell of sS, Q6 and volume per atom, and all seeds.

    Without the volume, squeezed frames would give way to lower ones of another kind.
    """
    steps = config["search"]["thin"]
    index = np.floor(place[list(steps)].to_numpy() / list(steps.values())).astype(np.int64)
    _, cell = np.unique(index, axis=0, return_inverse=True)
    kept = first_of_each(cell.ravel(), frames.meta["enthalpy"].to_numpy())
    seeds = np.flatnonzero(frames.meta["operator"] == "seed")
    return frames.take(np.union1d(kept, seeds))


def searched(
    frames: Frames, ends: list[Atoms], config: dict[str, Any], surface: Surface
) -> tuple[Profile, dict[str, Any]]:
    """Path of lowest maximum through a library, and what it took."""
    landscape = Landscape(**config["landscape"])
    chosen = thinned(frames, points(frames, landscape), config)
    place = points(chosen, landscape)[["sS", "Q6"]].to_numpy()
    ids = chosen.frame_ids()
    start, end = (ids.index(i) for i in from_atoms(ends).frame_ids())
    calls, started = surface.calls, time.process_time()
    reach = Reach(**config["search"]["reach"])
    graph = make_graph(
        chosen, place, surface, reach, enthalpies=chosen.meta["enthalpy"].to_numpy()
    )
    path = minimax_path(graph, start, end)
    work = {
        "frames_in_graph": len(chosen),
        "ways_measured": len(graph.ways),
        "energies": surface.calls - calls,
        "cpu_seconds": time.process_time() - started,
    }
    names = [ids[k] for k in path]
    return measure(trace(graph, path), surface, landscape, config["step"], names), work


def refined(
    profile: Profile, config: dict[str, Any], surface: Surface
) -> tuple[Profile, dict[str, Any]]:
    """Path after rounds of mutants of its own points, and what it took."""
    calls, started = surface.calls, time.process_time()
    landscape, settings = Landscape(**config["landscape"]), dict(config["refine"])
    constraints = Constraints(**settings.pop("constraints"))
    reach = Reach(**settings.pop("reach"))
    barriers: list[float] = []
    better = refine(
        profile, surface, landscape, Refinement(reach=reach, **settings), constraints,
        config["seed"], lambda number, path: barriers.append(path.barrier / len(path.top)),
    )  # fmt: skip
    work = {
        "barriers_of_rounds_eV_per_atom": barriers,
        "energies": surface.calls - calls,
        "cpu_seconds": time.process_time() - started,
    }
    return measure(better.images, surface, landscape, config["step"]), work


def banded(
    path: list[Atoms], config: dict[str, Any], surface: Surface
) -> tuple[Profile, dict[str, Any]]:
    """Elastic band from a path, and what it took."""
    calls, started = surface.calls, time.process_time()
    band = relax_band(path, surface, BandSettings(**config["band"]))
    work = {
        "converged": band.converged,
        "residual_eV_per_A": band.residual,
        "energies": surface.calls - calls,
        "cpu_seconds": time.process_time() - started,
    }
    landscape = Landscape(**config["landscape"])
    return measure(band.images, surface, landscape, config["step"]), work


def compared(
    ends: list[Atoms], libraries: dict[str, Frames], config: dict[str, Any], surface: Surface
) -> dict[str, tuple[Profile, dict[str, Any]]]:
    """Profiles between two ends by every method."""
    straight = measure(ends, surface, Landscape(**config["landscape"]), config["step"])
    found: dict[str, tuple[Profile, dict[str, Any]]] = {"straight line": (straight, {})}
    found["NEB"] = banded(ends, config, surface)
    for name, frames in libraries.items():
        found[name] = searched(frames, ends, config, surface)
    best = min(libraries, key=lambda name: found[name][0].barrier)
    found["refined"] = refined(found[best][0], config, surface)
    found["NEB from refined"] = banded(found["refined"][0].images, config, surface)
    return found


def draw(
    found: dict[str, dict[str, tuple[Profile, dict[str, Any]]]],
    titles: dict[str, str],
    frames: Frames,
    landscape: Landscape,
    path: Path,
) -> None:
    """For each pair of ends: the paths on the landscape, and the enthalpy along them."""
    place = points(frames, landscape)
    energy = frames.meta["enthalpy"].to_numpy() / frames.n_atoms
    energy = energy - energy.min()
    shown = energy < np.quantile(energy, 0.9)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            len(found), 2, figsize=(9.5, 3.6 * len(found)), layout="constrained", squeeze=False
        )
        for (name, methods), (left, right) in zip(found.items(), axes, strict=True):
            cells = left.hexbin(
                place["sS"][shown], place["Q6"][shown], C=energy[shown], reduce_C_function=np.min,
                gridsize=45, cmap="Greys", linewidths=0.1, vmax=1.2,
            )  # fmt: skip
            figure.colorbar(cells, ax=left, label="lowest energy in a bin (eV/atom)")
            for method, (profile, _) in methods.items():
                table = profile.table
                style = STYLES[method]
                left.plot(table["sS"], table["Q6"], **style)
                right.plot(
                    table["distance"] / table["distance"].iloc[-1],
                    table["enthalpy"] / len(profile.images[0]),
                    label=f"{method}: {profile.barrier / len(profile.images[0]):.3f}",
                    **style,
                )
            landscape_labels(left, short=True)
            left.set_title(titles[name], loc="left")
            right.set(xlabel="share of the way", ylabel="enthalpy (eV/atom)", xlim=(0, 1))
            right.legend(title="barrier (eV/atom)", fontsize=8, loc="upper left")
            right.set_ylim(top=1.3 * right.get_ylim()[1])
        figure.savefig(path, dpi=160)
        plt.close(figure)


def main() -> int:
    """Seeds, libraries, paths, figure, summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.yaml"))
    parser.add_argument("--figure", type=Path, help="where the figure goes (OUT/paths.png)")
    arguments = parser.parse_args()
    config, out = read_yaml(arguments.config), arguments.out
    out.mkdir(parents=True, exist_ok=True)
    style, file = config["potential"]
    surface = Surface(Potential(style, file, ("C",)).calculator(), config["pressure"] * GPa)
    seeds = make_seeds(config, surface)
    every = [atoms for images in seeds.values() for atoms in images]
    write_frames(out / "seeds.extxyz", from_atoms(every))
    libraries = {name: library(name, config, out, surface) for name in config["generate"]}
    found = {}
    for name in config["paths"]:
        found[name] = compared([seeds[name][0], seeds[name][-1]], libraries, config, surface)
        for method, (profile, work) in found[name].items():
            print(f"{name}, {method}: {profile.summary()} {work}", flush=True)
            write_frames(out / f"{name}.{method.replace(', ', '-').replace(' ', '-')}.extxyz",
                         from_atoms(profile.images))  # fmt: skip
    profiles = [
        profile.table.assign(path=name, method=method)
        for name, methods in found.items()
        for method, (profile, _) in methods.items()
    ]
    pd.concat(profiles, ignore_index=True).to_parquet(out / "profiles.parquet")
    write_json(
        out / "summary.json",
        {
            name: {m: {**profile.summary(), **work} for m, (profile, work) in methods.items()}
            for name, methods in found.items()
        },
    )
    frames = concatenate(list(libraries.values()))
    landscape = Landscape(**config["landscape"])
    draw(found, config["paths"], frames, landscape, arguments.figure or out / "paths.png")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PolymorphKDError as error:
        sys.exit(f"ERROR: {error}")
