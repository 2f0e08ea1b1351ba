"""Labels: energies, forces and stresses from a DFT engine, with a record per frame."""

from .engines import ENGINES, Engine, Result, make_engine
from .gather import gather
from .run import deal, label_shard, unfinished

ALGORITHM_VERSION = 1
"""Raise only when labels made before are no longer valid: it relaunches all DFT."""

__all__ = [
    "ALGORITHM_VERSION",
    "ENGINES",
    "Engine",
    "Result",
    "deal",
    "gather",
    "label_shard",
    "make_engine",
    "unfinished",
]
