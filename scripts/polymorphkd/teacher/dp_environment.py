"""The second environment: where it is, what it holds, and a model that runs in it.

DeePMD-kit's PyTorch backend is compiled for one version of PyTorch, not for the one that this
package uses, so it lives in an environment of its own and talks by files.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import EngineError
from ..processes import die_with_parent, thread_environment

PACKAGES: dict[str, tuple[str, ...]] = {
    "dpa": ("deepmd-kit", "torch"),
    "mace-deepmd": ("deepmd-kit", "torch", "deepmd-gnn", "mace-torch"),
    "nequip": ("deepmd-kit", "torch", "deepmd-gnn", "nequip"),
}
"""What each family needs there."""

_WORKER = Path(__file__).with_name("dp_worker.py")
_VERSIONS = (
    "import importlib.metadata as m, json, sys\n"
    "names = [(d.metadata['Name'].lower().replace('_', '-'), d) for d in m.distributions()]\n"
    "found = {name: d.version for name, d in names}\n"
    "print(json.dumps({name: found.get(name) for name in sys.argv[1:]}))"
)
_MEND = "run `make env-teachers`, or set teacher.environment"


def located(folder: str | Path) -> Path:
    """Python of the environment in `folder`.

    Raises
    ------
    EngineError
        It is not there.
    """
    python = Path(folder) / "bin" / "python"
    if not python.is_file():
        raise EngineError(
            f"teacher.environment: {folder}: holds no bin/python, and the teachers dpa, "
            f"mace-deepmd and nequip run there; {_MEND}"
        )
    return python.absolute()


def versions(python: Path, kind: str) -> dict[str, str]:
    """Versions of what the family needs.

    Raises
    ------
    EngineError
        Something is not installed, or this Python does not run.
    """
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _VERSIONS, *PACKAGES[kind]],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EngineError(
            f"teacher.environment: {python} does not run ({error}); {_MEND}"
        ) from error
    found: dict[str, str | None] = json.loads(done.stdout)
    absent = [name for name, version in found.items() if version is None]
    if absent:
        raise EngineError(
            f"teacher.environment: {python.parents[1]}: {', '.join(absent)} is not installed "
            f"there, and teacher.kind {kind} needs it; {_MEND}"
        )
    return {name: str(version) for name, version in found.items()}


def child_environment(threads: int, device: str) -> Mapping[str, str]:
    """Environment variables of a child there."""
    values = {
        **thread_environment(threads),
        "NUM_WORKERS": "0",  # processes that load frames; these sets fit into memory
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",  # for e3nn's constants
    }
    values.pop("PYTHONPATH", None)
    if device == "cpu":
        values["DEVICE"] = "cpu"
    return values


def check_device(python: Path, device: str, key: str) -> None:
    """Raise EngineError if a GPU is asked for and PyTorch there sees none."""
    if device != "cuda":
        return
    script = "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 3)"
    done = subprocess.run([str(python), "-I", "-c", script], capture_output=True, check=False)
    if done.returncode:
        raise EngineError(
            f"{key}.device: cuda is asked for, but the PyTorch of {python.parents[1]} sees no "
            "GPU; use auto or cpu"
        )


class RemotePotential:
    """A DeePMD model that a process of the other environment holds; see `deepmd.predictor`.

    The process lives as long as this object.

    Parameters
    ----------
    python : Path
    model : Path
    threads : int
    device : str

    Raises
    ------
    EngineError
        The file is absent or no model that this DeePMD-kit reads.
    """

    def __init__(self, python: Path, model: Path, threads: int, device: str) -> None:
        if not model.is_file():
            raise EngineError(f"{model}: no such teacher model file")
        self._name = str(model)
        self._folder = Path(tempfile.mkdtemp(prefix="polymorphkd-"))
        self._log: IO[bytes] = (self._folder / "log").open("wb")
        self._child = subprocess.Popen(
            [str(python), "-I", str(_WORKER), str(model.absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=dict(child_environment(threads, device)),
            preexec_fn=die_with_parent,
        )
        self._finalizer = weakref.finalize(self, _close, self._child, self._log, self._folder)
        hello = self._reply()
        if "error" in hello:
            self._finalizer()
            raise EngineError(
                f"{model}: cannot be loaded as a DeePMD model of the PyTorch backend "
                f"({hello['error']}); expected is a file that `dp --pt freeze` wrote"
            )
        self._type_map: list[str] = hello["type_map"]
        self.n_parameters: int = hello["n_parameters"]

    def get_type_map(self) -> list[str]:
        """Chemical symbols of the types, in order."""
        return self._type_map

    def eval(
        self, coords: np.ndarray, cells: np.ndarray, atom_types: Sequence[int]
    ) -> tuple[np.ndarray, ...]:
        """See :class:`..deepmd.predictor.Potential`."""
        request = self._folder / "frames.npz"
        np.savez(request, coords=coords, cells=cells, types=np.asarray(atom_types))
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(f"{request}\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # the reply says why
        self._reply()
        with np.load(self._folder / "frames.out.npz") as result:
            return result["energy"], result["forces"], result["virial"]

    def _reply(self) -> dict[str, Any]:
        """Next line of the worker.

        Raises
        ------
        EngineError
            It has ended.
        """
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if line:
            reply: dict[str, Any] = json.loads(line)
            return reply
        lines = (self._folder / "log").read_text(errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it printed nothing"
        code = self._child.wait()
        raise EngineError(f"{self._name}: the process that runs this model ended ({code}): {last}")


def _close(child: subprocess.Popen[str], log: IO[bytes], folder: Path) -> None:
    child.kill()
    child.communicate()
    log.close()
    shutil.rmtree(folder, ignore_errors=True)
