"""What is checked of prompts and weights: what passes, what is told of the rest."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harness.cell.contract import DivergedError
from harness.cell.train.rl.checks import Prompts, check_finite
from harness.data.rows import Row, load_rows
from harness.errors import DataError

if TYPE_CHECKING:
    from harness.cell.train.rl.policy import Policy


def rows_of(*contents: str) -> list[Row]:
    raw = [
        {
            "data_source": "math__toy",
            "prompt": [{"role": "user", "content": content}],
            "ability": "math",
            "reward_model": {"ground_truth": "5"},
        }
        for content in contents
    ]
    return load_rows("\n".join(map(json.dumps, raw)).encode(), "rows.jsonl")


def policy_of(longest: int | None = None, scale: float = 1.0, logit: float = 0.0) -> Any:
    """A token a letter; a model that says `logit`."""
    asked: list[str] = []

    def encode(messages: Any) -> list[int]:
        asked.append(messages[0]["content"])
        return [ord(letter) for letter in messages[0]["content"]]

    def causal_lm(input_ids: torch.Tensor, **_: object) -> SimpleNamespace:
        return SimpleNamespace(logits=torch.full((*input_ids.shape, 3), logit))

    config = SimpleNamespace(max_position_embeddings=longest) if longest else SimpleNamespace()
    causal_lm.config = config  # type: ignore[attr-defined]
    weights = [torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.tensor([1, scale]))]
    return SimpleNamespace(
        encode=encode, asked=asked, causal_lm=causal_lm, device="cpu", trainable=lambda: weights
    )


@pytest.mark.parametrize("longest", [8, 100, None])
def test_what_goes_into_the_model_passes_and_is_read_once(longest: int | None) -> None:
    policy, rows = policy_of(longest), rows_of("1+1=", "2=")
    prompts = Prompts(policy, 4)
    prompts.check([*rows, *rows])
    assert [prompts(row) for row in rows] == [[49, 43, 49, 61], [50, 61]]
    assert policy.asked == ["1+1=", "2="]


@pytest.mark.parametrize(
    ("content", "message"),
    [("12345", "5 of the prompt and 4 of the response"), ("", "a prompt without a token")],
)
def test_the_row_that_does_not_is_named(content: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Prompts(policy_of(8), 4).check(rows_of("1", content, "2"))
    assert message in str(caught.value)
    assert caught.value.where == "rows.jsonl:2"


def finite(policy: Policy) -> None:
    check_finite(policy, [1, 2], 7, "settings.train")


def test_a_model_of_numbers_may_be_measured() -> None:
    finite(policy_of(scale=-1e15, logit=-30.0))


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (policy_of(scale=math.nan), "weights that are not finite"),
        (policy_of(scale=-math.inf), "weights that are not finite"),
        (policy_of(scale=1e20), "too large to be squared"),
        (policy_of(logit=math.nan), "logits that are not finite"),
        (policy_of(logit=math.inf), "logits that are not finite"),
    ],
)
def test_a_spoilt_one_is_not(policy: Any, found: str) -> None:
    with pytest.raises(DivergedError, match="diverged at step 7") as caught:
        finite(policy)
    assert found in str(caught.value)
    assert caught.value.resumable is False
