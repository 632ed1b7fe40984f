"""What a tier measures in place of what the suite says for all tiers."""

from __future__ import annotations

import re

import pytest

from harness.errors import SuiteError
from harness.spec.load import load_suite
from harness.spec.lock import build_lock
from tests.spec.support import ENGINES, LAWS, changed, make_suite, write_suite

MEASURE = """\
    measure:
      curves:
        labels: {N: model.N, seed: seed}
        columns: {step: step, C: flops, L: evals.own}
      analyses:
        - name: "own-${x}"
          for: [{x: C, cut: 1}, {x: step, cut: 2}]
          law: loglinear
          x: "${x}"
          y: L
          drop_last: "${cut}"
      summaries:
        - {name: own, field: L, take: mean, last: 2, by: [N]}
      judge: ["summary/own/*"]
      margins:
        - {match: "summary/own/*", margin: 0.1, reason: as large as what a run learns}
      bands:
        - {fit: own-C, N: [1e6], x: [1e15], margin: 0.1, reason: as large as what a run learns}
      figures:
        - {name: own, kind: scaling, fit: own-C}
      tables:
        - {name: own, kind: table, fits: ["own-*"], params: [k]}
      limits: [The models of this tier are small.]
"""
END = "    settings: {lr: 2e-6}\n"  # of tier `second`
THIRD = "  third: {extends: second, axes: {seed: [6, 7]}}\n"
MEASURED = (END, END + MEASURE + THIRD)


def names(entries) -> list[str]:
    return [entry.name for entry in entries]


@pytest.fixture
def suite(tmp_path):
    return make_suite(tmp_path, MEASURED)


def test_a_tier_without_measures_is_shown_the_suite_itself(suite) -> None:
    assert suite.for_tier("first") is suite
    assert names(suite.analyses) == ["base-D", "instruct-D"]


@pytest.mark.parametrize("tier", ["second", "third"])
def test_measures_replace_the_suite_s_and_are_inherited(suite, tier) -> None:
    view = suite.for_tier(tier)
    assert view.curves.names == ("N", "seed", "step", "C", "L")
    assert names(view.analyses) == ["own-C", "own-step"]  # one for each record of `for`
    assert [(one.x, one.drop_last) for one in view.analyses] == [("C", 1), ("step", 2)]
    assert names(view.summaries) == names(view.figures) == names(view.tables) == ["own"]
    assert view.judge == ("summary/own/*",)
    assert (view.margins[0].margin, view.bands[0].fit) == (0.1, "own-C")
    assert view.limits == ("The models of this tier are small.",)
    # The rest, and the way back, are the suite's.
    assert (view.name, view.data, view.axes) == (suite.name, suite.data, suite.axes)
    assert view.for_tier("first") is suite
    assert names(view.for_tier(tier).analyses) == ["own-C", "own-step"]


def test_what_a_measure_does_not_say_is_the_suite_s(tmp_path) -> None:
    measure = "    measure: {limits: [This tier is small.], judge: [fit/base-D/K_max]}\n"
    suite = make_suite(tmp_path, (END, END + measure))
    view = suite.for_tier("second")
    assert (view.limits, view.judge) == (("This tier is small.",), ("fit/base-D/K_max",))
    assert (view.analyses, view.curves) == (suite.analyses, suite.curves)
    assert suite.limits == ()


def test_an_empty_list_replaces_too(tmp_path) -> None:
    suite = make_suite(tmp_path, (END, END + "    measure: {figures: [], tables: []}\n"))
    assert suite.for_tier("second").figures == ()
    assert names(suite.figures) == ["base"]


def test_the_nearest_measure_of_the_lineage_is_the_tier_s(tmp_path) -> None:
    third = THIRD.replace("]}}", "]}, measure: {limits: [Nearer.]}}")
    suite = make_suite(tmp_path, (END, END + MEASURE + third))
    view = suite.for_tier("third")
    assert view.limits == ("Nearer.",)
    assert names(view.analyses) == names(suite.analyses)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.split("\n"), 1) if part in line)


def test_places_are_those_of_the_file(suite) -> None:
    text = suite.path.read_text()
    view = suite.for_tier("third")
    for found, part in [
        (view.at("judge"), 'judge: ["summary/own/*"]'),
        (view.at("summaries", 0, "by"), "{name: own, field: L"),
        (suite.at("judge"), "judge: [fit/*/K_max"),
    ]:
        line = int(found.rpartition(":")[2])
        assert part in text.split("\n")[line - 1]
    own = int(view.at_analysis(1, "law").rpartition(":")[2])
    assert text.split("\n")[own - 1] == "          law: loglinear"
    assert view.says("bands")
    assert not suite.says("bands")


def test_a_lock_pins_the_laws_of_all_tiers(suite) -> None:
    assert build_lock(suite, LAWS, ENGINES, {}).laws == LAWS
    without = load_suite(write_suite(suite.root), laws=LAWS, engines=ENGINES, scorers=())
    assert build_lock(without, LAWS, ENGINES, {}).laws == {"loglinear_kn": 2}


def test_a_measure_is_no_part_of_a_cell_s_identity(suite) -> None:
    with_measure = build_lock(suite, LAWS, ENGINES, {}).cells
    plain = make_suite(suite.root, (END, END + THIRD))
    assert build_lock(plain, LAWS, ENGINES, {}).cells == with_measure


# change within MEASURE -> the line that is told (first with this text after `measure:`), the words.
BAD = {
    "unknown key": (("      judge:", "      jugde:"), "jugde:", "`tiers.second.measure.jugde`"),
    "unknown key of an analysis": (("drop_last:", "droplast:"), "droplast", "analyses[0].droplast"),
    "unknown key of a band": (("{fit: own-C, N", "{fitt: own-C, fit: own-C, N"), "fitt:", "fitt"),
    "unknown column": (("          y: L", "          y: K"), "y: K", "no curve column `K`"),
    "column of the suite's curves": (("y: L", "y: D"), "y: D", "no curve column `D`"),
    "unknown law": (("law: loglinear", "law: loglin"), "law: loglin", "no registered law"),
    "unknown name in for": (("${cut}", "${cat}"), "${cat}", "did you mean ${cut}?"),
    "empty for": (("[{x: C, cut: 1}, {x: step, cut: 2}]", "[]"), "for: []", "a list of records"),
    "two analyses of a name": (("own-${x}", "own"), 'name: "own"', "two analyses have the name"),
    "unknown label": (("by: [N]", "by: [source]"), "by: [source]", "no label `source`"),
    "unknown axis field": (("seed: seed}", "seed: sead}"), "sead", "did you mean `seed`?"),
    "pattern of another summary": (('y/own/*"]', 'y/final/*"]'), "final", "matches no summary"),
    "pattern of no quantity": (('["summary/own', '["own'), 'judge: ["own', "names no quantity"),
    "nothing to judge": (('judge: ["summary/own/*"]', "judge: []"), "judge: []", "is empty"),
    "figure of another fit": (("fit: own-C}", "fit: base-D}"), "fit: base-D}", "no analysis"),
    "table of another fit": (('["own-*"]', '["base-*"]'), "base-*", "matches no analysis"),
    "margin of nothing": (("margin: 0.1, reason", "margin: 0, reason"), "margin: 0,", "greater"),
    "margin without reason": (
        (", reason: as large as what a run learns}\n      b", "}\n      b"),
        'match: "summary/own',
        "missing",
    ),
    "margin of no summary": (('match: "summary/own', 'match: "summary/won'), "won", "matches no"),
    "margin of no quantity": (('match: "summary/own/', 'match: "'), 'match: "*', "no quantity"),
    "band of another fit": (("{fit: own-C, N", "{fit: base-D, N"), "base-D", "no analysis"),
    "band without curves": (("N: [1e6]", "N: []"), "N: []", "at least 1 item"),
    "band at a negative abscissa": (("x: [1e15]", "x: [-1.0]"), "x: [-1.0]", "greater than 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_error_tells_the_line_of_the_measure(name, tmp_path) -> None:
    (old, new), told, words = BAD[name]
    assert old in MEASURE
    change = (END, END + MEASURE.replace(old, new, 1) + THIRD)
    text = changed(change)
    before, _, after = text.partition("    measure:\n")
    line = before.count("\n") + 1 + line_of(after, told)
    with pytest.raises(SuiteError) as caught:
        load_suite(write_suite(tmp_path, change), laws=LAWS, engines=ENGINES, scorers=())
    message = str(caught.value)
    assert re.search(rf"suite\.yaml:{line}: ", message), message
    assert words in message
