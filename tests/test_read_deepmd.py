"""DeePMD folders."""

import numpy as np
import pytest
from polymorphkd.errors import InputError
from polymorphkd.readers import read_at, read_frames
from reading import all_of, write_deepmd


def test_deepmd_folders(tmp_path):
    folder = write_deepmd(tmp_path / "system")
    frames, index, broken = all_of(folder, atoms_per_chunk=7)
    assert (index, broken) == (list(range(8)), {})
    coord = np.load(folder / "set.001/coord.npy")
    np.testing.assert_allclose(frames.positions[15:18], coord[1].reshape(3, 3), atol=1e-8)
    assert frames.numbers[:3].tolist() == [13, 29, 13]
    assert frames.energy[5] == np.load(folder / "set.001/energy.npy")[1]
    assert frames.forces[3, 1] == np.load(folder / "set.000/force.npy")[1, 1]
    np.testing.assert_allclose(frames.stress[0], -np.array([0, 4, 8, 5, 2, 1]) / 64)
    assert frames.pbc.all()
    assert read_at(folder, [6, 1]).frame_ids() == frames.take([6, 1]).frame_ids()
    (folder / "nopbc").touch()
    assert not read_frames(folder).pbc.any()
    (folder / "type_map.raw").unlink()
    assert read_frames(folder).numbers[:3].tolist() == [1, 2, 1]
    coord[2, 0] = np.nan
    np.save(folder / "set.001/coord.npy", coord)
    assert list(all_of(folder)[2]) == [6]


def test_mixed_deepmd_folders_hide_their_padding(tmp_path):
    folder = write_deepmd(tmp_path / "system")
    types = np.array([[0, 1, 0], [1, 1, -1], [0, 9, 0], [1, 0, 0]])
    for name in ("set.000", "set.001"):
        np.save(folder / name / "real_atom_types.npy", types)
    frames, index, broken = all_of(folder)
    assert index == [0, 1, 3, 4, 5, 7]
    assert sorted(broken) == [2, 6]
    assert frames.numbers[:5].tolist() == [13, 29, 13, 29, 29]
    assert frames.n_atoms.tolist() == [3, 2, 3] * 2


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("type_map.raw", "Al Qq", "unknown element 'Qq'"),
        ("type_map.raw", "Al", "types that type_map.raw does not"),
        ("set.000/coord.npy", "no array", "system: cannot be read"),
        ("set.001/box.npy", None, "set.001/box.npy: no such file"),
        ("type.raw", "0\n1\n", "coord.npy has shape"),
    ],
)
def test_deepmd_folders_that_do_not_fit_are_refused(tmp_path, file, content, message):
    folder = write_deepmd(tmp_path / "system")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_frames(folder)
