"""Estimators of the KL divergence: against verl, and against sums over a whole distribution."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.cell.train.rl.kl import KL_FORMS, kl_penalty, token_rewards_with_kl
from harness.cell.train.rl.settings import KL_FORMS as NAMES
from tests.train.ragged import Ragged, ragged


@pytest.fixture(scope="module")
def verl() -> Any:
    return pytest.importorskip("verl.trainer.ppo.core_algos")


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, of)
    return found


def test_every_form_that_a_suite_may_name_exists() -> None:
    assert set(NAMES) == set(KL_FORMS)


@pytest.mark.parametrize(
    ("form", "theirs", "scale"),
    [
        ("k1", "k1", 9.0),
        ("abs", "abs", 9.0),
        ("k2", "k2", 9.0),
        ("low_var_kl", "low_var_kl", 9.0),
        ("k3", "k3", 0.5),  # verl clamps its k3: the same only where nothing is clamped
    ],
)
def test_forms_and_gradients_are_verls(verl: Any, form: str, theirs: str, scale: float) -> None:
    source = torch.Generator().manual_seed(2)
    ref_logp = torch.randn(50, 20, generator=source) - 2
    logp = (ref_logp + scale * torch.randn(50, 20, generator=source)).requires_grad_()
    ours, reference = kl_penalty(logp, ref_logp, form), verl.kl_penalty(logp, ref_logp, theirs)
    torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        gradient(ours.sum(), logp), gradient(reference.sum(), logp), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("form", ["k3", "low_var_kl"])
@given(exponent=st.floats(-12, 1), sign=st.sampled_from([-1.0, 1.0]), base=st.floats(-20, 0))
def test_k3_is_right_and_never_negative_however_small(
    form: str, exponent: float, sign: float, base: float
) -> None:
    ref_logp = torch.tensor([[base]])
    logp = ref_logp + sign * 10.0**exponent
    d = float(logp.double() - ref_logp.double())
    found = float(kl_penalty(logp, ref_logp, form))
    exact = math.expm1(-d) + d
    assert found >= 0
    expected = min(exact, 10.0) if form == "low_var_kl" else exact
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-7 * abs(d))


@given(seed=st.integers(0, 2**31))
def test_means_over_the_policy_are_the_divergence(seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    p, q = torch.log_softmax(0.5 * torch.randn(2, 9, generator=source), dim=-1)
    divergence = (p.exp() * (p - q)).sum()
    for form in ("k1", "k3"):
        mean = (p.exp() * kl_penalty(p, q, form)).sum()
        torch.testing.assert_close(mean, divergence, rtol=1e-4, atol=1e-6)


@given(seed=st.integers(0, 2**31))
def test_which_gradients_are_the_divergences(seed: int) -> None:
    """With tokens drawn from p, that of k2 is; that of k1 is 0; that of k3 is KL(q || p)'s."""
    source = torch.Generator().manual_seed(seed)
    logits = (0.5 * torch.randn(9, generator=source)).requires_grad_()
    q = torch.log_softmax(0.5 * torch.randn(9, generator=source), dim=-1)
    p = torch.log_softmax(logits, dim=-1)
    forward, reverse = (p.exp() * (p - q)).sum(), (q.exp() * (q - p)).sum()
    expected = {"k1": 0.0 * forward, "k2": forward, "k3": reverse}
    for form, divergence in expected.items():
        drawn = (p.detach().exp() * kl_penalty(p, q, form)).sum()
        wanted = torch.autograd.grad(divergence, logits, retain_graph=True)[0]
        found = torch.autograd.grad(drawn, logits, retain_graph=True)[0]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", KL_FORMS)
def test_types_and_nan(form: str) -> None:
    logp = torch.tensor([-1.0, math.nan, -2.0])
    ref_logp = torch.tensor([-1.5, -1.0, math.nan])
    assert kl_penalty(logp, ref_logp, form).isnan().tolist() == [False, True, True]
    narrow = kl_penalty(logp.bfloat16(), ref_logp.bfloat16(), form)
    assert narrow.dtype == torch.float32
    assert torch.equal(narrow[:1], kl_penalty(logp, ref_logp, form)[:1])


def test_an_unknown_form_is_an_error() -> None:
    with pytest.raises(KeyError, match="k4"):
        kl_penalty(torch.zeros(1), torch.zeros(1), "k4")


@given(case=ragged(min_tokens=0), coef=st.sampled_from([0.0, 0.001, 0.5]))
def test_rewards_are_scores_on_last_tokens_less_the_penalty(case: Ragged, coef: float) -> None:
    scores, kl = case.scores(), case.normal()
    rewards = token_rewards_with_kl(scores, case.mask, kl, coef)
    for row, length in enumerate(case.mask.sum(dim=1).tolist()):
        for t in range(case.mask.shape[1]):
            expected = -coef * float(kl[row, t]) if t < length else 0.0
            expected += float(scores[row]) if t == length - 1 else 0.0
            assert float(rewards[row, t]) == pytest.approx(expected, abs=1e-6)


def test_the_last_token_is_found_behind_tokens_that_are_left_out() -> None:
    mask = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    rewards = token_rewards_with_kl(torch.ones(3), mask, torch.zeros(3, 4), 1.0)
    assert rewards.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


def test_nan_within_the_mask_is_kept_and_outside_it_is_not_read() -> None:
    mask = torch.tensor([[True, False], [True, True], [False, False]])
    scores = torch.tensor([math.nan, 1.0, math.nan])
    kl = torch.tensor([[0.0, math.nan], [math.nan, 0.0], [math.nan, math.nan]])
    rewards = token_rewards_with_kl(scores, mask, kl, 0.1)
    assert rewards.isnan().tolist() == [[True, False], [True, False], [False, False]]
