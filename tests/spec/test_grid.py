from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import LockDriftError, SuiteError
from harness.spec.grid import Grid, expand
from harness.spec.identity import canonical_json, cell_id
from harness.spec.load import load_suite
from harness.spec.lock import Lock
from tests.spec.support import LOCK, make_suite


def points(cells):
    return [(c.values["model"]["id"], c.values["algorithm"]["id"], c.values["seed"]) for c in cells]


def test_a_document_holds_all_that_can_move_the_numbers(tmp_path):
    first = next(expand(make_suite(tmp_path), "first", LOCK))
    assert first.document == {
        "schema": 1,
        "suite": "small",
        "suite_version": 1,
        "tier": "first",
        "engine": "replay",
        "engine_version": 1,
        "axes": {
            "model": {"id": "tiny", "source": "base", "N": 1e6},
            "algorithm": {"id": "grpo", "rollout_n": 8},
            "seed": 0,
        },
        "settings": {
            "lr": 1e-6,
            "run": {"name": "tiny-grpo-s0", "size": 1e6},
            "curve": {"data": "curves", "select": {"N": 1e6}},
        },
        "pins": {"data": {"curves": {"path": "curves.csv", "sha256": "ab" * 32}}, "scorers": {}},
    }
    assert first.id == cell_id(first.document)
    # Never change this value: see test_identity.py.
    assert first.id == "27256685bbfbc23fd53130bdab95f1512b8d468ca707eff92e346a0aed202a26"


def test_cells_come_in_the_order_of_the_file_the_last_axis_fastest(tmp_path):
    cells = points(expand(make_suite(tmp_path), "first", LOCK))
    assert cells == list(itertools.product(["tiny", "wide"], ["grpo", "ppo"], [0, 1]))


def test_a_tier_replaces_axes_and_merges_settings(tmp_path):
    cells = list(expand(make_suite(tmp_path), "second", LOCK))
    assert points(cells) == list(itertools.product(["tiny", "wide"], ["grpo", "ppo"], [5]))
    assert cells[0].document["engine_version"] == 4
    assert cells[0].document["settings"]["lr"] == 2e-6
    assert cells[0].document["settings"]["curve"] == {"data": "curves", "select": {"N": 1e6}}


def test_exclude_where_and_include(tmp_path):
    suite = make_suite(
        tmp_path,
        ("exclude: []", "exclude: [{model: tiny, seed: 1}, \"model == 'wide' and seed == 0\"]"),
        ("where: null", 'where: algorithm != "ppo"'),
        (
            "include: []",
            """include:
  - {model: tiny, algorithm: ppo, seed: 1}
  - {model: {id: huge, N: 1e12}, algorithm: grpo, seed: 9}""",
        ),
    )
    assert points(expand(suite, "first", LOCK)) == [
        ("tiny", "grpo", 0),
        ("wide", "grpo", 1),
        ("tiny", "ppo", 1),
        ("huge", "grpo", 9),
    ]


def test_an_included_cell_takes_the_only_value_of_an_axis(tmp_path):
    suite = make_suite(
        tmp_path,
        ("seed: [0, 1]", "seed: [0]"),
        ("include: []", "include: [{model: {id: huge, N: 1e12}, algorithm: ppo}]"),
    )
    assert points(expand(suite, "first", LOCK))[-1] == ("huge", "ppo", 0)


def test_a_tier_has_rules_of_its_own(tmp_path):
    suite = make_suite(
        tmp_path,
        ("where: null", "where: seed == 0"),
        ("axes: {seed: [5]}", "axes: {seed: [5, 6]}\n    where: null\n    exclude: [{seed: 6}]"),
    )
    assert {point[2] for point in points(expand(suite, "first", LOCK))} == {0}
    assert {point[2] for point in points(expand(suite, "second", LOCK))} == {5}


def test_an_exclusion_may_name_a_value_that_only_another_tier_has(tmp_path):
    suite = make_suite(tmp_path, ("exclude: []", "exclude: [{seed: 1}]"))
    assert {point[2] for point in points(expand(suite, "first", LOCK))} == {0}
    assert {point[2] for point in points(expand(suite, "second", LOCK))} == {5}


def test_ranges(tmp_path):
    suite = make_suite(
        tmp_path, ("seed: [0, 1]", "seed: [7, {range: [0, 6, 2]}, {range: [9, 7, -1]}]")
    )
    seeds = [c.values["seed"] for c in expand(suite, "first", LOCK)][:6]
    assert seeds == [7, 0, 2, 4, 9, 8]


def test_selection(tmp_path):
    suite = make_suite(tmp_path)
    chosen = points(expand(suite, "first", LOCK, 'model.N >= 7e9 and algorithm == "ppo"'))
    assert chosen == [("wide", "ppo", 0), ("wide", "ppo", 1)]
    everything = {c.id for c in expand(suite, "first", LOCK)}
    assert {c.id for c in expand(suite, "first", LOCK, "seed == 0")} < everything


@pytest.mark.parametrize(
    ("where", "part"),
    [
        ("seed > 7", "no cell of 8 is selected"),
        ("sed > 7", "did you mean seed?"),
        ("seed >", "a syntax error"),
        ("algorithm.gamma > 0", "no `algorithm.gamma` in algorithm 'grpo'"),
    ],
)
def test_a_selection_that_cannot_be(tmp_path, where, part):
    with pytest.raises(SuiteError) as caught:
        list(expand(make_suite(tmp_path), "first", LOCK, where))
    assert str(caught.value).startswith("--where: ")
    assert part in str(caught.value)


def test_a_rule_over_a_field_that_some_values_lack_names_the_value(tmp_path):
    suite = make_suite(tmp_path, ("where: null", "where: algorithm.rollout_n > 3"))
    with pytest.raises(SuiteError, match=r"suite.yaml:17: .*\n.*\n.*") as caught:
        list(expand(suite, "first", LOCK))
    assert "no `algorithm.rollout_n` in algorithm 'ppo'" in str(caught.value)


def test_a_reference_that_some_values_lack_is_an_error_of_those_cells_only(tmp_path):
    change = ("lr: 1e-6", 'lr: 1e-6\n  n: "n=${algorithm.rollout_n}"')
    with pytest.raises(SuiteError) as caught:
        list(expand(make_suite(tmp_path, change), "first", LOCK))
    assert re.search(
        r"suite.yaml:20: .*rollout_n} refers to nothing: `algorithm` \(ppo\)", str(caught.value)
    )
    suite = make_suite(tmp_path, change, ("exclude: []", "exclude: [{algorithm: ppo}]"))
    cells = list(expand(suite, "first", LOCK))
    assert {cell.document["settings"]["n"] for cell in cells} == {"n=8"}


def test_the_data_sets_of_a_cell_may_follow_from_its_axes(tmp_path):
    two = ("data:\n", "data:\n  base: {path: curves.csv}\n")
    lock = Lock("small", 1, data={**LOCK.data, "base": LOCK.data["curves"]}, engines=LOCK.engines)
    for text in ("${model.source}", "${model.source}${algorithm.none}"):
        change = ("curve: {data: curves,", f'curve: {{data: "{text}",')
        none = ("id: grpo, rollout_n: 8", 'id: grpo, none: ""')
        suite = make_suite(
            tmp_path, two, change, none, ("where: null", 'where: algorithm == "grpo"')
        )
        cells = expand(suite, "first", lock)
        for cell in itertools.islice(cells, 2):
            assert cell.document["pins"]["data"].keys() == {"base"}
            assert cell.id == cell_id(cell.document)
        with pytest.raises(SuiteError, match=r"suite.yaml:26: no data set `instruct`"):
            next(cells)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"engines": {}}, "the engine `replay` is not in suite.lock"),
        ({"data": {}}, "the data set `curves` is not in suite.lock"),
    ],
)
def test_what_the_lock_lacks_is_refused(tmp_path, change, part):
    with pytest.raises(LockDriftError, match=part) as caught:
        list(expand(make_suite(tmp_path), "first", replace(LOCK, **change)))
    assert "harness lock small" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        [("version: 1\n", "version: 2\n")],
        [("name: small", "name: other")],
        [("lr: 1e-6", "lr: 1e-5")],
        [("id: tiny, source: base", "id: tiny, source: instruct")],
        [("engine: replay", "engine: torch_rl")],
    ],
)
def test_what_can_move_a_number_moves_the_identity(tmp_path, changes):
    before = next(expand(make_suite(tmp_path), "first", LOCK)).id
    assert next(expand(make_suite(tmp_path, *changes), "first", LOCK)).id != before


def test_tiers_and_pins_are_part_of_the_identity(tmp_path):
    suite = make_suite(tmp_path, ("axes: {seed: [5]}", "axes: {}"))
    before = next(expand(suite, "first", LOCK)).id
    assert next(expand(suite, "second", LOCK)).id != before
    other_data = replace(LOCK, data={"curves": replace(LOCK.data["curves"], sha256="cd" * 32)})
    assert next(expand(suite, "first", other_data)).id != before
    other_engine = replace(LOCK, engines={"replay": 2, "torch_rl": 4})
    assert next(expand(suite, "first", other_engine)).id != before


@pytest.mark.parametrize(
    "change",
    [
        ("title: A small suite", "title: Another title"),
        ("lr: 1e-6", "lr: 0.000001"),
        ("N: 1e6}", "N: 1000000}"),
        ("id: tiny, source: base, N: 1e6", "N: 1e6, source: base, id: tiny"),
        ("seed: [0, 1]", "seed: [0, 1, 2]"),
        ("    level: R0", "    level: R0\n    container: docker"),
        ("judge: [fit/*/K_max, summary/final/*]", "budget: {wall_s: 5}"),
    ],
)
def test_what_cannot_move_a_number_leaves_the_identity(tmp_path, change):
    before = next(expand(make_suite(tmp_path), "first", LOCK)).id
    assert next(expand(make_suite(tmp_path, change), "first", LOCK)).id == before


words = st.text('abc"\\é\U0001f680\n%{}', max_size=4)
scalars = st.integers(-5, 5) | st.floats(-1e9, 1e9) | words | st.booleans()
templates = st.lists(
    st.sampled_from(["${m.id}", "${m.f}", "${s}", "${settings.k0}", "$${"]) | words, max_size=4
).map("".join)
trees = st.recursive(
    scalars.filter(lambda value: not isinstance(value, str)) | templates,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(scalars, min_size=1, max_size=3, unique_by=lambda value: canonical_json(value)),
    st.lists(scalars, min_size=1, max_size=3, unique_by=lambda value: canonical_json(value)),
    st.lists(trees, max_size=4),
    st.one_of(st.just("plain"), st.just("${s}"), words),
)
def test_the_fast_path_spells_the_documents(tmp_path, fields, seeds, leaves, first):
    document = {
        "schema": 1,
        "name": "any",
        "version": 1,
        "title": "t",
        "axes": {"m": [{"id": f"m{i}", "f": f} for i, f in enumerate(fields)], "s": seeds},
        "settings": {"k0": first.replace("${", "${" if first == "${s}" else "$${")}
        | {f"k{i}": leaf for i, leaf in enumerate(leaves, 1)},
        "tiers": {"t": {"level": "R0", "engine": "replay"}},
    }
    path = tmp_path / "any.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    suite = load_suite(path)
    grid = Grid(suite, "t", Lock("any", 1, engines={"replay": 1}))
    found = list(grid.ids())
    assert len({identity for _, identity in found}) == len(fields) * len(seeds)
    for ordinal, identity in found:
        cell = grid.cell(ordinal, identity)
        assert identity == cell_id(cell.document)
        assert cell.document["axes"] == cell.values
