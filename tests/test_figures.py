"""Figures of landscape tables: readable, and true to the data."""

from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from plotting import images, many_points, points_of, scene_of
from polymorphkd.errors import InputError, StageError
from polymorphkd.frames import from_atoms
from polymorphkd.plots.figure import Options, draw, plot
from polymorphkd.plots.scene import limits_of, relative_density
from polymorphkd.plots.style import DENSE, PALETTE, RC


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
