"""The registry of laws, and the formulas of those that ship."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.laws import Law, Parameter, SharedSlopeLaw, get_law, law, law_names, register
from harness.errors import SuiteError
from tests.analysis.support import SIZES

SHARED = [name for name in law_names() if isinstance(get_law(name), SharedSlopeLaw)]
OTHER = "tests.analysis.other_law"
positive = st.floats(1e-3, 1e3)


def test_the_laws_that_ship():
    assert {"loglinear", "loglinear_kn", "loglinear_kn_e0"} <= set(law_names())


@pytest.mark.parametrize("name", law_names())
def test_every_law_says_what_it_is(name):
    one = get_law(name)
    assert one.name == name
    assert one.version >= 1
    assert "=" in one.formula
    assert one.source
    assert one.identifiability
    assert all(p.unit and p.meaning for p in (*one.shared, *one.per_curve))


def test_a_misspelt_law_is_answered_with_the_nearest():
    with pytest.raises(SuiteError, match="nearest: loglinear_kn, ") as caught:
        get_law("loglinear_nk")
    assert caught.value.found == "loglinear_nk"


@pytest.fixture
def offer(monkeypatch):
    """Offer a module as the entry point of a law, as an installed package would."""
    monkeypatch.setattr(law, "_LAWS", dict(law._LAWS))
    monkeypatch.delitem(sys.modules, OTHER, raising=False)

    def install(module):
        point = EntryPoint("line_of_another_package", module, "harness.laws")
        monkeypatch.setattr(
            law, "entry_points", lambda group, name=point.name: [point] * (name == point.name)
        )
        return point

    return install


def test_packages_add_laws_through_entry_points(offer):
    point = offer(OTHER)
    assert point.name in law_names()
    assert get_law(point.name).version == 3


@pytest.mark.parametrize("text", ["import no_such_module", "raise RuntimeError('no driver')"])
def test_a_package_that_cannot_be_loaded_is_named(offer, monkeypatch, tmp_path, text):
    (tmp_path / "broken_law.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    point = offer("broken_law")
    with pytest.raises(
        SuiteError, match="law 'line_of_another_package' cannot be loaded"
    ) as caught:
        get_law(point.name)
    assert "broken_law" in caught.value.where
    assert caught.value.found in (
        "ModuleNotFoundError: No module named 'no_such_module'",
        "RuntimeError: no driver",
    )
    assert "uninstall" in caught.value.hint


def test_an_entry_point_that_registers_nothing_is_named(offer):
    point = offer("tests.analysis.support")
    with pytest.raises(SuiteError, match="does not register"):
        get_law(point.name)


def test_two_laws_cannot_share_a_name():
    with pytest.raises(SuiteError, match="two laws"):

        @register("loglinear", version=2)
        class Other(Law):
            per_curve = (Parameter("k", "1", "slope"),)


def test_a_class_of_the_same_name_elsewhere_is_another_law():
    shipped = get_law("loglinear")
    namesake = type("LogLinear", (Law,), {"__module__": "another.package"})
    with pytest.raises(SuiteError, match="two laws") as caught:
        register("loglinear", version=1)(namesake)
    assert "another.package.LogLinear" in caught.value.found
    assert get_law("loglinear") is shipped


def test_a_module_may_be_imported_again(offer):
    offer(OTHER)
    importlib.reload(importlib.import_module(OTHER))
    assert get_law("line_of_another_package").version == 3


@pytest.mark.parametrize("name", SHARED)
@given(values=st.lists(positive, min_size=4, max_size=4), N_ref=st.floats(1e8, 1e11))
def test_coordinates_and_parameters_are_inverse(name, values, N_ref):
    one = get_law(name)
    params = {
        p.name: value * (1e9 if p.unit == "parameters" else 1.0)
        for p, value in zip(one.shared, values, strict=False)
    }
    back = one.published(np.array(one.coordinates(params, N_ref)), N_ref)
    assert dict(zip(params, back, strict=True)) == pytest.approx(params, rel=1e-9)


@given(K_max=positive, N0=st.floats(1e6, 1e13), N_ref=st.floats(1e8, 1e11))
def test_slope_is_the_published_formula(K_max, N0, N_ref):
    one = get_law("loglinear_kn")
    z = np.array(one.coordinates({"K_max": K_max, "N0": N0}, N_ref))
    assert one.slope(z, SIZES, N_ref) == pytest.approx(K_max / (1 + N0 / SIZES), rel=1e-9)


@pytest.mark.parametrize("name", SHARED)
def test_formulas_are_analytic(name):
    """The fit differentiates by complex steps; differences must agree with them."""
    one = get_law(name)
    z = np.array(
        one.coordinates(
            {"K_max": 0.13, "N0": 13e9, "E0_max": 2.0, "N1": 20e9, "C0": 50.0, "r": 1.2}, 5e9
        )
    )
    forms = [one.slope, one.intercept] if one.shares_intercept else [one.slope]
    for form in forms:
        for j in range(len(z)):
            e = np.eye(len(z))[j]
            exact = form(z + 1e-30j * e, SIZES, 5e9).imag / 1e-30
            near = (form(z + 1e-6 * e, SIZES, 5e9) - form(z - 1e-6 * e, SIZES, 5e9)) / 2e-6
            assert exact == pytest.approx(near, rel=1e-6, abs=1e-9)


PAGE = Path(__file__).parents[2] / "docs/laws.md"


def test_the_page_of_laws_is_that_of_the_registry():
    sections = dict(
        part.split("\n", 1) for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    )
    shipped = {n for n in law_names() if type(get_law(n)).__module__.startswith("harness.")}
    assert shipped <= set(sections)
    for name in shipped:
        one, text = get_law(name), sections[name]
        parts = [one.formula, f"Version {one.version}.", one.source, one.projection]
        rows = [
            f"| `{p.name}` | {whose} | {p.unit} | {p.meaning} |"
            for whose, named in (("all curves", one.shared), ("each curve", one.per_curve))
            for p in named
        ]
        for part in (*parts, one.identifiability, *rows):
            assert part in text, f"{name} lacks {part!r}"
