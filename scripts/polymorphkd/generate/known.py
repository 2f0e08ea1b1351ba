"""Frame ids that were met before, in eight bytes each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

RECENT = 2**16
"""Ids in an ordinary set, before they are merged into the sorted array."""


class Known:
    """A set of ids (see :func:`~..frames.as_number`) that holds millions.

    A Python set takes some hundred bytes per number; here all but the most recent lie in
    one sorted array.

    Parameters
    ----------
    numbers : iterable of int
        From 0 to 2^64 - 1.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._recent = set(numbers)
        self._sorted = np.zeros(0, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._recent) + len(self._sorted)

    def __contains__(self, number: int) -> bool:
        if number in self._recent:
            return True
        place = int(np.searchsorted(self._sorted, np.uint64(number)))
        return place < len(self._sorted) and int(self._sorted[place]) == number

    def add(self, number: int) -> bool:
        """Take note of an id; returns whether it is new."""
        if number in self:
            return False
        self._recent.add(number)
        if len(self._recent) >= RECENT:
            recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
            self._sorted = np.sort(np.concatenate([self._sorted, recent]), kind="stable")
            self._recent = set()
        return True
