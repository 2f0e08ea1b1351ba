"""Checkpoints of DeePMD's TensorFlow backend, and which of them a training can go on from."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..progress import logger

_CHECKPOINT = re.compile(
    r'^all_model_checkpoint_paths: "(?:.*/)?(?P<name>model\.ckpt-(?P<step>\d+))"', re.MULTILINE
)


def checkpoints(work: Path) -> list[tuple[int, str]]:
    """Step and name of the checkpoints in `work` whose files are there, newest first."""
    state = work / "checkpoint"
    names = _CHECKPOINT.finditer(state.read_text()) if state.is_file() else ()
    # TensorFlow names a checkpoint in this file before it writes its .meta: a kill between
    # the two leaves the one before as the newest whole one.
    whole = {
        (int(match["step"]), match["name"])
        for match in names
        if all((work / f"{match['name']}.{end}").is_file() for end in ("index", "meta"))
    }
    return sorted(whole, reverse=True)


def last_checkpoint(work: Path) -> tuple[int, str]:
    """Step and name of the newest checkpoint whose files are there; step 0 if there is none."""
    return max(checkpoints(work), default=(0, ""))


def usable_checkpoint(work: Path) -> tuple[int, str]:
    """Step and name of the newest checkpoint that can be read and holds numbers.

    A machine that died or a full disk can leave a torn one, a training that diverged one of
    NaN; each that is passed over is reported.  Step 0 if there is none.
    """
    for step, name in checkpoints(work):
        problem = _problem(work / name)
        if not problem:
            return step, name
        logger.warning("the checkpoint %s cannot be used (%s); going back", work / name, problem)
    return 0, ""


def _problem(prefix: Path) -> str:
    """Why the checkpoint with this path before its suffixes is unusable, or nothing."""
    # On use: TensorFlow takes seconds to load.
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

    try:
        reader = tf.train.load_checkpoint(str(prefix))
        values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        graph = MetaGraphDef.FromString(prefix.with_name(f"{prefix.name}.meta").read_bytes())
    except (tf.errors.OpError, LookupError, RuntimeError, ValueError, OSError) as error:
        return f"torn: {str(error).strip().splitlines()[0]}"
    except DecodeError:
        return "torn: its graph cannot be read"
    if not graph.graph_def.node:
        return "torn: its graph is empty"
    lost = [
        name
        for name, value in values.items()
        if np.issubdtype(np.asarray(value).dtype, np.floating) and not np.isfinite(value).all()
    ]
    return f"{len(lost)} of its {len(values)} variables are not finite" if lost else ""
