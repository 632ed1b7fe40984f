from __future__ import annotations

import pytest

from harness.errors import SuiteError
from harness.spec.reference import Constant, Joined, Reference, compile_tree, parse, resolve

VALUES = {"model": {"id": "tiny", "N": 7e9, "tags": ["a"], "on": True, "none": None}, "seed": 3}


def resolved(tree, values=VALUES):
    return resolve(compile_tree(tree, ["model", "seed"], lambda path: f"file:{path}"), values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${model.N}", 7e9),
        ("${model}", VALUES["model"]),
        ("${model.tags}", ["a"]),
        ("${model.none}", None),
        ("${ seed }", 3),
        ("plain", "plain"),
        ("", ""),
        ("n=${model.N}", "n=7000000000"),
        ("${model.id}-${seed}", "tiny-3"),
        ("${model.on}/${model.none}", "true/null"),
        ("$${model.id}", "${model.id}"),
        ("$${${model.id}}", "${tiny}"),
        ("$ {x} $x {y}", "$ {x} $x {y}"),
    ],
)
def test_text(text, value):
    assert resolved({"key": text}) == {"key": value}


def test_settings_may_refer_to_each_other():
    tree = {
        "a": "${settings.b.c}",
        "b": {"c": "${model.N}", "list": ["${seed}", 1]},
        "copy": "${settings.b}",
        "text": "<${settings.a}|${settings.deep}>",
        "deep": "${model.id}",
    }
    assert resolved(tree) == {
        "a": 7e9,
        "b": {"c": 7e9, "list": [3, 1]},
        "copy": {"c": 7e9, "list": [3, 1]},
        "text": "<7000000000|tiny>",
        "deep": "tiny",
    }


def test_parsing_tells_the_pieces():
    assert parse("x") == Constant("x")
    assert parse("${a.b}") == Reference(("a", "b"))
    assert parse("x${a}") == Joined(("x", Reference(("a",))))


@pytest.mark.parametrize(
    "text", ["${", "${}", "${a b}", "${a.}", "${.a}", "${a${b}}", "x ${a", "${_a}"]
)
def test_what_is_not_a_reference_is_refused(text):
    with pytest.raises(SuiteError, match="not a reference"):
        resolved({"key": text})


@pytest.mark.parametrize(
    ("tree", "part"),
    [
        ({"a": "${settings.a}"}, r"\${settings.a} -> \${settings.a}"),
        ({"a": "x${settings.b}", "b": "y${settings.a}"}, "in a circle"),
        ({"a": {"b": ["${settings.a}"]}}, "in a circle"),
        ({"a": "${settings}"}, "in a circle"),
    ],
)
def test_circles_are_refused(tree, part):
    with pytest.raises(SuiteError, match=part):
        resolved(tree)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("${sede}", "${seed}"), ("${model.n}", "${model.N}"), ("${settings.kye}", "${settings.key}")],
)
def test_what_refers_to_nothing_names_the_nearest(text, hint):
    with pytest.raises(SuiteError) as caught:
        resolved({"key": {"in": text}})
    assert "refers to nothing" in str(caught.value)
    assert f"did you mean {hint}?" in str(caught.value)


def test_lists_and_mappings_do_not_fit_into_text():
    with pytest.raises(SuiteError, match="not a scalar"):
        resolved({"key": "n=${model}"})
