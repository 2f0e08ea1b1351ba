"""Figures of landscape tables: readable, true to the data, and pages that answer a click."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.io import write
from polymorphkd.coverage import make_box
from polymorphkd.errors import InputError, StageError
from polymorphkd.frames import Frames, from_atoms
from polymorphkd.landscape.tables import read_sets
from polymorphkd.plots.figure import Options, draw, plot
from polymorphkd.plots.scene import Scene, limits_of, make_scene, relative_density
from polymorphkd.plots.style import DENSE, PALETTE, RC

ROOT = Path(__file__).resolve().parents[1]
PHASES = ["fcc", "bcc", "hcp"]


def images(n: int = 12) -> list[Atoms]:
    """Rattled cells of NaCl and Al, some atoms outside the cell."""
    result = []
    for i in range(n):
        atoms = bulk("NaCl", "rocksalt", 5.6) if i % 2 else bulk("Al", cubic=True)
        atoms.rattle(0.1, seed=i)
        atoms.positions += 20 * (i % 3)
        result.append(atoms)
    return result


def points_of(frames: Frames, source: str, seed: int = 0) -> pd.DataFrame:
    """A table as `polymorphkd map` writes it, with made-up coordinates."""
    rng = np.random.default_rng(seed)
    n = len(frames)
    return pd.DataFrame(
        {
            "frame_id": frames.frame_ids(),
            "sS": rng.uniform(-40, -2, n),
            "Q6": rng.uniform(0, 0.6, n),
            "n_atoms": frames.n_atoms,
            "note": "",
            "formula": [image.get_chemical_formula() for image in frames.to_atoms()],
            "energy_per_atom": np.where(np.arange(n) % 4 == 3, np.nan, rng.normal(-4, 0.2, n)),
            "source": source,
            "source_index": np.arange(n),
            "settings_digest": "d1",
            "phase": [PHASES[i % 3] for i in range(n)],
        }
    )


def many_points(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sS = rng.uniform(-40, -2, n)
    return pd.DataFrame(
        {
            "frame_id": [f"f{i:016x}" for i in range(n)],
            "sS": sS,
            "Q6": np.clip(0.6 + sS / 100 + rng.normal(0, 0.05, n), 0, 1),
            "energy_per_atom": rng.normal(-4, 0.2, n),
            "settings_digest": "d1",
            "phase": rng.choice(PHASES, n),
        }
    )


@pytest.fixture
def mapped(tmp_path, monkeypatch) -> Path:
    """A folder with structures in a.xyz, points of them in a.parquet and b.parquet; go there."""
    monkeypatch.chdir(tmp_path)
    frames = from_atoms(images())
    write("a.xyz", frames.to_atoms(), format="extxyz")
    points_of(frames, "a.xyz").to_parquet("a.parquet")
    points_of(frames, "a.xyz", seed=1).drop(columns="phase").to_parquet("b.parquet")
    return tmp_path


def scene_of(*names: str, color: str | None = None, limits=None) -> Scene:
    return make_scene(
        read_sets([Path(name) for name in names]), color, limits and make_box(limits)
    )


# images


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_images_are_written_whole_and_the_same_every_time(mapped, suffix, start):
    out = Path(f"out.{suffix}")
    line = plot([Path("a.parquet")], out, Options(color="phase"))
    assert line == f"12 points -> out.{suffix}"
    first = out.read_bytes()
    assert first.startswith(start)
    plot([Path("a.parquet")], out, Options(color="phase"))
    assert out.read_bytes() == first
    assert sorted(p.name for p in mapped.iterdir()) == sorted(
        ["a.parquet", "a.xyz", "b.parquet", out.name]
    )


CASES = [
    (("a",), Options(title="A title of the usual length")),
    (("a",), Options(color="energy_per_atom", limits=(-30, 0, 0, 0.5))),
    (("a",), Options(color="phase", kind="density")),
    (("a", "b"), Options(color="phase", title="Two sets")),
    (("a", "b"), Options(kind="density")),
    (("a", "b"), Options(color="energy_per_atom", kind="density")),
    (("many",), Options(color="density")),
    (("many",), Options(kind="scatter", color="phase")),
    (("names",), Options(color="phase", title="Names that are long")),
]


@pytest.fixture
def drawn(monkeypatch) -> list[plt.Text]:
    """Text that is really drawn; ticks outside the limits exist, but are not."""
    texts: list[plt.Text] = []
    whole = plt.Text.draw

    def recording(self, renderer, *arguments, **options):
        if self.get_visible() and self.get_text().strip():
            texts.append(self)
        return whole(self, renderer, *arguments, **options)

    monkeypatch.setattr(plt.Text, "draw", recording)
    return texts


@pytest.mark.parametrize(("names", "options"), CASES)
def test_no_text_of_a_figure_lies_on_other_text_or_beyond_the_edge(mapped, drawn, names, options):
    many_points(DENSE + 5).to_parquet("many.parquet")
    long = [f"a phase with quite a long name, number {i}" for i in range(12)]
    points_of(from_atoms(images()), "a.xyz").assign(phase=long).to_parquet("names.parquet")
    scene = scene_of(*(f"{n}.parquet" for n in names), color=options.color, limits=options.limits)
    with plt.rc_context(RC):
        fig = draw(scene, options)
        fig.canvas.draw()
        drawn.clear()
        fig.canvas.draw()
        shown = [(text.get_text(), text.get_window_extent()) for text in drawn]
        plt.close(fig)
    overlapping = [
        (a, b) for (a, one), (b, two) in combinations(shown, 2)
        if min(one.x1, two.x1) - max(one.x0, two.x0) > 1
        and min(one.y1, two.y1) - max(one.y0, two.y0) > 1
    ]  # fmt: skip
    assert overlapping == []
    width, height = fig.bbox.width, fig.bbox.height
    beyond = [
        t for t, b in shown if min(b.x0, b.y0) < 0 or b.x1 > width or b.y1 > height
    ]  # fmt: skip
    assert beyond == []
    assert "bond order Q6" in dict(shown)
    assert any("ordered" in text and "kB per atom" in text for text, _ in shown)


def test_axes_are_shared_and_order_is_on_the_left(mapped):
    with plt.rc_context(RC):
        fig = draw(scene_of("a.parquet"), Options())
        axes, above, right = fig.axes
        axes.set_xlim(-20, -5)
        assert above.get_xlim() == (-20, -5)
        assert right.get_ylim() == axes.get_ylim()
        fig_limits = scene_of("a.parquet").box
        plt.close(fig)
    points = pd.read_parquet("a.parquet")
    assert fig_limits.sS[0] < points["sS"].min() < points["sS"].max() < fig_limits.sS[1]


def test_categories_differ_in_colour_and_marker_and_are_counted(mapped):
    scene = scene_of("a.parquet", color="phase")
    assert [label for _, label in scene.legend] == ["bcc: 4", "fcc: 4", "hcp: 4"]
    assert len({look.colour for look, _ in scene.legend}) == 3
    assert len({look.marker for look, _ in scene.legend}) == 3
    rows = np.sort(np.concatenate([layer.rows for layer in scene.layers]))
    assert rows.tolist() == list(range(12))
    for layer in scene.layers:
        assert set(scene.points["phase"].iloc[layer.rows]) == {layer.look.name}


def test_two_sets_of_categories_differ_by_marker_and_one_lacks_the_column(mapped):
    scene = scene_of("a.parquet", "b.parquet", color="phase")
    labels = [label for _, label in scene.legend]
    assert labels == ["bcc: 4", "fcc: 4", "hcp: 4", "no value: 12", "a: 12", "b: 12"]
    markers = {layer.look.marker for layer in scene.layers if layer.look.name != "no value"}
    assert markers == {PALETTE[0].marker}
    assert scene.layers[-1].look.marker == PALETTE[1].marker


def test_more_categories_than_colours_become_others(mapped):
    n = len(PALETTE) + 4
    frames = many_points(1000).assign(phase=[f"p{min(i % 30, n)}" for i in range(1000)])
    frames.to_parquet("many.parquet")
    scene = scene_of("many.parquet", color="phase")
    assert len(scene.legend) == len(PALETTE)
    assert scene.legend[-1][1].startswith(f"{n + 1 - len(PALETTE) + 1} others: ")
    assert sum(len(layer.rows) for layer in scene.layers) == 1000


def test_numbers_make_a_scale_with_its_unit_and_missing_ones_are_told(mapped):
    scene = scene_of("a.parquet", color="energy_per_atom")
    assert scene.quantity == "energy per atom (eV)"
    assert scene.notes == ["3 without a value in grey"]
    assert np.isnan(scene.values).sum() == 3
    few = scene_of("a.parquet", color="n_atoms")  # two whole numbers name two categories
    assert few.values is None
    assert [label for _, label in few.legend] == ["2: 6", "4: 6"]


def test_a_few_outliers_do_not_take_the_whole_scale():
    values = np.append(np.linspace(-4, -3, 500), [500.0])
    low, high, extend = limits_of(values)
    assert (low, extend) == (-4.0, "max")
    assert -3.1 < high < -2.9
    assert limits_of(np.linspace(0, 1, 50)) == (0.0, 1.0, "neither")
    assert limits_of(np.full(4, 2.0)) == (1.5, 2.5, "neither")


def test_density_of_points_is_relative_and_highest_in_the_crowd():
    rng = np.random.default_rng(0)
    xy = np.vstack([rng.normal([-5, 0.1], [0.1, 0.002], (900, 2)),
                    rng.uniform([-40, 0], [0, 0.6], (100, 2))])  # fmt: skip
    density = relative_density(xy)
    assert density.max() == pytest.approx(1)
    assert density.min() > 0
    assert np.median(density[:900]) > 10 * np.median(density[900:])


def test_many_points_become_a_density_and_nothing_is_drawn_one_by_one(mapped):
    many_points(DENSE + 1).to_parquet("many.parquet")
    many_points(DENSE).to_parquet("fewer.parquet")
    with plt.rc_context(RC):
        dense = draw(scene_of("many.parquet"), Options())
        assert [bar.get_ylabel() for bar in dense.axes].count("points per cell") == 1
        sparse = draw(scene_of("fewer.parquet"), Options())
        assert not any(axes.get_ylabel() == "points per cell" for axes in sparse.axes)
        for fig in (dense, sparse):
            assert all(shape.get_rasterized() for shape in fig.axes[0].collections)
        plt.close(dense), plt.close(sparse)


def test_points_left_out_are_told(mapped):
    table = pd.read_parquet("a.parquet")
    table.loc[0, "sS"] = np.nan
    table.to_parquet("c.parquet")
    inside = (table["sS"] < -20) & (table["sS"] >= -45)
    scene = scene_of("c.parquet", limits=(-45, -20, 0, 1))
    assert len(scene.points) == inside.sum()
    assert scene.notes == [
        "1 without sS not shown", f"{11 - inside.sum()} outside the limits not shown",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "out", "options", "message"),
    [
        (["a.parquet"], "x.gif", Options(), r"x\.gif: allowed is \.png, \.svg, \.pdf or \.html"),
        (["a.parquet"], "no/x.png", Options(), "there is no folder no"),
        (["a.parquet"], "x.png", Options(color="colour"), "--color colour: no such column"),
        (["a.parquet"], "x.png", Options(limits=(0, -9, 0, 1)), "SS0 SS1 Q0 Q1"),
        (["a.parquet"], "x.html", Options(limits=(1, 9, 0, 1)), "none of the 12 points"),
        (["c.csv"], "x.png", Options(), "no such file"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(mapped, paths, out, options, message):
    before = sorted(path.name for path in mapped.iterdir())
    with pytest.raises(InputError, match=message):
        plot([Path(path) for path in paths], Path(out), options)
    assert sorted(path.name for path in mapped.iterdir()) == before
    pd.read_parquet("b.parquet").assign(settings_digest="d2").to_parquet("d.parquet")
    with pytest.raises(StageError, match="different settings"):
        plot([Path("a.parquet"), Path("d.parquet")], Path("x.png"))


# pages


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


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the script of the page")
def test_click_draws_the_structure_or_tells_what_to_open(mapped):
    page = page_of("a.parquet", "b.parquet", color="energy_per_atom", structures=16)
    Path("data.json").write_text(json.dumps(page.data))
    Path("page.js").write_text(page.scripts[1])
    there = int(next(iter(page.data["structures"])))
    absent = next(i for i in range(24) if str(i) not in page.data["structures"])
    done = subprocess.run(
        ["node", str(ROOT / "tests/page_harness.js"), "data.json", "page.js",
         str(there), str(absent)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    drawn = json.loads(done.stdout)
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


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the script of the page")
@pytest.mark.parametrize(("color", "told"), [("phase", "phase: bcc"), ("mass", "mass: 7.25")])
def test_hover_tells_what_the_colour_means(mapped, color, told):
    table = pd.read_parquet("a.parquet")
    table.assign(mass=np.arange(12) + 0.25).to_parquet("c.parquet")
    page = page_of("c.parquet", color=color)
    Path("data.json").write_text(json.dumps(page.data))
    Path("page.js").write_text(page.scripts[1])
    done = subprocess.run(
        ["node", str(ROOT / "tests/page_harness.js"), "data.json", "page.js"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    texts = {
        row: text
        for trace in json.loads(done.stdout)["landscape"]
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
