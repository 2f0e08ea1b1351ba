"""The report of a run: one HTML page for readers, one JSON file for programs."""

from .collect import Run, collect
from .origin import git_commit, versions
from .page import render, write_page
from .summary import summarise

__all__ = [
    "Run",
    "collect",
    "git_commit",
    "render",
    "summarise",
    "versions",
    "write_page",
]
