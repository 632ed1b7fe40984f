from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from harness.spec.schema import known_keys, schema_text, suite_schema
from harness.spec.source import read_yaml
from tests.spec.support import write_suite

SUITES = Path(__file__).parents[2] / "suites"


def test_the_published_schema_is_up_to_date():
    published = (SUITES / "suite.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "write it anew: harness schema > suites/suite.schema.json"


def test_the_schema_is_one():
    Draft202012Validator.check_schema(suite_schema())


def test_every_key_is_described():
    nameless = [
        name
        for definition in [suite_schema(), *suite_schema()["$defs"].values()]
        for name, entry in definition.get("properties", {}).items()
        if not entry.get("description")
    ]
    assert nameless == []


@pytest.mark.parametrize("path", sorted(SUITES.glob("*/suite.yaml")), ids=lambda p: p.parent.name)
def test_the_suites_of_the_project_keep_the_schema_and_point_at_it(path):
    Draft202012Validator(suite_schema()).validate(read_yaml(path).value)
    assert "$schema=../suite.schema.json" in path.read_text(encoding="utf-8").split("\n")[0]


@pytest.mark.parametrize(
    ("change", "good"),
    [
        (("seed: [0, 1]", "seed: [{range: [0, 3]}, 7]"), True),
        (("seed: [0, 1]", "seed: {range: [0, 3]}"), True),
        (("seed: [0, 1]", "seed: [[0]]"), False),
        (("    level: R0", "    levle: R0"), False),
        (('drop_last: "${cut}"', "drop_last: two"), False),
        (('drop_last: "${cut}"', "drop_last: 2"), True),
        (("    x: D", "    weights: ${source}\n    x: D"), True),
        (("    x: D", "    weights: per_run\n    x: D"), False),
        (("exclude: []", "exclude: [{model: tiny}, seed > 1]"), True),
        (("schema: 1", "schema: 2"), False),
    ],
)
def test_an_editor_with_the_schema_sees_what_the_harness_sees(tmp_path, change, good):
    value = read_yaml(write_suite(tmp_path, change)).value
    assert Draft202012Validator(suite_schema()).is_valid(value) is good


def test_the_keys_that_may_stand_at_a_path():
    assert {"name", "axes", "tiers"} <= known_keys(()).keys()
    assert {"level", "extends"} <= known_keys(("tiers", "published")).keys()
    assert {"law", "for"} <= known_keys(("analyses", 0)).keys()
    assert known_keys(("analyses", 0, "resample")).keys() == {"by", "n", "seed"}
    assert known_keys(("settings",)) == {}
