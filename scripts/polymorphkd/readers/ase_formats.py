"""Every format that ASE reads and this package does not read itself, frame by frame."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread

from ..errors import PolymorphKDError
from ..frames import from_atoms
from .chunks import Chunk, Request, reason_of, screened
from .sources import open_bytes


def read(request: Request) -> Iterator[Chunk]:
    """Chunks of a file through ASE.

    ASE has no way to go on after a frame that it cannot read: that frame is broken and the
    file ends there.
    """
    images: list[Atoms] = []
    index: list[int] = []
    broken = []
    n_atoms = 0
    position = 0
    with _named_for_ase(request.path) as name:
        source = iread(name, index=":", do_not_split_by_at_sign=True)
        while not request.wanted.over(position):
            try:
                image = next(source, None)
            except PolymorphKDError:
                raise
            except Exception as error:  # noqa: BLE001  # any of ASE's many parsers
                if position >= request.wanted.start:
                    broken.append(request.broken(position, reason_of(error)))
                break
            if image is None:
                break
            if position in request.wanted and isinstance(image, Atoms):
                images.append(promote_calculator(image, request.labels_from_calculator))
                index.append(position)
                n_atoms += len(image)
            position += 1
            if n_atoms >= request.atoms_per_chunk:
                yield screened(request, from_atoms(images), np.array(index), broken)
                images, index, broken, n_atoms = [], [], [], 0
    if images or broken:
        yield screened(request, from_atoms(images), np.array(index), broken)


@contextmanager
def _named_for_ase(path: Path) -> Iterator[str]:
    """A name that ASE opens: the file itself, or a copy where ASE lacks the compression."""
    if path.suffix != ".zst":
        yield str(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.stem
        with open_bytes(path) as compressed, copy.open("wb") as plain:
            shutil.copyfileobj(compressed, plain)
        yield str(copy)


def promote_calculator(image: Atoms, labels: bool = True) -> Atoms:
    """Turn results that a reader put into a calculator into ``REF_`` keys, and drop it.

    Nothing is taken where `labels` is false or the frame has a `REF_energy`.
    """
    if labels and isinstance(image.calc, SinglePointCalculator) and "REF_energy" not in image.info:
        results = image.calc.results
        energy = results.get("free_energy", results.get("energy"))
        if energy is not None:
            image.info["REF_energy"] = float(energy)
        if results.get("forces") is not None:
            image.arrays["REF_forces"] = np.asarray(results["forces"])
        if results.get("stress") is not None and np.size(results["stress"]) == 6:
            image.info["REF_stress"] = np.asarray(results["stress"])
    image.calc = None
    return image
