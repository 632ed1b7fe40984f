"""Values between processes that do not trust each other."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import json
import math
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_scorers.sandbox.guest.values import NoValue, Reader, Writer, dumps, loads
from tests.scorers.patience import no_endless_work

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes().map(lambda moment: moment.replace(fold=0))  # ISO text has no fold
    | st.times().map(lambda moment: moment.replace(fold=0))
    | st.timedeltas()
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9))
)
KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.lists(inner).map(collections.deque)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=20,
)


def sent(value: Any) -> Any:
    return Reader().read(loads(dumps(Writer().write(value))))


def typed(value: Any) -> Any:
    """A value beside its types, at every depth; NaN equals itself here."""
    if isinstance(value, list | tuple | collections.deque):
        return type(value), [typed(item) for item in value]
    if isinstance(value, dict):
        return type(value), sorted(((repr(k), typed(v)) for k, v in value.items()), key=repr)
    if isinstance(value, set | frozenset):
        return type(value), sorted(map(repr, value))
    return type(value), repr(value)


@given(VALUES)
def test_what_is_sent_arrives_with_its_types(value: Any) -> None:
    assert typed(sent(value)) == typed(value)


@pytest.mark.parametrize(
    ("value", "arrived"),
    [
        (bytearray(b"x"), bytearray(b"x")),
        (collections.Counter("aab"), collections.Counter("aab")),
        (collections.OrderedDict(a=1), collections.OrderedDict(a=1)),
        (collections.defaultdict(int, a=1), collections.defaultdict(int, a=1)),
        ({"b": 1, "a": 2}.keys(), {"b": 1, "a": 2}.keys()),
        ({"b": 1, "a": 2}.items(), {"b": 1, "a": 2}.items()),
        (slice(1, None, 2), slice(1, None, 2)),
        (decimal.Decimal("1.10"), decimal.Decimal("1.10")),
        (fractions.Fraction(1, 3), fractions.Fraction(1, 3)),
        (datetime.timedelta(1, 2, 3), datetime.timedelta(1, 2, 3)),
        ("\ud800", "\ud800"),
    ],
)
def test_further_types_arrive(value: Any, arrived: Any) -> None:
    found = sent(value)
    assert type(found) is type(arrived)
    assert found == arrived


class Liar(int):
    """Says that it equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class Colour(IntEnum):
    """A number with a name."""

    RED = 1


class Text(str):
    __slots__ = ()


class Many(list):  # type: ignore[type-arg]
    pass


@pytest.mark.parametrize(
    "value",
    [Liar(1), Colour.RED, Text("a"), Many(), [Liar(1)], {"a": Text()}, object(), len, iter(())],
)
def test_nothing_but_builtin_types_is_written(value: Any) -> None:
    with pytest.raises(NoValue, match="an object of type"):
        Writer().write(value)


def test_what_refers_to_itself_is_no_value() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(NoValue, match="deep"):
        Writer().write(loop)


def test_a_depth_that_python_cannot_write_is_no_value() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NoValue):
        dumps(Writer().write(deep))


HOSTILE = [
    b"",
    b"{",
    b"nul",
    b"[" * 1_000_000,
    b'{"' * 100_000,
    b'{"t":' * 100_000 + b"[]" + b"}" * 100_000,
    b'{"t":1}',
    b'{"t":[],"s":[]}',
    b"{}",
    b'{"o":0}',
    b'{"h":[0,"x",false]}',
    b'{"unknown":1}',
    b'{"i":"0x"}',
    b'{"i":5}',
    b'{"i":"__import__"}',
    b'{"r":[0,1,0]}',
    b'{"r":["a",1,1]}',
    b'{"b":"!!!"}',
    b'{"d":[[{"t":[[]]},1]]}',
    b'{"d":[1]}',
    b'{"s":[[]]}',
    b'{"fr":[1,0]}',
    b'{"fr":["1e999999999",1]}',
    b'{"de":"x"}',
    b'{"dt":"not a date"}',
    b'{"td":[1e400,0,0]}',
    b'{"ct":[[1,2],[1]]}',
    b"1" * 5_000,
]


@pytest.mark.parametrize("data", HOSTILE, ids=lambda data: repr(data[:20]))
def test_hostile_texts_are_no_values(data: bytes) -> None:
    with no_endless_work(), pytest.raises(NoValue):
        Reader().read(loads(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["i", "t", "s", "d", "b", "c", "r", "dq", "ct", "de", "fr", "td", "dt"])
            | st.text(max_size=3),
            inner,
            max_size=2,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_json_says_it_is_a_value_or_none(tree: Any) -> None:
    try:
        found = Reader().read(loads(json.dumps(tree).encode()))
    except NoValue:
        return
    assert type(found).__module__ in ("builtins", "collections", "datetime", "decimal", "fractions")


def test_views_keep_their_order_and_defaults_their_kind() -> None:
    assert list(sent({"b": 1, "a": 2}.keys())) == ["b", "a"]
    assert list(sent({"b": 1, "a": 2}.values())) == [1, 2]
    assert sent(collections.defaultdict(list))[7] == []
    with pytest.raises(KeyError):
        sent(collections.defaultdict(lambda: 1))[7]


@pytest.mark.parametrize(
    "value",
    [10**100_000, [1, -(10**5_000)], [10**3_000, 1], [True, 2]],
    ids=["long", "a long one among others", "and another way round", "a boolean"],
)
def test_integers_of_any_length_arrive(value: Any) -> None:
    assert sent(value) == value


def test_numbers_that_are_no_numbers_arrive() -> None:
    assert math.isnan(sent(math.nan))
    assert sent([math.inf, -math.inf, -0.0]) == [math.inf, -math.inf, 0.0]
    assert math.copysign(1, sent(-0.0)) == -1
