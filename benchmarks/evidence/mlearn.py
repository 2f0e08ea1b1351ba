"""Published sets of mlearn as extended XYZ: the labelled sets of docs/evidence.md.

    git clone https://github.com/materialsvirtuallab/mlearn
    python benchmarks/evidence/mlearn.py mlearn/data/Mo labelled/Mo.extxyz

The folder holds ``training.json`` and ``test.json``: structures with energy (eV), forces (eV/Å)
and stress (kbar, compression positive).  Zuo et al., J. Phys. Chem. A 124, 731 (2020).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write
from ase.units import GPa
from polymorphkd.errors import InputError
from polymorphkd.provenance import atomic_path

SPLITS = {"train": "training.json", "test": "test.json"}
VASP = ("xx", "yy", "zz", "xy", "yz", "xz")
OTHER = ("xx", "yy", "zz", "xy", "xz", "yz")
ASE = ("xx", "yy", "zz", "yz", "xz", "xy")


def stress_order(element: str, group: str) -> tuple[str, ...]:
    """Order of the six stresses of a frame, which the files do not tell.

    Found by comparison with the derivative of the energies along strains.
    """
    return VASP if (element, group) == ("Si", "Elastic") else OTHER


def frame(entry: dict[str, Any], split: str) -> Atoms:
    """One configuration with REF_ labels, ASE sign and order of the stress (eV/Å^3)."""
    structure, labels = entry["structure"], entry["outputs"]
    sites = structure["sites"]
    atoms = Atoms(
        [site["species"][0]["element"] for site in sites],
        positions=[site["xyz"] for site in sites],
        cell=structure["lattice"]["matrix"],
        pbc=True,
    )
    group = entry["group"].removesuffix("-NVT").removesuffix("-NPT")
    order = stress_order(sites[0]["species"][0]["element"], group)
    stress = dict(zip(order, labels["virial_stress"], strict=True))
    atoms.arrays["REF_forces"] = np.array(labels["forces"], dtype=float)
    atoms.info |= {
        "REF_energy": float(labels["energy"]),
        "REF_stress": np.array([-0.1 * GPa * stress[name] for name in ASE]),
        "group": group,
        "split": split,
    }
    return atoms


def read(folder: Path) -> list[Atoms]:
    """All frames of a folder, those for training first.

    Raises
    ------
    InputError
        A file is absent or is no JSON of mlearn.
    """
    frames = []
    for split, name in SPLITS.items():
        path = folder / name
        try:
            frames += [frame(entry, split) for entry in json.loads(path.read_text())]
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; a folder of mlearn's data has it") from None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path}: no data of mlearn ({error})") from None
    return frames


def main() -> None:
    """Convert one folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="holds training.json and test.json")
    parser.add_argument("output", type=Path, help="extended XYZ to write")
    arguments = parser.parse_args()
    try:
        frames = read(arguments.folder)
    except InputError as error:
        raise SystemExit(str(error)) from error
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(arguments.output) as temporary:
        write(temporary, frames, format="extxyz")
    print(f"{arguments.output}: {len(frames)} frames")


if __name__ == "__main__":
    main()
