"""`compute_score` for one answer; `reward_scorers.batch` has it for many.

It has the signature that verl asks of a reward function: in verl's configuration,
`custom_reward_function.path` is `pkg://reward_scorers.scoring`, or this file's path, and
`custom_reward_function.name` is `compute_score`; its `reward_kwargs` may set `compat` and the like.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if not __package__:  # loaded by its path, perhaps out of a folder that is not installed
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from reward_scorers.deadline import Deadline
from reward_scorers.errors import RowError
from reward_scorers.registry import Context, Outcome, Scorer, scorer
from reward_scorers.router import POLICIES, STRICT, find_route
from reward_scorers.text import shown

if TYPE_CHECKING:
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
    timeout_s: float | None = None,
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
        timeout_s: seconds that the answer may take in all; None for what its scorer gives: two,
            and a minute where programs are run.
        judge: asked about misses of scorers that allow it; see `reward_scorers.judge`.

    Raises:
        UnknownSourceError, UnsupportedSourceError: no scorer answers for the source.
        GroundTruthError: the reference answer is broken; no answer can be scored against it.
        RowError: `extra_info` is no mapping.
        ValueError: an unknown policy, or a time that is not positive.

    Example:
        >>> compute_score("math__dapo", "So it is \\\\boxed{\\\\frac{1}{2}}.", "0.5")["score"]
        1.0
    """
    return score_with(
        find_scorer(data_source, compat),
        data_source,
        solution_str,
        ground_truth,
        extra_info,
        partial=partial,
        timeout_s=timeout_s,
        judge=judge,
    )


def find_scorer(data_source: str, compat: str = STRICT) -> Scorer:
    """The scorer of a data source under a policy; raises as `compute_score` does."""
    if compat not in POLICIES:
        raise ValueError(f"compat must be one of {', '.join(POLICIES)}, found {compat!r}")
    return scorer(find_route(data_source).scorer_under(compat))


def score_with(
    chosen: Scorer,
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None,
    *,
    partial: bool,
    timeout_s: float | None,
    judge: Judge | None,
) -> Scored:
    """Score one answer with a scorer that is found already."""
    if extra_info is not None and not isinstance(extra_info, Mapping):
        raise RowError(f"extra_info must be a mapping or None, found {shown(extra_info)}")
    context = Context(
        extra=dict(extra_info) if extra_info is not None else {},
        data_source=data_source,
        partial=partial,
        deadline=Deadline.after(chosen.timeout_s if timeout_s is None else timeout_s),
        judge=judge,
    )
    text = solution_str if isinstance(solution_str, str) else ""
    return scored(chosen.score(text, ground_truth, context), chosen)


def scored(outcome: Outcome, chosen: Scorer) -> Scored:
    """A scorer's outcome in the form that trainers want."""
    name = f"{chosen.name}/{chosen.version}"
    fraction = outcome.get("fraction", float(outcome["acc"]))
    if not (0 <= outcome["score"] <= 1 and math.isfinite(fraction)):
        raise AssertionError(f"scorer {name} gives a score outside [0, 1]: {outcome}")
    return Scored(
        score=float(outcome["score"]),
        acc=bool(outcome["acc"]),
        pred=_writable(outcome["pred"] or ""),
        reason=_writable(outcome["reason"]),
        fraction=fraction,
        scorer=name,
    )


def _writable(text: str) -> str:
    # Trainers write these to files in UTF-8, which has no lone surrogates.
    return text.encode("utf-8", "replace").decode("utf-8")
