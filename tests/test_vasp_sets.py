"""Named input sets of pymatgen as the base of the labels' INCAR."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from polymorphkd.config import validate
from polymorphkd.errors import ConfigError
from polymorphkd.label import ENGINES, make_engine
from polymorphkd.label.vasp import inputs
from polymorphkd.settings import Vasp
from pymatgen.core import SETTINGS, Structure
from pymatgen.io.vasp import Incar, sets
from vasp_runs import POTCAR

OXIDE = {"Fe": "Fe_pv", "O": "O"}


def material(elements, **vasp) -> Vasp:
    values = {"material": "X", "elements": elements, "label": {"engine": "vasp", "vasp": vasp}}
    return validate(values, "here").label.vasp


@pytest.mark.parametrize(
    ("name", "functional", "encut", "kspacing", "potentials"),
    [
        ("MPStaticSet", "PBE", 520, 0.2154, "PBE"),
        ("MatPESStaticSet", "PBE", 680, 0.22, "PBE_64"),
        ("MPScanStaticSet", "r2SCAN", 680, 0.22, "PBE_54"),
        ("MP24StaticSet", "r2SCAN", 680, 0.22, "PBE_64"),
    ],
)
def test_a_set_gives_what_the_user_left_out(name, functional, encut, kspacing, potentials):
    vasp = material(["Fe", "O"], input_set=name)
    assert (vasp.functional, vasp.encut, vasp.kspacing) == (functional, encut, kspacing)
    assert (vasp.potential_set, vasp.potentials) == (potentials, OXIDE)
    assert vasp.smearing == "gaussian"  # no tetrahedra, whatever the set says
    again = Vasp.model_validate(vasp.model_dump(mode="json"))
    assert again == vasp
    own = material(["Fe", "O"], input_set=name, encut=550, potentials={"Fe": "Fe_sv"})
    assert (own.encut, own.potentials) == (550, {"Fe": "Fe_sv", "O": "O"})
    # The mesh is as dense as that of the set itself.
    cell = Structure([[5, 0, 0], [0, 5, 0], [0, 0, 5]], ["Al"], [[0, 0, 0]])
    theirs = getattr(sets, name)(cell).kpoints
    if theirs is not None:
        ours = inputs.mesh(cell.lattice.matrix, [True] * 3, vasp.kspacing)
        assert ours[0] == pytest.approx(theirs.kpts[0][0], abs=1)


def test_tags_of_the_set_below_those_of_labels_below_those_of_the_user():
    vasp = material(["Fe", "O"], input_set="MPStaticSet", incar={"ALGO": "All", "NCORE": 4})
    tags = inputs.incar(vasp, ["Fe", "Fe", "O"])
    wanted = {
        "ENCUT": 520, "EDIFF": 1e-6, "NELM": 100, "LMAXMIX": 4, "LDAU": True, "LDAUTYPE": 2,
        "LDAUU": [5.3, 0], "LDAUL": [2, 0], "LDAUJ": [0, 0], "MAGMOM": [5, 5, 0.6],
        "ISMEAR": 0, "SIGMA": 0.05, "NSW": 0, "IBRION": -1, "ISYM": 0, "LREAL": False,
        "LWAVE": False, "LCHARG": False, "GGA": "Pe", "ALGO": "All", "NCORE": 4, "ISPIN": 2,
    }  # fmt: skip
    assert {name: tags[name] for name in wanted} == wanted
    assert not {"KSPACING", "LORBIT", "METAGGA"} & set(tags)
    # A metal in a set of oxides has the U of the oxides, so that both can meet.
    assert inputs.incar(vasp, ["Fe"])["LDAUU"] == [5.3]
    assert "LDAU" not in inputs.incar(material(["Fe"], input_set="MPStaticSet"), ["Fe"])
    plain = material(["Fe", "O"], input_set="MPStaticSet", incar={"LDAU": False})
    assert not {"LDAUU", "LDAUL", "LDAUJ"} & set(inputs.incar(plain, ["Fe", "O"]))


def test_moments_of_elements_become_one_per_atom():
    own = Vasp(potentials={"Al": "Al", "Fe": "Fe"}, moments={"Fe": 2.5})
    assert inputs.incar(own, ["Al", "Fe", "Fe"])["MAGMOM"] == [0.0, 2.5, 2.5]
    assert inputs.incar(own, ["Al"])["MAGMOM"] == [0.0]
    assert inputs.incar(own)["ISPIN"] == 2
    both = material(["Fe", "O"], input_set="MPStaticSet", moments={"Fe": 2.5})
    assert inputs.incar(both, ["Fe", "O"])["MAGMOM"] == [2.5, 0.6]


@pytest.mark.parametrize("tag", ["MAGMOM", "PSTRESS", "ML_LMLFF", "ICHARG"])
def test_tags_that_make_another_kind_of_label_are_refused(tag):
    with pytest.raises(ValueError, match=f"{tag} (cannot be set|has one number per atom)"):
        Vasp(incar={tag: 1})


def test_r2scan_sets():
    scan = inputs.incar(material(["Al"], input_set="MPScanStaticSet"), ["Al"])
    assert (scan["METAGGA"], scan["LMIXTAU"], scan["ALGO"]) == ("R2scan", True, "Fast")
    assert "GGA" not in scan
    assert not {"LELF", "LVTOT", "LVHAR", "LAECHG"} & set(scan)
    matpes = material(["Al"], input_set="MatPESStaticSet", functional="r2SCAN")
    tags = inputs.incar(matpes, ["Al"])
    assert (tags["METAGGA"], tags["ALGO"], tags["ENCUT"]) == ("R2scan", "All", 680)
    assert "GGA" not in tags
    back = material(["Al"], input_set="MPScanStaticSet", functional="PBE")
    assert inputs.incar(back, ["Al"])["GGA"] == "Pe"
    assert "METAGGA" not in inputs.incar(back, ["Al"])


def test_unknown_sets_and_absent_potentials_are_said(potentials, monkeypatch):
    with pytest.raises(ConfigError, match=r"label.vasp.input_set: .*'MatPESStaticSet'"):
        material(["Al"], input_set="MatPES")
    vasp = material(["Al", "Po"], input_set="MPScanStaticSet", command="sh")
    problem = ENGINES["vasp"].problem
    assert "POTCAR" in problem(vasp, ["Al", "Po"])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", None)
    assert "set the environment variable PMG_VASP_PSP_DIR" in problem(vasp, ["Al", "Po"])


def test_a_label_with_a_set_and_its_hash(vasp_label, potentials, tmp_path):
    for symbol, valence in (("Fe_pv", 14.0), ("O", 6.0)):
        path = Path(potentials) / "POT_GGA_PAW_PBE_54" / symbol
        path.mkdir()
        title = POTCAR.format(symbol=symbol, valence=valence)
        (path / "POTCAR").write_text(title.replace(f"VRHFIN ={symbol}", f"VRHFIN ={symbol[:2]}"))

    def of(**changes):
        values = {"input_set": "MPScanStaticSet", "potentials": OXIDE, **changes}
        return make_engine(vasp_label(**values))

    hashes = {
        of().settings_hash, of(input_set=None, functional="r2SCAN", encut=680).settings_hash,
        of(incar={"ISPIN": 1}).settings_hash, of(functional="PBE").settings_hash,
        of(input_set="MPStaticSet", functional="r2SCAN", potential_set="PBE_54").settings_hash,
    }  # fmt: skip
    assert len(hashes) == 5
    assert of().settings_hash == of(keep="all").settings_hash
    atoms = Atoms("OFe", [[0, 0, 0], [2, 0, 0]], cell=[4, 4, 4], pbc=True)
    order = inputs.write_inputs(tmp_path, atoms, of().settings)
    assert order.tolist() == [1, 0]
    assert Incar.from_file(tmp_path / "INCAR")["MAGMOM"] == [5, 0.6]
    aluminium = make_engine(vasp_label(input_set="MPScanStaticSet", keep="all"))
    result = aluminium.calculate(Atoms("Al", cell=[2.6, 2.6, 2.6], pbc=True))
    assert (result.status, result.reason) == ("ok", "")
