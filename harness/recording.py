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
from harness.errors import InfrastructureError, SuiteError
from harness.pipeline import golden_path
from harness.spec.grid import Grid
from harness.spec.identity import canonical_json
from harness.spec.lock import load_lock
from harness.verdict.entry import Band, Entry, Kind
from harness.verdict.golden import Change, Golden, load_golden, save_golden
from harness.verdict.model import Level

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.spec.measures import GoldenBand, Margin
    from harness.spec.suite import Suite
    from harness.steps import Checked, Loaded, Locked
    from harness.verdict.model import Quantity

_COUNTED = 1e9  # what is larger is no count but a measure, and its mean is rounded
_SAME_COUNT = 0.001  # one seed of up to a thousand that counts one less moves the mean further
FEWEST_SEEDS = 8  # a standard deviation of fewer is off by a third or more, one time in three


def record_golden(source: Checked, target: Loaded, reason: str, *, dry_run: bool) -> Golden:
    """Make the golden file of tier `target` from the finished cells of another tier.

    Args:
        source: the tier with the golden's seeds, collected, fitted and checked.
        target: the tier that is judged by the file; its suite sets margins and bands.

    Raises:
        SuiteError: both tiers share cells, cells are missing, nothing to judge, fewer than eight
            seeds, a quantity to judge without margin or spread, a fit without refits, or a golden
            that holds numbers of other kinds.
        InfrastructureError: the file cannot be written.
    """
    suite, tier = target.suite, target.tier
    path = golden_path(suite, tier.name)
    before = _recorded_before(path)
    collected = source.fitted.collected
    _check_apart(collected.locked, suite, tier.name)
    if collected.absent:
        raise SuiteError(
            f"{len(collected.absent)} cells of tier {collected.locked.loaded.tier.name!r} have no "
            "result; goldens are of whole tiers",
            hint=f"harness run {suite.handle} --tier {collected.locked.loaded.tier.name} "
            f"--workspace {collected.locked.loaded.request.workspace}",
        )
    machine = _machine(source)
    entries = [
        _entry(quantity, suite, path, machine)
        for name, quantity in source.quantities.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in suite.judge)
    ]
    if not entries:
        raise SuiteError(
            "`judge` names none of the numbers that the seeds gave",
            where=str(suite.path),
            expected="glob patterns of quantity names: summary/NAME/*",
            found=", ".join(suite.judge) or "no patterns",
        )
    runs = min(entry.runs or 0 for entry in entries)
    bands = [_band(source, one, runs, machine) for one in suite.bands]
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    names = (*(entry.id for entry in entries), *(band.id for band in bands))
    change = Change(date=date, reason=reason, entries=names)
    golden = Golden(
        schema=1,
        suite=suite.name,
        suite_version=suite.version,
        tier=tier.name,
        level=Level(tier.level),
        objective_slack_reason="not used at this level",
        entries=tuple(entries),
        bands=tuple(bands),
        history=(*(before.history if before else ()), change),
    )
    if not dry_run:
        try:
            save_golden(golden, path)
        except OSError as error:
            message = f"the golden file cannot be written: {error.strerror}"
            raise InfrastructureError(message, where=str(path)) from None
    return golden


def _recorded_before(path: Path) -> Golden | None:
    """The file that is to be replaced; a published number is not replaced by a run.

    Raises:
        SuiteError: it holds more than recorded numbers.
    """
    before = load_golden(path)
    if before is None:
        return None
    parts: tuple[Entry | Band, ...] = (*before.entries, *before.bands)
    kept = [one.id for one in parts if one.kind is not Kind.RECORDED]
    kept += [one.id for one in before.not_recomputed]
    if kept or before.refused:
        raise SuiteError(
            "the golden file holds more than recorded numbers, which a run does not replace",
            where=str(path),
            found=", ".join(kept[:3]) or "refusals",
            hint="record into the golden file of a tier that nobody has published",
        )
    return before


def _check_apart(source: Locked, suite: Suite, tier: str) -> None:
    """Raise SuiteError where the golden's cells are others than those judged, or the very same.

    Ids differ, being of different tiers. Cells with the same axis values have the same seed, and so
    the same chance.
    """
    own, other = suite.tier(tier), source.loaded.tier
    for key in ("engine", "settings", "scorers"):
        if getattr(own, key) != getattr(other, key):
            raise SuiteError(
                f"`{key}` of tier {other.name!r} is not that of tier {tier!r}, which it judges",
                where=suite.at("tiers", other.name),
                hint=f"let it say `extends: {tier}`, and nothing else but the values of `seed`",
            )
    judged = _axis_values(Grid(suite, tier, load_lock(suite)))
    shared = len(judged & _axis_values(source.grid))
    if shared:
        name = source.loaded.tier.name
        raise SuiteError(
            f"{shared} cells of tier {name!r} are cells of tier {tier!r} too: they would be judged "
            "by themselves",
            where=suite.at("tiers", name),
            hint="give one of the two other values of `seed`",
        )


def _axis_values(grid: Grid) -> set[bytes]:
    return {canonical_json(grid.cell(ordinal, name).values) for ordinal, name in grid.ids()}


def _entry(quantity: Quantity, suite: Suite, path: Path, machine: str) -> Entry:
    """A mean with its spread and margin; a count that all seeds share stands by itself."""
    sample = quantity.sample
    if quantity.value is None or sample is None or len(sample.values) < FEWEST_SEEDS:
        raise SuiteError(
            f"{quantity.name} has too few seeds for a golden",
            expected=f"at least {FEWEST_SEEDS}",
            found=str(len(sample.values)) if sample is not None else "one number, without seeds",
            hint="give the golden's tier more values of `seed`",
        )
    group, label = _heading(quantity.name, suite)
    told: Mapping[str, Any] = {
        "id": f"recorded/{quantity.name}",
        "group": group,
        "label": label,
        "quantity": quantity.name,
        "kind": Kind.RECORDED,
        "runs": len(sample.values),
        **_origin(machine),
    }
    sd = float(np.std(sample.values, ddof=1))
    if sd > 0:
        margin = _margin_of(quantity.name, suite.margins, path)
        return Entry(
            printed=_digits(quantity.value),
            sd=_rounded(sd),
            margin=margin.margin,
            margin_reason=margin.reason,
            **told,
        )
    if not (quantity.value.is_integer() and abs(quantity.value) < _COUNTED):
        raise SuiteError(
            f"all seeds give the same {quantity.name}: it has no spread to judge by",
            hint="take it out of `judge`",
        )
    return Entry(
        printed=f"{quantity.value:.0f}",
        tolerance=_SAME_COUNT,
        tolerance_reason="a count that all seeds share",
        **told,
    )


def _heading(name: str, suite: Suite) -> tuple[str, str]:
    """Group and label of a summary's number: `pass-at-1: base` and `tau = 4`."""
    kind, summary, *values = name.split("/")
    by = next((one.by for one in suite.summaries if one.name == summary), ())
    if kind != "summary" or not values or len(by) != len(values):
        group, _, label = name.rpartition("/")
        return group, label
    others = ", ".join(values[:-1])
    return f"{summary}: {others}" if others else summary, f"{by[-1]} = {values[-1]}"


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
