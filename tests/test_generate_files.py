"""`polymorphkd generate` and `polymorphkd substitute`."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.io import write
from generation import crystals
from polymorphkd.cli import main
from polymorphkd.errors import InputError
from polymorphkd.frames import from_atoms
from polymorphkd.generate.substitute import substitute
from polymorphkd.landscape.tables import read_points
from polymorphkd.readers import read_frames


@pytest.fixture
def seeds(tmp_path):
    path = tmp_path / "seeds.extxyz"
    write(path, crystals())
    return str(path)


def run(*arguments) -> int:
    return main(["generate", *map(str, arguments)])


def test_library_figure_and_summary(seeds, tmp_path, capsys):
    out, figure = tmp_path / "lib.parquet", tmp_path / "filling.png"
    options = ("-o", out, "--budget", 500, "--cutoff", 3.4, "--figure", figure)
    assert run(seeds, *options) == 0
    library = read_frames(out)
    said = capsys.readouterr().out
    assert f"{len(library)} frames -> {out}" in said
    assert "500 mutants (accepted " in said
    assert "of 1,600 cells filled, 3 of them by seeds (cutoff 3.4 Å)" in said
    assert figure.is_file()
    filling = pd.read_parquet(tmp_path / "filling.parquet")
    assert len(filling) == len(library)
    assert f"{int(filling['new'].sum()):,} of 1,600" in said
    assert run(seeds, *options) == 1
    assert "give --force" in capsys.readouterr().err
    assert run(seeds, *options, "--force") == 0
    assert read_frames(out).frame_ids() == library.frame_ids()
    assert not list(tmp_path.glob(".generate-*"))
    said = json.loads((tmp_path / "lib.json").read_text())
    assert said["frames"] == len(library)
    assert said["landscape"]["cutoff"] == 3.4
    assert set(library.meta["settings_digest"]) == {said["landscape"]["digest"]}
    assert read_points(out)["sS"].notna().all()  # a library is a table of points as well


def test_a_settings_file_means_what_it_means_in_the_workflow(seeds, tmp_path, capsys):
    settings = tmp_path / "Al.yaml"
    settings.write_text(
        "elements: [Al]\nlandscape: {cutoff: 3.2}\n"
        "generate: {preset: published, targets_per_edge: 1, generations: 2, population: 5}\n"
    )
    assert run(seeds, "-o", tmp_path / "lib.parquet", "--settings", settings) == 0
    said = capsys.readouterr().out
    assert "40 mutants" in said
    assert "ended: budget 4" in said  # four targets on edges
    assert "cutoff 3.2 Å" in said


def test_a_job_that_is_ended_leaves_nothing_behind(seeds, tmp_path):
    options = ["-o", str(tmp_path / "lib.parquet"), "--cutoff", "3.4", "--budget", "10000000"]
    command = [sys.executable, "-m", "polymorphkd.cli", "generate", seeds, *options]
    for signal_, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        # A shell's background job ignores SIGINT, and its children would inherit that.
        heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
        with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=heard) as process:
            started = time.monotonic()
            while not list(tmp_path.glob(".generate-*")) and time.monotonic() - started < 120:
                time.sleep(0.1)
            process.send_signal(signal_)
            assert process.wait(60) == status
        assert sorted(path.name for path in tmp_path.iterdir()) == ["seeds.extxyz"]


def test_processes_change_nothing(seeds, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("generate: {strategy: edges, targets_per_edge: 1, generations: 3}\n")
    written = []
    for threads in (1, 2):
        out = tmp_path / f"{threads}.parquet"
        options = ("-o", out, "--settings", settings, "--cutoff", 3.4, "--threads", threads)
        assert run(seeds, *options) == 0
        written.append(out.read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "0"), "generate.evaluations: must be greater"),
        (("--budget", "5", "--strategy", "edges"), "--budget: edges is sized by targets"),
        (("--figure", "a.txt"), "a figure is .png, .svg or .pdf"),
        (("--settings", "absent.yaml"), "absent.yaml: no such file"),
        (("--sigma", "-1"), "--sigma: must be greater"),
        (("--settings", os.devnull, "--budget", "-1"), "generate.evaluations"),
    ],
)
def test_what_cannot_be_is_refused_before_work(seeds, tmp_path, capsys, options, message):
    assert run(seeds, "-o", tmp_path / "lib.parquet", *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "lib.parquet").exists()


def test_a_wrong_key_of_the_settings_is_named(seeds, tmp_path, capsys):
    settings = tmp_path / "settings.yaml"
    settings.write_text("amplitudes: {volumen: 0.1}\n")
    assert run(seeds, "-o", tmp_path / "lib.parquet", "--settings", settings) == 1
    assert "generate.amplitudes.volumen" in capsys.readouterr().err


def test_a_library_is_parquet(seeds, tmp_path, capsys):
    assert run(seeds, "-o", tmp_path / "lib.extxyz") == 1
    assert "a library is .parquet" in capsys.readouterr().err


def test_substitution_keeps_fractional_coordinates_and_meets_the_volume(tmp_path, capsys):
    iridium = [bulk("Ir", "fcc", a, cubic=True) for a in (3.7, 3.84, 4.0)]
    frames = from_atoms(iridium).with_meta(sS=[-1.0, -2.0, -3.0], tag=["a", "b", "c"])
    made = substitute(frames, {"Ir": "Al"}, 16.5)
    assert set(made.numbers) == {13}
    assert np.median(made.volumes / 4) == pytest.approx(16.5)
    np.testing.assert_allclose(
        made.volumes / made.volumes[0], frames.volumes / frames.volumes[0], rtol=1e-7
    )
    for i in range(3):
        old, new = frames.atoms(i), made.atoms(i)
        np.testing.assert_allclose(
            old.get_scaled_positions(), new.get_scaled_positions(), atol=1e-8
        )
    assert list(made.meta.columns) == ["tag"]  # sS of another material would mislead
    write(tmp_path / "ir.extxyz", iridium)
    out = tmp_path / "al.parquet"
    files = [str(tmp_path / "ir.extxyz"), str(out)]
    assert main(["substitute", *files, "Ir=Al", "--volume", "16.5"]) == 0
    assert read_frames(out).frame_ids() == made.frame_ids()
    assert main(["substitute", *files, "Ir=Al"]) == 1
    assert "give --force" in capsys.readouterr().err
    assert main(["substitute", *files, "Ir", "--force"]) == 1
    assert "expected OLD=NEW" in capsys.readouterr().err


def test_elements_can_be_exchanged_and_mistakes_are_named():
    salt = from_atoms([bulk("NaCl", "rocksalt", 5.6)])
    swapped = substitute(salt, {"Na": "Cl", "Cl": "Na"})
    assert swapped.numbers.tolist() == salt.numbers[::-1].tolist()
    with pytest.raises(InputError, match="no atom is Ir; the frames hold Na, Cl"):
        substitute(salt, {"Ir": "Al"})
    with pytest.raises(InputError, match="'Xx' is not a chemical symbol"):
        substitute(salt, {"Na": "Xx"})
    with pytest.raises(InputError, match="volume per atom"):
        substitute(salt, {"Na": "K"}, -1.0)
    with pytest.raises(InputError, match="volume per atom"):
        substitute(salt, {"Na": "K"}, float("nan"))
