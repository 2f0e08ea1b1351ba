"""Runs in the teachers' environment: opens one model and evaluates what it is asked to.

A script of its own that imports nothing of this package, because the environment does not have
it: ``python -I dp_worker.py MODEL``.  Each line on standard input names a ``.npz`` file with
coords (n, 3 N), cells (n, 9) and types (N,); the answer goes to the same name with ``.out.npz``.
Each answer is a line of JSON on standard output: the first says what the model is.
"""

import json
import os
import sys
import tempfile
from typing import Any

import numpy as np


def answer(**content: object) -> None:
    """One line of JSON to the parent."""
    REPLIES.write(json.dumps(content) + "\n")
    REPLIES.flush()


def open_model(path: str) -> tuple[Any, int]:
    """The model and its number of parameters; DeePMD tells formats by the suffix alone."""
    from deepmd.infer import DeepPot

    suffix = ".pt" if path.endswith(".pt") else ".pth"
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "model" + suffix)
        os.symlink(os.path.abspath(path), link)
        # Other builders of the neighbour list want what networks of deepmd-gnn do not offer.
        model = DeepPot(link, nlist_backend="native")
    network = model.deep_eval.dp.model["Default"]
    return model, sum(p.numel() for p in network.parameters())


def main() -> None:
    """Answer until standard input ends."""
    try:
        model, n_parameters = open_model(sys.argv[1])
    except Exception as error:  # noqa: BLE001 - torch raises anything on a strange file
        answer(error=" ".join(str(error).split())[-300:] or type(error).__name__)
        return
    answer(type_map=list(model.get_type_map()), n_parameters=n_parameters)
    for line in sys.stdin:
        request = line.rstrip("\n")
        given = np.load(request)
        energy, forces, virial = model.eval(given["coords"], given["cells"], given["types"])[:3]
        np.savez(
            request.removesuffix(".npz") + ".out.npz",
            energy=energy.astype(np.float64),
            forces=forces.astype(np.float64),
            virial=virial.astype(np.float64),
        )
        answer(done=True)


if __name__ == "__main__":
    # Libraries print to standard output, which is the channel to the parent.
    REPLIES = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main()
