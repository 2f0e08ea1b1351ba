"""Tables of points as `polymorphkd map` writes them, for the tests of figures and pages."""

from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.build import bulk
from polymorphkd.coverage import make_box
from polymorphkd.frames import Frames
from polymorphkd.landscape.tables import read_sets
from polymorphkd.plots.scene import Scene, make_scene

PHASES = ["fcc", "bcc", "hcp"]


def images(n: int = 12) -> list[Atoms]:
    """Rattled cells of NaCl and Al, some atoms outside the cell."""
    result = []
    for i in range(n):
        atoms = bulk("NaCl", "rocksalt", 5.6) if i % 2 else bulk("Al", cubic=True)
        atoms.rattle(0.1, seed=i)
        atoms.positions += 20 * (i % 3)
        result.append(atoms)
    return result


def points_of(frames: Frames, source: str, seed: int = 0) -> pd.DataFrame:
    """A table as `polymorphkd map` writes it, with made-up coordinates."""
    rng = np.random.default_rng(seed)
    n = len(frames)
    return pd.DataFrame(
        {
            "frame_id": frames.frame_ids(),
            "sS": rng.uniform(-40, -2, n),
            "Q6": rng.uniform(0, 0.6, n),
            "n_atoms": frames.n_atoms,
            "note": "",
            "formula": [image.get_chemical_formula() for image in frames.to_atoms()],
            "energy_per_atom": np.where(np.arange(n) % 4 == 3, np.nan, rng.normal(-4, 0.2, n)),
            "source": source,
            "source_index": np.arange(n),
            "settings_digest": "d1",
            "phase": [PHASES[i % 3] for i in range(n)],
        }
    )


def many_points(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sS = rng.uniform(-40, -2, n)
    return pd.DataFrame(
        {
            "frame_id": [f"f{i:016x}" for i in range(n)],
            "sS": sS,
            "Q6": np.clip(0.6 + sS / 100 + rng.normal(0, 0.05, n), 0, 1),
            "energy_per_atom": rng.normal(-4, 0.2, n),
            "settings_digest": "d1",
            "phase": rng.choice(PHASES, n),
        }
    )


def scene_of(*names: str, color: str | None = None, limits=None) -> Scene:
    return make_scene(
        read_sets([Path(name) for name in names]), color, limits and make_box(limits)
    )
