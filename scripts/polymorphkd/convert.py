"""Frames from one format to another, labels included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ase.io.formats import UnknownFileTypeError

from .errors import InputError
from .frames import Frames, concatenate, write_frames
from .readers import Broken, read_frames


def convert(
    inputs: Sequence[Path], output: Path, force: bool = False, broken: list[Broken] | None = None
) -> Frames:
    """Read every frame of `inputs` and write them to one file.

    Labels are read from ``REF_`` keys, or from what a DFT code wrote (the free energy where
    there is one), and are written under ``REF_`` keys (extxyz) or as columns (Parquet).

    Parameters
    ----------
    inputs : sequence of path
        Parquet of this project or any format that ASE reads.
    output : path
        Its name decides the format: .parquet, .extxyz or .xyz, or any that ASE writes.
    force : bool
        Overwrite an existing file.
    broken : list of Broken, optional
        Where it is given, broken frames are added to it and left out.

    Returns
    -------
    Frames
        The frames that were written.

    Raises
    ------
    InputError
        A file cannot be read or written, or the output exists and `force` is false.
    """
    check_output(output, force)
    frames = concatenate([read_frames(path, True, broken) for path in inputs])
    if broken and not len(frames):
        raise InputError(f"{inputs[0]}: no frame is left")
    write(output, frames)
    return frames


def check_output(output: Path, force: bool) -> None:
    """Refuse an output that is there already, or whose folder is not, before any work.

    Raises
    ------
    InputError
    """
    if output.exists() and not force:
        raise InputError(f"{output}: exists already; give --force to overwrite it")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}")


def write(output: Path, frames: Frames) -> None:
    """Write frames to a file of the user's choice.

    Raises
    ------
    InputError
        The format is unknown, or cannot hold these frames.
    """
    try:
        write_frames(output, frames)
    except UnknownFileTypeError as error:
        raise InputError(
            f"{output}: unknown format ({error}); allowed is .parquet, .extxyz or the name of a "
            "file that ASE writes, such as POSCAR or .cif"
        ) from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{output}: {error}") from error
