"""Engines with the programs that are here: derivatives of energies, ends, messages."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pytest
from ase import Atoms
from polymorphkd.errors import EngineError
from polymorphkd.label import ENGINES, make_engine
from polymorphkd.settings import Label

AL = Atoms(
    "Al2",
    cell=[[2.9, 0.1, 0.0], [0.0, 2.7, 0.2], [0.1, 0.0, 4.3]],
    positions=[[0.0, 0.0, 0.0], [1.5, 1.3, 2.2]],
    pbc=True,
)
H = Atoms(
    "H2",
    cell=[[4.4, 0.1, 0.0], [0.0, 3.8, 0.2], [0.1, 0.0, 5.0]],
    positions=[[0.0, 0.0, 0.0], [1.2, 0.9, 0.9]],
    pbc=True,
)
PLANE_WAVES = {"kspacing": 1.3, "width": 0.4}
DEBIAN = {"espresso": "/usr/share/espresso/pseudo", "abinit": "/usr/share/abinit/psp"}
"""Where the packages quantum-espresso-data and abinit-data put their potentials."""


class Case(NamedTuple):
    """Cheap settings, a cell without symmetry, and how exact they can be (eV/Å, eV/Å^3).

    Cutoffs this low leave the diagonal stress without the work of the plane waves that a
    larger cell takes in, which no output holds.
    """

    settings: dict
    atoms: Atoms
    force: float = 1e-3
    diagonal: float = 2e-3
    shear: float = 2e-4


CASES = {
    "ase": Case({}, AL, 1e-4, 1e-4, 1e-4),
    "gpaw": Case({**PLANE_WAVES, "ecut": 400, "energy_tolerance": 1e-7}, AL, 5e-3, 5e-3, 1e-3),
    "espresso": Case(
        {
            **PLANE_WAVES, "ecutwfc": 350, "density_ratio": 4,
            "potentials": {"Al": "Al.pz-vbc.UPF"}, "potential_folder": DEBIAN["espresso"],
        },
        AL,
    ),
    "abinit": Case(
        {
            **PLANE_WAVES, "ecut": 350, "scf_tolerance": 1e-12,
            "potentials": {"Al": "13al.pspnc"}, "potential_folder": DEBIAN["abinit"],
        },
        AL,
    ),
    "cp2k": Case(
        {
            "kspacing": 1.6, "width": 0.8, "cutoff": 3000, "relative_cutoff": 600,
            "kinds": {"H": {"basis": "SZV-MOLOPT-SR-GTH", "potential": "GTH-PBE"}},
        },
        H, 5e-3,
    ),
}  # fmt: skip


def ready(name: str, tmp_path, **changes):
    """The engine with the settings of its case, or a skip that says what is missing."""
    values = {**CASES[name].settings, **changes}
    if "scratch" in Label.model_fields[name].annotation.model_fields:
        values |= {"scratch": str(tmp_path / "runs")}
    settings = Label(engine=name, **{name: values})
    problem = ENGINES[name].problem(getattr(settings, name), [])
    if problem:
        pytest.skip(f"engine {name} does not run here: {problem}")
    return make_engine(settings)


def strained(atoms: Atoms, i: int, j: int, size: float) -> Atoms:
    strain = np.zeros((3, 3))
    strain[i, j] += size / 2
    strain[j, i] += size / 2
    moved = atoms.copy()
    moved.set_cell(moved.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return moved


def shifted(atoms: Atoms, atom: int, axis: int, size: float) -> Atoms:
    moved = atoms.copy()
    moved.positions[atom, axis] += size
    return moved


@pytest.mark.dft
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == "ase" else pytest.mark.slow) for n in CASES]
)
def test_forces_and_stress_are_derivatives_of_the_energy(name, tmp_path):
    case = CASES[name]
    engine = ready(name, tmp_path)

    def label(atoms):
        result = engine.calculate(atoms, mesh_cell=case.atoms.cell.array)
        assert (result.status, result.reason) == ("ok", "")
        return result

    def slope(move, size):
        ends = [label(move(sign * size)) for sign in (1, -1)]
        energy = (ends[0].energy - ends[1].energy) / (2 * size)
        if ends[0].entropy is None:
            return energy, None
        return energy, energy + (ends[0].entropy - ends[1].entropy) / (2 * size)

    start = label(case.atoms)
    entropic = []
    for atom, axis in ((1, 0), (0, 2)):
        free, internal = slope(lambda x: shifted(case.atoms, atom, axis, x), 0.01)  # noqa: B023
        assert start.forces[atom, axis] == pytest.approx(-free, abs=case.force)
        if internal is not None:
            entropic.append(abs(internal - free))
    volume = case.atoms.get_volume()
    for i, j, voigt, tolerance in ((2, 2, 2, case.diagonal), (1, 2, 3, case.shear)):
        free, _ = slope(lambda x: strained(case.atoms, i, j, x), 0.004)  # noqa: B023
        assert start.stress[voigt] == pytest.approx(free / volume, abs=tolerance)
    if start.entropy is not None:
        # The other energy that a program might report would have been noticed.
        assert max(entropic) > 3 * case.force
        assert start.energy < start.energy_zero < start.energy + start.entropy


@pytest.mark.dft
@pytest.mark.parametrize("name", ["gpaw", "espresso", "abinit", "cp2k"])
def test_a_spin_lowers_the_energy_of_an_atom_that_has_one(name, tmp_path):
    atoms = Atoms("H", cell=[4.5, 4.6, 4.7], pbc=True)
    own = {
        "gpaw": {"ecut": 250},
        "espresso": {"potentials": {"H": "H.pz-vbc.UPF"}},
        "abinit": {"potentials": {"H": "01h.pspgth"}},
        "cp2k": {"kinds": {"H": {"basis": "DZVP-MOLOPT-SR-GTH", "potential": "GTH-PBE"}}},
    }
    changes = {"kspacing": 2.0, "width": 0.05, **own[name]}
    plain = ready(name, tmp_path, **changes).calculate(atoms)
    spin = ready(name, tmp_path, **changes, moments={"H": 1.0}).calculate(atoms)
    assert (plain.status, spin.status) == ("ok", "ok")
    assert plain.energy - 1.7 < spin.energy < plain.energy - 0.4


@pytest.mark.dft
@pytest.mark.parametrize("name", ["espresso", "abinit", "cp2k"])
def test_a_real_run_that_does_not_converge_says_so(name, tmp_path):
    engine = ready(name, tmp_path, max_scf_steps=2)
    result = engine.calculate(CASES[name].atoms)
    assert (result.status, result.reason) == ("unconverged", "not converged in 2 SCF steps")
    assert not result.retry


@pytest.mark.dft
@pytest.mark.parametrize("name", ["espresso", "abinit", "cp2k"])
def test_the_message_of_a_real_program_is_the_reason(name, tmp_path):
    wrong = {
        "espresso": ({"keywords": {"mixing_mode": "nonsense"}}, "nonsense|mixing_mode"),
        "abinit": ({"keywords": {"nonsense": 1}}, "NONSENSE"),
        "cp2k": ({"keywords": {"FORCE_EVAL": {"DFT": {"NONSENSE": 1}}}}, "NONSENSE"),
    }
    changes, said = wrong[name]
    result = ready(name, tmp_path, **changes).calculate(CASES[name].atoms)
    assert result.status == "crashed"
    assert not result.retry
    assert re.search(said, result.reason), result.reason


@pytest.mark.dft
def test_potentials_of_different_functionals_do_not_mix(tmp_path):
    atoms = AL.copy()
    atoms.symbols[0] = "Si"
    files = {"Al": "13al.pspnc", "Si": "14si_WC.fhi"}
    engine = ready("abinit", tmp_path, potentials=files, max_scf_steps=1)
    with pytest.raises(EngineError, match=r"different functionals .*set label.abinit.functional"):
        engine.calculate(atoms)
    chosen = ready("abinit", tmp_path, potentials=files, functional=1, max_scf_steps=1)
    assert chosen.calculate(atoms).status == "unconverged"
    files = {"Al": "Al.pz-vbc.UPF", "Si": "Si.pbe-rrkj.UPF"}
    result = ready("espresso", tmp_path, potentials=files).calculate(atoms)
    assert (result.status, "conflicting values" in result.reason) == ("crashed", True)
