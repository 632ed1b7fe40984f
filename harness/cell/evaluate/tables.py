"""The table of domains before and after training, out of a run's lines of metrics."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OVERALL = "all"
_METRIC = "pass_at_1"


@dataclass(frozen=True, slots=True)
class DomainRow:
    """pass@1 of one domain before and after.

    Attributes:
        domain: the ability, or `all`.
        n: responses that each number is the mean of.
        before, after: pass@1. se_before, se_after: sqrt(p (1 - p) / n), the binomial's.
        change: after - before.
        se_change: sqrt(se_before^2 + se_after^2). Where both answer the same questions their errors
            are mostly positively correlated, and this is too large rather than too small.
    """

    domain: str
    n: int
    before: float
    se_before: float
    after: float
    se_after: float
    change: float
    se_change: float


def domain_table(
    lines: Sequence[Mapping[str, object]], responses: Mapping[str, int], *, prefix: str = "heldout"
) -> list[dict[str, object]]:
    """Rows for result.json: the first and the last line that was evaluated, domain by domain.

    Args:
        lines: a run's lines, each with `step` and `evals`; they are taken by `step`.
        responses: domain -> responses that its pass@1 is the mean of at each evaluation. A run of
            one domain reports it under no domain's name.
        prefix: of the evaluation's metrics, `PREFIX.DOMAIN.pass_at_1` and `PREFIX.pass_at_1`.

    Returns:
        One mapping for each domain of `responses`, in that order, and `all` where there are
        several; see `DomainRow` for what they hold.

    Raises:
        DataError: fewer than two evaluations, a domain that was not evaluated, or a pass@1 that is
            no share.
    """
    evaluated = [line for line in lines if f"{prefix}.{_METRIC}" in _evals(line)]
    evaluated.sort(key=lambda line: float(str(line["step"])))
    if len(evaluated) < 2:
        raise DataError(
            "no table of before and after without two evaluations",
            where="metrics.jsonl",
            expected=f"evals with {prefix}.{_METRIC} in the first line and after the last step",
            found=f"{len(evaluated)} such lines",
        )
    before, after = _evals(evaluated[0]), _evals(evaluated[-1])
    if len(responses) == 1:
        (n,) = responses.values()
        (domain,) = responses
        return [asdict(_row(domain, n, before, after, f"{prefix}.{_METRIC}"))]
    rows = [
        _row(domain, n, before, after, f"{prefix}.{domain}.{_METRIC}")
        for domain, n in responses.items()
    ]
    rows.append(_row(OVERALL, sum(responses.values()), before, after, f"{prefix}.{_METRIC}"))
    return [asdict(row) for row in rows]


def _evals(line: Mapping[str, object]) -> Mapping[str, float]:
    evals = line.get("evals")
    return evals if isinstance(evals, dict) else {}


def _row(
    domain: str, n: int, before: Mapping[str, float], after: Mapping[str, float], name: str
) -> DomainRow:
    first, last = _share(before, name), _share(after, name)
    if n < 1:
        raise DataError(f"no responses of domain {domain!r}", found=f"n = {n}")
    se_first, se_last = (math.sqrt(p * (1 - p) / n) for p in (first, last))
    return DomainRow(
        domain, n, first, se_first, last, se_last, last - first, math.hypot(se_first, se_last)
    )


def _share(evals: Mapping[str, float], name: str) -> float:
    value = evals.get(name)
    if value is None or not 0 <= value <= 1:
        raise DataError(
            f"{name} is no share",
            where="metrics.jsonl",
            expected="a number from 0 to 1 at every evaluation",
            found="nothing" if value is None else repr(value),
        )
    return float(value)
