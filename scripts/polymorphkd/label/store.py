"""The label store: one small file per finished calculation, written whole or not at all.

It lies beside the stage's outputs and is no output of any rule, so that neither a killed
job nor a rerun of Snakemake deletes a finished label.  A file is found by the settings
hash and the frame id; other shards, other counts of shards and later runs share it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..provenance import read_json, write_json
from .result import is_final


class Store:
    """Finished calculations of one material under one folder.

    Parameters
    ----------
    root : path
    settings_hash : str
        Of the engine; labels made with other settings are invisible.
    """

    def __init__(self, root: str | Path, settings_hash: str) -> None:
        self.folder = Path(root) / settings_hash

    def path(self, frame_id: str) -> Path:
        """File of one frame."""
        return self.folder / frame_id[-2:] / f"{frame_id}.json"

    def get(self, frame_id: str) -> dict[str, Any] | None:
        """Record of a frame whose result is final, else None.

        Final is what a rerun would only repeat: labels, and frames that failed by
        themselves.  What failed by its machine is computed again, and a file that does not
        hold a whole record counts as absent.
        """
        try:
            record = read_json(self.path(frame_id))
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            return None
        return record if _is_whole(record) and is_final(record) else None

    def put(self, frame_id: str, record: dict[str, Any]) -> None:
        """Store the record of one frame atomically."""
        write_json(self.path(frame_id), {"frame_id": frame_id, **record})


def _is_whole(record: Any) -> bool:
    """Whether a file holds a record as :meth:`Store.put` writes it, its labels included."""
    if not isinstance(record, dict) or not {"status", "reason", "seconds"} <= set(record):
        return False
    labels = [record.get(name) for name in ("energy", "forces", "stress")]
    return record["status"] != "ok" or all(label is not None for label in labels)
