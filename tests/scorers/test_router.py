"""Which scorer answers for which data source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_scorers import (
    Route,
    ScorerError,
    UnknownSourceError,
    UnsupportedSourceError,
    add_route,
    find_route,
    router,
    routes,
    scorer_names,
)


@pytest.fixture
def own_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    routes()  # those of entry points are there already
    monkeypatch.setattr(router, "_ROUTES", dict(router._ROUTES))


# The names of the Guru data as they stand in its files and as its paper and verl spell them.
@pytest.mark.parametrize(
    ("source", "strict", "reference"),
    [
        ("math__deepscaler_preview", "math", "reasoning360/math"),
        ("math__math", "math", "reasoning360/math"),
        ("math__merged_deduped_dapo_or1_dataset", "math", "reasoning360/math"),
        ("math_dapo", "math", "reasoning360/math_dapo"),
        ("aime2024", "math", "reasoning360/math_dapo"),
        ("aimeamc2023", "math", "reasoning360/math_dapo"),
        ("openai/gsm8k", "math", "reasoning360/gsm8k"),
        ("lighteval/MATH", "math", "math"),
        ("logic__zebra_puzzle_dataset", "zebra", "reasoning360/zebra"),
        ("logic__ordering_puzzle_dataset", "ordering", "reasoning360/ordering"),
        ("logic__graph_logical_dataset", "graph", "reasoning360/graph"),
        ("simulation__arcagi1", "arc", "reasoning360/arc"),
        ("simulation__arcagi2", "arc", "reasoning360/arc"),
        ("simulation__barc", "arc", "reasoning360/arc"),
        ("logic__arcagi1", "arc", "reasoning360/arc"),
        ("logic__barc", "arc", "reasoning360/arc"),
        ("simulation__codeio", "codeio", "reasoning360/codeio"),
        ("simulation__cruxeval-o", "cruxeval_output", "cruxeval_output"),
        ("table__hitab", "table", "reasoning360/table"),
        ("table__multihier", "table", "reasoning360/table"),
        ("table__finqa", "table", "reasoning360/table"),
        ("stem_web", "stem", "stem"),
        ("stem__web", "stem", "stem"),
        ("stem__gpqa_diamond", "multiple_choice", "reasoning360/multiple_choice"),
        ("stem__supergpqa", "multiple_choice", "reasoning360/multiple_choice"),
        ("codegen__humaneval", "code", "code"),
        ("codegen__livecodebench", "code", "code"),
        ("codegen__leetcode2k", "code", "code"),
        ("simulation__cruxeval-i", "cruxeval_input", "cruxeval_input"),
        ("mmlu", "multiple_choice", "multiple_choice"),
        ("m_mmlu_de", "multiple_choice", "multiple_choice"),
        (" math__math\n", "math", "reasoning360/math"),
    ],
)
def test_the_names_of_the_field(source: str, strict: str, reference: str) -> None:
    route = find_route(source)
    assert route.scorer_under("strict") == strict
    assert route.scorer_under("reasoning360") == reference


def test_a_known_source_that_cannot_be_scored() -> None:
    with pytest.raises(UnsupportedSourceError, match="IFEval"):
        find_route("ood__ifeval")


@pytest.mark.parametrize(
    ("source", "near"),
    [
        ("maths__x", "math__"),
        ("Table__hitab", "table__"),
        ("logic__zebra", "logic__zebra_puzzle"),
        ("stem_gpqa", "stem__gpqa"),
    ],
)
def test_of_an_unknown_source_the_nearest_names_are_told(source: str, near: str) -> None:
    with pytest.raises(UnknownSourceError, match=near):
        find_route(source)


@given(st.text())
def test_any_other_name_is_an_error_of_ours(source: str) -> None:
    try:
        found = find_route(source)
    except ScorerError:
        return
    assert source.strip().startswith(found.prefix)


def test_every_route_leads_to_a_scorer() -> None:
    names = scorer_names()
    for route in routes():
        if not route.unsupported:
            assert {route.scorer_under(policy) for policy in router.POLICIES} <= set(names)


def test_the_longest_prefixes_come_first() -> None:
    lengths = [len(route.prefix) for route in routes()]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.usefixtures("own_routes")
def test_a_longer_prefix_of_ones_own_wins() -> None:
    add_route(Route("math__mine", "table"))
    assert find_route("math__mine_too").scorer == "table"
    assert find_route("math__other").scorer == "math"


@pytest.mark.usefixtures("own_routes")
def test_an_exact_route_is_for_one_name() -> None:
    add_route(Route("math__mine", "table", exact=True))
    assert find_route("math__mine").scorer == "table"
    assert find_route("math__mine_too").scorer == "math"


@pytest.mark.usefixtures("own_routes")
@pytest.mark.parametrize(
    ("route", "message"),
    [
        (Route("math__", "table"), "have a route already"),
        (Route("new"), "give a scorer"),
        (Route("new", "math", unsupported="no"), "give a scorer"),
    ],
)
def test_routes_that_cannot_be(route: Route, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        add_route(route)


def test_other_packages_add_routes_by_an_entry_point(
    own_routes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Point:
        def load(self) -> object:
            return lambda: add_route(Route("theirs__", "math"))

    asked = []
    monkeypatch.setattr(router, "entry_points", lambda group: asked.append(group) or [Point()])
    monkeypatch.setattr(router, "_plugins_read", False)
    assert find_route("theirs__x").scorer == "math"
    assert asked == ["reward_scorers.routes"]
