"""Errors of labels against the finest settings, and the coarsest settings that will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from ase.units import GPa

from ...errors import StageError
from ...frames import Frames
from ...settings import Converge, Label
from .scan import in_use

MEV = 1000.0
"""meV in an eV."""


def errors(scans: Mapping[str, Frames], converge: Converge) -> pd.DataFrame:
    """Errors of every label of the scans.

    Parameters
    ----------
    scans : mapping of str to Frames
        By name of the frame, as :func:`scan_frame` returns them.
    converge : Converge

    Returns
    -------
    DataFrame
        One row per frame and setting: frame, frame_id, n_atoms, volume_per_atom (Å^3),
        kspacing (1/Å), cutoff (eV), status, reason, energy (eV/atom), energy_error
        (meV/atom, against the finest), difference_error (meV/atom: the same less its mean
        over the frames; a shift of all energies alike harms no potential), force_rmse (meV/Å,
        over the 3 N components), force_max (meV/Å, largest norm of an atom's error vector),
        pressure_error (GPa), seconds and engine.  Errors are NaN where a label or its
        reference failed.

    Raises
    ------
    StageError
        No frame has a label at the finest settings, so that there is nothing to compare with.
    """
    table = pd.concat([_of_frame(name, one, converge) for name, one in scans.items()])
    finest = table[_is_finest(table, converge)]
    if not (finest["status"] == "ok").any():
        reasons = "; ".join(f"{r.frame}: {r.status}: {r.reason}" for r in finest.itertuples())
        raise StageError(
            f"label.converge: no frame could be labelled at the finest settings ({reasons}); "
            "choose others, or see the log of scan_convergence"
        )
    shift = table.groupby(["kspacing", "cutoff"])["energy_error"].transform("mean")
    found = table.groupby(["kspacing", "cutoff"])["energy_error"].transform("count")
    difference = (table["energy_error"] - shift).where(found > 1)
    table.insert(list(table.columns).index("force_rmse"), "difference_error", difference)
    return table.reset_index(drop=True)


def _is_finest(table: pd.DataFrame, converge: Converge) -> pd.Series:
    return (table["kspacing"] == min(converge.kspacings)) & (
        table["cutoff"] == max(converge.cutoffs)
    )


def _of_frame(name: str, scan: Frames, converge: Converge) -> pd.DataFrame:
    meta, n = scan.meta, int(scan.n_atoms[0])
    assert scan.energy is not None
    assert scan.forces is not None
    assert scan.stress is not None
    reference = int(np.flatnonzero(_is_finest(meta, converge))[0])
    forces = scan.forces.reshape(len(scan), n, 3)
    pressure = -scan.stress[:, :3].mean(axis=1) / GPa
    off = MEV * np.linalg.norm(forces - forces[reference], axis=2)
    return pd.DataFrame(
        {
            "frame": name,
            "frame_id": scan.frame_ids(),
            "n_atoms": n,
            "volume_per_atom": scan.volumes / n,
            **{key: meta[key] for key in ("kspacing", "cutoff", "status", "reason")},
            "energy": scan.energy / n,
            "energy_error": MEV * (scan.energy - scan.energy[reference]) / n,
            "force_rmse": np.sqrt((off**2).mean(axis=1) / 3),
            "force_max": off.max(axis=1),
            "pressure_error": pressure - pressure[reference],
            **{key: meta[key] for key in ("seconds", "engine")},
        }
    )


def by_setting(table: pd.DataFrame, settings: Label) -> pd.DataFrame:
    """The worst of the frames at every setting, and which settings will do.

    Parameters
    ----------
    table : DataFrame
        Of :func:`errors`.
    settings : Label
        With ``converge``, and the settings in use.

    Returns
    -------
    DataFrame
        One row per setting, first along the k-spacings, then along the cutoffs, coarse to
        fine, then the settings in use where they are none of these: scan (``kspacing``,
        ``cutoff``, ``present``), kspacing, cutoff, n_ok (frames with a label), the largest
        absolute energy_error and difference_error (meV/atom), force_rmse, force_max (meV/Å)
        and pressure_error (GPa), seconds (mean), within (difference_error and force_rmse
        keep the tolerances in all frames), mark (``finest``, ``present``, ``coarsest within
        tolerances``: it and all finer ones of its scan are within, and it is not the finest).
    """
    converge, present = settings.converge, in_use(settings)
    assert converge is not None
    worst = (
        table.assign(
            energy_error=table["energy_error"].abs(),
            difference_error=table["difference_error"].abs(),
            pressure_error=table["pressure_error"].abs(),
            n_ok=table["status"] == "ok",
        )
        .groupby(["kspacing", "cutoff"])
        .agg(
            n_ok=("n_ok", "sum"),
            energy_error=("energy_error", "max"),
            difference_error=("difference_error", "max"),
            force_rmse=("force_rmse", "max"),
            force_max=("force_max", "max"),
            pressure_error=("pressure_error", "max"),
            seconds=("seconds", "mean"),
        )
    )
    worst["within"] = (
        (worst["n_ok"] == table["frame"].nunique())
        & (worst["difference_error"] <= converge.tolerance_energy)
        & (worst["force_rmse"] <= converge.tolerance_force)
    )
    k, c = min(converge.kspacings), max(converge.cutoffs)
    order = [("kspacing", one, c) for one in sorted(converge.kspacings, reverse=True)]
    order += [("cutoff", k, one) for one in sorted(converge.cutoffs)]
    if list(present) not in [pair for _, *pair in order]:
        order.append(("present", *present))
    rows = pd.DataFrame(order, columns=["scan", "kspacing", "cutoff"])
    rows = rows.join(worst, on=["kspacing", "cutoff"])
    rows["mark"] = _marks(rows, (k, c), present)
    return rows


def _marks(
    rows: pd.DataFrame, finest: tuple[float, float], present: tuple[float, float]
) -> list[str]:
    coarsest = set()
    for scan in ("kspacing", "cutoff"):
        one = rows[rows["scan"] == scan]
        # From the finest on, as far as it stays within.
        kept = one["within"].iloc[::-1].cummin()
        if kept.sum() > 1:
            coarsest.add(kept[kept].index[-1])
    marks = []
    for i, row in rows.iterrows():
        pair = (row["kspacing"], row["cutoff"])
        words = [
            *(["finest"] if pair == finest else []),
            *(["present"] if pair == present else []),
            *(["coarsest within tolerances"] if i in coarsest else []),
        ]
        marks.append(", ".join(words))
    return marks


UNITS = {"kspacing": ("k-spacing", "1/Å"), "cutoff": ("cutoff", "eV")}


def sentences(rows: pd.DataFrame, converge: Converge) -> list[str]:
    """What the scan says, for the log and the report: a line per variable, one on the present.

    Parameters
    ----------
    rows : DataFrame
        Of :func:`by_setting`.
    converge : Converge
    """
    limits = f"{converge.tolerance_energy:g} meV/atom and {converge.tolerance_force:g} meV/Å"
    found = []
    for scan, (name, unit) in UNITS.items():
        one = rows[(rows["scan"] == scan) & rows["mark"].str.contains("coarsest")]
        if not len(one):
            found.append(
                f"{name}: only the finest of the scan is within {limits}; scan finer ones, or "
                "allow more"
            )
            continue
        row = one.iloc[0]
        found.append(
            f"{name}: {row[scan]:g} {unit} is the coarsest within {limits} ({_numbers(row)})"
        )
    present = rows[rows["mark"].str.contains("present")].iloc[0]
    verdict = "within" if present["within"] else "NOT within"
    found.append(
        f"in use: k-spacing {present['kspacing']:g} 1/Å, cutoff {present['cutoff']:g} eV: "
        f"{_numbers(present)}; {verdict} the tolerances"
    )
    return found


def _numbers(row: Any) -> str:
    if np.isnan(row["force_rmse"]):
        return "no label at all"
    return (
        f"{row['difference_error']:.2g} meV/atom, {row['force_rmse']:.2g} meV/Å, "
        f"{row['pressure_error']:.2g} GPa, {row['seconds']:.1f} s per label"
    )
