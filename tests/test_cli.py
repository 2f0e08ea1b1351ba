"""The command line as real processes, and the pieces that need a process of their own."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_origin

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write
from polymorphkd import schema
from polymorphkd.frames import from_atoms, write_frames
from polymorphkd.readers import read_frames
from polymorphkd.settings import Section, Settings
from polymorphkd.status import stages

ROOT = Path(__file__).resolve().parents[1]


def polymorphkd(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "polymorphkd.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def labelled(n: int) -> list:
    images = []
    for i in range(n):
        atoms = bulk("Al", cubic=True)
        atoms.rattle(0.1, seed=i)
        atoms.calc = EMT()
        atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        images.append(atoms)
    return images


# convert


def test_convert_promotes_labels_of_a_calculator_and_keeps_them_through_parquet(tmp_path):
    images = labelled(3)
    write(tmp_path / "dft.traj", images)  # labels in a calculator, as DFT output has them
    done = polymorphkd("convert", "dft.traj", "labelled.parquet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 frames, 3 of them labelled -> labelled.parquet\n"
    done = polymorphkd("convert", "labelled.parquet", "dft.traj", "all.extxyz", cwd=tmp_path)
    assert "6 frames, 6 of them labelled" in done.stdout
    back = read(tmp_path / "all.extxyz", ":")
    for image, atoms in zip(back, images + images, strict=True):
        assert image.info["REF_energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
        assert np.allclose(image.arrays["REF_forces"], atoms.get_forces(), atol=1e-8)
        assert np.allclose(image.info["REF_stress"], atoms.get_stress(), atol=1e-8)


def test_convert_refuses_to_overwrite_unless_forced(tmp_path):
    write_frames(tmp_path / "in.parquet", from_atoms([bulk("Al")]))
    (tmp_path / "out.extxyz").write_text("mine")
    done = polymorphkd("convert", "in.parquet", "out.extxyz", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "ERROR: out.extxyz: exists already; give --force to overwrite it\n"
    assert (tmp_path / "out.extxyz").read_text() == "mine"
    assert not polymorphkd(
        "convert", "--force", "in.parquet", "out.extxyz", cwd=tmp_path
    ).returncode
    assert len(read_frames(tmp_path / "out.extxyz")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.xyz", "out.extxyz"], "absent.xyz: no such file"),
        (["empty.xyz", "out.extxyz"], "empty.xyz: the file is empty"),
        (["junk.xyz", "out.extxyz"], "junk.xyz: cannot be read as structures"),
        (["two.xyz", "out.nonsense"], "out.nonsense: unknown format"),
        (["two.xyz", "nowhere/out.extxyz"], "there is no folder nowhere"),
    ],
)
def test_convert_says_what_is_wrong_and_leaves_nothing_behind(tmp_path, arguments, message):
    (tmp_path / "empty.xyz").write_text("")
    (tmp_path / "junk.xyz").write_text("this is no structure\n")
    write(tmp_path / "two.xyz", [bulk("Al"), bulk("Al")], format="extxyz")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = polymorphkd("convert", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# schema


def test_schema_and_tables_of_keys_are_current():
    done = polymorphkd("schema", "--check")
    assert (done.returncode, done.stdout) == (0, "")


def test_schema_check_notices_a_stale_file_and_writing_mends_it(tmp_path):
    for path in (schema.TABLES_FILE, schema.SCHEMA_FILE):
        (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / schema.TABLES_FILE).write_text(
        f"before\n{schema.START}\nstale text\n{schema.END}\nafter\n"
    )
    assert schema.outdated(tmp_path) == [schema.SCHEMA_FILE, schema.TABLES_FILE]
    schema.write_schema(tmp_path)
    assert schema.outdated(tmp_path) == []
    text = (tmp_path / schema.TABLES_FILE).read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "stale text" not in text
    (tmp_path / schema.SCHEMA_FILE).write_text("{}")
    assert schema.outdated(tmp_path) == [schema.SCHEMA_FILE]


def sections_in(annotation: object) -> list[type[Section]]:
    """Sections that a field may hold: itself, one among others, or the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in get_args(annotation) for found in sections_in(part)]


def keys(model: type[Section], prefix: str = "") -> list[str]:
    """Every key below `model`; a list or mapping of sections is a key, as are their keys."""
    result = []
    for name, field in model.model_fields.items():
        inner = sections_in(field.annotation)
        each = {list: "[].", dict: ".<name>."}.get(get_origin(field.annotation))
        if each or not inner:
            result.append(f"{prefix}{name}")
        for section in inner:
            result += keys(section, f"{prefix}{name}{each or '.'}")
    return result


def test_every_key_is_in_the_tables_with_its_default():
    text = schema.key_tables()
    rows = {}
    section = ""
    for line in text.splitlines():
        if match := re.match(r"### `(.+)`", line):
            section = match[1] + "."
        elif match := re.match(r"\| `(\w+)` \| [^|]+ \| (?:`(.*?)`|required) \|", line):
            rows[section + match[1]] = match[2]
    values = Settings(material="X", elements=["Al"]).model_dump(mode="json")
    assert set(rows) == set(keys(Settings))
    assert json.loads(rows["select.supplementary"]) == values["select"]["supplementary"]
    assert json.loads(rows["teacher.mace.weights"]) == values["teacher"]["mace"]["weights"]
    assert rows["material"] is None


def test_tables_say_what_is_allowed():
    text = schema.key_tables()
    assert re.search(r"`seed` \| integer \| `1` \| ≥ 0 \|", text)
    assert re.search(r"`cutoff` \| number or `auto` \| `\"auto\"` \| > 0.* \| .*Å", text)
    assert re.search(r"`n_atoms` \| 2 × integer \| `\[4, 8\]` \| each ≥ 1 \|", text)
    assert '| `strategy` | text | `"edges"` | `edges`, `fill`, ' in text
    assert "| `standard` | mapping or list of mapping |" in text
    assert "### `select.standard[]`" in text


# status


@pytest.fixture
def started_run(tmp_path) -> Path:
    """Results of a run that is in the middle of labelling."""
    folder = tmp_path / "results" / "Al"
    frames = from_atoms(labelled(5))
    for name in ("seeds/frames", "generate/library"):
        (folder / name).parent.mkdir(parents=True)
        write_frames(folder / f"{name}.parquet", frames)
    (folder / "select").mkdir()
    write_frames(folder / "select" / "standard.extxyz", frames)
    store = folder / "label" / "store"
    for settings, i, status in (
        ("old", 0, "ok"), ("new", 1, "ok"), ("new", 2, "ok"), ("new", 3, "crashed"),
    ):  # fmt: skip
        path = store / settings / "ab" / f"{i}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"status": status}))
        os.utime(path, (1_000_000 + 60 * i,) * 2)
    marker = base64.urlsafe_b64encode(b"results/Al/label/shards/0.parquet").decode()
    (tmp_path / ".snakemake" / "incomplete").mkdir(parents=True)
    (tmp_path / ".snakemake" / "incomplete" / marker).write_text("{}")
    (tmp_path / ".snakemake" / "locks").mkdir()
    (tmp_path / ".snakemake" / "locks" / "0.output.lock").write_text("")
    return tmp_path


def test_status_tells_the_state_and_counts_of_each_stage(started_run):
    table = {stage.name: stage for stage in stages("Al", started_run)}
    assert table["seeds"].state == "done"
    assert table["generate"].count == "5 library"
    assert (table["select"].state, table["select"].count) == ("partly done", "5 standard")
    assert table["label"].state == "running"
    # Of the newest settings alone; three labels in two minutes are 60 per hour.
    assert table["label"].count == "2 of 5 labelled, 1 crashed, 60 per hour"
    assert table["report"].state == "missing"


def test_status_calls_stages_that_own_files_replaced_skipped(tmp_path):
    folder = tmp_path / "results" / "Al" / "split"
    for name in ("train", "valid", "test"):
        write_frames(folder / f"{name}.extxyz", from_atoms([bulk("Al")]))
    states = {stage.name: stage.state for stage in stages("Al", tmp_path)}
    assert states["split"] == "done"
    assert {states[name] for name in ("seeds", "generate", "select", "label")} == {"skipped"}
    assert states["teacher"] == "missing"  # nothing shows yet that it is not needed
    properties = tmp_path / "results" / "Al" / "properties"
    properties.mkdir()
    for name in ("teacher", "dnn", "dnn-kd"):  # no DFT, no equation of state by it
        (properties / f"{name}.json").write_text("{}")
    assert {stage.name: stage.state for stage in stages("Al", tmp_path)}["properties"] == "done"


def test_status_without_lock_is_interrupted_and_records_win_over_the_store(started_run):
    (started_run / ".snakemake" / "locks" / "0.output.lock").unlink()
    records = pd.DataFrame({"status": ["ok"] * 4 + ["rejected:max_force"]})
    records.to_parquet(started_run / "results" / "Al" / "label" / "records.parquet")
    label = next(s for s in stages("Al", started_run) if s.name == "label")
    assert label.state == "interrupted"
    assert label.count == "4 of 5 labelled, 1 rejected:max_force"


def test_status_as_a_process_prints_the_headline_of_a_finished_run(started_run):
    folder = started_run / "results" / "Al"
    (folder / "report.html").write_text("")
    errors = {"energy_meV_per_atom": 4.0, "force_meV_per_A": 51.4, "virial_meV_per_atom": 9.0}
    summary = {
        "rmse": {"dnn-kd": errors},
        "properties": {"dnn-kd": {"a0_A": 4.0412, "B0_GPa": 77.6}},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    done = polymorphkd("status", cwd=started_run)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"report\s+│ done", done.stdout)
    assert "force RMSE on the test set (meV/Å): dnn-kd 51" in done.stdout
    assert "dnn-kd 4.041 Å 78 GPa" in done.stdout
    missing = polymorphkd("status", "--material", "Cu", cwd=started_run)
    assert missing.returncode == 1
    assert "results/Cu: no such folder" in missing.stderr


# doctor and the parser


def test_help_is_instant_and_a_wrong_call_has_status_2():
    done = polymorphkd("--help")
    assert done.returncode == 0
    for command in ("doctor", "convert", "status", "schema"):
        assert command in done.stdout
    assert polymorphkd("nonsense").returncode == 2
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, polymorphkd.cli; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
    ).stdout.split()
    assert not {"numpy", "pandas", "ase", "torch", "tensorflow", "rich"} & set(loaded)


def test_doctor_refuses_an_unknown_material_at_once():
    done = polymorphkd("doctor", "--material", "Unobtainium")
    assert done.returncode == 1
    assert "'Unobtainium' has no file config/materials/Unobtainium.yaml" in done.stderr


@pytest.mark.slow
def test_doctor_finds_everything_here_and_names_a_broken_engine_with_its_fix(tmp_path):
    folder = tmp_path / "config" / "materials"
    folder.mkdir(parents=True)
    (tmp_path / "config" / "config.yaml").write_text("materials: [Si]\n")
    # EMT knows no silicon, so this material's engine cannot work.
    (folder / "Si.yaml").write_text("elements: [Si]\nlabel: {engine: ase}\n")
    done = polymorphkd("doctor", cwd=tmp_path)
    lines = done.stdout.splitlines()
    broken = [line for line in lines if line.startswith("broken")]
    assert done.returncode == 1
    assert len(broken) == 1
    assert "DFT engine ase" in broken[0]
    assert "cannot compute element Si" in lines[lines.index(broken[0]) + 1]
    for name in ("teacher mace", "student deepmd", "LAMMPS with pair styles deepmd, pod"):
        assert any(re.match(rf"ok\s+{name}\s+\S+ \d", line) for line in lines), done.stdout
