"""The landscape of real liquids and glasses: a copper melt, and silicon that melts and cools."""

import numpy as np
import pytest
from oracles import local_oracle, local_q6m, oracle, steinhardt
from polymorphkd.frames import Frames, from_atoms
from polymorphkd.landscape import auto_cutoff, per_atom, points
from polymorphkd.readers import read_frames
from polymorphkd.settings import Landscape
from structures import molten_copper, noisy_copper


def check_symmetry(frames: Frames, cutoff: float) -> None:
    """Q6 of every frame, its mean over the atoms, and q6 of every atom, by scipy's Y_6m."""
    tables = [points(frames, Landscape(cutoff=cutoff, q6=q6)) for q6 in ("global", "mean")]
    for i in range(len(frames)):
        q = local_q6m(frames.atoms(i), cutoff)
        q6, local = steinhardt(q.mean(axis=0)), steinhardt(q)
        assert [t.Q6[i] for t in tables] == pytest.approx([q6, local.mean()], abs=1e-12)
        found = per_atom(frames.atoms(i), Landscape(cutoff=cutoff)).q6
        np.testing.assert_allclose(found, local, rtol=0, atol=1e-12)


def check_entropies(frames: Frames) -> None:
    """sS of every frame against the direct sum, and that around every atom of some."""
    table = points(frames, Landscape(cutoff=3.0))
    for i in range(len(frames)):
        assert table.sS[i] == pytest.approx(oracle(frames.atoms(i), 3.0)[0], abs=1e-4), i
    for i in range(0, len(frames), 3):
        found = per_atom(frames.atoms(i), Landscape(cutoff=3.0)).sS
        expected = local_oracle(frames.atoms(i), 3.0)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("cutoff", [2.8, 3.6, 5.2])
def test_q6_of_molten_copper_agrees_with_the_direct_sum(cutoff):
    check_symmetry(from_atoms([molten_copper()]), cutoff)


def test_entropy_of_molten_copper_agrees_with_the_direct_sum():
    check_entropies(from_atoms([molten_copper()]))


def test_a_melt_is_far_from_its_crystal():
    melt, crystal = from_atoms([molten_copper()]), from_atoms([noisy_copper()])
    cutoff = auto_cutoff(melt)
    assert 2.56 < cutoff < 3.9  # between the first two shells of the liquid
    liquid, solid = (
        points(frames, Landscape(cutoff=cutoff)).iloc[0] for frames in (melt, crystal)
    )
    assert -4 < liquid.sS < -1
    assert solid.sS < liquid.sS - 5
    assert liquid.Q6 < 0.15 < solid.Q6


@pytest.fixture(scope="module")
def silicon(shared_data) -> Frames:
    """376 cells of 216 atoms in the order of time: diamond, melt, and the melt cooled."""
    frames = read_frames(shared_data / "si216_melting.extxyz")
    time = frames.meta["name"].str.removeprefix("POSCAR_").astype(int)
    return frames.take(np.argsort(time.to_numpy()))


@pytest.mark.parametrize("cutoff", [2.6, 3.0, 4.8])
def test_q6_of_melting_silicon_agrees_with_the_direct_sum(silicon, cutoff):
    check_symmetry(silicon.take(np.linspace(0, 375, 20).astype(int)), cutoff)


def test_entropy_of_melting_silicon_agrees_with_the_direct_sum(silicon):
    check_entropies(silicon.take(np.linspace(0, 375, 7).astype(int)))


def test_melting_silicon_crosses_the_landscape_once(silicon):
    table = points(silicon, Landscape(cutoff=3.0))
    solid, liquid = table[:140], table[160:]
    assert solid.sS.max() < liquid.sS.min() - 1
    assert solid.Q6.min() > liquid.Q6.max() + 0.2
    assert liquid.sS.iloc[-20:].max() < liquid.sS.iloc[:100].min()  # cooled, it orders again
    assert (table.n_isolated == 0).all()
