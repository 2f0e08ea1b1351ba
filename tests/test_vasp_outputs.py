"""Real outputs of VASP, good and broken, and what must be concluded from each."""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ase.units import GPa
from polymorphkd.label.external import read_external, vasp_kind
from polymorphkd.label.vasp.messages import messages_of
from polymorphkd.label.vasp.outcar import read_outcar
from polymorphkd.label.vasp.output import judge
from polymorphkd.label.vasp.xml import read_xml

# Frames by status, the functional, and the free energy of the last whole step (eV).
EXPECTED = {
    "ok/static_silicon.vasprun.xml.gz": ({"rejected:encut": 1}, "PBE", -10.64527774),
    "ok/static_silicon.OUTCAR.gz": ({"rejected:encut": 1}, "PBE", -10.645278),
    "ok/relaxation_Li.vasprun.xml.gz": ({"ok": 3}, "PBE", -1.92459954),
    "ok/relaxation_Li.OUTCAR.gz": ({"ok": 3}, "PBE", -1.9246),
    "ok/vasprun.Al.xml.gz": ({"ok": 2}, "r2SCAN", -3.74204295),
    "ok/vasprun.LiF.xml.gz": ({"ok": 1}, "r2SCAN", -9.64589684),
    "ok/vasprun.r2scan.xml.gz": ({"ok": 1}, "r2SCAN", -11.89059065),
    "ok/vasprun.scan.xml.gz": ({"ok": 1}, "SCAN", -12.29645297),
    "ok/vasprun.etest1.xml.gz": ({"ok": 8}, "revPBE + vdW-DF", -11.217323),
    "ok/OUTCAR.etest1.gz": ({"ok": 8}, "revPBE + vdW-DF", -11.217323),
    "ok/vasprun.etest3.xml.gz": ({"ok": 9}, "PBE + dispersion", -15.92106087),
    "ok/OUTCAR.etest3.gz": ({"ok": 9}, "PBE + IVDW 12", -15.92106087),
    "ok/vasprun.xml.gz": (
        {"ok": 29}, "PBE hybrid (0.25 exchange, screening 0.207)", -269.38319884,
    ),
    "ok/vasprun.md.xml.gz": ({"ok": 10}, "PBE", -327.76427636),
    "ok/npt_common.OUTCAR.gz": ({"ok": 10}, "PBE", -369.08286247),
    "ok/OUTCAR_pass_sigma_check.gz": ({"ok": 3}, "PBE", -10.84147289),
    "ok/OUTCAR.Al.gz": ({"ok": 1}, "PBE", -3.743359),
    "ok/OUTCAR.gz": ({"ok": 5}, "PBE", -34.007267),
    "ok/vasprun.magmom_ldau.xml.gz": ({"ok": 3}, "PBE", -66.6133524),
    "ok/vasprun.charged.xml.gz": ({"rejected:charge": 5}, "PBE", -6.64614553),
    "ok/vasprun.GW0.xml.gz": ({"rejected:energy": 1}, None, None),
    "broken/vasprun.unconverged.xml.gz": ({"unconverged": 5}, "PBE", -134.33107279),
    "broken/vasprun.xml.ionic.gz": ({"ok": 2}, "PBE", -11.15700617),
    "broken/vasprun.dfpt.unconverged.xml.gz": ({"unconverged": 1}, None, None),
    "broken/vasprun.bad.xml.gz": ({"ok": 1, "truncated": 1}, None, -269.00551374),
    "broken/OUTCAR.stopped.gz": ({"unconverged": 1}, "PBE", -396.104188),
    "broken/OUTCAR.electrostaticerror.gz": ({"rejected:file": 19, "truncated": 1}, None, None),
    "broken/OUTCAR_merged_numbers.gz": ({"ok": 1}, "PBEsol", -13.93295368),
    "broken/vasprun.wrong_sp.xml.gz": ({"rejected:species": 1}, None, None),
    "broken/vasprun.bad_random_seed.xml.gz": ({"ok": 264}, "PBEsol", -219.56290804),
    "broken/vasprun.bad_fermi.xml.gz": ({"ok": 1}, "PBE", -10.84631357),
    "broken/max_force.vasprun.xml.gz": ({"ok": 3}, "PBE", -469.03407561),
    "broken/OUTCAR_fail_sigma_check.gz": ({"ok": 3}, "PBE", -10.86028327),
    "broken/scan_metal.vasprun.xml.gz": ({"rejected:setup": 2}, "r2SCAN", -3.74599651),
    "broken/nonconv.OSZICAR": ({"unconverged": 4}, None, None),
    "broken/positive_energy.OSZICAR": ({"rejected:energy": 1}, None, None),
    "broken/placeholder.vasprun.xml": ({"rejected:file": 1}, None, None),
}  # fmt: skip

MESSAGES = {
    "vasp.zbrent": "zbrent", "vasp.edddav": "edddav", "vasp.eddrmm": "eddrmm",
    "vasp.brmix": "brmix", "vasp.rhosyg": "rhosyg", "vasp.posmap": "posmap",
    "vasp.subspace": "subspacematrix", "vasp.pssyevx": "pssyevx",
    "vasp.real_optlay": "real_optlay", "vasp.nicht_konvergent": "nicht_konv",
    "vasp.too_few_bands_round_error": "too_few_bands", "vasp.too_few_bands": "too_few_bands",
    "vasp.symprec_noise": "symprec_noise", "vasp.algo_tet.gz": "algo_tet",
    "vasp.dfpt_ncore": "dfpt_ncore", "vasp6.bravais": "bravais", "vasp6.coef": "coef",
    "vasp6.point_group": "point_group", "vasp.aliasing": "aliasing",
    "std_err.txt.oom": "out_of_memory",
}  # fmt: skip


KINDS = ("OUTCAR", "vasprun", "OSZICAR")


def output_of(path):
    return read_xml(path) if vasp_kind(path) == "xml" else read_outcar(path)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_file_yields_what_its_run_was(shared_data, name):
    path = shared_data / "vasp" / name
    statuses, functional, energy = EXPECTED[name]
    rows = list(read_external(path))
    assert Counter(row.status for row in rows) == statuses
    assert [row.index for row in rows] == list(range(len(rows)))
    assert all(row.reason for row in rows if row.status != "ok")
    if functional is not None:
        assert rows[0].settings.functional == functional
    if energy is not None:
        assert output_of(path).steps[-1].energy == pytest.approx(energy, abs=1e-8)


def test_no_file_of_the_collection_is_left_out(shared_data):
    folder = shared_data / "vasp"
    files = {f"{p.parent.name}/{p.name}" for p in folder.glob("*/*")}
    runs = {name for name in files if any(kind in name for kind in KINDS)}
    assert runs == set(EXPECTED)
    others = {name.split("/")[1] for name in files - runs}
    assert others == set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_have_names(shared_data, name):
    assert MESSAGES[name] in messages_of(shared_data / "vasp" / "broken" / name)


def test_xml_and_outcar_of_one_run_agree(shared_data):
    for xml, outcar in (
        ("static_silicon.vasprun.xml.gz", "static_silicon.OUTCAR.gz"),
        ("relaxation_Li.vasprun.xml.gz", "relaxation_Li.OUTCAR.gz"),
        ("vasprun.etest1.xml.gz", "OUTCAR.etest1.gz"),
    ):
        one = read_xml(shared_data / "vasp/ok" / xml)
        two = read_outcar(shared_data / "vasp/ok" / outcar)
        assert one.settings.of_elements() == two.settings.of_elements()
        for a, b in zip(one.steps, two.steps, strict=True):
            assert a.n_scf == b.n_scf
            assert a.energy == pytest.approx(b.energy, abs=2e-6)
            assert a.energy_zero == pytest.approx(b.energy_zero, abs=2e-6)
            np.testing.assert_allclose(a.forces, b.forces, atol=2e-6)
            np.testing.assert_allclose(a.stress, b.stress, atol=1e-6)
            np.testing.assert_allclose(a.atoms.cell, b.atoms.cell, atol=1e-6)
            np.testing.assert_allclose(a.atoms.positions, b.atoms.positions, atol=1e-5)


def test_a_small_ediff_is_met_within_the_decimals_of_the_file(shared_data):
    output = read_xml(shared_data / "vasp/ok/vasprun.LiF.xml.gz")
    tight = replace(output, settings=replace(output.settings, ediff=1e-8))
    for change, status in ((1.9e-8, "ok"), (3e-8, "unconverged")):
        assert judge(tight, replace(output.steps[0], last_change=change))[0] == status


def test_signs_cells_and_what_is_absent(shared_data):
    compressed = read_outcar(shared_data / "vasp/ok/OUTCAR.etest1.gz").steps[-1]
    assert compressed.stress[0] == pytest.approx(-10.04358 * 0.1 * GPa)
    run = read_outcar(shared_data / "vasp/ok/npt_common.OUTCAR.gz")
    volumes = [step.atoms.get_volume() for step in run.steps]
    assert len(set(np.round(volumes, 3))) == 10
    assert min(volumes) == pytest.approx(1752.7, abs=0.5)
    assert max(volumes) == pytest.approx(1765.3, abs=0.5)
    silver = read_xml(shared_data / "vasp/broken/vasprun.xml.ionic.gz")
    assert all(step.stress is None for step in silver.steps)


def test_reasons_and_notes_say_what_a_person_must_know(shared_data):
    folder = shared_data / "vasp"
    stopped = read_outcar(folder / "broken/OUTCAR.stopped.gz")
    reason = judge(stopped, stopped.steps[0])[1]
    assert reason.startswith("stopped by the user; 100 of at most 100 electronic steps")
    assert "0.56 eV" in reason
    lithium = read_xml(folder / "ok/relaxation_Li.vasprun.xml.gz")
    assert "INCAR asks for ENCUT 600 eV, but 520 eV" in lithium.note
    assert read_xml(folder / "broken/vasprun.bad_random_seed.xml.gz").note == "264 of 300 MD steps"
    assert read_xml(folder / "broken/vasprun.xml.ionic.gz").note.startswith("tetrahedron")
    sigma = read_outcar(folder / "broken/OUTCAR_fail_sigma_check.gz").steps[-1]
    assert sigma.entropy == pytest.approx(0.0656, abs=1e-4)
    iron = read_xml(folder / "ok/vasprun.magmom_ldau.xml.gz").settings
    assert iron.of_elements()["Fe"] == "PAW_PBE Fe_pv 06Sep2000, U 5.3 eV"
    assert iron.common()["functional"] == "PBE + U"


def test_an_oszicar_tells_what_went_wrong(shared_data, tmp_path):
    folder = shared_data / "vasp/broken"
    *_, last = read_external(folder / "nonconv.OSZICAR")
    assert last.reason.startswith("10 electronic steps, last energy change 0.00057 eV")
    assert last.values["energy"] == pytest.approx(-3.5078944)
    (positive,) = read_external(folder / "positive_energy.OSZICAR")
    assert positive.reason.startswith("positive total energy, +46.58 eV")
    text = (folder / "nonconv.OSZICAR").read_text()
    (tmp_path / "OSZICAR").write_text(text[: text.index("3 F=")])
    rows = list(read_external(tmp_path / "OSZICAR"))
    assert [row.status for row in rows] == ["unconverged", "unconverged", "truncated"]
    good = [*text.splitlines()[:6], "   1 F= -.14009063E+01 E0= -.14009063E+01  d E =-.1E+01"]
    (tmp_path / "OSZICAR").write_text("\n".join(good) + "\n")
    (alone,) = read_external(tmp_path / "OSZICAR")
    assert alone.status == "rejected:forces"
    (tmp_path / "OSZICAR").write_text("nothing\n")
    assert [row.status for row in read_external(tmp_path / "OSZICAR")] == ["rejected:file"]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("name", ["ok/npt_common.OUTCAR.gz", "ok/vasprun.md.xml.gz"])
def test_a_file_cut_anywhere_gives_whole_steps_and_a_truncated_row(
    shared_data, tmp_path, name, share
):
    text = gzip.decompress((shared_data / "vasp" / name).read_bytes())
    cut = tmp_path / name.split("/")[1].removesuffix(".gz")
    cut.write_bytes(text[: int(share * len(text))])
    rows = list(read_external(cut))
    assert rows[-1].status == "truncated"
    assert {row.status for row in rows[:-1]} <= {"ok"}
    whole = output_of(shared_data / "vasp" / name).steps
    for row, step in zip(rows[:-1], whole, strict=False):
        assert row.values["energy"] == step.energy
        assert row.frame.labelled


@pytest.mark.parametrize("name", ["ok/npt_common.OUTCAR.gz", "ok/vasprun.md.xml.gz"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.999])
def test_a_compressed_file_may_be_cut_too(shared_data, tmp_path, name, share):
    packed = (shared_data / "vasp" / name).read_bytes()
    cut = tmp_path / name.split("/")[1]
    cut.write_bytes(packed[: int(share * len(packed))])
    rows = list(read_external(cut))
    assert rows[-1].status == "truncated"
    assert {row.status for row in rows[:-1]} <= {"ok"}
