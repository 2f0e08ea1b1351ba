"""What tests of espresso, cp2k and abinit share: their stand-in program and its files."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from polymorphkd.label import ENGINES
from polymorphkd.settings import Label

NAMES = ("espresso", "cp2k", "abinit")
VERSIONS = {
    "espresso": "     Program PWSCF v.6.7MaX starts on 21Nov2026 at 21:50:30",
    "cp2k": " CP2K version 2023.1",
    "abinit": "9.6.2",
}
UPF = '<UPF version="2.0.1"><PP_HEADER z_valence="3.000E+00"/></UPF>\n'
FILES = {
    "Al.UPF": UPF, "Cu.UPF": UPF, "Al.psp8": "13.0 3.0\n", "Cu.psp8": "29.0 11.0\n",
    "BASIS_MOLOPT": " Al  SZV-SR SZV-SR-q3\n 1\n Cu SZV-SR SZV-SR-q11\n",
    "GTH_POTENTIALS": "Al GTH-PBE-q3 GTH-PBE\n Cu GTH-PBE-q11\n",
}  # fmt: skip


def write_data(folder: Path) -> None:
    """Files of potentials and basis sets, as far as engines look into them."""
    folder.mkdir()
    for file, content in FILES.items():
        (folder / file).write_text(content)


def program_label(tmp_path: Path, name: str, **changes: object) -> Label:
    """Settings of labels by one of the engines with the stand-in as its program."""
    path = tmp_path / f"{name}.x"
    stand_in = Path(__file__).with_name("dft_program")
    path.write_text(
        f"#!/bin/sh\nif [ $# = 0 ] || [ $1 = --version ]; then echo '{VERSIONS[name]}'\n"
        f'else exec {sys.executable} {stand_in} {name} "$@"; fi\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    if name == "cp2k":
        kinds = {"Al": "GTH-PBE-q3", "Cu": "GTH-PBE-q11"}
        own = {"kinds": {s: {"basis": "SZV-SR", "potential": p} for s, p in kinds.items()}}
    else:
        ending = {"espresso": "UPF", "abinit": "psp8"}[name]
        own = {"potentials": {s: f"{s}.{ending}" for s in ("Al", "Cu")}}
    values = {
        "command": str(path), "potential_folder": str(tmp_path / "data"), "max_scf_steps": 40,
        "scratch": str(tmp_path / "runs"), **own, **changes,
    }  # fmt: skip
    return Label(engine=name, **{name: values}, max_failed_fraction=1.0)


def problem(settings: Label, *elements: str) -> str | None:
    """What keeps the engine of `settings` from working."""
    return ENGINES[settings.engine].problem(getattr(settings, settings.engine), elements)
