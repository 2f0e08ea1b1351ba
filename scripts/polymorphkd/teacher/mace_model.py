"""A trained MACE model as a predictor, evaluated in batches and in double precision."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress
from mace.data import AtomicData, config_from_atoms
from mace.tools import AtomicNumberTable
from mace.tools.torch_geometric import Batch
from mace.tools.torch_tools import default_dtype

from ..errors import EngineError
from ..frames import Frames
from ..predict import require
from ..settings import Mace
from .training import quiet

ATOMS_PER_BATCH = {"cpu": 128, "cuda": 4096}
"""Atoms evaluated at once.  On one CPU thread 4 to 8-atom frames take half the time of one
ASE calculator call each; larger batches fall out of the cache and gain nothing more."""


def resolve_device(name: str) -> str:
    """Torch device behind the setting ``teacher.mace.device``.

    Raises
    ------
    EngineError
        A GPU is asked for and torch sees none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise EngineError(
            "teacher.mace.device: cuda is asked for, but this PyTorch "
            f"({torch.__version__}) sees no GPU; use auto or cpu"
        )
    return ("cuda" if available else "cpu") if name == "auto" else name


def load(path: Path, settings: Mace, elements: Sequence[str] = ()) -> MaceModel:
    """Load a model file and check that it is a MACE potential that knows `elements`.

    Raises
    ------
    EngineError
        The file is absent, is no MACE potential, or does not know an element.
    """
    if not path.is_file():
        raise EngineError(f"{path}: no such teacher model file")
    device = resolve_device(settings.device)
    try:
        with quiet():
            model = torch.load(path, map_location=device, weights_only=False)
    except (
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        OSError,
        AttributeError,
        ImportError,
        ValueError,
        KeyError,
    ) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "unreadable"
        raise EngineError(
            f"{path}: cannot be loaded as a MACE model ({reason}); expected is a file that "
            "mace_run_train wrote, such as NAME.model or NAME_stagetwo.model"
        ) from error
    if isinstance(model, torch.jit.ScriptModule):
        raise EngineError(
            f"{path}: is compiled; expected is the file without _compiled in its name, which "
            "mace_run_train writes beside it"
        )
    if not (isinstance(model, torch.nn.Module) and hasattr(model, "atomic_energies_fn")):
        raise EngineError(
            f"{path}: holds a {type(model).__name__}, not a MACE energy model as written by "
            "mace_run_train"
        )
    result = MaceModel(model, device, str(path))
    result.require(elements)
    return result


def _head(model: torch.nn.Module, name: str) -> str:
    """The head to evaluate: the only one, or the one called default."""
    heads = list(getattr(model, "heads", None) or ["Default"])
    named = [head for head in heads if head.lower() == "default"]
    if len(heads) > 1 and not named:
        raise EngineError(
            f"{name}: has the heads {', '.join(heads)}; allowed is a model with one head or "
            "with one called default (mace_select_head takes one out)"
        )
    return heads[0] if len(heads) == 1 else named[0]


class MaceModel:
    """MACE potential that labels whole frame sets.

    Evaluation is in float64 whatever the precision of the training: a step costs little
    more at this size, and finite differences, equations of state and the results of
    differently dealt batches then agree to rounding.  :meth:`single` is the exception.

    Parameters
    ----------
    model : torch.nn.Module
        As saved by ``mace_run_train``.
    device : str
    name : str
        What error messages call it, such as the file's path.
    dtype : torch.dtype
        Precision of the evaluation.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        device: str,
        name: str = "teacher",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.model = model.to(device, dtype).eval().requires_grad_(False)
        self.dtype = dtype
        self.device = device
        self.name = name
        self.numbers = AtomicNumberTable(model.get_buffer("atomic_numbers").int().tolist())
        self.cutoff = float(model.get_buffer("r_max"))
        self.heads = list(getattr(model, "heads", None) or ["Default"])
        self.head = _head(model, name)

    @property
    def elements(self) -> list[str]:
        """Chemical symbols that the model knows."""
        return [chemical_symbols[z] for z in self.numbers.zs]

    @property
    def n_parameters(self) -> int:
        """Number of trained parameters."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def irreps(self) -> str:
        """Irreps of the messages, such as 128x0e+128x1o."""
        return str(self.model.get_submodule("products.0.linear").irreps_out)

    @property
    def n_layers(self) -> int:
        """Number of message-passing layers."""
        return int(self.model.get_buffer("num_interactions"))

    def reference(self, symbol: str) -> float:
        """Energy (eV) of an isolated atom, as far as the model knows one."""
        energies = torch.atleast_2d(self.model.get_buffer("atomic_energies_fn.atomic_energies"))
        row = self.heads.index(self.head) if len(energies) > 1 else 0
        return float(energies[row, self.numbers.zs.index(atomic_numbers[symbol])])

    def single(self) -> MaceModel:
        """The same model in float32, for dynamics: 0.6 of the time, forces right to 1e-4 eV/Å."""
        return MaceModel(copy.deepcopy(self.model), self.device, self.name, torch.float32)

    def require(self, elements: Sequence[str]) -> None:
        """Raise EngineError unless the model knows all `elements`."""
        require(self.name, self.elements, elements)

    def predict(self, frames: Frames) -> Frames:
        """Energies (eV), forces (eV/Å) and stresses (eV/Å^3) of all frames.

        The stress of a frame that is not periodic in three directions is NaN, because
        without a volume it has none.
        """
        self.require([chemical_symbols[z] for z in np.unique(frames.numbers)])
        result = frames.take(np.arange(len(frames)))
        result.energy = np.full(len(frames), np.nan)
        result.forces = np.full((len(frames.numbers), 3), np.nan)
        result.stress = np.full((len(frames), 6), np.nan)
        for indices in _batches(frames.n_atoms, ATOMS_PER_BATCH[self.device]):
            energy, forces, stress = self._evaluate(frames, indices)
            result.energy[indices] = energy
            atoms = slice(frames.offsets[indices[0]], frames.offsets[indices[-1] + 1])
            result.forces[atoms] = forces
            result.stress[indices] = stress
        result.stress[~frames.pbc.all(axis=1)] = np.nan
        return result

    def _evaluate(
        self, frames: Frames, indices: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with default_dtype(str(self.dtype).removeprefix("torch.")):
            graphs = [
                AtomicData.from_config(
                    config_from_atoms(
                        frames.without_labels().take([i]).atoms(0), head_name=self.head
                    ),
                    z_table=self.numbers,
                    cutoff=self.cutoff,
                    heads=self.heads,
                )
                for i in indices
            ]
            batch = Batch.from_data_list(graphs).to(self.device)
            output = self.model(
                batch.to_dict(), training=False, compute_force=True, compute_stress=True
            )
        return (
            output["energy"].detach().cpu().numpy(),
            output["forces"].detach().cpu().numpy(),
            full_3x3_to_voigt_6_stress(output["stress"].detach().cpu().numpy()),
        )


def _batches(n_atoms: np.ndarray, limit: int) -> list[np.ndarray]:
    """Indices of consecutive frames in groups of at most `limit` atoms (or one frame)."""
    groups: list[np.ndarray] = []
    start = 0
    total = 0
    for index, size in enumerate(n_atoms):
        if index > start and total + size > limit:
            groups.append(np.arange(start, index))
            start, total = index, 0
        total += size
    if len(n_atoms):
        groups.append(np.arange(start, len(n_atoms)))
    return groups
