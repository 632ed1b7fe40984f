"""Writing golden files from a run: only entries of the kind `recorded` are ever written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness import pipeline
from harness.errors import InfrastructureError, SuiteError
from harness.verdict.compare import unjudged
from harness.verdict.golden import Golden, add, save_golden, update
from harness.verdict.model import Level

if TYPE_CHECKING:
    from pathlib import Path

    from harness.steps import Checked
    from harness.verdict.model import Sample


@dataclass(frozen=True)
class GoldenChange:
    """A recorded entry before (None: it is new) and after, as printed."""

    entry: str
    before: str | None
    after: str


def record_first_run(checked: Checked) -> Path:
    """Give the quantities without a golden entry one, and change nothing else; returns the file.

    Raises:
        InfrastructureError: the golden file cannot be written.
    """
    golden, path = _golden(checked)
    added = add(
        golden, checked.recorded, date=_today(), reason="first run", samples=_samples(checked)
    )
    _save(added, path)
    return path


def update_goldens(checked: Checked, reason: str, *, dry_run: bool) -> list[GoldenChange]:
    """Bring the recorded entries of the tier's golden file to what the run found.

    Quantities that the suite wants judged and that nobody has published get an entry. Returns the
    differences; with `dry_run` nothing is written.

    Raises:
        SuiteError: some cells of the tier have no result, or the tier trains: its own seeds, taken
            for its golden, would be held against themselves.
        InfrastructureError: the golden file cannot be written.
    """
    collected = checked.fitted.collected
    loaded = collected.locked.loaded
    if Level(loaded.tier.level) is Level.R3:
        raise SuiteError(
            f"the golden of tier {loaded.tier.name!r} is not made of the seeds that it judges",
            where=loaded.suite.at("tiers", loaded.tier.name),
            hint=f"harness golden record {loaded.suite.handle} --tier {loaded.tier.name} --from "
            'TIER --reason "...", with a tier of at least eight other seeds',
        )
    if collected.absent:
        raise SuiteError(
            f"{len(collected.absent)} cells of the tier have no result; goldens are of whole tiers",
            hint=f"harness run {collected.locked.loaded.request.suite}",
        )
    golden, path = _golden(checked)
    found = unjudged(None, checked.quantities, collected.locked.loaded.suite.judge)
    updated = update(golden, found, date=_today(), reason=reason, samples=_samples(checked))
    before = {entry.id: entry.shown for entry in golden.entries}
    changes = [
        GoldenChange(entry.id, before.get(entry.id), entry.shown)
        for entry in updated.entries
        if before.get(entry.id) != entry.shown
    ]
    if changes and not dry_run:
        _save(updated, path)
    return changes


def _samples(checked: Checked) -> dict[str, Sample | None]:
    return {name: quantity.sample for name, quantity in checked.quantities.items()}


def _golden(checked: Checked) -> tuple[Golden, Path]:
    """The golden file of the tier, empty if there is none, and its path."""
    loaded = checked.fitted.collected.locked.loaded
    golden = pipeline.golden(loaded) or Golden(
        schema=1,
        suite=loaded.suite.name,
        suite_version=loaded.suite.version,
        tier=loaded.tier.name,
        level=Level(loaded.tier.level),
        objective_slack_reason="the default of this harness",
        entries=(),
    )
    return golden, pipeline.golden_path(loaded.suite, loaded.tier.name)


def _save(golden: Golden, path: Path) -> None:
    try:
        save_golden(golden, path)
    except OSError as error:
        raise InfrastructureError(
            f"the golden file cannot be written: {error.strerror}", where=str(path)
        ) from None


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
