"""The report of a small synthetic run: right numbers, one file, honest about what is absent."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from polymorphkd.count import count_frames
from polymorphkd.errors import InputError
from polymorphkd.evaluate import compare, gather, with_cells
from polymorphkd.frames import Frames, from_atoms, write_frames
from polymorphkd.generate.filling import filling
from polymorphkd.landscape.grid import Box
from polymorphkd.provenance import write_json
from polymorphkd.report import collect, git_commit, render, summarise, versions
from polymorphkd.report.blocks import TextBlock
from polymorphkd.report.costs import read_costs, stage_costs
from polymorphkd.report.model_sections import training_section
from polymorphkd.report.verdict import headline, targets
from polymorphkd.select import select_rounds
from polymorphkd.settings import Select, Settings

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "workflow" / "report" / "report.html.j2"
FRAMESETS = ["seeds", "library", "standard", "supplementary", "labelled"]
SCALE = {"teacher": 0.03, "dnn": 0.10, "dnn-kd": 0.05}
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def reference_frames() -> Frames:
    """Six fcc cells with made-up labels; forces of 1 eV/Å where a sign makes them."""
    rng = np.random.default_rng(0)
    frames = from_atoms([bulk("Al", cubic=True, a=4 + 0.02 * i) for i in range(6)])
    frames.energy = -3.5 * frames.n_atoms
    frames.forces = rng.choice([-1.0, 1.0], (len(frames.numbers), 3))
    frames.stress = rng.normal(0, 0.01, (6, 6))
    return frames


def landscape_points(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "frame_id": [f"{seed:02d}{i:014d}" for i in range(n)],
            "sS": rng.uniform(-40, -2, n),
            "Q6": rng.uniform(0, 0.6, n),
            "n_atoms": 4,
            "volume_per_atom": rng.uniform(13, 20, n),
            "settings_digest": "a",
        }
    )


def write_errors(folder: Path) -> None:
    """Every force component of a model off by its SCALE (eV/Å), energies by 2 meV/atom."""
    reference = reference_frames()
    everything = landscape_points(30, 4)
    tables = {}
    for model, scale in SCALE.items():
        answer = reference.take(range(6))
        answer.energy = reference.energy + 0.002 * reference.n_atoms
        answer.forces = reference.forces * (1 + scale)
        answer.stress = reference.stress.copy()
        frames, forces = compare(reference, answer)
        frames = frames.assign(**everything.loc[:5, ["sS", "Q6", "volume_per_atom"]])
        frames = with_cells(frames, everything, 3)
        tables[model] = (frames, forces)
        (folder / "evaluate" / model).mkdir(parents=True)
        frames.to_parquet(folder / "evaluate" / model / "frames.parquet")
        forces.to_parquet(folder / "evaluate" / model / "forces.parquet")
    write_json(folder / "evaluate" / "errors.json", gather(tables, np.random.default_rng(0)))


def write_data(folder: Path) -> None:
    (folder / "landscape").mkdir()
    for seed, (name, n) in enumerate(zip(FRAMESETS, (5, 200, 12, 40, 10), strict=True)):
        landscape_points(n, seed).to_parquet(folder / "landscape" / f"{name}.parquet")
    write_json(folder / "landscape" / "settings.json", {"cutoff": 3.4, "sigma": 0.1, "rmax": 8.0})
    box = Box((-50.0, 0.0), (0.0, 0.7))
    outcome = {"mutants": {"accepted": 300, "distance": 100}, "ended": {"budget": 2}}
    size = {"library": 200, "box": {"sS": box.sS, "Q6": box.Q6}, "grid": 10}
    write_json(folder / "generate" / "outcome.json", {**outcome, **size})
    born = {"target": np.arange(200) % 2, "generation": np.arange(200) // 50}
    filling(landscape_points(200, 1).assign(**born), box, 10).to_parquet(
        folder / "generate" / "filling.parquet"
    )
    pd.DataFrame({"target": [0, 1], "sS": [-45.0, -1.0], "Q6": [0.0, 0.65]}).to_csv(
        folder / "generate" / "targets.tsv", sep="\t", index=False
    )
    settings = Select(standard={"count": 12}, supplementary=[{"count": 40}, {"count": 9}])
    report = select_rounds(landscape_points(200, 1), settings, 1, "Al").report
    write_json(folder / "select" / "coverage.json", report)
    (folder / "label").mkdir()
    pd.DataFrame(
        {
            "frame_id": [f"{i:016d}" for i in range(12)],
            "status": ["ok"] * 9 + ["unconverged", "rejected:max_force", "rejected:max_force"],
            "reason": [""] * 9
            + [
                "not converged in 80 SCF steps",
                "<i>21</i> above & over 15",
                "<i>1.8e+1</i> above & over 15",
            ],
            "seconds": 5.0,
            "engine": "gpaw 26.7.0",
        }
    ).to_parquet(folder / "label" / "records.parquet")
    (folder / "relabel").mkdir()
    pd.DataFrame({"frame_id": ["a", "b"], "status": ["ok", "dropped:near_test"]}).to_parquet(
        folder / "relabel" / "records.parquet"
    )
    frames = reference_frames()
    for name, n in (("train", 3), ("valid", 1), ("test", 6)):
        write_frames(folder / "split" / f"{name}.extxyz", frames.take(range(n)))


def write_models(folder: Path) -> None:
    curve = [
        {"epoch": i, "stage": 1 + i // 3, "force_meV_per_A": 90.0 - i,
         "energy_meV_per_atom": 9.0 - i}
        for i in range(6)
    ]  # fmt: skip
    valid = {"energy_meV_per_atom": 2.6, "force_meV_per_A": 60.0}
    write_json(folder / "teacher" / "metrics_0.json", {"learning_curve": curve, "valid": valid})
    for variant, n_teacher, energy in (("dnn", 0, 2.5), ("dnn-kd", 38, 2.0)):
        write_json(
            folder / "student" / variant / "metrics.json",
            {
                "frames": {"dft": 3, "teacher": n_teacher},
                "taught": ["energy", "forces", "virial"] if n_teacher else [],
                "steps": 60000,
                "seconds": 300.0,
                "compression": {"max_force_difference_eV_per_A": 1e-7},
                "rmse": {"valid": {"energy_meV_per_atom": energy, "force_meV_per_A": 70.0}},
                "learning_curve": {
                    "step": [0.0, 1.0],
                    "force_train_eV_per_A": [1.0, 0.1],
                    "force_valid_eV_per_A": [1.1, 0.2],
                },
            },
        )
    values = {"dft": (4.00, 80), "teacher": (4.01, 81), "dnn": (4.05, 70), "dnn-kd": (4.02, 76)}
    for name, (a0, modulus) in values.items():
        write_json(
            folder / "properties" / f"{name}.json",
            {
                "structure": "fcc", "a0_A": a0, "B0_GPa": modulus, "E0_eV_per_atom": -3.5,
                "volumes_A3_per_atom": [15.0, 16.0, 17.0],
                "energies_eV_per_atom": [-3.4, -3.5, -3.45],
            },
        )  # fmt: skip
    write_json(
        folder / "deploy" / "dnn-kd" / "nve.json",
        {"drift_meV_per_atom_per_ps": 0.013, "n_atoms": 256, "steps": 2000, "passed": True,
         "reason": ""},
    )  # fmt: skip
    pd.DataFrame(
        {"time_ps": [0.0, 1.0, 2.0], "temperature_K": [300.0, 160.0, 155.0],
         "total_eV": [-900.0, -899.99, -900.0]}
    ).to_csv(folder / "deploy" / "dnn-kd" / "nve.csv", index=False)  # fmt: skip
    for job, seconds in (("label_frames/0", 60), ("label_frames/1", 40), ("train_teacher/0", 300)):
        path = folder / "benchmarks" / f"{job}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        cpu = 0.9 * seconds
        path.write_text(f"{HEADER}{seconds}\t0:01:00\t512.5\t1\t1\t1\t0\t0\t90.0\t{cpu}\n")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "results" / "Al"
    write_errors(folder)
    write_data(folder)
    write_models(folder)
    return folder


def settings(**values) -> Settings:
    return Settings(material="Al", elements=["Al"], **values)


@pytest.fixture(scope="module")
def page(results) -> str:
    return render(collect(results, settings(), FRAMESETS), TEMPLATE, "abc123", versions())


class Elements(HTMLParser):
    """Every tag with its attributes, and the text of every table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self._cell:
            self.rows[-1][-1] += data


def test_page_needs_no_other_file_and_no_network(page):
    elements = Elements(page)
    addresses = [
        value
        for _, attributes in elements.tags
        for name, value in attributes.items()
        if name in ("src", "href", "data", "action", "poster", "srcset")
    ]
    assert addresses
    assert all(a.startswith(("data:image/svg+xml;base64,", "#")) for a in addresses)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in elements.tags}
    assert not re.search(r"@import|url\(", page)
    for tag, attributes in elements.tags:
        if tag == "img":
            svg = base64.b64decode(attributes["src"].split(",")[1]).decode()
            assert "<svg" in svg
            assert not re.search(r'(href|src)="(?!#|data:)', svg)
            assert attributes["alt"]


def test_page_holds_the_numbers_of_every_model(page):
    rows = Elements(page).rows
    # Forces of 1 eV/Å off by 5 % are off by 50 meV/Å, energies by 2 meV/atom.
    assert ["dnn-kd (distilled)", "2.0", "50.0", "0.0", "4.0200", "76.0"] in rows
    assert ["teacher", "2.0", "30.0", "0.0", "4.0100", "81.0"] in rows
    assert ["DFT", "-", "-", "-", "4.0000", "80.0"] in rows
    assert ["dnn-kd (distilled)", "4.0200", "+0.50", "76.0", "-5.00", "-3.5000"] in rows
    assert ["train", "3", "30 %"] in rows
    assert ["unconverged", "not converged in 80 SCF steps", "1", f"{9:016d}"] in rows
    # Reasons that differ in numbers alone are one; text from outside arrives as text, escaped.
    assert ["rejected:max_force", "<i>21</i> above & over 15", "2", f"{10:016d}"] in rows
    assert next(r for r in rows if r[0] == "library")[:3] == ["library", "200", "4 to 4"]
    label = next(r for r in rows if r[0] == "label")
    assert label[2:] == ["2", "100", "90", "25 %", "512"]


def test_every_figure_and_table_names_the_rule_and_the_file_that_made_it(page, results):
    origins = re.findall(r'<p class="origin">(.*?)</p>', page, re.DOTALL)
    elements = Elements(page)
    n_blocks = sum(tag in ("table", "figure") for tag, _ in elements.tags)
    assert len(origins) == n_blocks
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    for origin in origins:
        rules = re.findall(r"made by rule <code>([^<]+)</code>", origin)
        files = [f for f in re.findall(r"<code>([^<]+)</code>", origin) if "." in f]
        assert files
        assert set(rules) <= scripts | {"&lt;rule&gt;"}
        for file in files:
            if "&lt;" not in file and file != "summary.json":
                assert (results / file).is_file(), file


def test_verdict_names_what_is_met_and_what_is_not_certain(page, results):
    run = collect(results, settings(), FRAMESETS)
    assert headline(run) == "4 of 4 targets met."
    assert "4 of 4 targets met." in page
    assert "are worse than those of dnn" not in page
    met = {target.name: target for target in targets(run)}
    assert "50.0 against 100.0" in met["distillation"].found
    assert "-50\u00a0%" in met["distillation"].found
    run.errors["gain"]["interval_95"] = [-0.6, 0.1]
    run.properties["dnn-kd"]["B0_GPa"] = 50
    run.nve |= {"passed": False, "reason": "drift 3 meV/atom/ps exceeds 1"}
    assert headline(run) == (
        "2 of 4 targets met; missed: bulk modulus, energy conservation; "
        "not certain on this test set: distillation."
    )
    run.errors["rmse"]["dnn-kd"]["force_meV_per_A"] = 120
    assert "missed: distillation, bulk modulus" in headline(run)


def test_energies_that_the_teacher_spoiled_are_told(results):
    def advice(teacher: float, distilled: float, **student) -> bool:
        run = collect(results, settings(student=student), FRAMESETS)
        run.teachers["model 0"]["valid"]["energy_meV_per_atom"] = teacher
        run.students["dnn-kd"]["rmse"]["valid"]["energy_meV_per_atom"] = distilled
        blocks = training_section(run).blocks
        said = "".join(block.text for block in blocks if isinstance(block, TextBlock))
        return f"dnn-kd ({distilled:.1f} meV/atom) are worse than those of dnn (2.5)" in said

    assert advice(2.6, 3.0)
    assert not advice(2.4, 3.0)  # the teacher is not the cause
    assert not advice(2.6, 2.51)  # no worse than chance
    assert not advice(2.6, 3.0, taught=["forces", "virial"])


def test_summary_has_exactly_the_promised_keys_and_numbers(results):
    run = collect(results, settings(), FRAMESETS)
    summary = json.loads(json.dumps(summarise(run, "abc123", versions()), allow_nan=False))
    assert set(summary) == {
        "material", "rmse", "properties", "counts", "seconds", "nve", "versions", "commit",
    }  # fmt: skip
    assert set(summary["rmse"]) == {"teacher", "dnn", "dnn-kd"}
    assert summary["rmse"]["dnn"] == pytest.approx(
        {"energy_meV_per_atom": 2.0, "force_meV_per_A": 100.0, "virial_meV_per_atom": 0.0}
    )
    assert summary["properties"]["dft"] == {"a0_A": 4.0, "B0_GPa": 80}
    assert set(summary["properties"]) == {"dft", "teacher", "dnn", "dnn-kd"}
    assert summary["counts"] == {
        "library": 200, "standard": 12, "supplementary": 40, "labelled": 10, "failed": 3,
        "test": 6,
    }  # fmt: skip
    assert summary["seconds"] == {"label": 100.0, "teacher": 300.0}
    assert summary["commit"] == "abc123"


def test_run_from_own_files_says_what_was_not_part_of_it(results):
    inputs = {"labelled": "mine.extxyz", "supplementary": "more.extxyz", "teacher": ["t.model"]}
    run = collect(results, settings(inputs=inputs), ["supplementary", "labelled"])
    text = render(run, TEMPLATE, "", versions())
    # Files of an earlier run are still in the folder, and must not be shown as this run's.
    assert "unconverged" not in text
    assert "No DFT was run: the labels came from mine.extxyz." in text
    assert "Nothing was selected" in text
    assert "The generator was not part of this run" in text
    assert "No teacher was trained" in text
    assert "no DFT value in this run" in text
    assert "not run from a git checkout" in text
    assert headline(run) == "2 of 2 targets met."
    summary = summarise(run, "", versions())
    assert summary["counts"]["library"] is None
    assert summary["counts"]["failed"] is None
    assert summary["counts"]["labelled"] == 10
    assert set(summary["properties"]) == {"teacher", "dnn", "dnn-kd"}


def test_report_works_with_nothing_but_the_errors(tmp_path):
    write_errors(tmp_path)
    run = collect(tmp_path, settings(), FRAMESETS)
    text = render(run, TEMPLATE, "", versions())
    assert "The records of the DFT calculations are missing" in text
    assert "No benchmark files" in text
    assert headline(run) == "1 of 1 targets met."
    assert summarise(run, "", versions())["seconds"] == {}
    (tmp_path / "evaluate" / "errors.json").unlink()
    with pytest.raises(InputError, match=r"evaluate/errors\.json: no such file"):
        collect(tmp_path, settings(), FRAMESETS)


def test_a_model_without_an_energy_minimum_is_a_missed_target(results):
    run = collect(results, settings(), FRAMESETS)
    problem = "fcc Al has no energy minimum near 16.50 Å^3 per atom"
    run.properties["dnn-kd"] = {
        "structure": "fcc", "a0_A": None, "B0_GPa": None, "problem": problem,
    }  # fmt: skip
    assert headline(run) == "2 of 4 targets met; missed: lattice constant, bulk modulus."
    rows = Elements(render(run, TEMPLATE, "", versions())).rows
    assert ["dnn-kd (distilled)", "no minimum", "-", "-", "-", "-"] in rows
    assert summarise(run, "", versions())["properties"]["dnn-kd"] == {
        "a0_A": None, "B0_GPa": None,
    }  # fmt: skip
    run.properties["dft"] = dict(run.properties["dnn-kd"])
    assert headline(run) == "2 of 2 targets met."


def test_costs_sum_jobs_and_survive_jobs_too_short_to_sample(tmp_path):
    (tmp_path / "map_frames").mkdir()
    row = "2.5\t0:00:02\t100\t1\t1\t1\t0\t0\t50\t1.5\n"
    (tmp_path / "map_frames" / "seeds.tsv").write_text(HEADER + row)
    short = "0.5\t0:00:00\t-\t-\t-\t-\t-\t-\t0\t-\n"
    (tmp_path / "map_frames" / "library.tsv").write_text(HEADER + short)
    (tmp_path / "new_rule.tsv").write_text(HEADER + row)
    table = stage_costs(read_costs(tmp_path))
    assert table.index.tolist() == ["landscape", "new_rule"]
    landscape = table.loc["landscape"]
    assert (landscape["jobs"], landscape["seconds"], landscape["cpu_seconds"]) == (2, 3.0, 1.5)
    assert table["cpu_share"].sum() == pytest.approx(1.0)


def test_frames_of_a_file_are_counted_without_reading_them(tmp_path):
    frames = from_atoms([bulk("Al"), bulk("Al", cubic=True), bulk("Al").repeat(2)])
    for name in ("a.extxyz", "a.parquet"):
        write_frames(tmp_path / name, frames)
        assert count_frames(tmp_path / name) == 3


def test_commit_is_that_of_the_checkout_or_nothing():
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?)?", git_commit())
