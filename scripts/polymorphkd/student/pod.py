"""Linear students: proper orthogonal descriptors of LAMMPS, fitted by least squares.

A few tens of coefficients in place of thousands of weights: the fit has one solution and takes
minutes, and few frames determine it.  LAMMPS's own ``fitpod`` knows neither stresses nor two
kinds of labels of different weight, so the equations are solved here.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
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
from ..settings import Pod, Student
from ..teacher.reference import composition_matrix
from ..teacher.scores import rmse
from ..teacher.training import warn_if_useless
from . import ALGORITHM_VERSION
from .pod_basis import STRAIN, PodBasis, parameters
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
    inner_cutoff : float, Å
        Frames with nearer atoms get a warning: the radial functions end there.
    """

    def __init__(self, model: Path, elements: list[str], inner_cutoff: float) -> None:
        self.elements = elements
        self._name = str(model)
        self._inner_cutoff = inner_cutoff
        files = [model.resolve(), model.with_name(COEFFICIENTS).resolve()]
        self._calculator = calculator("pod", files, elements)

    def predict(self, frames: Frames) -> Frames:
        """Energies (eV), forces (eV/Å) and stresses (eV/Å^3); see `predict.Predictor`.

        Raises
        ------
        EngineError
            An element that the model does not know; LAMMPS refuses the model or a frame.
        InputError
            A frame that is not periodic.
        """
        if not frames.pbc.all():
            index = int(np.flatnonzero(~frames.pbc.all(axis=1))[0])
            raise InputError(
                f"frame {index} is not periodic along all three axes; a POD potential is "
                "evaluated here for periodic cells only"
            )
        self._warn_of_near_atoms(frames)
        result = frames.without_labels()
        result.energy = np.zeros(len(frames))
        result.forces = np.zeros((len(frames.numbers), 3))
        result.stress = np.zeros((len(frames), 6))
        for index in range(len(frames)):
            atoms = frames.atoms(index)
            require(self._name, self.elements, sorted(set(atoms.get_chemical_symbols())))
            atoms.calc = self._calculator
            try:
                result.energy[index] = consistent_energy(atoms)
                result.forces[frames.atoms_of(index)] = atoms.get_forces()
                result.stress[index] = atoms.get_stress()
            except Exception as error:  # LAMMPS raises this class itself
                reason, *_ = str(error).splitlines() or [repr(error)]
                raise EngineError(
                    f"{self._name}: LAMMPS fails at frame {index}: {reason}"
                ) from error
        return result

    def _warn_of_near_atoms(self, frames: Frames) -> None:
        _, shortest = largest_neighbour_counts(frames, self.elements, self._inner_cutoff)
        if shortest <= self._inner_cutoff:
            logger.warning(
                "WARNING: two atoms are %.3f Å apart, not beyond the inner cutoff of the model "
                "(%g Å); its labels there mean nothing",
                shortest,
                self._inner_cutoff,
            )


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
    lines = model.read_text(errors="replace").splitlines()
    words = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    if not words.get("species") or not words.get("rin"):
        raise EngineError(
            f"{model}: no parameter file of a POD potential (it names no species, or no rin)"
        )
    return PodPredictor(model, words["species"], float(words["rin"][0]))


def train(settings: Student, job: TrainingJob) -> None:
    """Fit one student; see `student.train_student`."""
    started = time.monotonic()
    sets, pod = job.read_sets(), settings.pod
    near = _near(sets["dft"], job.elements, pod)
    if near.any():
        raise InputError(
            f"student.pod.inner_cutoff: {pod.inner_cutoff:g} Å, and two atoms of training frame "
            f"{sets['dft'].frame_ids()[int(np.argmax(near))]} are not farther apart; lower it or "
            "leave such frames out"
        )
    near = _near(sets["teacher"], job.elements, pod)
    if near.any():
        logger.warning(
            "WARNING: %d of %d frames of the teacher have atoms within student.pod.inner_cutoff "
            "(%g Å) and are left out", near.sum(), len(near), pod.inner_cutoff,
        )  # fmt: skip
        sets["teacher"] = sets["teacher"].take(np.flatnonzero(~near))
    seen = concatenate([sets["dft"], sets["teacher"]])
    _, shortest = largest_neighbour_counts(seen, job.elements, pod.rcut)
    warn_of_absent(seen, job.elements)
    work = job.folder / "work"
    with claimed(work, _identity(settings, job, sets)):
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


def _near(frames: Frames, elements: Sequence[str], pod: Pod) -> np.ndarray:
    """Which frames have atoms within the inner cutoff, or will when strained for the virials."""
    reach = pod.inner_cutoff / (1 - 2 * STRAIN)
    shortest = [
        largest_neighbour_counts(frames.take([k]), elements, reach)[1] for k in range(len(frames))
    ]
    return np.asarray(shortest) <= reach


def _identity(settings: Student, job: TrainingJob, sets: dict[str, Frames]) -> str:
    """Digest of all that decides the result."""
    mixing = [settings.dft_probability, settings.taught] if job.relabelled else None
    basis = settings.pod.model_dump(mode="json")
    return digest([ALGORITHM_VERSION, basis, mixing, list(job.elements), digests(sets)])


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
