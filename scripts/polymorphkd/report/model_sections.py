"""Sections of the report about the models: errors, training, equation of state, LAMMPS."""

from __future__ import annotations

from typing import Any

from ..evaluate.gather import UNITS
from ..evaluate.models import MODELS as NAMES
from ..plots.style import MODELS
from .blocks import Block, FigureBlock, Origin, Section, TableBlock, TextBlock
from .collect import Run
from .error_figures import distribution_figures, parity_figures, quantities
from .landscape_figures import error_maps
from .model_figures import eos_figures, nve_figures, student_curves, teacher_curves

WORSE = 1.05
"""Ratio of errors on the few validation frames from which one model counts as worse."""

ERRORS = Origin("gather_errors", "evaluate/errors.json")


def result_section(run: Run) -> Section:
    """The numbers that most readers come for, in one table."""
    rows = []
    for name in ("dft", *NAMES):
        rmse, numbers = run.errors["rmse"].get(name), run.properties.get(name)
        if rmse is None and numbers is None:
            continue
        errors = ["-"] * 3 if rmse is None else [_number(rmse[key]) for key in UNITS.values()]
        values = ["-", "-"]
        if name in run.curves:
            numbers = run.curves[name]
            values = [f"{numbers['a0_A']:.4f}", f"{numbers['B0_GPa']:.1f}"]
        rows.append([MODELS[name].name, *errors, *values])
    columns = [
        "source", "energy (meV/atom)", "force (meV/Å)", "virial (meV/atom)", "a0 (Å)", "B0 (GPa)",
    ]  # fmt: skip
    caption = (
        f"RMSE on {run.errors['test']['frames']} held-out DFT frames; lattice constant and bulk "
        f"modulus of {run.settings.properties.structure} {run.settings.elements[0]}."
    )
    origins = [ERRORS, *_property_origins(run)]
    return Section("results", "Results", [TableBlock(columns, rows, caption, origins)])


def error_section(run: Run) -> Section:
    """Errors on the held-out DFT frames: numbers, parity, distributions, map."""
    frames = [Origin("evaluate_model", f"evaluate/{name}/frames.parquet") for name in NAMES]
    forces = [Origin("evaluate_model", f"evaluate/{name}/forces.parquet") for name in NAMES]
    parity = [
        FigureBlock(
            parity_figures(run, quantity), f"Predicted against DFT values: {title}.", origins
        )
        for quantity, title, origins in (
            ("force", "force components on the test set", forces),
            ("energy", "energy per atom on the test set", frames),
            ("virial", "components of the virial per atom on the test set", frames),
        )
        if quantity in quantities(run)
    ]
    boxes = FigureBlock(
        distribution_figures(run),
        "Signed errors on the test set (prediction minus DFT): the box spans the quartiles with "
        "the median in white, the whiskers reach the smallest and the largest error, and "
        "the curve is the normal one of the same mean and deviation. Where a grey band is drawn, "
        "the axis is linear within and logarithmic outside.",
        [ERRORS],
    )
    maps = FigureBlock(
        error_maps(run),
        "Where on the landscape teacher and students err: force RMSE of every test frame, and the "
        "students' change by distillation (green is better). Open circles: forces that vanish by "
        "symmetry, on which no model errs. Grey: the library.",
        frames,
    )
    blocks: list[Block] = [_error_table(run.errors), boxes, _distribution_table(run.errors)]
    blocks += [*parity, maps, _cell_table(run.errors)]
    return Section("errors", "Errors", blocks)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def _error_table(errors: dict[str, Any]) -> TableBlock:
    rows = [
        [
            MODELS[name].name,
            *(_number(errors["rmse"][name][key]) for key in UNITS.values()),
            *(_number(errors["mae"][name][key]) for key in UNITS.values()),
        ]
        for name in NAMES
    ]
    test = errors["test"]
    return TableBlock(
        [
            "model", "RMSE energy (meV/atom)", "RMSE force (meV/Å)", "RMSE virial (meV/atom)",
            "MAE energy", "MAE force", "MAE virial",
        ],
        rows,
        f"Errors on {test['frames']} held-out DFT frames ({test['force_components']:,} force "
        "components). Force: over all components of all test atoms. Energy: total energy per "
        "atom, one value per frame, compared as it is, without any shift. Virial: over the nine "
        "components of the tensor per atom of every frame that has a stress, as dp test counts.",
        [ERRORS],
    )  # fmt: skip


def _distribution_table(errors: dict[str, Any]) -> TableBlock:
    keys = ("min", "q1", "median", "q3", "max", "mean", "std")
    spread = errors["distribution"]
    rows = [
        [f"{quantity}, {name}", *(_number(spread[name][unit][key]) for key in keys)]
        for quantity, unit in UNITS.items()
        for name in NAMES
        if spread[name][unit] is not None
    ]
    return TableBlock(
        ["signed errors", "min", "quartile 1", "median", "quartile 3", "max", "mean", "std"],
        rows,
        "Distribution of the signed errors: energy and virial in meV/atom, force in meV/Å.",
        [ERRORS],
        title="Distribution of the errors in numbers",
    )


def _cell_table(errors: dict[str, Any]) -> TableBlock:
    edges = errors["cells"]["edges"]

    def interval(axis: str, index: int, digits: int) -> str:
        low, high = edges[axis][index], edges[axis][index + 1]
        return f"{low:.{digits}f} to {high:.{digits}f}"

    rows = [
        [
            interval("sS", cell["sS"], 1),
            interval("Q6", cell["Q6"], 2),
            str(cell["frames"]),
            *(_number(cell["force_meV_per_A"][name]) for name in NAMES),
        ]
        for cell in errors["cells"]["cells"]
    ]
    return TableBlock(
        ["sS (kB per atom)", "Q6", "test frames", *(f"{name} (meV/Å)" for name in NAMES)],
        rows,
        "Force RMSE per occupied landscape cell (the cells that the split walks).",
        [ERRORS],
        (0, 1),
        "Force errors per landscape cell in numbers",
    )


def _not_learned(run: Run) -> str:
    """Training frames whose energy a teacher has wrong, though it has those of the others."""
    found = [
        (one["frame_id"], one["energy_error_meV_per_atom"])
        for metrics in run.teachers.values()
        for one in metrics.get("unlearned", [])
    ]
    lost = dict(sorted(found, key=lambda one: abs(one[1])))  # the worst model's word on a frame
    if not lost:
        return ""
    named = ", ".join(f"{frame} ({error:+.0f} meV/atom)" for frame, error in lost.items())
    return (
        f" Energies of its own training frames that it did not learn: {named}. Their labels are "
        "wrong, or they are too unlike the others (see the log of train_teacher)."
    )


def _restarts(run: Run) -> str:
    """Which models were restarted, because of which frames, and whether it helped."""
    text = ""
    for name, metrics in run.teachers.items():
        for record in metrics.get("restarts", []):
            frames = ", ".join(one["frame_id"] for one in record["unlearned"])
            end = "learned more of them" if record["kept"] else "was no better and is left out"
            text += (
                f" {name} had left its training frames {frames} unlearned (are their labels "
                f"right?); a warm restart {end}."
            )
    return text


def training_section(run: Run) -> Section:
    """Learning curves of teacher and students."""
    blocks: list[Block] = []
    if run.teachers:
        files = [f"teacher/metrics_{k}.json" for k in range(len(run.teachers))]
        caption = "Errors of the teacher on the validation set while it trains."
        if any("stage" in point for m in run.teachers.values() for point in m["learning_curve"]):
            caption += " Stage two weighs energies and stresses more."
        caption += _restarts(run)
        starts = {m["foundation"]["file"] for m in run.teachers.values() if "foundation" in m}
        if starts:
            caption += f" The training started from the weights of {', '.join(sorted(starts))}."
        caption += _not_learned(run)
        origins = [Origin("train_teacher", file) for file in files]
        blocks.append(FigureBlock(teacher_curves(run), caption, origins))
    else:
        blocks.append(TextBlock("No teacher was trained: its models came from outside this run."))
    if run.students:
        origins = [
            Origin("train_student", f"student/{name}/metrics.json") for name in run.students
        ]
        if curves := student_curves(run):
            blocks.append(
                FigureBlock(
                    curves,
                    "Force errors of single batches (dots) and their running root mean square. "
                    "Training batches of dnn-kd hold frames with DFT and with teacher labels.",
                    origins,
                )
            )
        blocks.append(_student_table(run.students, origins))
        blocks.extend(_advice(run))
    return Section("training", "Training", blocks)


def _advice(run: Run) -> list[Block]:
    """What to try where the teacher's energies seem to have spoiled those of its student."""
    models = {**run.students, **run.teachers}
    energy = {
        name: metrics.get("rmse", metrics)["valid"]["energy_meV_per_atom"]
        for name, metrics in models.items()
    }
    if "energy" not in run.settings.student.taught or not {"dnn", "dnn-kd"} <= set(energy):
        return []
    dnn, distilled = energy.pop("dnn"), energy.pop("dnn-kd")
    # A teacher that came from outside has no errors here; it may be the cause as well.
    if distilled < WORSE * dnn or min(energy.values(), default=distilled) < dnn:
        return []
    return [
        TextBlock(
            f"On validation frames the energies of dnn-kd ({distilled:.1f} meV/atom) are worse "
            f"than those of dnn ({dnn:.1f}), and the teacher's, as far as known here, are no "
            "better. student.taught leaves out some of its labels; a student.scan with {all: {}, "
            "no-energy: {taught: [forces, virial]}, forces: {taught: [forces]}} compares."
        )
    ]


def _student_table(students: dict[str, dict[str, Any]], origins: list[Origin]) -> TableBlock:
    rows = [
        [
            MODELS[name].name,
            str(metrics["frames"]["dft"]),
            str(metrics["frames"].get("teacher", 0)),
            ", ".join(metrics.get("taught", [])) or "-",  # absent in older runs
            *_family_cells(metrics),
            f"{metrics['seconds']:.0f}",
            _number(metrics["rmse"]["valid"]["energy_meV_per_atom"]),
            _number(metrics["rmse"]["valid"]["force_meV_per_A"]),
        ]
        for name, metrics in students.items()
    ]
    linear = any(metrics.get("kind") == "pod" for metrics in students.values())
    columns = [
        "student", "frames with DFT labels", "frames with teacher labels", "which labels",
        *(["coefficients"] if linear else ["steps", "change of a force by compression (eV/Å)"]),
        "seconds", "RMSE on validation frames: energy (meV/atom)", "force (meV/Å)",
    ]  # fmt: skip
    same = "The basis is the same." if linear else "Network, steps and learning rate are the same."
    return TableBlock(columns, rows, f"What each student learned from. {same}", origins)


def _family_cells(metrics: dict[str, Any]) -> list[str]:
    """What only students of one family have."""
    if metrics.get("kind") == "pod":
        return [str(metrics["coefficients"])]
    change = metrics["compression"]["max_force_difference_eV_per_A"]
    return [f"{metrics['steps']:,}", f"{change:.1e}"]


def property_section(run: Run) -> Section:
    """Equation of state: lattice constant and bulk modulus of every model."""
    if not run.properties:
        return Section("properties", "Equation of state", [TextBlock("Not part of this run.")])
    origins = _property_origins(run)
    blocks: list[Block] = [_property_table(run, origins)]
    for name, numbers in run.properties.items():
        if "problem" in numbers:
            blocks.append(TextBlock(f"{MODELS[name].name}: {numbers['problem']}."))
    if run.curves:
        caption = (
            "Energy against volume, each curve from its own minimum; and the models' energies "
            "minus DFT's at the same volumes, without any shift."
        )
        blocks.append(FigureBlock(eos_figures(run), caption, origins))
    if "dft" not in run.properties:
        blocks.append(TextBlock("No DFT curve: the labels came from outside this run."))
    return Section("properties", "Equation of state", blocks)


def _property_origins(run: Run) -> list[Origin]:
    return [
        Origin("scan_volumes_dft" if name == "dft" else "scan_volumes", f"properties/{name}.json")
        for name in run.properties
    ]


def _property_table(run: Run, origins: list[Origin]) -> TableBlock:
    dft = run.curves.get("dft")

    def error(numbers: dict[str, Any], key: str) -> str:
        if dft is None or numbers is dft:
            return "-"
        return f"{100 * (numbers[key] / dft[key] - 1):+.2f}"

    rows = []
    for name, look in MODELS.items():
        if name in run.curves:
            numbers = run.curves[name]
            rows.append(
                [
                    look.name,
                    f"{numbers['a0_A']:.4f}",
                    error(numbers, "a0_A"),
                    f"{numbers['B0_GPa']:.1f}",
                    error(numbers, "B0_GPa"),
                    f"{numbers['E0_eV_per_atom']:.4f}",
                ]
            )
        elif name in run.properties:
            rows.append([look.name, "no minimum", "-", "-", "-", "-"])
    structure = next(iter(run.properties.values()))["structure"]
    return TableBlock(
        ["source", "a0 (Å)", "error (%)", "B0 (GPa)", "error (%)", "E0 (eV/atom)"],
        rows,
        f"{structure} at zero pressure: third-order Birch-Murnaghan fits to "
        f"{run.settings.properties.points} volumes; DFT with the settings of the labels.",
        origins,
    )


def nve_section(run: Run) -> Section:
    """Constant-energy run of the distilled student in LAMMPS."""
    title = "LAMMPS run"
    if run.nve is None:
        return Section("nve", title, [TextBlock("Not part of this run.")])
    numbers = run.nve
    rows = [
        ["verdict", "passed" if numbers["passed"] else f"failed: {numbers['reason']}"],
        ["atoms", str(numbers["n_atoms"])],
        ["steps", f"{numbers['steps']:,} of {run.settings.deploy.timestep:g} fs"],
    ]
    for key, label in (
        ("drift_meV_per_atom_per_ps", "drift of the total energy (meV per atom per ps)"),
        ("fluctuation_meV_per_atom", "fluctuation about the drift (meV per atom)"),
        ("temperature_mean_K", "mean temperature, second half (K)"),
        ("us_per_atom_step", "cost (µs per atom and step, on one core)"),
        ("timing_atoms", "atoms of the run that measured it"),
        ("forces_agree_eV_per_A", "largest difference to Python's forces (eV/Å)"),
    ):
        if numbers.get(key) is not None:
            rows.append([label, f"{numbers[key]:.3g}"])
    table = TableBlock(
        ["quantity", "value"],
        rows,
        "The dnn-kd at constant energy, in the LAMMPS input that lies beside it.",
        [Origin("check_lammps", "deploy/dnn-kd/nve.json")],
    )
    blocks: list[Block] = [table]
    if run.nve_curve is not None and len(run.nve_curve):
        origin = [Origin("check_lammps", "deploy/dnn-kd/nve.csv")]
        caption = "Total energy and temperature along the run; the crystal starts rattled."
        blocks.append(FigureBlock(nve_figures(run), caption, origin))
    return Section("nve", title, blocks)
