from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import SuiteError
from harness.run.plan import make_plan
from harness.spec.grid import Grid, expand
from harness.spec.identity import cell_id
from tests.spec.support import LOCK, make_suite


@pytest.fixture
def suite(tmp_path):
    return make_suite(
        tmp_path,
        ("include: []", "include: [{model: tiny, algorithm: ppo, seed: 9}]"),
        ("exclude: []", "exclude: [{model: wide, seed: 1}]"),
        ("    engine: replay", "    engine: replay\n    budget: {wall_s: 10, cell_s: 2.5}"),
    )


def all_ids(suite):
    return [cell.id for cell in expand(suite, "first", LOCK)]


def test_of_an_empty_store_everything_is_to_do(suite):
    plan = make_plan(Grid(suite, "first", LOCK), set())
    assert (plan.total, plan.finished, plan.todo) == (7, 0, 7)
    assert list(plan.ids()) == all_ids(suite)


def test_cells_are_those_of_the_grid(suite):
    cells = list(make_plan(Grid(suite, "first", LOCK), set()).cells())
    assert cells == list(expand(suite, "first", LOCK))
    assert all(cell.id == cell_id(cell.document) for cell in cells)
    assert cells[-1].values["seed"] == 9


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, 6)))
def test_what_is_finished_is_not_to_do_and_the_order_stays(suite, done):
    ids = all_ids(suite)
    finished = {ids[number] for number in done} | {"ab" * 32}
    plan = make_plan(Grid(suite, "first", LOCK), finished)
    assert [cell.id for cell in plan.cells()] == [i for i in ids if i not in finished]
    assert (plan.total, plan.finished, plan.todo) == (7, len(done), 7 - len(done))


def test_a_plan_can_be_walked_again(suite):
    plan = make_plan(Grid(suite, "first", LOCK), set())
    assert list(plan.cells()) == list(plan.cells())


def test_selection(suite):
    ids = all_ids(suite)
    plan = make_plan(Grid(suite, "first", LOCK), set(ids[:1]), where='model == "tiny" and seed < 9')
    assert (plan.total, plan.finished, plan.todo) == (4, 1, 3)


def test_an_empty_selection_is_an_error(suite):
    with pytest.raises(SuiteError, match="no cell of 7 is selected"):
        make_plan(Grid(suite, "first", LOCK), set(), where="seed > 9")


def test_cost_is_held_against_the_budget(suite):
    ids = all_ids(suite)
    whole, rest = (make_plan(Grid(suite, "first", LOCK), set(ids[:n])) for n in (0, 4))
    assert (whole.cost_s, whole.over_budget) == (17.5, True)
    assert (rest.cost_s, rest.over_budget) == (7.5, False)


def test_without_a_measured_cost_no_budget_is_exceeded(tmp_path):
    plan = make_plan(Grid(make_suite(tmp_path), "first", LOCK), set())
    assert (plan.cost_s, plan.over_budget) == (None, False)
