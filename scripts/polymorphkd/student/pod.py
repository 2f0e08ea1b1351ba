"""Linear students: proper orthogonal descriptors of LAMMPS, fitted by least squares.

A few tens of coefficients in place of thousands of weights: the fit has one solution and takes
minutes, and few frames determine it.  LAMMPS's own ``fitpod`` knows neither stresses nor two
kinds of labels of different weight, so the equations are solved here.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np

from ..calculators import consistent_energy
from ..deepmd.data import LABELS, largest_neighbour_counts
from ..errors import EngineError, InputError
from ..frames import Frames, concatenate
from ..lammps import calculator
from ..predict import require
from ..processes import claimed
from ..progress import Counter, logger
from ..provenance import atomic_path, digest, version_of, write_json
from ..settings import Student
from ..teacher.reference import composition_matrix
from ..teacher.scores import rmse
from ..teacher.training import warn_if_useless
from . import ALGORITHM_VERSION
from .pod_basis import PodBasis, parameters
from .pod_fit import Part, fit
from .potential import write_potential
from .training import TrainingJob, digests, limits_of_validity, warn_of_absent

MODEL = "model.pod"
"""File of the basis, which :func:`load` opens; the coefficients lie beside it."""

COEFFICIENTS = "coefficients.pod"


class PodPredictor:
    """Labels from a POD potential, by LAMMPS inside this process.

    Parameters
    ----------
    model : Path
        ``model.pod``; ``coefficients.pod`` lies beside it.
    elements : list of str
        Types, in order.
    """

    def __init__(self, model: Path, elements: list[str]) -> None:
        self.elements = elements
        self._name = str(model)
        files = [model.resolve(), model.with_name(COEFFICIENTS).resolve()]
        self._calculator = calculator("pod", files, elements)

    def predict(self, frames: Frames) -> Frames:
        """Energies (eV), forces (eV/Å) and stresses (eV/Å^3); see `predict.Predictor`.

        Raises
        ------
        EngineError
            An element that the model does not know.
        InputError
            A frame that is not periodic.
        """
        if not frames.pbc.all():
            index = int(np.flatnonzero(~frames.pbc.all(axis=1))[0])
            raise InputError(
                f"frame {index} is not periodic along all three axes; a POD potential is "
                "evaluated here for periodic cells only"
            )
        result = frames.without_labels()
        result.energy = np.zeros(len(frames))
        result.forces = np.zeros((len(frames.numbers), 3))
        result.stress = np.zeros((len(frames), 6))
        for index in range(len(frames)):
            atoms = frames.atoms(index)
            require(self._name, self.elements, sorted(set(atoms.get_chemical_symbols())))
            atoms.calc = self._calculator
            result.energy[index] = consistent_energy(atoms)
            result.forces[frames.atoms_of(index)] = atoms.get_forces()
            result.stress[index] = atoms.get_stress()
        return result


def load(model: Path) -> PodPredictor:
    """A fitted POD potential.

    Raises
    ------
    EngineError
        A file is absent or no part of a POD potential.
    """
    for path in (model, model.with_name(COEFFICIENTS)):
        if not path.is_file():
            raise EngineError(f"{path}: no such file")
    words = [line.split() for line in model.read_text(errors="replace").splitlines()]
    elements = next((line[1:] for line in words if line and line[0] == "species"), [])
    if not elements:
        raise EngineError(f"{model}: no parameter file of a POD potential (it names no species)")
    return PodPredictor(model, elements)


def train(settings: Student, job: TrainingJob) -> None:
    """Fit one student; see `student.train_student`."""
    started = time.monotonic()
    sets = job.read_sets()
    seen = concatenate([sets["dft"], sets["teacher"]])
    pod = settings.pod
    _, shortest = largest_neighbour_counts(seen, job.elements, pod.rcut)
    if shortest < pod.inner_cutoff:
        raise InputError(
            f"student.pod.inner_cutoff: {pod.inner_cutoff:g} Å, and two atoms of a training "
            f"frame are {shortest:.3f} Å apart; lower it or leave such frames out"
        )
    warn_of_absent(seen, job.elements)
    work = job.folder / "work"
    with claimed(work, digest([ALGORITHM_VERSION, pod.model_dump(mode="json"), digests(sets)])):
        basis_file = work / MODEL
        basis_file.write_text(parameters(pod, job.elements))
        coefficients = _fitted(settings, job, sets, basis_file)
        np.savetxt(
            work / COEFFICIENTS, coefficients, "%.17g", comments="",
            header=f"model_coefficients: {len(coefficients)} 0 0",
        )  # fmt: skip
        model = load(basis_file)
        errors = {
            name: rmse(part, model.predict(part)) for name, part in sets.items() if len(part)
        }
        shown = {name: value and round(value, 2) for name, value in errors["valid"].items()}
        logger.info("validation RMSE %s", shown)
        warn_if_useless(errors["valid"], sets["valid"], seen)
        for name in (MODEL, COEFFICIENTS):
            with atomic_path(job.folder / name) as path:
                shutil.copyfile(work / name, path)
        write_potential(job.folder, "pod", [MODEL, COEFFICIENTS], job.elements)
        metrics = {
            "kind": "pod",
            "variant": job.variant,
            "seed": job.seed,
            "seconds": round(time.monotonic() - started, 1),
            "coefficients": len(coefficients),
            "taught": settings.taught if job.relabelled else [],
            "frames": {name: len(part) for name, part in sets.items()},
            "seen": limits_of_validity(seen, shortest),
            "rmse": errors,
            "versions": {"lammps": version_of("lammps")},
        }
        write_json(job.folder / "metrics.json", metrics)


def _fitted(
    settings: Student, job: TrainingJob, sets: dict[str, Frames], basis_file: Path
) -> np.ndarray:
    """Coefficients of the potential, eV."""
    dft, teacher = sets["dft"], sets["teacher"]
    share = settings.dft_probability if len(teacher) else 1.0
    parts = [Part(dft, share, LABELS)]
    if len(teacher):
        parts.append(Part(teacher, 1.0 - share, settings.taught))
    matrix = composition_matrix(dft, job.elements)
    # Of minimum norm where compositions are linearly dependent or an element is absent.
    references = np.linalg.lstsq(matrix, np.asarray(dft.energy), rcond=None)[0]
    counter = Counter(sum(len(part.frames) for part in parts), "frames")
    basis = PodBasis(basis_file, job.elements, settings.pod.rcut)
    return fit(basis, parts, references, settings.pod, counter)
