"""What the commands of the training benchmarks share: options, log, and messages of failure."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polymorphkd.errors import PolymorphKDError


def common_options(parser: argparse.ArgumentParser) -> None:
    """Add --work, --estimate, --quick and --json."""
    parser.add_argument("--work", type=Path, default=Path("results/evidence"), help="folder")
    parser.add_argument("--estimate", action="store_true", help="only say how long it will take")
    parser.add_argument("--quick", action="store_true", help="minutes: shows that it runs")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")


def outcome(
    arguments: argparse.Namespace,
    estimate: Callable[[argparse.Namespace], str],
    run_all: Callable[[argparse.Namespace], dict[str, dict[str, Any]]],
) -> dict[str, dict[str, Any]] | None:
    """Runs, or None where only the estimate was asked for and is printed.

    Raises
    ------
    SystemExit
        With the message of what went wrong.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        if arguments.estimate:
            print(estimate(arguments))
            return None
        return run_all(arguments)
    except PolymorphKDError as error:
        raise SystemExit(str(error)) from error
