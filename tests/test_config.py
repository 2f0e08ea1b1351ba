"""Settings: merging, messages, shipped files, and documents that follow the models."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY
from polymorphkd.config import load_settings, material_names, merge, read_yaml, validate
from polymorphkd.errors import ConfigError
from polymorphkd.settings import Settings

MATERIALS = sorted((REPOSITORY / "config/materials").glob("*.yaml"))


@pytest.mark.parametrize("path", MATERIALS, ids=lambda p: p.stem)
def test_every_shipped_material_is_valid(path):
    config = read_yaml(REPOSITORY / "config/config.yaml")
    assert load_settings(config, path.stem, path.parent).material == path.stem


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"label": {"gpaw": {"ecutt": 300}}}, ["label.gpaw.ecutt", "unknown key", "ecut,"]),
        ({"label": {"engine": "vsap"}}, ["label.engine", "'gpaw', ", "vsap"]),
        ({"label": {"gpaw": {"ecut": 20}}}, ["label.gpaw.ecut", "greater than or equal to 100"]),
        ({"landscape": {"sigma": "wide"}}, ["landscape.sigma", "number", "wide"]),
        ({"elements": ["Al", "Qq"]}, ["elements", "'Qq' is not a chemical symbol"]),
        ({"elements": ["Al", "Al"]}, ["elements", "named twice"]),
        ({"select": {"standard": {"count": 5, "resolution": [1, 1]}}}, ["select.standard", "one"]),
        ({"split": {"test_fraction": 1.5}}, ["split.test_fraction", "less than 1"]),
        (
            {"split": {"test_fraction": 0.6, "valid_fraction": 0.5}},
            ["split", "must leave frames for training"],
        ),
        (
            {"student": {"deepmd": {"force_prefactor": [-100, -10]}}},
            ["student.deepmd.force_prefactor", "greater than or equal to 0"],
        ),
        (
            {"student": {"deepmd": {"force_prefactor": [float("nan"), 10]}}},
            ["student.deepmd.force_prefactor", "finite number"],
        ),
        (
            {"teacher": {"mace": {"weights": [float("inf"), 1, 1]}}},
            ["teacher.mace.weights", "finite number"],
        ),
        (
            {"relabel": {"walk": {"temperatures": [300, float("inf")]}}},
            ["relabel.walk.temperatures", "finite number"],
        ),
        ({"seeds": {"prototypes": ["fccc"]}}, ["seeds.prototypes.0", "'fcc'"]),
        ({"studnet": {}}, ["studnet", "unknown key", "student"]),
        ({"student": None}, ["student: expected keys and values", "deepmd", "given: None"]),
        (
            {"relabel": {"walk": 5}},
            ["relabel.walk: expected keys and values", "every", "given: 5"],
        ),
        ({"relabel": {"walk": {"steps": 3, "every": 5}}}, ["relabel.walk", "every: 5 is beyond"]),
        ({"teacher": {"mace": {"weights": [1, 2]}}}, ["teacher.mace.weights: too few", "[1, 2]"]),
        ({"student": {"taught": ["energy", "energy"]}}, ["student.taught", "named twice"]),
        ({"student": {"taught": "forces"}}, ["student.taught: expected a list", "'forces'"]),
        ({"student": {"taught": ["x"]}}, ["student.taught.0: must be 'energy', 'forces' or"]),
        ({"student": {"taught": []}}, ["student.taught: expected at least 1 value"]),
        # One line for the members of a union.
        ({"landscape": {"cutoff": -3}}, ["landscape.cutoff: must be greater than 0 or 'auto' (g"]),
        ({"landscape": {"cutoff": "x"}}, ["landscape.cutoff: expected a number or 'auto'", "'x'"]),
        ({"landscape": {"cutoff": {"a": 1}}}, ["landscape.cutoff: expected a number or 'auto'"]),
        ({"seed": None}, ["seed: expected an integer (given: None)"]),
        # YAML reads yes as true, and pydantic would take that for 1.
        ({"seed": True}, ["seed: expected an integer (given: 'true')"]),
        ({"split": {"pulay_virial": True}}, ["split.pulay_virial: expected a number"]),
        (
            {"teacher": {"mace": {"weights": [1, True, 1]}}},
            ["teacher.mace.weights.1: expected a n"],
        ),
        ({"landscape": {"cutoff": True}}, ["landscape.cutoff: expected a number or 'auto'"]),
        ({"seeds": {"n_atoms": True}}, ["seeds.n_atoms: expected a list"]),
        (
            {"generate": {"constraints": {"min_distance": {"Al-Al": False}}}},
            ["generate.constraints.min_distance.Al-Al: expected a number (given: 'false')"],
        ),
        ({"inputs": {"foundation": ""}}, ["inputs.foundation", "at least 1"]),
        (
            {"teacher": {"mace": {"weights": [1] * 6}}},
            ["teacher.mace.weights: expected at most 3"],
        ),
        (
            {"student": {"scan": {"a": {"size": "big"}, "b": {"deepmd": {"rcutt": 5}}}}},
            ["student.scan.a.size: must be 'tiny', 'small', 'medium' or 'paper' (given: 'big')"],
        ),
        (
            {"student": {"scan": {"a": {"deepmd": {"rcutt": 5}}}}},
            ["student.scan.a.deepmd.rcutt: unknown key", "rcut_smooth,"],
        ),
        (
            {"student": {"taught": ["virial"], "deepmd": {"virial_prefactor": [0, 0]}}},
            ["student: taught: the loss has no weight for virial", "virial_prefactor"],
        ),
        (
            {"student": {"deepmd": {"learning_rate": 1e-6}}},
            ["student.deepmd", "final_learning_rate must not be above learning_rate"],
        ),
    ],
)
def test_a_fault_is_named_with_its_path_and_what_is_allowed(values, parts):
    with pytest.raises(ConfigError) as error:
        validate({"material": "Al", "elements": ["Al"], **values}, "Al.yaml")
    for part in ["Al.yaml", *parts]:
        assert part in str(error.value)


def test_later_layers_win_and_lists_are_replaced():
    merged = merge({"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}, "d": 2})
    assert merged == {"a": {"b": 1, "c": [3]}, "d": 2}


def test_command_line_beats_material_beats_config(tmp_path):
    (tmp_path / "Al.yaml").write_text(yaml.safe_dump({"elements": ["Al"], "seed": 2}))
    assert load_settings({"seed": 1}, "Al", tmp_path).seed == 2
    assert load_settings({"seed": 1}, "Al", tmp_path, {"seed": 3}).seed == 3


COMMON, OWN, LINE = "config/config.yaml", "config/materials/Al.yaml", "command line"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a material as the workflow does: Snakemake merges the command line into the config."""
    monkeypatch.chdir(tmp_path)
    folder = Path("config/materials")
    folder.mkdir(parents=True)

    def call(config, material, given):
        (folder / "Al.yaml").write_text(yaml.safe_dump(material))
        return load_settings(merge(config, given), "Al", folder, given)

    return call


@pytest.mark.parametrize(
    ("config", "material", "given", "source", "key"),
    [
        ({"seed": -1}, {}, {}, COMMON, "seed"),
        ({"seed": 1}, {"seed": -1}, {}, OWN, "seed"),
        ({"seed": 1}, {"seed": 2}, {"seed": -1}, LINE, "seed"),
        ({"label": {"gpaw": {"ecut": 3}}}, {"label": {}}, {}, COMMON, "label.gpaw"),
        ({}, {"seeds": {"prototypes": ["fcc", "x"]}}, {}, OWN, "seeds.prototypes.1"),
        ({}, {"elements": None}, {}, OWN, "elements"),
        ({"foo": 1}, {"foo": 1}, {}, f"{COMMON} + {OWN}", "foo"),
        ({}, {}, {"foo": {"a": 1}}, LINE, "foo"),
        ({"seed": 1}, {}, {"student": {"deepmd": {"rcut": 1.5}}}, LINE, "student.deepmd"),
        (
            {"student": {"deepmd": {"rcut": 4.0}}}, {"student": {"deepmd": {"rcut_smooth": 5.0}}},
            {}, f"{COMMON} + {OWN}", "student.deepmd",
        ),
        ({"material": "Cu"}, {}, {}, COMMON, "material: is the name of the file"),
        ({}, {"materials": ["Cu"]}, {}, OWN, "materials: belongs"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_the_file_that_has_it(load, config, material, given, source, key):
    with pytest.raises(ConfigError) as error:
        load(config, {"elements": ["Al"], **material}, given)
    name, _, rest = str(error.value).partition(": ")
    assert name.startswith(source)
    assert name == source or source == LINE
    assert rest.startswith(key)


def test_a_missing_key_is_missing_in_all_files(load):
    with pytest.raises(ConfigError, match=rf"^{COMMON} \+ {OWN}: elements: .*required"):
        load({}, {"seed": 1}, {})


def test_unknown_material_lists_the_known_ones(tmp_path):
    (tmp_path / "Cu.yaml").write_text("elements: [Cu]\n")
    with pytest.raises(ConfigError, match="'Al' has no file.*available: Cu"):
        load_settings({}, "Al", tmp_path)


@pytest.mark.parametrize("value", [None, [], 3, [1]])
def test_materials_must_be_names(value):
    with pytest.raises(ConfigError, match="materials: expected a list"):
        material_names({"materials": value})


def test_every_key_has_a_description():
    def leaves(schema, path=""):
        for name, value in schema.get("properties", {}).items():
            yield f"{path}{name}", value

    schema = Settings.model_json_schema()
    for title, part in [("", schema), *schema["$defs"].items()]:
        assert part["additionalProperties"] is False, title
        for name, value in leaves(part, f"{title}."):
            assert value.get("description"), f"{name} has no description"
    json.dumps(schema)
