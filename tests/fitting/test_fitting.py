"""What an analysis refuses before any number comes out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.analysis import Curves
from harness.errors import SuiteError
from harness.fitting import analyse
from harness.spec.measures import Analysis, Extrapolation

if TYPE_CHECKING:
    from harness.fitting import Outcome

SIZES = np.array([0.5e9, 3e9, 14e9, 32e9, 72e9])
LABELS = ("source", "N", "seed")


def curves(source: str = "base", seed: int = 0, level: float = 0.0) -> list[dict[str, object]]:
    """Points of five sizes, on a law but for a ripple."""
    rows = []
    for N in SIZES:
        k, E0 = 0.13 / (1 + 13e9 / N), 2.3 / (1 + 17e9 / N) + level
        for step in range(1, 9):
            C = 1e17 * N / 1e9 * step
            L = 10 ** (E0 - k * np.log10(C)) * (1 + 0.002 * np.sin(step + seed))
            rows.append(
                {"source": source, "seed": seed, "N": N, "step": step, "C": C, "ErrRate": L}
            )
    return rows


BASE = Curves.from_rows(curves())
BOTH = Curves.from_rows([*curves(), *curves("instruct", level=-0.1)])


def outcome(table: Curves, **changes: object) -> Outcome:
    declared = {"name": "a", "law": "loglinear_kn", "x": "C", "y": "ErrRate", **changes}
    done = analyse(Analysis.model_validate(declared), table, LABELS, [])
    assert done.outcome is not None
    return done.outcome


def beyond(to: str) -> Extrapolation:
    return Extrapolation(to=to, blind_law="loglinear_kn_e0")


def test_fitted_points_are_not_predicted() -> None:
    with pytest.raises(SuiteError) as caught:
        outcome(BASE, where="N <= 32e9", extrapolate=beyond("N >= 32e9"))
    error = caught.value
    assert error.where == "analysis a"
    assert error.found == "8 rows of N=32B in both"
    assert error.hint is not None
    typed = error.hint.split("`")[1].removeprefix("to: ").strip("'")
    repaired = outcome(BASE, where="N <= 32e9", extrapolate=beyond(typed))
    assert set(repaired.held_out["N"]) == {72e9}
    assert {one.N for one in repaired.extrapolations} == {72e9}


def test_without_where_everything_is_fitted() -> None:
    with pytest.raises(SuiteError, match="8 rows of N=72B") as caught:
        outcome(BASE, extrapolate=beyond("N > 32e9"))
    assert caught.value.hint == "write `where: 'not (N > 32e9)'`"


def test_clipped_steps_of_fitted_curves_may_be_predicted() -> None:
    done = outcome(BASE, drop_last=3, extrapolate=beyond("step > 5"))
    assert len(done.held_out) == 3 * len(SIZES)
    with pytest.raises(SuiteError, match="5 rows"):
        outcome(BASE, drop_last=3, extrapolate=beyond("step >= 5"))


def test_curves_of_different_cells_are_not_one_curve() -> None:
    with pytest.raises(SuiteError, match="differ in source") as caught:
        outcome(BOTH)
    assert caught.value.found == "N=0.5B with source base, instruct"
    assert caught.value.hint is not None
    typed = caught.value.hint.split("`")[1].removeprefix("where: ").strip("'")
    assert outcome(BOTH, where=typed).fit == outcome(BASE).fit


def test_predicted_curves_are_single_ones_too() -> None:
    with pytest.raises(SuiteError, match="differ in source"):
        outcome(BOTH, where='source == "base" and N <= 32e9', extrapolate=beyond("N > 32e9"))


def test_a_curve_of_another_cell_is_not_the_fitted_one() -> None:
    with pytest.raises(SuiteError, match="differ in source"):
        outcome(BOTH, where='source == "base"', extrapolate=beyond('source == "instruct"'))


def test_seeds_of_one_cell_are_one_curve() -> None:
    seeds = Curves.from_rows([*curves(seed=0), *curves(seed=1)])
    assert outcome(seeds).fit.n == 16 * len(SIZES)


def test_cells_that_differ_in_the_abscissa_are_one_curve() -> None:
    """One run for each N, and a curve over N at each step."""
    declared = {"name": "a", "law": "loglinear", "x": "N", "y": "ErrRate", "group": "step"}
    done = analyse(Analysis.model_validate(declared), BASE, LABELS, [])
    assert done.outcome is not None
    assert done.outcome.fit.n == 8 * len(SIZES)
    with pytest.raises(SuiteError, match="differ in source"):
        analyse(Analysis.model_validate(declared), BOTH, LABELS, [])
