from __future__ import annotations

import json
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SuiteError
from harness.spec.identity import canonical_json, cell_id

# Never change a value of this table: stored results are found again by them. If a rule of the
# canonical text has to change, add a version (DOCUMENT_SCHEMA) and rows for it, and keep these.
# A hash can be checked without this project: printf %s TEXT | sha256sum
GOLDEN = [
    (
        {},
        "{}",
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    ),
    (
        {"seed": 0},
        '{"seed":0}',
        "bd0488843468e63c62bb6d1df790f0a83de90616c0906e9dbd3275d3b4100d97",
    ),
    (
        {"lr": 1e-6, "N": 7e9, "on": True},
        '{"N":7000000000,"lr":1e-06,"on":true}',
        "aac5d1984f62f38b48866e8aff89475dc405766e7e4b02eaee133e6c33ee92e0",
    ),
    (
        {"b": [1, "1", None, {}], "a": {"é": "\U0001f680", "line": '\n\t"\\'}},
        '{"a":{"line":"\\n\\t\\"\\\\","é":"\U0001f680"},"b":[1,"1",null,{}]}',
        "3cb245b17cbc2bf8c743303fb869b62e0749f76af275d9267ece0a49c9ca819c",
    ),
    (
        {"tiny": 5e-324, "big": 1e22, "third": 1 / 3, "zero": -0.0},
        '{"big":10000000000000000000000,"third":0.3333333333333333,"tiny":5e-324,"zero":0}',
        "fe8104020475132ea8ce00fc2bcffd53b6c35697d590e11521991750e44ca49f",
    ),
]


@pytest.mark.parametrize(("document", "text", "identity"), GOLDEN)
def test_an_identity_never_changes(document, text, identity):
    assert canonical_json(document).decode() == text
    assert cell_id(document) == identity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7e9, "7000000000"),
        (7000000000, "7000000000"),
        (-0.0, "0"),
        (1e21, "1000000000000000000000"),
        (0.1, "0.1"),
        (1e-6, "1e-06"),
        (1 / 3, "0.3333333333333333"),
        (True, "true"),
        (None, "null"),
        ("é\n", '"é\\n"'),
        ((1, 2), "[1,2]"),
        ({"b": 1, "a": []}, '{"a":[],"b":1}'),
        ({"B": 1, "a": 2, "é": 3}, '{"B":1,"a":2,"é":3}'),
    ],
)
def test_the_text_of_a_value(value, text):
    assert canonical_json(value).decode() == text


def test_subclasses_of_text_and_numbers_are_spelt_as_what_they_are():
    class Colour(StrEnum):
        RED = "red"

    assert canonical_json([Colour.RED, np.float64(0.5), np.float64(2.0)]) == b'["red",0.5,2]'


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ({"a": [0, {"b": float("nan")}]}, "a[1].b"),
        ({"a": float("inf")}, "not finite"),
        ({1: "one"}, "a key that is not text"),
        ({"a": {1, 2}}, "no canonical JSON"),
        ({"a": b"bytes"}, "no canonical JSON"),
        ({"a": "\ud800"}, "UTF-8"),
        (10**5000, "thousands of digits"),
    ],
    ids=lambda entry: entry if isinstance(entry, str) else "",
)
def test_what_is_not_json_is_refused(value, part):
    with pytest.raises(SuiteError, match=part.replace("[", r"\[").replace(".", r"\.")):
        canonical_json(value)


def test_a_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(SuiteError, match="contains itself"):
        canonical_json(value)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def same(a: object, b: object) -> bool:
    """Equality of JSON values: true is not 1, 1.0 is 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


@given(values)
def test_the_text_reads_back_as_the_same_value(value):
    assert same(json.loads(canonical_json(value)), value)


@given(values, values)
def test_values_share_a_text_exactly_if_they_are_the_same(a, b):
    assert (canonical_json(a) == canonical_json(b)) == same(a, b)


@given(st.dictionaries(st.text(), scalars), st.randoms())
def test_key_order_does_not_count(mapping, random):
    items = list(mapping.items())
    random.shuffle(items)
    assert cell_id(dict(items)) == cell_id(mapping)


@given(st.integers(-(2**53), 2**53))
def test_an_integral_float_is_the_integer(number):
    assert canonical_json(float(number)) == canonical_json(number)


@pytest.mark.parametrize(
    "values_apart",
    [["1", 1, True, "true"], [0, False, None, "", [], {}], [[1, 2], ["1,2"], [[1], 2]]],
)
def test_different_types_never_share_an_identity(values_apart):
    texts = {canonical_json(value) for value in values_apart}
    assert len(texts) == len(values_apart)
