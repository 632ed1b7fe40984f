"""Advantages: against verl, against loops written from the equations, and what always holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.cell.train.rl.advantages import (
    gae,
    grpo,
    masked_whiten,
    reinforce_plus_plus,
    reinforce_plus_plus_baseline,
)
from tests.train.ragged import Ragged, ragged

DISCOUNTS = st.sampled_from([0.0, 0.5, 0.95, 1.0])


@pytest.fixture(scope="module")
def verl() -> Any:
    return pytest.importorskip("verl.trainer.ppo.core_algos")


def on_last_token(scores: Tensor, mask: Tensor) -> Tensor:
    """(B, T) with each score on its response's last token: what verl takes for scores."""
    placed = torch.zeros(mask.shape)
    for row, length in enumerate(mask.bool().sum(dim=1).tolist()):
        if length:
            placed[row, length - 1] = scores[row]
    return placed


def close(ours: Tensor, theirs: Tensor, mask: Tensor, tolerance: float = 1e-6) -> None:
    """Equal within the mask, relative to the largest entry where that is above 1."""
    scale = max(1.0, float(theirs[mask].abs().max()))
    torch.testing.assert_close(ours[mask], theirs[mask], rtol=0, atol=tolerance * scale)


def white_noise(raw: Tensor, mask: Tensor) -> float:
    """How far two float32 ways to whiten `raw` may lie apart: rounding errors, over the spread."""
    inside = raw[mask]
    return 1e-6 * (1.0 + float(inside.abs().max()) / max(float(inside.std()), 1e-4))


# verl


@given(case=ragged(empty_rows=False), normalise_std=st.booleans())
def test_grpo_is_verls(verl: Any, case: Ragged, normalise_std: bool) -> None:
    # 0 and 1, and eighths: where all of a group are the same other number, verl has rounding errors
    # in place of 0, which eps does not cover.
    scores = (case.scores() * 8).round() / 8
    theirs, _ = verl.compute_grpo_outcome_advantage(
        on_last_token(scores, case.mask),
        case.mask.float(),
        case.groups.numpy(),
        norm_adv_by_std_in_grpo=normalise_std,
    )
    ours = grpo(scores, case.groups, case.mask, normalise_std=normalise_std)
    close(ours, theirs, case.mask)


@given(case=ragged(), gamma=DISCOUNTS, lam=DISCOUNTS)
def test_gae_is_verls(verl: Any, case: Ragged, gamma: float, lam: float) -> None:
    rewards, values = case.normal(), case.normal()
    # verl reads what stands behind a response's end; only there, nothing is what its callers put.
    theirs = verl.compute_gae_advantage_return(
        rewards * case.mask, values * case.mask, case.mask.float(), gamma, lam
    )
    ours = gae(rewards, values, case.mask, gamma=gamma, lam=lam)
    raw, _ = gae(rewards, values, case.mask, gamma=gamma, lam=lam, whiten=False)
    close(ours[0], theirs[0], case.mask, 3 * white_noise(raw, case.mask))
    close(ours[1], theirs[1], case.mask)


@given(case=ragged(), gamma=DISCOUNTS)
def test_reinforce_plus_plus_is_verls(verl: Any, case: Ragged, gamma: float) -> None:
    rewards = case.normal()
    theirs = verl.compute_reinforce_plus_plus_outcome_advantage(
        rewards * case.mask, case.mask.float(), config=SimpleNamespace(gamma=gamma)
    )
    ours = reinforce_plus_plus(rewards, case.mask, gamma=gamma)
    close(ours[0], theirs[0], case.mask, 3 * white_noise(ours[1], case.mask))
    close(ours[1], theirs[1], case.mask)


@given(case=ragged(empty_rows=False))
def test_the_baseline_variant_is_verls(verl: Any, case: Ragged) -> None:
    scores = (case.scores() * 8).round() / 8
    scores[0] += 1.0  # not all equal
    centred = grpo(scores, case.groups, case.mask, normalise_std=False)
    theirs, _ = verl.compute_reinforce_plus_plus_baseline_outcome_advantage(
        on_last_token(scores, case.mask), case.mask.float(), case.groups.tolist()
    )
    ours = reinforce_plus_plus_baseline(scores, case.groups, case.mask)
    close(ours, theirs, case.mask, 3 * white_noise(centred, case.mask))


@pytest.mark.parametrize("name", ["gae", "reinforce_plus_plus"])
def test_tokens_between_are_passed_over_as_verl_does(verl: Any, name: str) -> None:
    source = torch.Generator().manual_seed(3)
    mask = torch.rand(5, 9, generator=source) < 0.6
    rewards = torch.randn(5, 9, generator=source) * mask
    values = torch.randn(5, 9, generator=source)
    if name == "gae":
        ours = gae(rewards, values, mask, gamma=0.9, lam=0.8)
        theirs = verl.compute_gae_advantage_return(rewards, values, mask.float(), 0.9, 0.8)
    else:
        ours = reinforce_plus_plus(rewards, mask, gamma=0.9)
        theirs = verl.compute_reinforce_plus_plus_outcome_advantage(
            rewards, mask.float(), config=SimpleNamespace(gamma=0.9)
        )
    for mine, reference in zip(ours, theirs, strict=True):
        close(mine, reference, mask, 3e-6)


# The equations, token by token


@given(case=ragged(), normalise_std=st.booleans())
def test_grpo_from_its_equation(case: Ragged, normalise_std: bool) -> None:
    scores = case.scores()
    advantages = grpo(scores, case.groups, case.mask, normalise_std=normalise_std)
    for row, (score, group) in enumerate(zip(scores.tolist(), case.groups.tolist(), strict=True)):
        mates = scores[case.groups == group].tolist()
        mean = sum(mates) / len(mates) if len(mates) > 1 else 0.0
        spread = sum((one - mean) ** 2 for one in mates) / max(1, len(mates) - 1)
        std = math.sqrt(spread) if len(mates) > 1 else 1.0
        expected = (score - mean) / (std + 1e-6) if normalise_std else score - mean
        for t, inside in enumerate(case.mask[row].tolist()):
            found = float(advantages[row, t])
            assert found == pytest.approx(expected if inside else 0.0, abs=1e-5)


@given(case=ragged(), gamma=DISCOUNTS, lam=DISCOUNTS)
def test_gae_from_its_equation(case: Ragged, gamma: float, lam: float) -> None:
    """A_t is the sum over l of (gamma lam)^l d_{t+l}, without any recursion."""
    rewards, values = case.normal(), case.normal()
    advantages, returns = gae(rewards, values, case.mask, gamma=gamma, lam=lam, whiten=False)
    for row, length in enumerate(case.mask.sum(dim=1).tolist()):
        r, v = rewards[row, :length].tolist(), [*values[row, :length].tolist(), 0.0]
        deltas = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        for t in range(length):
            expected = sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, length))
            assert float(advantages[row, t]) == pytest.approx(expected, abs=1e-5)
            assert float(returns[row, t]) == pytest.approx(expected + v[t], abs=1e-5)


@given(case=ragged(), gamma=DISCOUNTS)
def test_returns_to_go_from_their_equation(case: Ragged, gamma: float) -> None:
    rewards = case.normal()
    _, returns = reinforce_plus_plus(rewards, case.mask, gamma=gamma)
    for row, length in enumerate(case.mask.sum(dim=1).tolist()):
        r = rewards[row, :length].tolist()
        for t in range(length):
            expected = sum(gamma ** (k - t) * r[k] for k in range(t, length))
            assert float(returns[row, t]) == pytest.approx(expected, abs=1e-5)


# What always holds


@given(case=ragged(), normalise_std=st.booleans())
def test_the_mean_over_a_group_of_responses_is_0(case: Ragged, normalise_std: bool) -> None:
    every = torch.ones_like(case.mask)
    first = grpo(case.scores(), case.groups, every, normalise_std=normalise_std)[:, 0]
    for group in case.groups.unique():
        mates = first[case.groups == group]
        assert len(mates) == 1 or abs(float(mates.mean())) < 1e-5


@given(case=ragged(empty_rows=False), seed=st.integers(0, 99))
def test_the_order_of_responses_does_not_matter(case: Ragged, seed: int) -> None:
    scores = case.scores()
    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(seed))
    moved = grpo(scores[order], case.groups[order], case.mask[order])
    torch.testing.assert_close(moved, grpo(scores, case.groups, case.mask)[order])


@given(case=ragged(), shift=st.floats(-3, 3), scale=st.floats(0.5, 4))
def test_grpo_does_not_see_a_reward_shifted_or_scaled(
    case: Ragged, shift: float, scale: float
) -> None:
    scores, groups = case.normal(len(case.mask)), torch.zeros_like(case.groups)
    if len(scores) == 1 or scores.std() < 0.05:
        return
    moved = grpo(scale * scores + shift, groups, case.mask)
    torch.testing.assert_close(moved, grpo(scores, groups, case.mask), atol=2e-4, rtol=1e-3)


@given(case=ragged())
def test_whitened_values_have_mean_0_and_variance_1(case: Ragged) -> None:
    values = case.normal() * 3 + 5
    inside = masked_whiten(values, case.mask)[case.mask]
    assert abs(float(inside.mean())) < 1e-5
    if values[case.mask].std() > 0.1:
        assert float(inside.var()) == pytest.approx(1.0, abs=1e-4)


@given(case=ragged())
def test_gae_with_lambda_1_is_return_less_value(case: Ragged) -> None:
    rewards, values = case.normal(), case.normal()
    advantages, _ = gae(rewards, values, case.mask, gamma=0.9, lam=1.0, whiten=False)
    _, to_go = reinforce_plus_plus(rewards, case.mask, gamma=0.9)
    close(advantages, to_go - values, case.mask, 1e-5)


# Every estimator, at the edges

Estimator = Callable[[Tensor, Tensor, Tensor], Tensor]


def _gae(scores: Tensor, mask: Tensor) -> Tensor:
    values = torch.zeros(mask.shape, dtype=scores.dtype)
    return gae(on_last_token(scores, mask), values, mask, gamma=1.0, lam=1.0)[0]


def _reinforce_plus_plus(scores: Tensor, mask: Tensor) -> Tensor:
    return reinforce_plus_plus(on_last_token(scores, mask), mask, gamma=1.0)[0]


ESTIMATORS: dict[str, Estimator] = {
    "grpo": grpo,
    "dr_grpo": lambda s, g, m: grpo(s, g, m, normalise_std=False),
    "gae": lambda s, _, m: _gae(s, m),
    "reinforce_plus_plus": lambda s, _, m: _reinforce_plus_plus(s, m),
    "reinforce_plus_plus_baseline": reinforce_plus_plus_baseline,
}
every_estimator = pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS)


@every_estimator
@given(case=ragged(), score=st.floats(0, 1, width=32))
def test_equal_rewards_are_exactly_no_signal(
    estimate: Estimator, case: Ragged, score: float
) -> None:
    """Not nearly: a rounding error, divided by eps, would be a gradient of noise."""
    rows = len(case.mask)
    mask = torch.ones_like(case.mask) if case.mask.shape[1] > 1 else torch.ones(rows, 2).bool()
    scores, groups = torch.full((rows + 1,), score), torch.zeros(rows + 1, dtype=torch.long)
    advantages = estimate(scores, groups, mask[:1].expand(rows + 1, -1))
    assert (advantages == 0).all()


@every_estimator
@pytest.mark.parametrize("mask_type", [torch.bool, torch.float32, torch.int64])
@pytest.mark.parametrize("reward_type", [torch.float32, torch.bfloat16])
def test_types_of_rewards_and_masks(
    estimate: Estimator, mask_type: torch.dtype, reward_type: torch.dtype
) -> None:
    scores = torch.tensor([0.0, 1.0, 0.5, 0.25]).to(reward_type)  # exact in bfloat16
    groups = torch.tensor([9, 9, 2, 2])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    advantages = estimate(scores, groups, mask.to(mask_type))
    assert advantages.dtype == torch.float32
    assert (advantages[mask == 0] == 0).all()
    torch.testing.assert_close(advantages, estimate(scores.float(), groups, mask.bool()))


@every_estimator
def test_nan_spreads_within_the_mask_and_stays_there(estimate: Estimator) -> None:
    scores = torch.tensor([0.0, math.nan, 1.0, 0.0])
    groups = torch.tensor([0, 0, 1, 1])
    mask = torch.tensor([[True, True], [True, False], [True, True], [True, False]])
    advantages = estimate(scores, groups, mask)
    assert advantages[1, 0].isnan()
    assert (advantages[~mask] == 0).all()


def test_a_nan_in_one_group_does_not_reach_another() -> None:
    scores, groups = torch.tensor([0.0, math.nan, 1.0, 0.0]), torch.tensor([0, 0, 1, 1])
    advantages = grpo(scores, groups, torch.ones(4, 1))
    assert advantages[:2].isnan().all()
    assert advantages[2:].isfinite().all()


@given(case=ragged(), filling=st.sampled_from([math.nan, math.inf, 1e30]))
def test_what_stands_behind_a_response_is_never_read(case: Ragged, filling: float) -> None:
    rewards, values = case.normal(), case.normal()
    dirty = [torch.where(case.mask, one, filling) for one in (rewards, values)]
    for clean, other in (
        (gae(rewards, values, case.mask, gamma=0.9, lam=0.9),
         gae(*dirty, case.mask, gamma=0.9, lam=0.9)),
        (reinforce_plus_plus(rewards, case.mask, gamma=0.9),
         reinforce_plus_plus(dirty[0], case.mask, gamma=0.9)),
    ):  # fmt: skip
        assert all(map(torch.equal, clean, other))


@every_estimator
def test_a_batch_without_any_token_is_all_0(estimate: Estimator) -> None:
    advantages = estimate(torch.ones(2), torch.tensor([0, 1]), torch.zeros(2, 3))
    assert torch.equal(advantages, torch.zeros(2, 3))


@every_estimator
def test_a_single_response_of_one_token_is_finite(estimate: Estimator) -> None:
    assert estimate(torch.ones(1), torch.tensor([4]), torch.ones(1, 1)).isfinite().all()


def test_no_gradient_reaches_rewards_or_values() -> None:
    rewards = torch.ones(2, 3, requires_grad=True)
    advantages, returns = gae(rewards, rewards, torch.ones(2, 3), gamma=1.0, lam=0.9)
    assert not advantages.requires_grad
    assert not returns.requires_grad
