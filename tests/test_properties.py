"""Equation of state: known potentials, moved scans, crystals without a minimum."""

import numpy as np
import pytest
from ase.calculators.emt import EMT
from polymorphkd.errors import StageError
from polymorphkd.label.result import Result
from polymorphkd.properties import engine_energies, equation_of_state
from polymorphkd.settings import Properties


def energies_by(calculator):
    def energies(images):
        values = []
        for image in images:
            image = image.copy()
            image.calc = calculator()
            values.append(image.get_potential_energy())
        return np.array(values)

    return energies


def test_emt_aluminium():
    """a0 and B0 that the EMT paper's parameters give (Jacobsen, Stoltze & Norskov 1996)."""
    found = equation_of_state(energies_by(EMT), Properties(volume_range=0.03), "Al", 16.0)
    assert found["a0_A"] == pytest.approx(3.995, abs=0.01)
    assert found["B0_GPa"] == pytest.approx(39.0, abs=2.0)
    assert found["V0_A3_per_atom"] == pytest.approx(found["a0_A"] ** 3 / 4)


def test_a_birch_murnaghan_curve_is_recovered():
    v0, b0, b1 = 17.0, 0.5, 4.5

    def energies(images):
        x = np.array([(v0 / (a.get_volume() / len(a))) ** (2 / 3) - 1 for a in images])
        return len(images[0]) * 9 * v0 * b0 / 16 * (x**3 * b1 + x**2 * (6 - 4 * (x + 1)))

    found = equation_of_state(energies, Properties(), "Al", 17.1)
    assert found["V0_A3_per_atom"] == pytest.approx(v0, rel=1e-6)
    assert found["B0_GPa"] == pytest.approx(b0 * 160.21766, rel=1e-4)


def test_the_scan_moves_to_the_minimum():
    near = equation_of_state(energies_by(EMT), Properties(), "Cu", 11.6)
    far = equation_of_state(energies_by(EMT), Properties(), "Cu", 14.0)
    assert far["a0_A"] == pytest.approx(near["a0_A"], abs=2e-3)


@pytest.mark.parametrize(("structure", "n_atoms"), [("fcc", 4), ("bcc", 2), ("diamond", 8)])
def test_every_cubic_crystal_has_its_own_edge(structure, n_atoms):
    def energies(images):
        volumes = np.array([image.get_volume() / len(image) for image in images])
        return n_atoms * 0.01 * (volumes - 16.3) ** 2

    found = equation_of_state(energies, Properties(structure=structure), "Al", 16.0)
    assert found["a0_A"] ** 3 / n_atoms == pytest.approx(16.3, rel=1e-3)


def test_no_minimum_is_a_result_with_its_reason():
    found = equation_of_state(
        lambda images: -np.array([image.get_volume() for image in images]),
        Properties(), "Al", 16.0,
    )  # fmt: skip
    assert found["a0_A"] is None
    assert found["B0_GPa"] is None
    assert "no energy minimum" in found["problem"]


def test_the_engine_keeps_one_mesh_and_a_failed_point_stops_the_scan():
    class Engine:
        version, settings_hash = "test", "test"
        meshes: list = []  # noqa: RUF012

        def calculate(self, atoms, mesh_cell=None):
            self.meshes.append(mesh_cell.copy())
            if len(self.meshes) > 7:
                return Result("unconverged", "80 steps", 0.1)
            image = atoms.copy()
            image.calc = EMT()
            return Result("ok", "", 0.1, image.get_potential_energy())

    engine = Engine()
    equation_of_state(engine_energies(engine), Properties(), "Al", 16.0)
    assert all(np.array_equal(mesh, engine.meshes[0]) for mesh in engine.meshes)
    with pytest.raises(StageError, match="unconverged: 80 steps"):
        equation_of_state(engine_energies(engine), Properties(), "Al", 16.0)
