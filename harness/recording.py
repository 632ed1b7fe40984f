"""Golden files of trained tiers: means over seeds, with the margins that the suite set beforehand.

The seeds are those of a tier of their own, so that no run is ever held against itself. What is
written is of the kind `recorded`: it says what this harness found, on which processor, and guards
against drift; it confirms no publication.
"""

from __future__ import annotations

import fnmatch
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.checking import predict
from harness.errors import SuiteError
from harness.pipeline import golden_path
from harness.verdict.entry import Band, Entry, Kind
from harness.verdict.golden import Change, Golden, save_golden
from harness.verdict.model import Level

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.spec.measures import GoldenBand, Margin
    from harness.steps import Checked, Loaded
    from harness.verdict.model import Quantity

FEWEST_SEEDS = 8  # a standard deviation of fewer is off by a third or more, one time in three


def record_golden(source: Checked, target: Loaded, reason: str, *, dry_run: bool) -> Golden:
    """Make the golden file of tier `target` from the finished cells of another tier.

    Args:
        source: the tier with the golden's seeds, collected, fitted and checked.
        target: the tier that is judged by the file; its suite sets margins and bands.

    Raises:
        SuiteError: cells are missing, fewer than eight seeds, a quantity to judge without margin or
            spread, a fit without refits, or a golden that holds published numbers.
    """
    suite, tier = target.suite, target.tier
    path = golden_path(suite, tier.name)
    collected = source.fitted.collected
    if collected.absent:
        raise SuiteError(
            f"{len(collected.absent)} cells of tier {collected.locked.loaded.tier.name!r} have no "
            "result; goldens are of whole tiers",
            hint=f"harness run {suite.handle} --tier {collected.locked.loaded.tier.name}",
        )
    machine = _machine(source)
    entries = [
        _entry(quantity, _margin_of(name, suite.margins, path), machine)
        for name, quantity in sorted(source.quantities.items())
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in suite.judge)
    ]
    runs = min((entry.runs or 0 for entry in entries), default=0)
    bands = [_band(source, one, runs, machine) for one in suite.bands]
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    names = (*(entry.id for entry in entries), *(band.id for band in bands))
    golden = Golden(
        schema=1,
        suite=suite.name,
        suite_version=suite.version,
        tier=tier.name,
        level=Level(tier.level),
        objective_slack_reason="not used at this level",
        entries=tuple(entries),
        bands=tuple(bands),
        history=(Change(date=date, reason=reason, entries=names),),
    )
    if not dry_run:
        save_golden(golden, path)
    return golden


def _entry(quantity: Quantity, margin: Margin, machine: str) -> Entry:
    sample = quantity.sample
    if quantity.value is None or sample is None or len(sample.values) < FEWEST_SEEDS:
        raise SuiteError(
            f"{quantity.name} has too few seeds for a golden",
            expected=f"at least {FEWEST_SEEDS}",
            found=str(len(sample.values)) if sample is not None else "one number, without seeds",
            hint="give the golden's tier more values of `seed`",
        )
    sd = float(np.std(sample.values, ddof=1))
    if not sd > 0:
        raise SuiteError(
            f"all seeds give the same {quantity.name}: it has no spread to judge by",
            hint="take it out of `judge`",
        )
    group, _, label = quantity.name.rpartition("/")
    return Entry(
        id=f"recorded/{quantity.name}",
        group=group.removeprefix("summary/"),
        label=label,
        quantity=quantity.name,
        kind=Kind.RECORDED,
        printed=_digits(quantity.value),
        sd=_rounded(sd),
        runs=len(sample.values),
        margin=margin.margin,
        margin_reason=margin.reason,
        **_origin(machine),
    )


def _band(source: Checked, asked: GoldenBand, runs: int, machine: str) -> Band:
    found = predict(source.fitted, asked.fit, asked.N, asked.x)
    if found.values is None or found.draws is None or found.missing is not None:
        raise SuiteError(
            f"fit {asked.fit!r} gives no band: {found.missing or found.no_draws}",
            hint="resample the analysis by seed",
        )
    return Band(
        id=f"recorded/band/{asked.fit}",
        group=f"{asked.fit}: predictions",
        label="predicted loss",
        fit=asked.fit,
        kind=Kind.RECORDED,
        runs=runs,
        x=asked.x,
        N=asked.N,
        predicted=_table(found.values),
        se=_table(found.draws.std(axis=0, ddof=1)),
        margin=asked.margin,
        margin_reason=asked.reason,
        **_origin(machine),
    )


def _margin_of(name: str, margins: tuple[Margin, ...], path: Path) -> Margin:
    for one in margins:
        if fnmatch.fnmatchcase(name, one.match):
            return one
    raise SuiteError(
        f"no margin for {name}, which `judge` wants judged",
        where=str(path),
        hint="add an entry to `margins` that matches it, before the runs that it judges",
    )


def _machine(source: Checked) -> str:
    """The processors and libraries that the seeds were computed with, as the cells tell them."""
    told: set[str] = set()
    for result in source.fitted.collected.results:
        computed: Any = result.result.get("computed_by", {})
        told.add(", ".join(f"{key} {value}" for key, value in sorted(computed.items())))
    return "; ".join(sorted(told)) or "not told"


def _origin(machine: str) -> Mapping[str, Any]:
    return {
        "source": "this harness",
        "place": f"seeds of a tier of their own, computed by {machine}",
        "protocol": "as in suite.yaml",
    }


def _digits(value: float) -> str:
    """Six significant digits: far below the spread between seeds."""
    return f"{value:.6g}"


def _rounded(value: float) -> float:
    return float(_digits(value))


def _table(values: Any) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(_rounded(float(one)) for one in row) for row in values)
