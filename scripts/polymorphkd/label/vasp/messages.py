"""What VASP prints when it gives up, by the names that custodian gives to its messages."""

from __future__ import annotations

from pathlib import Path

from custodian.vasp.handlers import AliasingErrorHandler, StdErrHandler, VaspErrorHandler

from ...readers.sources import open_bytes
from ..machine import MACHINE

HARMLESS = ("auto_nbands",)
"""Messages after which a finished run is as good as any."""


def _patterns() -> dict[str, tuple[str, ...]]:
    handlers = (VaspErrorHandler, AliasingErrorHandler, StdErrHandler)
    found: dict[str, tuple[str, ...]] = {}
    for handler in handlers:
        for name, texts in handler.error_msgs.items():
            if name not in MACHINE and name not in HARMLESS:
                found[name] = (*found.get(name, ()), *texts)
    # Custodian's own handler takes only the later form; the warning comes first.
    found["zbrent"] = (*found["zbrent"], "ZBRENT: can not reach accuracy")
    return found


PATTERNS = _patterns()


def messages(text: str) -> list[str]:
    """Names of the messages in what VASP or the system around it printed, in a fixed order."""
    both = {**MACHINE, **PATTERNS}
    return [name for name, texts in both.items() if any(one in text for one in texts)]


def messages_of(path: Path) -> list[str]:
    """:func:`messages` of a file, plain or compressed; none where it is absent."""
    if not path.is_file():
        return []
    with open_bytes(path) as stream:
        return messages(stream.read().decode("utf-8", "replace"))
