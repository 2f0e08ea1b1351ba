"""Part of the report about the scan of k-spacing and cutoff."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from ..label.converge import by_setting, sentences
from ..label.converge.figure import draw
from ..plots.style import as_uri
from ..settings import Label
from .blocks import Block, FigureBlock, Image, Origin, TableBlock

COLUMNS = [
    "setting", "k-spacing (1/Å)", "cutoff (eV)", "frames", "energy, shift removed (meV/atom)",
    "energy (meV/atom)", "force RMSE (meV/Å)", "largest force error (meV/Å)",
    "pressure (GPa)", "seconds",
]  # fmt: skip


def convergence_blocks(table: pd.DataFrame, label: Label) -> list[Block]:
    """Figure and table of a scan.

    Parameters
    ----------
    table : DataFrame
        label/convergence.parquet.
    label : Label
        With ``converge``.
    """
    assert label.converge is not None
    rows = by_setting(table, label)
    drawn = draw(table, label)
    image = Image(as_uri(drawn), "Errors of labels over k-spacing and over cutoff")
    plt.close(drawn)
    text = "; ".join(sentences(rows, label.converge))
    origin = [Origin("gather_convergence", "label/convergence.parquet")]
    figure = FigureBlock(
        [image],
        "What k-spacing and cutoff cost in accuracy: errors against the finest settings, on "
        f"the densest, a typical and the sparsest frame; one varies, the other is at its "
        f"finest. {text}.",
        origin,
        wide=True,
    )
    body = [
        [
            row["mark"], f"{row['kspacing']:g}", f"{row['cutoff']:g}", str(row["n_ok"]),
            *(f"{row[name]:.2f}" for name in ("difference_error", "energy_error")),
            *(f"{row[name]:.1f}" for name in ("force_rmse", "force_max")),
            f"{row['pressure_error']:.3f}", f"{row['seconds']:.1f}",
        ]
        for _, row in rows.iterrows()
    ]  # fmt: skip
    caption = (
        "The worst of the three frames at each setting, against the finest; the seconds are "
        "their mean. The shift is the mean error of the three, which harms no potential."
    )
    return [figure, TableBlock(COLUMNS, body, caption, origin, title="Numbers of the scan")]
