"""The schedule of problems: how many different ones, in which order, in which shares."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.cell.train.rl.problems import Schedule
from harness.data.rows import Row
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping


def rows_of(domain: str, count: int) -> list[Row]:
    """Problems of difficulties 1 to 5, told apart by `where`."""
    return [
        Row(
            data_source="made",
            ability=domain,
            messages=({"role": "user", "content": f"{domain} {i}"},),
            ground_truth=i,
            extra_info={},
            split="train",
            difficulty=(7 * i) % 5 + 1,
            solution=None,
            where=f"{domain}:{i}",
        )
        for i in range(count)
    ]


def plan(rows: list[Row], weights: Mapping[str, float], **options: Any) -> list[list[Row]]:
    defaults = {"steps": 4, "batch": 6, "order": "shuffled", "tau": 1, "seed": 0}
    schedule = Schedule(rows, weights, **{**defaults, **options})
    return [list(schedule[step]) for step in range(len(schedule))]


def flat(batches: list[list[Row]]) -> list[Row]:
    return [row for batch in batches for row in batch]


SIZES = {"steps": st.integers(1, 12), "batch": st.integers(1, 9), "seed": st.integers(0, 99)}


# Data reuse


@given(**SIZES, tau=st.integers(1, 6), order=st.sampled_from(["shuffled", "curriculum"]))
def test_a_run_goes_through_d_over_tau_problems_tau_times(
    steps: int, batch: int, seed: int, tau: int, order: str
) -> None:
    """The draws stay, the different ones are fewer; none comes again before all have come."""
    total = steps * batch
    different = -(-total // tau)
    rows = rows_of("math", total)
    batches = plan(rows, {"math": 1}, steps=steps, batch=batch, tau=tau, order=order, seed=seed)
    assert [len(one) for one in batches] == [batch] * steps
    drawn = [row.where for row in flat(batches)]
    assert len(set(drawn)) == different
    for start in range(0, total, different):
        passed = drawn[start : start + different]
        assert len(set(passed)) == len(passed)
    assert max(Counter(drawn).values()) <= tau


@given(**SIZES, tau=st.integers(2, 6))
def test_reuse_repeats_part_of_what_is_seen_without_it(
    steps: int, batch: int, seed: int, tau: int
) -> None:
    """So that two values of tau differ by the repetition, not by the problems drawn."""
    rows = rows_of("math", steps * batch + 5)
    plans = (plan(rows, {"math": 1}, steps=steps, batch=batch, tau=t, seed=seed) for t in (1, tau))
    once, often = ({row.where for row in flat(batches)} for batches in plans)
    assert often <= once


@given(**SIZES, tau=st.integers(1, 6))
def test_as_many_problems_as_needed_are_enough_and_one_less_is_not(
    steps: int, batch: int, seed: int, tau: int
) -> None:
    needed = -(-steps * batch // tau)
    options = {"steps": steps, "batch": batch, "tau": tau, "seed": seed}
    plan(rows_of("math", needed), {"math": 1}, **options)
    with pytest.raises(DataError, match="too few training problems of domain 'math'") as refused:
        plan(rows_of("math", needed - 1), {"math": 1}, **options)
    assert refused.value.where == "settings.problems"
    assert refused.value.expected is not None
    assert refused.value.expected.startswith(f"{needed} different")
    assert refused.value.found == str(needed - 1)


def test_a_domain_that_has_no_rows_is_named() -> None:
    with pytest.raises(DataError, match="'logic'"):
        plan(rows_of("math", 50), {"math": 1, "logic": 1})


# Order


@given(**SIZES, tau=st.integers(1, 4))
def test_a_curriculum_goes_from_easy_to_hard_in_every_pass(
    steps: int, batch: int, seed: int, tau: int
) -> None:
    total = steps * batch
    different = -(-total // tau)
    batches = plan(
        rows_of("math", total),
        {"math": 1},
        steps=steps,
        batch=batch,
        tau=tau,
        seed=seed,
        order="curriculum",
    )
    grades = [row.difficulty or 0 for row in flat(batches)]
    for start in range(0, total, different):
        assert all(a <= b for a, b in pairwise(grades[start : start + different]))


def test_a_curriculum_changes_the_order_alone() -> None:
    rows = rows_of("math", 40)
    shuffled, sorted_ = (
        flat(plan(rows, {"math": 1}, order=order)) for order in ("shuffled", "curriculum")
    )
    assert {row.where for row in shuffled} == {row.where for row in sorted_}
    assert [row.where for row in shuffled] != [row.where for row in sorted_]


def test_within_a_grade_a_curriculum_is_shuffled_anew_in_every_pass() -> None:
    batches = plan(rows_of("math", 30), {"math": 1}, steps=2, batch=30, tau=2, order="curriculum")
    assert batches[0] != batches[1]
    assert Counter(row.where for row in batches[0]) == Counter(row.where for row in batches[1])


def test_rows_without_difficulty_come_first_in_a_curriculum() -> None:
    known = rows_of("math", 6)
    unknown = [Row(**{**vars(row), "difficulty": None, "where": f"?{row.where}"}) for row in known]
    drawn = flat(plan([*known, *unknown], {"math": 1}, steps=2, order="curriculum"))
    assert all(row.difficulty is None for row in drawn[:6])


@given(seed=st.integers(0, 2**62))
def test_a_seed_is_an_order(seed: int) -> None:
    rows = rows_of("math", 60)
    first, again, other = (
        flat(plan(rows, {"math": 1}, seed=one)) for one in (seed, seed, seed + 1)
    )
    assert first == again
    assert first != other


# Shares of domains


@example(steps=40, batch=1, seed=0, weights={"a": 6, "b": 6, "c": 2}, unit=1.0)
@given(
    **SIZES,
    weights=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), min_size=1, max_size=6),
    unit=st.sampled_from([1.0, 0.1, 1e-3, 1e4]),
)
def test_shares_follow_the_weights(
    steps: int, batch: int, seed: int, weights: dict[str, int], unit: float
) -> None:
    """Every domain is within one problem of its due after every step, in any unit."""
    rows = [row for domain in weights for row in rows_of(domain, steps * batch)]
    scaled = {domain: unit * weight for domain, weight in weights.items()}
    batches = plan(rows, scaled, steps=steps, batch=batch, seed=seed)
    given_: Counter[str] = Counter()
    for step, problems in enumerate(batches, 1):
        assert len(problems) == batch
        given_.update(row.ability for row in problems)
        for domain, weight in weights.items():
            due = weight / sum(weights.values()) * batch * step
            assert abs(given_[domain] - due) < 1 + 1e-6


def test_a_batch_of_equal_domains_has_as_many_of_each() -> None:
    domains = ("math", "logic", "codegen", "stem")
    rows = [row for domain in domains for row in rows_of(domain, 40)]
    for batch in plan(rows, dict.fromkeys(domains, 1), batch=32):
        assert Counter(row.ability for row in batch) == dict.fromkeys(domains, 8)


def test_domains_without_weight_are_not_drawn() -> None:
    rows = [*rows_of("math", 40), *rows_of("logic", 40)]
    assert {row.ability for row in flat(plan(rows, {"math": 1}))} == {"math"}


def test_the_problems_of_a_domain_do_not_depend_on_other_domains() -> None:
    math, weights = rows_of("math", 40), {"math": 1, "logic": 1}
    drawn = [
        [row for row in flat(plan(rows, weights)) if row.ability == "math"]
        for rows in ([*math, *rows_of("logic", 20)], [*rows_of("logic", 33), *math])
    ]
    assert drawn[0] == drawn[1]
