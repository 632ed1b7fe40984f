"""Words that may not say more than a run knows: of searches, and of what does not count."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.analysis.laws import law_names
from harness.report import judged
from harness.report.describe import next_basin_in_words, starts_in_words
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.numbers import MINUS
from harness.report.style import formula
from harness.verdict.model import Verdict

from .conftest import comparison

if TYPE_CHECKING:
    from harness.analysis import Fit
    from harness.report.model import ReportInput


def _searched(report: ReportInput, starts: int, gap: float | None, loss: str = "squares") -> Fit:
    one = report.fits["base-C-full"]
    certificate = replace(one.certificate, starts=starts, share_in_best=1.0, second_gap=gap)
    return replace(one, certificate=certificate, loss=loss)


@pytest.mark.parametrize("loss", ["squares", "huber"])
def test_one_start_is_no_evidence_of_a_single_optimum(report: ReportInput, loss: str) -> None:
    one = _searched(report, 1, None, loss)
    assert "100%" not in starts_in_words(one)
    assert starts_in_words(one).startswith("one start only")
    assert ("least squares" in starts_in_words(one)) == (loss == "huber")
    assert next_basin_in_words(one) == "no other was looked for"
    page = unescape(render_html(replace(report, fits={"base-C-full": one}, figures=[]), []))
    assert "one start only" in page
    assert "1 starts" not in page


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (None, "no other found"),
        (0.00123, "the next 0.12% worse"),
        (0.75, "the next 75.00% worse"),
        (80.5306, "the next 81 times worse"),
        (np.inf, "the next is not exact"),
    ],
)
def test_how_much_worse_the_next_optimum_is(
    report: ReportInput, gap: float | None, words: str
) -> None:
    assert next_basin_in_words(_searched(report, 12, gap)) == words


def test_a_row_does_not_speak_for_its_declared_entries(report: ReportInput) -> None:
    declared = comparison(
        "fit/base-C-inter/N0", Verdict.INCONCLUSIVE, declared="misprint", reason="declared misprint"
    )
    counted = comparison("fit/base-C-inter/K_max", Verdict.REPRODUCED)
    [row] = judged.rows(replace(report, comparisons=[counted, declared]))
    assert (row.verdict, row.word) == (Verdict.REPRODUCED, "reproduced (1 declared)")
    assert "reproduced (1 declared)" in render_markdown(
        replace(report, comparisons=[counted, declared])
    )
    [plain] = judged.rows(replace(report, comparisons=[counted]))
    assert plain.word == "reproduced"
    [shown] = judged.rows(
        replace(report, comparisons=[counted, replace(counted, reported_only=True)])
    )
    assert shown.word == "reproduced (1 shown only)"


@pytest.mark.parametrize(
    ("law", "group", "x", "told"),
    [
        ("power", "step", "N_tasks", "L = Aᵢ Nₜₐₛₖₛ⁻ᵝⁱ"),
        ("chinchilla", "N", "D", "L = E + A N⁻ᵅ + B D⁻ᵝ"),
        ("invexp", "N", "C", "L = (S/C)ᵏⁱ"),
        (
            "loglinear",
            "rollout_n",
            "D",
            f"log₁₀ L = {MINUS}k(nᵣₒₗₗₒᵤₜ) log₁₀ D + E₀(nᵣₒₗₗₒᵤₜ),   k free for each nᵣₒₗₗₒᵤₜ",
        ),
    ],
)
def test_a_formula_is_set_as_mathematics(law, group, x, told) -> None:
    assert formula(SimpleNamespace(law=law, group=group, x=x)) == told


def test_the_font_of_figures_has_every_sign_of_every_formula() -> None:
    from matplotlib.font_manager import findfont, get_font

    signs = get_font(findfont("DejaVu Sans")).get_charmap()
    for law in law_names():
        for group, x in (("N", "C"), ("rollout_n", "D"), ("step", "N_tasks"), ("tau", "x")):
            text = formula(SimpleNamespace(law=law, group=group, x=x))
            assert "^-" not in text
            assert all(ord(sign) in signs for sign in text)
