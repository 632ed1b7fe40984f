"""The limits of a run speak of what it holds, and of nothing that it has not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.report import limits
from harness.spec.discovery import list_suites
from harness.spec.load import load_suite

if TYPE_CHECKING:
    from harness.report.model import ReportInput

FITS = ("Pooled", "whole curves", "blocks of residuals", "standard errors", "calibrated")


def _told(report: ReportInput) -> str:
    return "\n".join(limits.sentences(report))


def test_a_run_without_fits_speaks_of_none(report: ReportInput) -> None:
    told = _told(
        replace(report, fits={}, resamples={}, extrapolations={}, limits=["One run each."])
    )
    assert not [word for word in FITS if word in told]
    assert "repeats the arithmetic from published numbers" in told
    assert "repeats the fit" not in told
    assert told.endswith("One run each.")


@pytest.mark.parametrize(
    ("method", "words"),
    [("curve", "whole curves"), ("block", "blocks of residuals"), ("seed", "values of seed")],
)
def test_intervals_are_told_by_how_they_were_drawn(
    report: ReportInput, method: str, words: str
) -> None:
    name = "base-C-full"
    drawn = replace(report.resamples[name], method=method)
    one = replace(report, fits={name: report.fits[name]}, resamples={name: drawn})
    told = _told(replace(one, extrapolations={}))
    others = {"whole curves", "blocks of residuals", "values of seed", "standard errors"} - {words}
    assert f"The intervals of the fits come from drawing {words}" in told
    assert not [other for other in others if other in told]
    assert "calibrated" not in told


def test_fits_that_differ_in_their_intervals_are_named(report: ReportInput) -> None:
    told = _told(report)
    assert "base-C-inter, base-C-full come from drawing whole curves" in told
    assert "base-D-intra, base-C-free are two least-squares standard errors" in told
    assert "A calibrated extrapolation" in told


def test_one_curve_has_no_variance_between_curves(report: ReportInput) -> None:
    one = replace(report.fits["base-C-free"], r2_by_curve={7e9: 0.9})
    assert "Pooled" not in _told(replace(report, fits={"one": one}))


@pytest.mark.parametrize("level", ["R1", "R2", "R3"])
def test_each_level_has_its_own_limit(report: ReportInput, level: str) -> None:
    assert limits.sentences(replace(report, level=level))[0].startswith(f"Level {level} repeats")


@pytest.mark.parametrize("name", list_suites())
def test_every_suite_says_what_a_run_of_it_does_not(name: str) -> None:
    told = load_suite(list_suites()[name]).limits
    assert 1 <= len(told) <= 3
    assert all(sentence.endswith(".") and sentence[0].isupper() for sentence in told)
