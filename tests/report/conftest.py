"""A report on real fits of the published points, small enough to be made for each session."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.analysis import Curves, blind_fit, extrapolate, fit, resample
from harness.report.model import ReportInput
from harness.verdict.model import Comparison, Verdict, overall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PUBLISHED = Path(__file__).parents[2] / "suites/exp1/published/exp1_holdout.csv"


@dataclass(frozen=True)
class Wanted:
    """A figure or table as a suite file would declare it."""

    name: str
    kind: str
    fit: str | None = None
    fits: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    x: str | None = None
    y: str | None = None
    group: str | None = None
    panels: str | None = None
    where: str | None = None
    smooth: str | None = None
    summaries: tuple[str, ...] = ()
    title: str | None = None
    caption: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Points:
    used: Curves
    held_out: Curves


def comparison(quantity: str, verdict: Verdict, **changes: object) -> Comparison:
    whole = Comparison(
        entry=f"table6/{quantity}",
        group="Table 6: Base C inter",
        quantity=quantity,
        label=quantity.rsplit("/", 1)[-1],
        unit="1",
        published="0.152",
        found=0.15182712345678901,
        difference=-0.00017287654321099,
        tolerance=0.0005,
        tolerance_reason="half a unit of the last digit",
        verdict=verdict,
        reason="" if verdict is Verdict.REPRODUCED else f"because it is {verdict.value}",
        declared=None,
        kind="published",
        source="tan2025, Table 6",
    )
    return replace(whole, **changes)


def synthetic(sizes: list[float], points: int = 12) -> Curves:
    """Curves that follow the law, with a deterministic ripple."""
    rows = []
    for rank, N in enumerate(sizes):
        k = 0.15 / (1 + 17e9 / N)
        for step in range(1, points + 1):
            C = 1e16 * N / 5e8 * step
            loss = 10 ** (-k * np.log10(C) + 0.7 * rank / len(sizes))
            rows.append({"N": N, "C": C, "ErrRate": loss * (1 + 0.004 * np.sin(step + rank))})
    return Curves.from_rows(rows)


@pytest.fixture(scope="session")
def published() -> Curves:
    table = Curves.from_csv(PUBLISHED)
    return Curves({**table.columns, "C": table["C_raw"], "D": table["E"]})


@pytest.fixture(scope="session")
def report(published: Curves) -> ReportInput:
    base = published.where(published["source"] == "base")
    small, large, early = base["N"] <= 32e9, base["N"] > 32e9, base["step"] <= 25
    fits = {
        "base-C-inter": fit(base.where(small)),
        "base-D-intra": fit(base, x="D", drop_last=80),
        "base-C-full": fit(base),
        "base-C-free": fit(base, "loglinear"),
    }
    nothing = base.where(np.zeros(len(base), dtype=bool))
    points = {
        "base-C-inter": Points(base.where(small), base.where(large)),
        "base-D-intra": Points(base.where(early), base.where(~early)),
        "base-C-full": Points(base, nothing),
        "base-C-free": Points(base, nothing),
    }
    inter = fits["base-C-inter"]
    blind = blind_fit(inter, base.where(small), "loglinear_kn_e0")
    comparisons = [
        comparison("fit/base-C-inter/K_max", Verdict.REPRODUCED),
        comparison(
            "fit/base-C-inter/N0",
            Verdict.DRIFTED,
            published="17.4",
            found=17.369,
            unit="1e9 parameters",
        ),
        comparison("fit/base-C-inter/R2", Verdict.REPRODUCED, published=".994", found=inter.r2),
        comparison(
            "fit/base-D-intra/R2",
            Verdict.INCONCLUSIVE,
            group="Table 6: Base D intra",
            published=".996",
            found=fits["base-D-intra"].r2,
            declared="misprint",
            reason="declared misprint: every refit gives .9955",
        ),
    ]
    return ReportInput(
        suite="exp1",
        version=1,
        title="Scaling of GRPO post-training",
        tier="published",
        level="R0",
        run_id="exp1-published-0123abcd",
        verdict=overall(comparisons),
        comparisons=comparisons,
        fits=fits,
        resamples={
            "base-C-inter": resample(inter, base.where(small), n=200, seed=0),
            "base-C-full": resample(fits["base-C-full"], base, n=200, seed=0),
        },
        points=points,
        extrapolations={"base-C-inter": extrapolate(inter, base.where(large), blind=blind)},
        figures=[
            Wanted("overview", "grid", fits=("base-C-full", "base-D-intra")),
            Wanted("inter", "scaling", fit="base-C-inter"),
            Wanted("intra", "scaling", fit="base-D-intra"),
            Wanted("base-72B", "extrapolation", fit="base-C-inter"),
            Wanted("slopes", "slopes", fits=("base-C-free", "base-C-full")),
        ],
        tables=[
            Wanted("table6", "table", fits=("*-inter", "*-intra"), params=("K_max", "N0")),
            Wanted("table6-compact", "table-compact", fits=("*-inter",), params=("K_max", "N0")),
        ],
        curves=base,
        provenance={"git": {"commit": "0123abcd", "dirty": False}, "python": "CPython 3.11"},
        timing={"run": 1.25, "fit": 0.5},
        rerun=["nox -s suite-exp1"],
        notes=["Each curve weighs the same."],
    )


@pytest.fixture(scope="session")
def alone() -> Callable[[Curves, str], ReportInput]:
    """A report on one fit of the given curves, without resampling, held-out points or goldens."""

    def build(curves: Curves, law: str) -> ReportInput:
        return ReportInput(
            suite="tiny",
            version=1,
            title="One fit",
            tier="micro",
            level="R3",
            run_id="tiny-1",
            verdict=Verdict.INCONCLUSIVE,
            comparisons=[],
            fits={"one": fit(curves, law)},
            resamples={},
            points={"one": Points(curves, curves.where(np.zeros(len(curves), dtype=bool)))},
            extrapolations={},
            figures=[
                Wanted("scaling", "scaling", fit="one"),
                Wanted("slopes", "slopes", fits=("one",)),
                Wanted("extrapolation", "extrapolation", fit="one"),
                Wanted("grid", "grid", fits=("*",)),
            ],
            tables=[
                Wanted("t", "table", fits=("one",)),
                Wanted("c", "table-compact", fits=("one",)),
            ],
        )

    return build
