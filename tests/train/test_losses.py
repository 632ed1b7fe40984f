"""Losses: against verl, against loops written from the equations, and what always holds."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.cell.train.rl import losses as module
from harness.cell.train.rl.losses import (
    AGGREGATIONS,
    aggregate,
    entropy_from_logits,
    logp_from_logits,
    policy_loss,
    value_loss,
)
from tests.train.ragged import Ragged, ragged

RANGES = st.sampled_from([(0.2, 0.2), (0.2, 0.28), (0.5, 0.1)])
BOUNDS = st.sampled_from([None, 1.5, 3.0])
every_aggregation = pytest.mark.parametrize("aggregation", AGGREGATIONS)
NO_BOUND = 1e9  # verl has no way to leave the dual clip out


@pytest.fixture(scope="module")
def verl() -> Any:
    return pytest.importorskip("verl.trainer.ppo.core_algos")


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, of, retain_graph=True)
    return found


# verl


@every_aggregation
@given(case=ragged(min_tokens=1), clip=RANGES, bound=BOUNDS)
def test_policy_loss_and_gradient_are_verls(
    verl: Any, aggregation: str, case: Ragged, clip: tuple[float, float], bound: float | None
) -> None:
    old, advantages = case.normal() - 3, 2 * case.normal()
    logp = (old + 0.6 * case.normal()).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, clipped, kl, bounded = verl.compute_policy_loss(
            old,
            logp,
            advantages,
            case.mask.float(),
            cliprange_low=clip[0],
            cliprange_high=clip[1],
            clip_ratio_c=NO_BOUND if bound is None else bound,
            loss_agg_mode=aggregation,
        )
    ours, told = policy_loss(
        logp,
        old,
        advantages,
        case.mask,
        clip_low=clip[0],
        clip_high=clip[1],
        clip_ratio_c=bound,
        aggregation=aggregation,
    )
    near = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(ours, theirs, **near)
    torch.testing.assert_close(gradient(ours, logp), gradient(theirs, logp), **near)
    torch.testing.assert_close(told["clip_fraction"], clipped, **near)
    torch.testing.assert_close(told["approx_kl"], kl.detach(), **near)
    if bound is not None:
        torch.testing.assert_close(told["dual_clip_fraction"], bounded, **near)


@given(case=ragged(min_tokens=1), clip=st.sampled_from([0.1, 0.5, 2.0]))
def test_value_loss_and_gradient_are_verls(verl: Any, case: Ragged, clip: float) -> None:
    old, returns = case.normal(), case.normal()
    values = (old + 0.5 * case.normal()).requires_grad_()
    theirs, _ = verl.compute_value_loss(values, returns, old, case.mask.float(), clip)
    ours = value_loss(values, returns, old, case.mask, clip=clip)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient(ours, values), gradient(theirs, values))


def test_entropy_and_log_probabilities_are_verls(verl: Any) -> None:
    functions = pytest.importorskip("verl.utils.torch_functional")
    source = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(5, 6, 37, generator=source)
    labels = torch.randint(0, 37, (5, 6), generator=source)
    torch.testing.assert_close(
        entropy_from_logits(logits), functions.entropy_from_logits(logits), rtol=0, atol=2e-6
    )
    theirs = functions.logprobs_from_logits_v2(logits, labels)
    torch.testing.assert_close(logp_from_logits(logits, labels), theirs, rtol=0, atol=2e-6)


# The equations, token by token


def token_loss(ratio: float, a: float, clip: tuple[float, float], bound: float | None) -> float:
    held = min(max(ratio, 1 - clip[0]), 1 + clip[1])
    objective = min(ratio * a, held * a)
    if bound is not None and a < 0:
        objective = max(objective, bound * a)
    return -objective


def reduce(rows: list[list[float]], aggregation: str, width: int) -> float:
    rows = [row for row in rows if row]
    sums = [sum(row) for row in rows]
    match aggregation:
        case "token-mean":
            return sum(sums) / sum(map(len, rows))
        case "seq-mean-token-sum":
            return sum(sums) / len(rows)
        case "seq-mean-token-mean":
            return sum(total / len(row) for total, row in zip(sums, rows, strict=True)) / len(rows)
        case _:
            return sum(sums) / len(rows) / width


@every_aggregation
@given(case=ragged(min_tokens=1), clip=RANGES, bound=BOUNDS)
def test_policy_loss_from_its_equation(
    aggregation: str, case: Ragged, clip: tuple[float, float], bound: float | None
) -> None:
    logp, old, advantages = case.normal(), case.normal(), case.normal()
    loss, told = policy_loss(
        logp,
        old,
        advantages,
        case.mask,
        clip_low=clip[0],
        clip_high=clip[1],
        clip_ratio_c=bound,
        aggregation=aggregation,
    )
    rows, ratios = [], []
    for row, length in enumerate(case.mask.sum(dim=1).tolist()):
        ratio = [math.exp(float(logp[row, t] - old[row, t])) for t in range(length)]
        a = advantages[row].tolist()
        rows.append([token_loss(ratio[t], a[t], clip, bound) for t in range(length)])
        ratios += ratio
    expected = reduce(rows, aggregation, case.mask.shape[1])
    assert float(loss) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert float(told["ratio"]) == pytest.approx(sum(ratios) / len(ratios), rel=1e-5)


@given(case=ragged(min_tokens=1))
def test_value_loss_without_clip_is_half_the_squared_error(case: Ragged) -> None:
    values, returns = case.normal(), case.normal()
    expected = 0.5 * (values - returns)[case.mask].square().mean()
    for clip in (None, 1e6):
        torch.testing.assert_close(
            value_loss(values, returns, values, case.mask, clip=clip), expected
        )


# What always holds


@given(case=ragged(min_tokens=1))
def test_at_ratio_1_the_gradient_is_that_of_reinforce(case: Ragged) -> None:
    """d/dlogp of -mean(A logp), clipped or not: the first update of a rollout."""
    logp, advantages = case.normal().requires_grad_(), case.normal()
    loss, told = policy_loss(
        logp, logp.detach(), advantages, case.mask, clip_low=0.2, clip_high=0.2, clip_ratio_c=3.0
    )
    plain = -(advantages * logp)[case.mask].mean()
    torch.testing.assert_close(gradient(loss, logp), gradient(plain, logp))
    assert (told["clip_fraction"], told["approx_kl"], told["ratio"]) == (0, 0, 1)


@every_aggregation
@given(case=ragged(min_tokens=1), size=st.integers(1, 3), cut=st.booleans())
def test_gradients_of_micro_batches_add_up(
    aggregation: str, case: Ragged, size: int, cut: bool
) -> None:
    """Also where each is cut to its own longest response, if the horizon is told."""
    old, advantages = case.normal(), case.normal()
    logp = (old + 0.3 * case.normal()).requires_grad_()
    whole_width = case.mask.shape[1]
    options: dict[str, Any] = {
        "clip_low": 0.2,
        "clip_high": 0.2,
        "aggregation": aggregation,
        "horizon": whole_width,
    }
    whole, _ = policy_loss(logp, old, advantages, case.mask, **options)
    total, summed = 0.0, torch.zeros_like(logp)
    for rows in torch.arange(len(logp)).split(size):
        width = max(1, int(case.mask[rows].sum(dim=1).max())) if cut else whole_width
        part, _ = policy_loss(
            *(one[rows, :width] for one in (logp, old, advantages, case.mask)),
            **options,
            total_tokens=int(case.mask.sum()),
            total_sequences=int(case.mask.any(dim=1).sum()),
        )
        total += float(part.detach())
        summed += gradient(part, logp)
    assert total == pytest.approx(float(whole.detach()), rel=1e-5, abs=1e-6)
    torch.testing.assert_close(summed, gradient(whole, logp), rtol=1e-5, atol=1e-7)


def test_value_losses_of_micro_batches_add_up() -> None:
    source = torch.Generator().manual_seed(1)
    values, returns, old = (torch.randn(5, 4, generator=source) for _ in range(3))
    mask = torch.arange(4) < torch.tensor([[4], [1], [2], [0], [3]])
    whole = value_loss(values, returns, old, mask, clip=0.5)
    parts = [
        value_loss(values[i], returns[i], old[i], mask[i], clip=0.5, total_tokens=10)
        for i in torch.arange(5).split(2)
    ]
    torch.testing.assert_close(sum(parts), whole)


@given(case=ragged(min_tokens=1))
def test_aggregations_agree_where_all_responses_are_of_one_length(case: Ragged) -> None:
    losses, every = case.normal(), torch.ones_like(case.mask)
    width = losses.shape[1]
    mean = losses.mean()
    for aggregation, factor in (
        ("token-mean", 1),
        ("seq-mean-token-mean", 1),
        ("seq-mean-token-sum", width),
        ("seq-mean-token-sum-norm", 1),
    ):
        found = aggregate(losses, every, aggregation)
        torch.testing.assert_close(found, mean * factor, rtol=1e-5, atol=1e-6)


@every_aggregation
@given(case=ragged(min_tokens=1), filling=st.sampled_from([math.nan, math.inf, -math.inf]))
def test_padding_is_never_read(aggregation: str, case: Ragged, filling: float) -> None:
    old, advantages = case.normal(), case.normal()
    logp = old + 0.3 * case.normal()
    found = []
    for fill in (0.0, filling):
        mine = torch.where(case.mask, logp, fill).requires_grad_()
        others = [torch.where(case.mask, one, fill) for one in (old, advantages)]
        loss, told = policy_loss(
            mine, *others, case.mask, clip_low=0.2, clip_high=0.2, aggregation=aggregation
        )
        value = value_loss(mine, *others, case.mask, clip=0.2)
        found.append([loss, value, gradient(loss, mine), gradient(value, mine), *told.values()])
    assert all(map(torch.equal, *found))
    assert (found[1][2][~case.mask] == 0).all()


@every_aggregation
@pytest.mark.parametrize("which", ["logp", "old_logp", "advantages"])
def test_nan_within_the_mask_makes_the_loss_nan(aggregation: str, which: str) -> None:
    parts = {name: torch.zeros(2, 3) for name in ("logp", "old_logp", "advantages")}
    parts[which][1, 0] = math.nan
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    loss, _ = policy_loss(
        **parts, mask=mask, clip_low=0.2, clip_high=0.2, clip_ratio_c=3.0, aggregation=aggregation
    )
    assert loss.isnan()


@pytest.mark.parametrize("which", ["values", "returns", "old_values"])
def test_nan_within_the_mask_makes_the_value_loss_nan(which: str) -> None:
    parts = {name: torch.zeros(1, 2) for name in ("values", "returns", "old_values")}
    parts[which][0, 1] = math.nan
    assert value_loss(**parts, mask=torch.ones(1, 2), clip=0.2).isnan()


@every_aggregation
def test_a_batch_without_any_token_has_loss_and_gradient_0(aggregation: str) -> None:
    logp = torch.ones(2, 3, requires_grad=True)
    loss, told = policy_loss(
        logp, logp, logp, torch.zeros(2, 3), clip_low=0.2, clip_high=0.2, aggregation=aggregation
    )
    assert loss == 0
    assert not gradient(loss, logp).any()
    assert all(value == 0 for value in told.values())


@pytest.mark.parametrize(
    ("jump", "a"), [(200.0, 1.0), (200.0, -1.0), (-200.0, 1.0), (-200.0, -1.0)]
)
def test_no_ratio_overflows(jump: float, a: float) -> None:
    logp = torch.full((1, 1), jump, requires_grad=True)
    loss, told = policy_loss(
        logp,
        torch.zeros(1, 1),
        torch.full((1, 1), a),
        torch.ones(1, 1),
        clip_low=0.2,
        clip_high=0.2,
    )
    assert loss.isfinite()
    assert gradient(loss, logp).isfinite().all()
    assert told["ratio"].isfinite()


@given(case=ragged(min_tokens=1), bound=st.floats(1.01, 4))
def test_the_dual_clip_bounds_the_loss_of_every_token(case: Ragged, bound: float) -> None:
    advantages = -case.normal().abs()
    loss, _ = policy_loss(
        5 * case.normal(),
        torch.zeros(case.mask.shape),
        advantages,
        case.mask,
        clip_low=0.2,
        clip_high=0.2,
        clip_ratio_c=bound,
    )
    assert loss <= bound * -advantages[case.mask].mean() * (1 + 1e-5)


@pytest.mark.parametrize("bound", [1.0, 0.5, -3.0, math.nan])
def test_a_dual_clip_that_is_no_bound_is_refused(bound: float) -> None:
    one = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="above 1"):
        policy_loss(one, one, one, one, clip_low=0.2, clip_high=0.2, clip_ratio_c=bound)


@pytest.mark.parametrize("mask_type", [torch.bool, torch.float32, torch.int64])
def test_bfloat16_is_computed_in_float32(mask_type: torch.dtype) -> None:
    source = torch.Generator().manual_seed(5)
    narrow = [torch.randn(4, 5, generator=source).bfloat16() for _ in range(3)]
    mask = (torch.arange(5) < torch.tensor([[5], [2], [1], [3]])).to(mask_type)
    options: dict[str, Any] = {"clip_low": 0.2, "clip_high": 0.2, "clip_ratio_c": 3.0}
    loss, _ = policy_loss(*narrow, mask, **options)
    expected, _ = policy_loss(*(one.float() for one in narrow), mask.bool(), **options)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    value = value_loss(*narrow, mask, clip=0.2)
    assert torch.equal(value, value_loss(*(one.float() for one in narrow), mask, clip=0.2))


# From logits


def logits_and_labels(vocabulary: int, scale: float, offset: float = 0.0) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(vocabulary)
    logits = scale * torch.randn(3, 5, vocabulary, generator=source) + offset
    return logits, torch.randint(0, vocabulary, (3, 5), generator=source)


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("vocabulary", [1, 2, 50])
def test_values_and_gradients_are_those_of_float64(
    vocabulary: int, scale: float, offset: float
) -> None:
    logits, labels = logits_and_labels(vocabulary, scale, offset)
    weights = torch.linspace(-1, 2, 15).view(3, 5)
    exact = logits.double().requires_grad_()
    logs = torch.log_softmax(exact, dim=-1)
    references = (
        logs.gather(-1, labels.unsqueeze(-1)).squeeze(-1),
        -(logs.exp() * logs).sum(dim=-1),
    )
    logits.requires_grad_()
    ours = (logp_from_logits(logits, labels), entropy_from_logits(logits))
    for mine, reference in zip(ours, references, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, reference.float(), rtol=1e-6, atol=3e-6)
        torch.testing.assert_close(
            gradient((mine * weights).sum(), logits),
            gradient((reference * weights).sum(), exact).float(),
            rtol=1e-5,
            atol=3e-6,
        )


def test_entropy_at_its_ends() -> None:
    assert float(entropy_from_logits(torch.zeros(1, 7))) == pytest.approx(math.log(7))
    never = torch.tensor([[0.0, -math.inf, 0.0], [5.0, -math.inf, -math.inf]], requires_grad=True)
    entropy = entropy_from_logits(never)
    torch.testing.assert_close(entropy, torch.tensor([math.log(2), 0.0]))
    assert not gradient(entropy.sum(), never).any()


def test_nan_in_logits_stays_in_its_token() -> None:
    logits, labels = logits_and_labels(6, 1.0)
    logits[1, 2, 3] = math.nan
    for found in (entropy_from_logits(logits), logp_from_logits(logits, labels)):
        assert found[1, 2].isnan()
        assert int(found.isnan().sum()) == 1


def test_a_label_outside_the_vocabulary_is_an_error() -> None:
    """Not a 0, as torch's cross-entropy has it for -100."""
    with pytest.raises(RuntimeError, match="out of bounds"):
        logp_from_logits(torch.zeros(1, 1, 4), torch.tensor([[-100]]))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_slicing_changes_nothing(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = logits_and_labels(11, 2.0)
    logits = logits.to(kind).requires_grad_()
    found = []
    for numbers in (1, 25, 1 << 24):
        monkeypatch.setattr(module, "_SLICE", numbers)
        parts = (logp_from_logits(logits, labels), entropy_from_logits(logits))
        found.append([*parts, *(gradient(one.square().sum(), logits) for one in parts)])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))
    assert found[0][2].dtype == kind


def test_only_the_logits_are_kept_for_the_gradient() -> None:
    logits, labels = logits_and_labels(50, 1.0)
    logits.requires_grad_()
    large: list[int] = []

    def note(saved: Tensor) -> Tensor:
        if saved.numel() >= logits.numel():
            large.append(saved.data_ptr())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        logp_from_logits(logits, labels)
        entropy_from_logits(logits)
    assert set(large) == {logits.data_ptr()}
