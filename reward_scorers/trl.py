"""A reward function for TRL: `GRPOTrainer(reward_funcs=reward_scorers.trl.reward, ...)`.

TRL calls a reward function with `completions` and the data set's columns, all of the same length,
and its own `prompts`, `trainer_state` and others, which are not looked at. Options are set by
`reward_with(compat="reasoning360")`, which has a name, as TRL wants it; a partial has none.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from reward_scorers.batch import score_batch
from reward_scorers.router import STRICT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def reward(
    completions: Sequence[Any],
    data_source: Sequence[str],
    ground_truth: Sequence[Any] | None = None,
    reward_model: Sequence[Mapping[str, Any]] | None = None,
    extra_info: Sequence[Mapping[str, Any] | None] | None = None,
    *,
    compat: str = STRICT,
    partial: bool = False,
    timeout_s: float | None = None,
    workers: int = 1,
    **_others: object,
) -> list[float]:
    """The scores of completions, texts or lists of chat messages, whose last one counts.

    The reference answers are the column `ground_truth`, or stand in the column `reward_model` as in
    the Guru data.

    Raises:
        ValueError: neither column is there, or columns are not of one length.
        ScorerError: as for `score_batch`.
    """
    if ground_truth is None:
        if reward_model is None:
            raise ValueError("the data set needs a column ground_truth, or reward_model with it")
        ground_truth = [row["ground_truth"] for row in reward_model]
    extras = extra_info if extra_info is not None else [None] * len(completions)
    rows = [
        {
            "data_source": source,
            "solution_str": said(completion),
            "ground_truth": truth,
            "extra_info": extra,
        }
        for completion, source, truth, extra in zip(
            completions, data_source, ground_truth, extras, strict=True
        )
    ]
    found = score_batch(rows, compat=compat, partial=partial, timeout_s=timeout_s, workers=workers)
    return [row["score"] for row in found]


def reward_with(**options: Any) -> Callable[..., list[float]]:
    """`reward` with options of its own: compat, partial, timeout_s, workers."""

    return functools.update_wrapper(functools.partial(reward, **options), reward)


def said(completion: Any) -> str:
    """The text of a completion: itself, or what the last message says; "" if it says nothing.

    Raises:
        TypeError: it is neither a text nor a list of messages.
    """
    if isinstance(completion, str):
        return completion
    try:
        content = completion[-1]["content"] if completion else ""
    except (TypeError, KeyError, IndexError):
        raise TypeError(f"a completion must be a text or messages, found {completion!r}") from None
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.get("text", "") for part in content)
