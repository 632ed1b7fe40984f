"""Settings: what a suite may write, and what it is told where it writes something else."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping  # noqa: TC003 - read_settings evaluates the annotations
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell.settings import read_settings
from harness.cell.train.rl import settings as rl
from harness.cell.train.rl.kl import KL_FORMS
from harness.cell.train.rl.losses import AGGREGATIONS
from harness.cell.train.rl.settings import TrainingSettings
from harness.errors import DataError


@dataclass(frozen=True)
class Part:
    size: int = 3
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("`size` must not be negative")


@dataclass(frozen=True)
class Whole:
    name: str
    rate: float
    is_on: bool = True
    limit: int | None = None
    tags: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    part: Part = field(default_factory=Part)
    other: Part | None = None
    parts: tuple[Part, ...] = ()


NEEDED = {"name": "a", "rate": 1.5}
HUGE = 10**400  # no floating-point number is that large
DIGITS = "a whole number of at most 18 digits"


def test_what_may_be_left_out_has_its_default() -> None:
    assert read_settings(Whole, NEEDED) == Whole("a", 1.5)


def test_everything_is_read() -> None:
    section = {
        "name": "a",
        "rate": 2,
        "is_on": False,
        "limit": 7,
        "tags": ["x", "y"],
        "weights": {"math": 1, "logic": 0.5},
        "part": {"size": 9},
        "other": {"share": 1},
        "parts": [{}, {"size": 1}],
    }
    expected = Whole(
        "a",
        2.0,
        is_on=False,
        limit=7,
        tags=("x", "y"),
        weights={"math": 1.0, "logic": 0.5},
        part=Part(9),
        other=Part(share=1.0),
        parts=(Part(), Part(1)),
    )
    found = read_settings(Whole, section)
    assert found == expected
    assert isinstance(found.rate, float)
    assert read_settings(Whole, json.loads(json.dumps(section))) == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("rate", 3, 3.0),
        ("limit", 4.0, 4),
        ("limit", None, None),
        ("other", None, None),
        ("tags", (), ()),
        ("weights", {1: 2}, {"1": 2.0}),
    ],
)
def test_values_that_are_of_another_type_but_mean_the_same(
    key: str, value: object, expected: object
) -> None:
    found = getattr(read_settings(Whole, {**NEEDED, key: value}), key)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("change", "message", "expected", "found"),
    [
        ({"rate": "fast"}, "settings.rate is wrong", "a number", "'fast'"),
        ({"rate": True}, "settings.rate is wrong", "a number", "True"),
        ({"rate": None}, "settings.rate is wrong", "a number", "None"),
        ({"rate": float("nan")}, "settings.rate is wrong", "a finite number", "nan"),
        ({"rate": float("inf")}, "settings.rate is wrong", "a finite number", "inf"),
        ({"name": 3}, "settings.name is wrong", "text", "3"),
        ({"name": None}, "settings.name is wrong", "text", "None"),
        ({"is_on": 1}, "settings.is_on is wrong", "true or false", "1"),
        ({"is_on": "yes"}, "settings.is_on is wrong", "true or false", "'yes'"),
        ({"limit": 2.5}, "settings.limit is wrong", "a whole number", "2.5"),
        ({"limit": float("inf")}, "settings.limit is wrong", "a whole number", "inf"),
        ({"limit": 1e300}, "settings.limit is wrong", DIGITS, "1e+300"),
        ({"limit": HUGE}, "settings.limit is wrong", DIGITS, f"{HUGE}"[:80]),
        ({"rate": HUGE}, "settings.rate is wrong", "a finite number", f"{HUGE}"[:80]),
        ({"rate": -HUGE}, "settings.rate is wrong", "a finite number", f"-{HUGE}"[:80]),
        ({"limit": False}, "settings.limit is wrong", "a whole number", "False"),
        ({"limit": "7"}, "settings.limit is wrong", "a whole number", "'7'"),
        ({"tags": "x"}, "settings.tags is wrong", "a list", "'x'"),
        ({"tags": ["x", 1]}, "settings.tags[1] is wrong", "text", "1"),
        ({"weights": [1]}, "settings.weights is wrong", "a mapping", "[1]"),
        ({"weights": {"math": "1"}}, "settings.weights.math is wrong", "a number", "'1'"),
        ({"part": 3}, "settings.part is wrong", "a mapping", "3"),
        ({"part": None}, "settings.part is wrong", "a mapping", "None"),
        ({"part": {"size": "3"}}, "settings.part.size is wrong", "a whole number", "'3'"),
        ({"other": {"size": 1.5}}, "settings.other.size is wrong", "a whole number", "1.5"),
        ({"parts": [{}, {"size": []}]}, "settings.parts[1].size is wrong", "a whole number", "[]"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(
    change: dict[str, Any], message: str, expected: str, found: str
) -> None:
    with pytest.raises(DataError) as refused:
        read_settings(Whole, {**NEEDED, **change})
    error = refused.value
    assert (error.message, error.expected, error.found) == (message, expected, found)
    assert error.where == "spec.json"
    assert error.hint == f"correct `{message.split()[0]}` in suite.yaml"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"rat": 1}, "unknown setting settings.rat", "write `rate` in suite.yaml"),
        ({"weigths": {}}, "unknown setting settings.weigths", "write `weights` in suite.yaml"),
        ({"zzzz": 1}, "unknown setting settings.zzzz", "remove it from suite.yaml"),
        ({7: 1}, "unknown setting settings.7", "remove it from suite.yaml"),
        ({"part": {"sice": 1}}, "unknown setting settings.part.sice", "write `size` in suite.yaml"),
        ({"parts": [{"n": 1}]}, "unknown setting settings.parts[0].n", "remove it from suite.yaml"),
    ],
)
def test_an_unknown_key_is_told_with_one_that_is_near(
    change: dict[Any, Any], message: str, hint: str
) -> None:
    with pytest.raises(DataError) as refused:
        read_settings(Whole, {**NEEDED, **change})
    assert (refused.value.message, refused.value.hint) == (message, hint)
    assert refused.value.expected is not None
    assert refused.value.expected.startswith("one of ")


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_key_is_told(name: str) -> None:
    with pytest.raises(DataError, match=f"settings.{name} is missing") as refused:
        read_settings(Whole, {key: value for key, value in NEEDED.items() if key != name})
    assert refused.value.hint == f"add `{name}: ...` under `settings` in suite.yaml"


@pytest.mark.parametrize("section", [None, [], "text", 3])
def test_settings_that_are_no_mapping(section: object) -> None:
    with pytest.raises(DataError, match=r"train\.rl is wrong") as refused:
        read_settings(Whole, section, "train.rl")
    assert refused.value.expected == "a mapping"


def test_what_a_class_refuses_itself_is_told_at_its_place() -> None:
    with pytest.raises(DataError, match=r"settings\.part: `size` must not be negative") as refused:
        read_settings(Whole, {**NEEDED, "part": {"size": -1}})
    assert refused.value.found == "{'size': -1}"
    assert refused.value.hint == "correct `settings.part` in suite.yaml"


def test_a_long_value_is_cut() -> None:
    with pytest.raises(DataError) as refused:
        read_settings(Whole, {**NEEDED, "rate": "x" * 5000})
    assert len(refused.value.found or "") <= 80


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-HUGE, HUGE) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(key=st.sampled_from([*Whole.__dataclass_fields__, "more"]), value=JSON)
def test_whatever_is_written_is_read_or_refused(key: str, value: object) -> None:
    """Never another error, which would look like one of the program; and never changed by it."""
    section = {**NEEDED, key: value}
    before = repr(section)
    with suppress(DataError):
        assert isinstance(read_settings(Whole, section), Whole)
    assert repr(section) == before


# The settings of training

MINIMAL: dict[str, Any] = {
    "model": {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 64},
    "problems": {"data": "micro-guru", "domains": {"math": 1}},
    "algorithm": {"name": "grpo"},
    "train": {"steps": 5, "lr": 1e-3},
}


def with_change(path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(MINIMAL)
    *sections, last = path.split(".")
    section = changed
    for name in sections:
        section = section.setdefault(name, {})
    section[last] = value
    return changed


def test_the_least_that_training_needs() -> None:
    settings = read_settings(TrainingSettings, MINIMAL)
    assert settings.algorithm.rollout_n * settings.algorithm.prompts == 256
    assert settings.train.lora is None
    assert settings.algorithm.kl.coef == 0


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model.dtype", "float16", "settings.model: `dtype` must be one of float32, bfloat16"),
        ("model.hidden", 30, "settings.model: heads must divide hidden"),
        ("model.kv_heads", 3, "settings.model: heads must divide hidden, and kv_heads must"),
        ("model.hidden", 36, "settings.model: hidden / heads must be even"),
        ("model.layers", 0, "settings.model: give all of hidden, layers"),
        ("model.heads", -4, "settings.model: give all of hidden, layers"),
        ("model", {}, "settings.model: give `data`, a checkpoint, or all of hidden"),
        ("model.positions", 0, "settings.model: `positions` must be positive"),
        ("model.positions", 4, "settings: responses of `train.max_new_tokens` (64) and a prompt"),
        ("model.parameters", -1, "settings.model: `parameters` must be positive"),
        ("problems.domains", {}, "settings.problems: `domains` needs at least one"),
        ("problems.domains", {"math": 0}, "settings.problems: `domains` needs at least one"),
        ("problems.domains", {"math": -1}, "settings.problems: `domains` needs at least one"),
        ("problems.domains", {"math": 1e308}, "settings.problems: weights of `domains` must be"),
        ("problems.order", "random", "settings.problems: `order` must be one of shuffled, curr"),
        ("problems.tau", 0, "settings.problems: `tau` must be positive"),
        ("algorithm.name", "dpo", "settings.algorithm: `name` must be one of grpo, ppo"),
        ("algorithm.aggregation", "mean", "settings.algorithm: `aggregation` must be one of tok"),
        ("algorithm.rollout_n", 1, "settings.algorithm: grpo compares responses of one group"),
        ("algorithm.minibatches", 3, "settings.algorithm: `minibatches` must divide prompts"),
        ("algorithm.epochs", 0, "settings.algorithm: `epochs` must be positive"),
        ("algorithm.clip_c", 1.0, "settings.algorithm: `clip_c` bounds from above"),
        ("algorithm.kl.form", "k4", "settings.algorithm.kl: `form` must be one of k1, k2"),
        ("algorithm.kl.place", "both", "settings.algorithm.kl: `place` must be one of loss"),
        ("algorithm.kl", {"coef": 0.1, "form": "k1"}, "settings.algorithm.kl: k1 in the loss"),
        ("algorithm.kl.coef", -1, "settings.algorithm.kl: `coef` must not be negative"),
        (
            "algorithm.kl",
            {"coef": 1, "place": "reward"},
            "settings.algorithm: grpo learns from sc",
        ),
        ("algorithm.clip_c", -3, "settings.algorithm: `clip_c` must not be negative"),
        ("algorithm.clip_low", -1, "settings.algorithm: `clip_low` must be from 0 to 1"),
        ("algorithm.clip_low", 5, "settings.algorithm: `clip_low` must be from 0 to 1"),
        ("algorithm.clip_high", -0.2, "settings.algorithm: `clip_high` must not be negative"),
        ("algorithm.entropy", -1, "settings.algorithm: `entropy` must not be negative"),
        ("algorithm.critic.lr", "1e-3", "settings.algorithm.critic.lr is wrong"),
        ("algorithm.critic.lr", -1, "settings.algorithm.critic: `lr` must be positive"),
        ("algorithm.critic.gamma", -3, "settings.algorithm.critic: `gamma` must be from 0 to 1"),
        ("algorithm.critic.lam", 7, "settings.algorithm.critic: `lam` must be from 0 to 1"),
        ("algorithm.critic.clip", -1, "settings.algorithm.critic: `clip` must not be negative"),
        ("algorithm.critic.warm_up", -1, "settings.algorithm.critic: `warm_up` must not be neg"),
        ("train.lr", 0, "settings.train: `lr` must be positive"),
        ("train.temperature", 0, "settings.train: `temperature` must be positive"),
        ("train.steps", -1, "settings.train: `steps` must not be negative"),
        ("train.micro_batch", -1, "settings.train: `micro_batch` must not be negative"),
        ("train.lr_warm_up", -5, "settings.train: `lr_warm_up` must not be negative"),
        ("train.weight_decay", -1, "settings.train: `weight_decay` must not be negative"),
        ("train.temperature", 1e-30, "settings.train: `temperature` must be from 0.01 to 100"),
        ("train.temperature", 1e30, "settings.train: `temperature` must be from 0.01 to 100"),
        ("train.max_new_tokens", 512, "settings: responses of `train.max_new_tokens` (512) and"),
        ("train.steps", 2.5, "settings.train.steps is wrong"),
        ("train.lora", {"r": 0}, "settings.train.lora: `r` must be positive"),
        ("train.lora", {"r": 100000}, "settings: `train.lora.r` must be at most `model.hidden`"),
        ("train.learning_rate", 1, "unknown setting settings.train.learning_rate"),
        ("warm_up.steps", -1, "settings.warm_up: `steps` must not be negative"),
        ("warm_up.batch", 0, "settings.warm_up: `batch` must be positive"),
        ("warm_up.domains", {}, "settings.warm_up: `domains` needs at least one"),
        ("evaluation.every", 0, "settings.evaluation: `every` must be positive"),
        ("evaluation.domains", "math", "settings.evaluation.domains is wrong"),
        ("evaluation.domains", ["a", "a"], "settings.evaluation: `domains` names one twice"),
        ("evaluation.final_splits", ["a", "a"], "settings.evaluation: `final_splits` names one"),
        ("evaluation.lm_eval", ["a", "a"], "settings.evaluation: `lm_eval` names one twice"),
        ("evaluation.temperature", -1, "settings.evaluation: `temperature` must be from 0.01"),
        ("evaluation.final_samples", -1, "settings.evaluation: `final_samples` must not be neg"),
        ("evaluation.final_questions", -1, "settings.evaluation: `final_questions` must not be"),
        (
            "evaluation",
            {"final_samples": 2, "final_splits": []},
            "settings.evaluation: `final_samples` are asked for, and `final_splits` is empty",
        ),
        ("seed", "one", "settings.seed is wrong"),
        ("seed", -1, "settings: `seed` must be 0 to 4294967295"),
        ("seed", 2**32, "settings: `seed` must be 0 to 4294967295"),
    ],
)
def test_settings_that_cannot_be_trained_with(path: str, value: object, message: str) -> None:
    with pytest.raises(DataError) as refused:
        read_settings(TrainingSettings, with_change(path, value))
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("name", rl.ALGORITHMS)
def test_a_penalty_in_the_rewards_is_never_dropped(name: str) -> None:
    """Only PPO and REINFORCE++ learn from rewards; without a weight there is nothing to drop."""
    for coef in (0, 0.1):
        written = with_change("algorithm", {"name": name, "kl": {"coef": coef, "place": "reward"}})
        if coef and name not in ("ppo", "reinforce_plus_plus"):
            with pytest.raises(DataError, match="place: loss"):
                read_settings(TrainingSettings, written)
        else:
            assert read_settings(TrainingSettings, written).algorithm.kl.coef == coef


def paths(cls: type, prefix: str = "") -> list[str]:
    """All settings that there are, dots between sections."""
    found = []
    for name, hint in get_type_hints(cls).items():
        inner = [one for one in (hint, *get_args(hint)) if is_dataclass(one)]
        found += [*paths(inner[0], f"{prefix}{name}.")] if inner else [f"{prefix}{name}"]
    return found


NUMBERS = st.integers(-HUGE, HUGE) | st.integers(-3, 3) | st.floats() | st.floats(-2, 2)


@given(path=st.sampled_from(paths(TrainingSettings)), value=NUMBERS)
def test_any_number_is_read_or_refused(path: str, value: float) -> None:
    """And what is read is what was written: no number is taken for another."""
    with suppress(DataError):
        found: Any = read_settings(TrainingSettings, with_change(path, value))
        for name in path.split("."):
            found = getattr(found, name)
        assert found == value
        assert value >= 0, "no setting is negative"


def test_the_likeliest_answer_may_be_evaluated() -> None:
    written = with_change("evaluation.temperature", 0)
    assert read_settings(TrainingSettings, written).evaluation.temperature == 0


@pytest.mark.parametrize("name", rl.ALGORITHMS)
def test_every_algorithm_can_be_asked_for(name: str) -> None:
    assert read_settings(TrainingSettings, with_change("algorithm.name", name))


def test_the_names_that_may_be_written_are_those_that_there_are() -> None:
    """They are listed apart, so that checking a suite does not import torch."""
    assert set(rl.AGGREGATIONS) == set(AGGREGATIONS)
    assert set(rl.KL_FORMS) == set(KL_FORMS)
