"""Settings: what a suite may write, and what it is told where it writes something else."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping  # noqa: TC003 - read_settings evaluates the annotations
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

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


def test_a_long_value_is_cut() -> None:
    with pytest.raises(DataError) as refused:
        read_settings(Whole, {**NEEDED, "rate": "x" * 5000})
    assert len(refused.value.found or "") <= 80


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=4),
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
        ("model.layers", 0, "settings.model: give `checkpoint`, or all of hidden"),
        ("problems.domains", {}, "settings.problems: `domains` needs at least one"),
        ("problems.domains", {"math": 0}, "settings.problems: `domains` needs at least one"),
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
        ("algorithm.critic.lr", "1e-3", "settings.algorithm.critic.lr is wrong"),
        ("train.lr", 0, "settings.train: `lr` must be positive"),
        ("train.temperature", 0, "settings.train: `temperature` must be positive"),
        ("train.steps", -1, "settings.train: `steps` and `micro_batch` must not be negative"),
        ("train.steps", 2.5, "settings.train.steps is wrong"),
        ("train.lora", {"r": 0}, "settings.train.lora: `r` must be positive"),
        ("train.learning_rate", 1, "unknown setting settings.train.learning_rate"),
        ("warm_up.steps", -1, "settings.warm_up: `steps` must not be negative"),
        ("warm_up.batch", 0, "settings.warm_up: `batch` must be positive"),
        ("evaluation.every", 0, "settings.evaluation: `every` must be positive"),
        ("evaluation.domains", "math", "settings.evaluation.domains is wrong"),
        ("seed", "one", "settings.seed is wrong"),
    ],
)
def test_settings_that_cannot_be_trained_with(path: str, value: object, message: str) -> None:
    with pytest.raises(DataError) as refused:
        read_settings(TrainingSettings, with_change(path, value))
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("name", rl.ALGORITHMS)
def test_every_algorithm_can_be_asked_for(name: str) -> None:
    assert read_settings(TrainingSettings, with_change("algorithm.name", name))


def test_the_names_that_may_be_written_are_those_that_there_are() -> None:
    """They are listed apart, so that checking a suite does not import torch."""
    assert set(rl.AGGREGATIONS) == set(AGGREGATIONS)
    assert set(rl.KL_FORMS) == set(KL_FORMS)
