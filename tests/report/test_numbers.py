"""Numbers as text: cases.json is meant to be extended without reading code."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.numbers import (
    at_resolution,
    common_exponent,
    format_value,
    round_to_error,
    signed,
    significant,
    size_label,
)

CASES = json.loads((Path(__file__).parent / "cases.json").read_text("utf-8"))


def _number(given_value: object) -> float | None:
    return float(given_value) if isinstance(given_value, str) else given_value  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("case", "style"),
    [(case, style) for case in CASES for style in ("text", "latex") if style in case],
    ids=lambda value: value if isinstance(value, str) else str(value["value"]),
)
def test_a_value_is_rounded_to_two_digits_of_its_error(case: dict, style: str) -> None:
    value, lo, hi = (_number(case[name]) for name in ("value", "lo", "hi"))
    found = format_value(value, lo, hi, style=style, exponent=case.get("exponent"))
    assert found == case[style]


@given(
    value=st.floats(-1e12, 1e12).filter(lambda v: abs(v) > 1e-9),
    minus=st.floats(1e-6, 0.9),
    plus=st.floats(1e-6, 0.9),
)
def test_the_error_keeps_two_digits_and_the_value_half_a_unit_of_them(
    value: float, minus: float, plus: float
) -> None:
    lo, hi = value - minus * abs(value), value + plus * abs(value)
    rounded = round_to_error(value, lo, hi)
    assert rounded.minus is not None
    assert rounded.plus is not None
    least = min(Decimal(rounded.minus), Decimal(rounded.plus))
    assert least == Decimal(f"{least:.1e}")
    unit = Decimal(1).scaleb(least.adjusted() - 1)
    scaled = Decimal(repr(value)).scaleb(-rounded.exponent)
    assert abs(Decimal(rounded.value) - scaled) <= unit / 2
    if max(minus, plus) < 99 * min(minus, plus):
        texts = (rounded.value, rounded.minus, rounded.plus)
        assert len({_places(text) for text in texts}) == 1


def _places(text: str) -> int:
    return len(text.partition(".")[2])


@pytest.mark.parametrize(
    ("N", "label"),
    [
        (0.5e9, "0.5B"),
        (1.5e9, "1.5B"),
        (72e9, "72B"),
        (1.6e7, "16M"),
        (4e12, "4T"),
        (135e6, "135M"),
        (12.0, "12"),
    ],
)
def test_sizes_read_as_people_say_them(N: float, label: str) -> None:
    assert size_label(N) == label


def test_a_found_value_has_two_decimals_more_than_the_printed_one() -> None:
    assert at_resolution(0.1348859, ".135") == "0.13489"
    assert at_resolution(13.0859, "13.1") == "13.086"
    assert at_resolution(237206773356.0, "2.36677e+11") == "2.3720677e11"
    assert at_resolution(-3.14159, "3") == "\N{MINUS SIGN}3.14"
    assert at_resolution(-2.5e-7, "0") == "\N{MINUS SIGN}2.5e\N{MINUS SIGN}7"
    assert at_resolution(None, "13.1") == "\N{EN DASH}"


def test_small_and_large_numbers_are_written_with_an_exponent() -> None:
    assert significant(1.2e-7, 2) == "1.2e\N{MINUS SIGN}7"
    assert significant(2.1e20, 3) == "2.10e20"
    assert significant(0.0, 3) == "0"
    assert signed(0.0002) == "+0.00020"
    assert signed(-0.0002) == "\N{MINUS SIGN}0.00020"


def test_a_column_shares_its_power_of_ten() -> None:
    assert common_exponent([1.3e10, 2.8e10]) == 9
    assert common_exponent([0.135, 0.163]) == 0
    assert common_exponent([float("nan")]) == 0
