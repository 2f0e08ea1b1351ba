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
        ({"seeds": {"prototypes": ["fccc"]}}, ["seeds.prototypes.0", "'fcc'"]),
        ({"studnet": {}}, ["studnet", "unknown key", "student"]),
        ({"student": None}, ["student: expected keys and values", "deepmd", "given: None"]),
        (
            {"relabel": {"walk": 5}},
            ["relabel.walk: expected keys and values", "every", "given: 5"],
        ),
        ({"relabel": {"walk": {"steps": 3, "every": 5}}}, ["relabel.walk", "every: 5 is beyond"]),
        ({"teacher": {"mace": {"weights": [1, 2]}}}, ["teacher.mace.weights: too few", "[1, 2]"]),
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


@pytest.mark.parametrize(
    ("config", "material", "given", "source", "key"),
    [
        ({"seed": -1}, {}, {}, "config/config.yaml", "seed"),
        ({"seed": 1}, {"seed": -1}, {}, "Al.yaml", "seed"),
        ({"seed": 1}, {"seed": 2}, {"seed": -1}, "--config", "seed"),
        ({"label": {"gpaw": {"ecut": 3}}}, {"label": {}}, {}, "config/config.yaml", "label.gpaw"),
        ({}, {"seeds": {"prototypes": ["fcc", "x"]}}, {}, "Al.yaml", "seeds.prototypes.1"),
        ({}, {"elements": None}, {}, "Al.yaml", "elements"),
        (
            {"student": {"deepmd": {"rcut": 4.0}}}, {"student": {"deepmd": {"rcut_smooth": 5.0}}},
            {}, "config/config.yaml + Al.yaml", "student.deepmd",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_the_file_that_has_it(
    tmp_path, monkeypatch, config, material, given, source, key
):
    monkeypatch.chdir(tmp_path)
    Path("Al.yaml").write_text(yaml.safe_dump({"elements": ["Al"], **material}))
    with pytest.raises(ConfigError) as error:
        load_settings(config, "Al", ".", given)
    assert str(error.value).startswith(f"{source}: {key}")


def test_a_missing_key_is_missing_in_all_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("Al.yaml").write_text("seed: 1\n")
    with pytest.raises(ConfigError, match=r"^config/config.yaml \+ Al.yaml: elements: .*required"):
        load_settings({}, "Al", ".")


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
