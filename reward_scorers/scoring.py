"""`compute_score` for one answer and `score_batch` for many.

`compute_score` has the signature that verl asks of a reward function: in verl's configuration,
`custom_reward_function.path` is this file's and `custom_reward_function.name` is `compute_score`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypedDict

from reward_scorers.deadline import DEFAULT_S, Deadline
from reward_scorers.registry import Context, Outcome, scorer
from reward_scorers.router import POLICIES, STRICT, find_route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reward_scorers.judge import Judge


class Scored(TypedDict):
    """An outcome as trainers want it: the same keys for every row, and nothing that is None.

    `score` in [0, 1]; `acc` whether the answer is right; `pred` what was read, "" if nothing;
    `reason` how; `fraction` the share of right parts, 0 or 1 where an answer has no parts; `scorer`
    the scorer's name and version.
    """

    score: float
    acc: bool
    pred: str
    reason: str
    fraction: float
    scorer: str


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    compat: str = STRICT,
    partial: bool = False,
    timeout_s: float = DEFAULT_S,
    judge: Judge | None = None,
) -> Scored:
    """Score one answer.

    Args:
        data_source: the row's source, for example "math__dapo"; it decides which scorer reads it.
        solution_str: what the model wrote, of any length and content.
        ground_truth: the reference answer as the data set holds it.
        extra_info: the row's further columns.
        compat: "strict", or "reasoning360" for the scores of that reference implementation.
        partial: whether `score` is the share of right parts where an answer has parts.
        timeout_s: seconds that the answer may take in all.
        judge: asked about misses of scorers that allow it; see `reward_scorers.judge`.

    Raises:
        UnknownSourceError, UnsupportedSourceError: no scorer answers for the source.
        GroundTruthError: the reference answer is broken; no answer can be scored against it.
        ValueError: an unknown policy, or a time that is not positive.

    Example:
        >>> compute_score("math__dapo", "So it is \\\\boxed{\\\\frac{1}{2}}.", "0.5")["score"]
        1.0
    """
    if compat not in POLICIES:
        raise ValueError(f"compat must be one of {', '.join(POLICIES)}, found {compat!r}")
    chosen = scorer(find_route(data_source).scorer_under(compat))
    context = Context(
        extra=dict(extra_info) if extra_info is not None else {},
        data_source=data_source,
        partial=partial,
        deadline=Deadline.after(timeout_s),
        judge=judge,
    )
    text = solution_str if isinstance(solution_str, str) else ""
    return _scored(chosen.score(text, ground_truth, context), f"{chosen.name}/{chosen.version}")


def _scored(outcome: Outcome, name: str) -> Scored:
    fraction = outcome.get("fraction", float(outcome["acc"]))
    if not (0 <= outcome["score"] <= 1 and math.isfinite(fraction)):
        raise AssertionError(f"scorer {name} gives a score outside [0, 1]: {outcome}")
    return Scored(
        score=float(outcome["score"]),
        acc=bool(outcome["acc"]),
        pred=outcome["pred"] or "",
        reason=outcome["reason"],
        fraction=fraction,
        scorer=name,
    )
