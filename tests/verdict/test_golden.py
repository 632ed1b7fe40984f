"""Golden files: reading, refusing, recording; published numbers are never rewritten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from harness.errors import SuiteError
from harness.verdict.entry import Band, Kind
from harness.verdict.golden import add, load_golden, save_golden, update
from harness.verdict.model import Sample
from tests.verdict.test_compare import entry, golden

if TYPE_CHECKING:
    from pathlib import Path


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "s" / "published.json"
    save_golden(golden(entry()), path)
    assert load_golden(path) == golden(entry())


def test_no_file_is_no_golden(tmp_path: Path) -> None:
    assert load_golden(tmp_path / "published.json") is None


def line_of_the_entry(text: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if '"id"' in line)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"printed": "0.135"', '"printed": "n/a"', "finite decimal"),
        ('"printed": "0.135"', '"printed": "1e400"', "finite decimal"),
        ('"printed": "0.135"', f'"printed": "{"9" * 400}"', "finite decimal"),
        ('"printed": "0.135"', '"printed": "0.13_5"', "finite decimal"),
        ('"printed"', '"prnted"', "prnted|printed"),
        ('"kind": "published"', '"kind": "guess"', "kind"),
    ],
)
def test_bad_entries_are_refused_by_line(tmp_path: Path, before, after, message) -> None:
    path = tmp_path / "published.json"
    save_golden(golden(entry()), path)
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(SuiteError, match=message) as caught:
        load_golden(path)
    assert caught.value.where == f"{path}:{line_of_the_entry(path.read_text())}"


def test_what_is_no_file_or_no_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name in ("folder.json", "deep.json"):
        with pytest.raises(SuiteError, match="git checkout"):
            load_golden(tmp_path / name)


def test_half_a_file_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "published.json"
    save_golden(golden(entry()), path)
    text = path.read_text()
    path.write_text(text[: text.index('"printed"')])
    with pytest.raises(SuiteError, match="not JSON") as caught:
        load_golden(path)
    assert caught.value.where == f"{path}:{len(path.read_text().splitlines())}"


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.json"
    save_golden(golden(entry()), path)
    document = json.loads(path.read_text())
    document["entries"] *= 2
    path.write_text(json.dumps(document))
    with pytest.raises(SuiteError, match="two entries"):
        load_golden(path)


def test_a_refused_number_cannot_become_a_golden(tmp_path: Path) -> None:
    path = tmp_path / "published.json"
    save_golden(golden(entry()), path)
    document = json.loads(path.read_text())
    document["refused"] = [
        {"what": "Llama-3 rows", "match": "llama", "reason": "the curves were partly predicted"}
    ]
    path.write_text(json.dumps(document))
    assert load_golden(path) is not None
    document["entries"][0]["group"] = "Table 8: Llama-3.1-8B, C"
    path.write_text(json.dumps(document))
    with pytest.raises(SuiteError, match=r"refused as a golden.*partly predicted"):
        load_golden(path)


TOLERANCE = {"tolerance": 0.15, "tolerance_reason": "how finely the figure can be read"}
RANGE = {"printed": None, "between": ["0.2", "0.4"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"between": ["0.2", "0.4"]}, "either `printed`"),
        ({"printed": None}, "either `printed`"),
        ({"printed": None, "between": ["0.4", "0.2"]}, "lower to a higher"),
        (RANGE | {"rtol": 1e-3}, "its own tolerance"),
        (RANGE | {"margin": 0.1, "margin_reason": "r" * 20}, "its own tolerance"),
        ({"margin": 0.1}, "go together"),
        ({"margin_reason": "r" * 20}, "go together"),
        ({"margin": 0.0, "margin_reason": "r" * 20}, "greater than 0"),
        ({"margin": 0.1, "margin_reason": "because"}, "at least 20"),
        ({"sd": 0.01}, "needs `runs`"),
        ({"sd": 0.01, "runs": 0}, "greater than or equal to 1"),
        ({"input_rounding": -0.1}, "greater than 0"),
        ({"tolerance": 0.15}, "go together"),
        ({"tolerance_reason": "r" * 20}, "go together"),
        (TOLERANCE | {"rtol": 1e-3}, "whole tolerance"),
        (TOLERANCE | {"input_rounding": 0.1}, "whole tolerance"),
        (TOLERANCE | RANGE, "whole tolerance"),
        ({"printed": "84", "questions": 128}, "for a share"),
    ],
)
def test_entries_that_contradict_themselves_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        entry(**changes)


BAND = {
    "id": "band",
    "group": "Table",
    "fit": "a",
    "kind": "published",
    "N": [1e9, 2e9],
    "x": [1.0, 10.0, 100.0],
    "predicted": [[0.9, 0.8, 0.7], [0.8, 0.7, 0.6]],
    "margin": 0.02,
    "margin_reason": "set before any run was made",
    "source": "paper",
    "place": "Figure 1",
    "protocol": "all points",
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predicted": [[0.9, 0.8, 0.7]]}, "a row for each N"),
        ({"predicted": [[0.9, 0.8], [0.8, 0.7]]}, "each of 3 x"),
        ({"se": [[0.1, 0.1, 0.1]]}, "`se` needs a row"),
        ({"predicted": [[0.9, 0.8, float("nan")], [0.8, 0.7, 0.6]]}, "not finite"),
        ({"kind": "recorded"}, "needs `runs` and `se`"),
        ({"kind": "transcribed"}, "published"),
    ],
)
def test_bands_off_their_grid_are_refused(changes: dict, message: str) -> None:
    Band.model_validate(BAND)
    with pytest.raises(ValidationError, match=message):
        Band.model_validate(BAND | changes)


NOT_RECOMPUTED = {
    "id": "table5/sd",
    "group": "Table 5",
    "label": "sd",
    "printed": "0.0082",
    "source": "paper",
    "place": "Table 5",
    "reason": "the single runs were not published",
}


def test_numbers_that_cannot_be_recomputed_keep_the_rules_of_goldens(tmp_path: Path) -> None:
    path = tmp_path / "published.json"
    save_golden(golden(entry()), path)
    document = json.loads(path.read_text())
    document["not_recomputed"] = [NOT_RECOMPUTED]
    document["bands"] = [BAND]
    path.write_text(json.dumps(document, indent=1))
    loaded = load_golden(path)
    assert loaded is not None
    assert [one.shown for one in loaded.not_recomputed] == ["0.0082"]
    save_golden(loaded, path)
    assert load_golden(path) == loaded

    for part in ("not_recomputed", "bands"):
        twice = json.loads(path.read_text())
        twice[part][0]["id"] = "table/K"
        path.with_name("twice.json").write_text(json.dumps(twice))
        with pytest.raises(SuiteError, match="two entries"):
            load_golden(path.with_name("twice.json"))
    document["refused"] = [
        {"what": "all", "match": "table 5", "reason": "these may not become goldens"}
    ]
    path.write_text(json.dumps(document))
    with pytest.raises(SuiteError, match="refused as a golden"):
        load_golden(path)
    document["refused"] = []
    document["not_recomputed"] = [NOT_RECOMPUTED | {"reason": "no"}]
    path.write_text(json.dumps(document, indent=1))
    with pytest.raises(SuiteError, match="reason") as caught:
        load_golden(path)
    before = path.read_text().partition('"table5/sd"')[0]
    assert caught.value.where == f"{path}:{before.count(chr(10)) + 1}"


def test_update_rewrites_what_runs_recorded_and_nothing_else() -> None:
    before = golden(entry(), entry("1.0", id="r", quantity="fit/a/N0", kind=Kind.RECORDED))
    after = update(
        before,
        {"fit/a/K": 0.2, "fit/a/N0": 2.0, "fit/a/R2": 0.9},
        date="2026-01-01",
        reason="a new law",
    )
    assert [(e.quantity, e.printed, e.kind) for e in after.entries] == [
        ("fit/a/K", "0.135", Kind.PUBLISHED),
        ("fit/a/N0", "2.0", Kind.RECORDED),
        ("fit/a/R2", "0.9", Kind.RECORDED),
    ]
    [change] = after.history
    assert change.reason == "a new law"
    assert set(change.entries) == {"r", "recorded/fit/a/R2"}


def test_recorded_means_keep_the_spread_of_their_seeds() -> None:
    samples = {"fit/a/K": Sample((0.1, 0.2, 0.3)), "b": Sample((0.5,)), "c": Sample((0.5, 0.5))}
    found = {"fit/a/K": 0.2, "b": 0.5, "c": 0.5, "d": 1.0}
    empty = golden()
    first = add(empty, found, date="2026-01-01", reason="first run", samples=samples)
    told = [(one.quantity, one.sd, one.runs) for one in first.entries]
    assert told[0] == ("fit/a/K", pytest.approx(0.1), 3)
    assert told[1:] == [("b", None, None), ("c", None, None), ("d", None, None)]
    margin = {"margin": 0.05, "margin_reason": "set by hand, with a reason"}
    kept = first.model_copy(update={"entries": (first.entries[0].model_copy(update=margin),)})
    other = {"fit/a/K": Sample((0.2, 0.4, 0.6))}
    after = update(kept, {"fit/a/K": 0.4}, date="2026-01-02", reason="a new engine", samples=other)
    [one] = after.entries
    assert (one.printed, one.sd, one.runs) == ("0.4", pytest.approx(0.2), 3)
    assert (one.margin, one.margin_reason) == tuple(margin.values())


def test_adding_changes_no_entry_that_is_there() -> None:
    before = golden(entry(), entry("1.0", id="r", quantity="fit/a/N0", kind=Kind.RECORDED))
    after = add(before, {"fit/a/N0": 2.0, "fit/a/R2": 0.9}, date="2026-01-01", reason="first run")
    assert after.entries[:2] == before.entries
    assert [(e.quantity, e.printed) for e in after.entries[2:]] == [("fit/a/R2", "0.9")]
    assert after.history[0].entries == ("recorded/fit/a/R2",)


def test_update_without_a_change_leaves_no_trace() -> None:
    before = golden(entry())
    assert update(before, {"fit/a/K": 0.2}, date="2026-01-01", reason="nothing") is before
