"""Figures that could not be drawn, or not as asked, are refused before any cell is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.errors import SuiteError
from harness.reporting import check_figures, check_parameters
from tests.spec.support import BASE, make_suite

if TYPE_CHECKING:
    from pathlib import Path

_FIGURE = "{name: base, kind: scaling, fit: base-D}"

REFUSED = {
    "{name: p, kind: scalling, fit: base-D}": "did you mean `scaling`",
    "{name: p, kind: curves, x: D}": "without `y`",
    "{name: p, kind: single, params: [k]}": "without `fit`",
    "{name: p, kind: slopes, fits: []}": "without `fits`",
    "{name: p, kind: curves, x: D, y: M}": "a column that `curves` has not",
    "{name: p, kind: curves, x: D, y: L, where: M > 0}": "M",
    "{name: p, kind: curves, x: D, y: L, fit: base-D}": "`fit` says nothing",
    "{name: p, kind: single, fit: base-D, smooth: spline}": "`smooth` says nothing",
    "{name: p, kind: scaling, fit: base-D, where: D > 0}": "`where` says nothing",
    "{name: p, kind: scaling, fit: base-D, fits: [instruct-D]}": "`fits` says nothing",
    "{name: p, kind: prepost, x: N, y: L, smooth: spline}": "`smooth` says nothing",
}
TAKEN = [
    _FIGURE,
    "{name: p, kind: curves, x: D, y: L, group: N, panels: seed, where: D > 0, smooth: paper}",
    "{name: p, kind: compare-source, fits: ['*-D'], params: [k]}",
    "{name: p, kind: rectangles, group: N, x: D, where: seed == 0}",
    "{name: p, kind: scaling, fit: base-D, title: Lines, caption: One run each.}",
    "{name: p, kind: dots, x: L, y: N, group: seed, labels: {L: Test loss, '0': first}}",
]


def _check(tmp_path: Path, figure: str) -> None:
    check_figures(make_suite(tmp_path, (_FIGURE, figure)))


@pytest.mark.parametrize("figure", REFUSED)
def test_what_cannot_be_drawn_is_refused_with_its_line(tmp_path: Path, figure: str) -> None:
    with pytest.raises(SuiteError) as error:
        _check(tmp_path, figure)
    line = next(n for n, text in enumerate(BASE.splitlines(), 1) if _FIGURE in text)
    assert error.value.where is not None
    assert error.value.where.endswith(f"suite.yaml:{line}")
    assert REFUSED[figure] in str(error.value)


@pytest.mark.parametrize("figure", TAKEN)
def test_what_a_kind_knows_is_taken(tmp_path: Path, figure: str) -> None:
    _check(tmp_path, figure)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (_FIGURE, "{name: p, kind: single, fit: base-D, params: [K_mx]}", "did you mean `K_max`"),
        ("params: [K_max]", "params: [K_max, kay]", "no parameter is named 'kay'"),
        ('    drop_last: "${cut}"', "    profile: [k]", "one of K_max, N0"),
    ],
)
def test_a_parameter_that_no_law_has_is_refused(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    suite = make_suite(tmp_path, (before, after))
    with pytest.raises(SuiteError) as error:
        check_parameters(suite)
    assert told in str(error.value)
    assert error.value.where is not None
    assert "suite.yaml:" in error.value.where


@pytest.mark.parametrize("params", ["K_max", "N0, k", "E0"])
def test_a_parameter_of_the_law_or_of_its_curves_is_taken(tmp_path: Path, params: str) -> None:
    check_parameters(make_suite(tmp_path, ("params: [K_max]", f"params: [{params}]")))
