"""Writing golden files from a run: only entries of the kind `recorded` are ever written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness import pipeline
from harness.errors import InfrastructureError
from harness.verdict.compare import unjudged
from harness.verdict.golden import Golden, save_golden, update
from harness.verdict.model import Level

if TYPE_CHECKING:
    from harness.steps import Checked


@dataclass(frozen=True)
class GoldenChange:
    """A recorded entry before (None: it is new) and after, as printed."""

    entry: str
    before: str | None
    after: str


def update_goldens(checked: Checked, reason: str, *, dry_run: bool) -> list[GoldenChange]:
    """Bring the recorded entries of the tier's golden file to what the run found.

    Quantities that the suite wants judged and that nobody has published get an entry. Returns the
    differences; with `dry_run` nothing is written.

    Raises:
        InfrastructureError: the golden file cannot be written.
    """
    loaded = checked.fitted.collected.locked.loaded
    path = pipeline.golden_path(loaded.suite, loaded.tier.name)
    golden = pipeline.golden(loaded) or Golden(
        schema=1,
        suite=loaded.suite.name,
        suite_version=loaded.suite.version,
        tier=loaded.tier.name,
        level=Level(loaded.tier.level),
        objective_slack_reason="the default of this harness",
        entries=(),
    )
    found = unjudged(None, checked.quantities, loaded.suite.judge)
    updated = update(golden, found, date=f"{datetime.now(UTC):%Y-%m-%d}", reason=reason)
    before = {entry.id: entry.printed for entry in golden.entries}
    changes = [
        GoldenChange(entry.id, before.get(entry.id), entry.printed)
        for entry in updated.entries
        if before.get(entry.id) != entry.printed
    ]
    if changes and not dry_run:
        try:
            save_golden(updated, path)
        except OSError as error:
            raise InfrastructureError(
                f"the golden file cannot be written: {error.strerror}",
                where=str(path),
            ) from None
    return changes
