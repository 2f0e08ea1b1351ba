"""Pages of landscape tables: one file that answers a click."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.io import write
from plotting import images, many_points
from polymorphkd.frames import from_atoms
from polymorphkd.plots.figure import Options, plot

ROOT = Path(__file__).resolve().parents[1]


class Page(HTMLParser):
    """Scripts and data of a page, and every address in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.data: dict = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.addresses += [values[k] for k in ("src", "href", "data") if k in values]
        self._in = values.get("id", "script") if tag == "script" else tag

    def handle_endtag(self, tag):
        self._in = ""

    def handle_data(self, data):
        if self._in == "data":
            self.data = json.loads(data)
        elif self._in == "script":
            self.scripts.append(data)
        else:
            self.text.append(data)


def page_of(*names: str, **options) -> Page:
    plot([Path(name) for name in names], Path("out.html"), Options(**options))
    return Page(Path("out.html").read_text())


def positions(structure: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(structure["positions"]), "<f4").reshape(-1, 3)


needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="node runs the script of the page"
)


def run_script(page: Page, *clicks: int) -> dict:
    """What the script of a page draws, at first and after clicks on rows of the table."""
    Path("data.json").write_text(json.dumps(page.data))
    Path("page.js").write_text(page.scripts[1])
    done = subprocess.run(
        ["node", str(ROOT / "tests/page_harness.js"), "data.json", "page.js", *map(str, clicks)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_page_is_one_file_with_everything_in_it(mapped):
    page = page_of("a.parquet", title="Salt & <aluminium>")
    assert page.addresses == []
    assert len(page.scripts) == 2
    assert "plotly.js v" in page.scripts[0][:200]
    assert page.scripts[1] == (ROOT / "scripts/polymorphkd/plots/page.js").read_text()
    assert "Salt & <aluminium>" in "".join(page.text)
    assert "12 of 12 points carry their structure" in "".join(page.text)


def test_page_names_every_point_as_the_table_does(mapped):
    table = pd.read_parquet("a.parquet")
    points = page_of("a.parquet", color="energy_per_atom").data["points"]
    assert points["id"] == table["frame_id"].tolist()
    assert points["index"] == table["source_index"].tolist()
    assert np.allclose(points["sS"], table["sS"], atol=1e-4)
    assert np.allclose(points["Q6"], table["Q6"], atol=1e-5)
    for name in ("formula", "source"):
        column = [points[name]["names"][i] for i in points[name]["of"]]
        assert column == table[name].tolist()
    for shown, value in zip(points["energy"], table["energy_per_atom"], strict=True):
        assert (shown is None) == np.isnan(value)
        assert shown is None or shown == pytest.approx(value, abs=1e-5)


def test_page_holds_the_structures_of_the_file(mapped):
    data = page_of("a.parquet").data
    frames = from_atoms(images())
    assert sorted(map(int, data["structures"])) == list(range(12))
    for i in range(12):
        structure, atoms = data["structures"][str(i)], frames.atoms(i)
        numbers = list(base64.b64decode(structure["numbers"]))
        assert numbers == atoms.numbers.tolist()
        atoms.wrap(eps=1e-4)
        assert np.allclose(positions(structure), atoms.positions, atol=1e-5)
        assert np.allclose(structure["cell"], atoms.cell.array.ravel(), atol=1e-4)
    assert data["elements"]["11"]["symbol"] == "Na"
    assert data["elements"]["17"]["colour"] == "#1ff01f"
    assert data["elements"]["13"]["radius"] == pytest.approx(covalent_radii[13])


def test_structures_are_capped_evenly_and_may_be_left_out(mapped):
    data = page_of("a.parquet", "b.parquet", structures=6).data
    assert len(data["structures"]) == 6
    sets = [data["points"]["set"]["of"][int(row)] for row in data["structures"]]
    assert sets.count(0) == sets.count(1) == 3
    assert "6 of 24 points carry their structure, evenly over the landscape" in data["notes"]
    none = page_of("a.parquet", structures=0).data
    assert none["structures"] == {}
    assert none["notes"] == ["structures left out (--structures 0)"]


def test_page_is_made_and_tells_when_structures_are_gone_or_changed(mapped):
    Path("a.xyz").rename("moved.xyz")
    line = plot([Path("a.parquet")], Path("out.html"))
    assert "a.xyz: no such file (12 structures left out)" in line
    moved = from_atoms(images())
    moved.positions[:4] += 0.1
    write("a.xyz", moved.to_atoms(), format="extxyz")
    data = page_of("a.parquet").data
    assert len(data["structures"]) == 11
    assert "a.xyz: changed since it was mapped (1 structures left out)" in data["notes"]
    pd.read_parquet("a.parquet").drop(columns="source").to_parquet("c.parquet")
    data = page_of("c.parquet").data
    assert data["notes"] == ["no structures: the table does not say which files they came from"]


def test_structures_are_found_beside_the_table_from_another_folder(mapped, monkeypatch):
    (mapped / "elsewhere").mkdir()
    monkeypatch.chdir(mapped / "elsewhere")
    assert len(page_of("../a.parquet").data["structures"]) == 12


def test_text_of_a_table_cannot_leave_its_place_in_the_page(mapped):
    bad = "</script><script>alert(1)</script><!--"
    table = pd.read_parquet("a.parquet").assign(formula=bad, phase=bad)
    table.to_parquet("bad.parquet")
    page = page_of("bad.parquet", color="phase")
    assert len(page.scripts) == 2
    assert page.data["points"]["formula"]["names"] == [bad]


def test_page_of_many_points_shows_their_density_and_says_so(mapped):
    many_points(30_000).to_parquet("many.parquet")
    page = page_of("many.parquet")
    assert len(page.data["points"]["id"]) == 5000
    counts = [v for row in page.data["density"]["log10_count"] for v in row if v is not None]
    assert sum(10**v for v in counts) == pytest.approx(30_000, rel=0.02)
    text = " ".join(page.data["notes"])
    assert "5,000 of 30,000 points, evenly over the landscape, can be hovered over" in text
    assert "density of all points" in text
    assert Path("out.html").stat().st_size < 8e6


@needs_node
def test_click_draws_the_structure_or_tells_what_to_open(mapped):
    page = page_of("a.parquet", "b.parquet", color="energy_per_atom", structures=16)
    there = int(next(iter(page.data["structures"])))
    absent = next(i for i in range(24) if str(i) not in page.data["structures"])
    drawn = run_script(page, there, absent)
    spots = [trace for trace in drawn["landscape"] if trace.get("customdata")]
    assert sorted(row for trace in spots for row in trace["customdata"]) == list(range(24))
    texts = {row: t for s in spots for row, t in zip(s["customdata"], s["text"], strict=True)}
    for row, text in texts.items():
        for known in (page.data["points"]["id"][row], "a.xyz, index", "sS: ", "Q6: "):
            assert known in text
        assert ("energy per atom" in text) == (page.data["points"]["energy"][row] is not None)
    bars = [trace["marker"].get("showscale") for trace in spots]
    assert bars.count(True) == 1

    shown, missing = drawn["clicks"]
    structure = page.data["structures"][str(there)]
    atoms = [trace for trace in shown["structure"] if trace["mode"] == "markers"]
    n_atoms = len(base64.b64decode(structure["numbers"]))
    assert sum(len(trace["x"]) for trace in atoms) == n_atoms
    found = sorted(map(tuple, np.vstack([np.array([t["x"], t["y"], t["z"]]).T for t in atoms])))
    assert np.allclose(found, sorted(map(tuple, positions(structure))), atol=1e-6)
    assert {t["marker"]["color"] for t in atoms} <= {
        e["colour"] for e in page.data["elements"].values()
    }
    (cell,) = [trace for trace in shown["structure"] if trace["mode"] == "lines"]
    lengths = np.linalg.norm(
        np.diff(np.array([cell["x"], cell["y"], cell["z"]], dtype=float), axis=1), axis=0
    )
    edges = np.linalg.norm(np.reshape(structure["cell"], (3, 3)), axis=1)
    assert np.allclose(sorted(lengths[np.isfinite(lengths)]), sorted(np.tile(edges, 4)))
    points = page.data["points"]
    assert shown["ring"] == {"x": [[points["sS"][there]]], "y": [[points["Q6"][there]]]}
    assert points["id"][there] in shown["about"]
    assert shown["message"] == ""
    assert missing["structure"] is None
    assert re.search(r"open a\.xyz, index \d+ \(counted from 0\)", missing["message"])


@needs_node
@pytest.mark.parametrize(("color", "told"), [("phase", "phase: bcc"), ("mass", "mass: 7.25")])
def test_hover_tells_what_the_colour_means(mapped, color, told):
    table = pd.read_parquet("a.parquet")
    table.assign(mass=np.arange(12) + 0.25).to_parquet("c.parquet")
    page = page_of("c.parquet", color=color)
    landscape = run_script(page)["landscape"]
    texts = {
        row: text
        for trace in landscape
        for row, text in zip(trace.get("customdata", []), trace.get("text", []), strict=True)
    }
    assert [row for row, text in texts.items() if told in text.split("<br>")] == (
        [1, 4, 7, 10] if color == "phase" else [7]
    )


def test_command_makes_a_figure_and_a_page_of_real_frames(tmp_path):
    from polymorphkd.landscape import points
    from polymorphkd.settings import Landscape

    frames = from_atoms(
        [bulk("Al", cubic=True), bulk("Al", "bcc", 3.2), Atoms("Al2", [[0] * 3, [2, 0, 0]])]
    )
    write(tmp_path / "a.xyz", frames.to_atoms(), format="extxyz")
    table = points(frames, Landscape(cutoff=3.4))
    table.assign(source="a.xyz", source_index=range(3)).to_csv(tmp_path / "a.csv", index=False)
    for out in ("a.png", "a.html"):
        done = subprocess.run(
            [sys.executable, "-m", "polymorphkd.cli", "plot", "a.csv", "-o", out],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"2 points -> {out}; 1 without sS not shown")
    page = Page((tmp_path / "a.html").read_text())
    assert len(page.data["structures"]) == 2
