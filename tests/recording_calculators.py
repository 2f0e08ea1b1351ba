"""Calculators for tests, named in configs by import path: they record or spoil their work."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ase.calculators.emt import EMT


class RecordingEMT(EMT):
    """EMT that takes `seconds` per frame and appends a line to `log` when one is finished.

    Frames whose volume per atom exceeds `fail_above` raise, as a crashing engine would.
    """

    def __init__(self, log: str, seconds: float = 0.0, fail_above: float = 1e9) -> None:
        super().__init__()
        self.log, self.seconds, self.fail_above = Path(log), seconds, fail_above

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        if atoms.get_volume() / len(atoms) > self.fail_above:
            raise RuntimeError("the engine fell over")
        super().calculate(atoms, properties, system_changes)
        time.sleep(self.seconds)
        with self.log.open("a") as stream:
            stream.write(f"{os.getpid()} {atoms.positions.sum():.8f}\n")


class GreedyEMT(RecordingEMT):
    """RecordingEMT that wants more than its job has, as the variable GREED says.

    ``memory``: every frame holds `memory` MB for `hold` seconds.  ``time``: the first frame
    of all never ends.
    """

    def __init__(self, log: str, seconds: float = 0.0, memory: int = 0, hold: float = 0.0) -> None:
        super().__init__(log, seconds)
        self.memory, self.hold = memory, hold

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        greed = os.environ.get("GREED")
        if greed == "memory":
            ballast = b"x" * (self.memory * 2**20)
            time.sleep(self.hold)
            del ballast
        stuck = self.log.with_suffix(".stuck")
        if greed == "time" and not stuck.exists():
            stuck.touch()
            time.sleep(3600)
        super().calculate(atoms, properties, system_changes)


class UnluckyEMT(RecordingEMT):
    """RecordingEMT whose machine has no memory for dense frames until the file `mended` exists."""

    def __init__(self, log: str, mended: str, dense: float) -> None:
        super().__init__(log)
        self.mended, self.dense = Path(mended), dense

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        if atoms.get_volume() / len(atoms) < self.dense and not self.mended.exists():
            raise MemoryError("no memory left")
        super().calculate(atoms, properties, system_changes)
