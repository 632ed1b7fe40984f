from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.cell.evaluate.flips import rescore_stored
from harness.cell.evaluate.generations import FILE, read_generations, write_generations
from harness.cli import main
from harness.errors import DataError
from tests.evaluate.support import answers, row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.cell.evaluate.sample import Answers

ROWS = [row("math", index=3), row("stem", index=4)]
TEXTS = [r"\boxed{4}", r"\boxed{5}", r"\boxed{B}", "[b]no"]


def old(part: Answers, spot: int, **changes: Any) -> Answers:
    """The answers as another scorer had scored one of them."""
    scored: list[Any] = list(part.scored)
    scored[spot] = {**scored[spot], **changes}
    return type(part)(part.rows, part.n, part.texts, part.tokens, part.finished, scored)


def store(path: Path, part: Answers | None = None, **options: Any) -> Path:
    part = part or answers(ROWS, TEXTS)
    write_generations(path, [("heldout", part)], 5, **options)
    return path


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    part = answers(ROWS, TEXTS)
    part = old(part, 1, score=1.0, acc=True, pred="4", scorer="math/0")
    part = old(part, 2, pred="[b]A")
    return store(tmp_path / "changed.parquet", part)


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["harness", "rescore", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


def test_without_a_change_nothing_flips(tmp_path: Path, call: Callable[..., Any]) -> None:
    code, out, _ = call(store(tmp_path / "g.parquet"))
    assert code == 0
    assert "0 flips in 4 stored answers of 1 file" in out


def test_every_flip_is_listed_with_both_outcomes(changed: Path, call: Callable[..., Any]) -> None:
    code, out, _ = call(changed)
    assert code == 1
    assert "math/0 -> math/1" in out
    assert "1 -> 0" in out
    assert "[b]A" in out, "what a model wrote is shown as it is"
    assert "2 flips in 4 stored answers" in out


def test_json_says_what_the_table_says(changed: Path, call: Callable[..., Any]) -> None:
    code, out, _ = call(changed, "--json")
    told = json.loads(out)
    assert code == 1
    assert told["total"] == 4
    lost, reread = told["flips"]
    assert (lost["index"], lost["sample"], lost["response"]) == ("3", 1, r"\boxed{5}")
    assert (lost["stored"]["score"], lost["now"]["score"]) == (1.0, 0.0)
    assert (lost["stored"]["pred"], lost["now"]["pred"]) == ("4", "5")
    assert (reread["stored"]["acc"], reread["now"]["acc"]) == (True, True)
    by_source = {(one["data_source"], one["stored"]): one for one in told["summary"]}
    old_math = by_source["math__micro", "math/0"]
    assert (old_math["total"], old_math["lost"], old_math["gained"]) == (1, 1, 0)
    stem = next(one for one in told["summary"] if one["data_source"].startswith("stem"))
    assert (stem["total"], stem["right_then"], stem["right_now"], stem["reread"]) == (2, 1, 1, 1)


def test_folders_and_cells_and_the_whole_workspace_are_found(
    tmp_path: Path, call: Callable[..., Any]
) -> None:
    ids = ["ab" + "0" * 62, "ab" + "1" * 62]
    for name in ids:
        folder = tmp_path / "store" / "cells" / "ab" / name
        folder.mkdir(parents=True)
        store(folder / FILE)
    here = ("--workspace", tmp_path)
    assert "of 2 files" in call(*here)[1]
    assert "of 2 files" in call(tmp_path / "store")[1]
    assert "of 1 file" in call(ids[0], *here)[1]
    assert "of 1 file" in call(ids[1][:6], *here)[1]
    assert "of 2 files" in call(*ids, ids[0], *here)[1], "a file that is named twice counts once"
    code, _, err = call("ab", *here)
    assert code == 2
    assert "no file, no folder and no finished cell" in err


@pytest.mark.parametrize("target", ["nothing.parquet", "00000000", "."])
def test_a_target_without_generations_is_told(
    tmp_path: Path, call: Callable[..., Any], target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = call(target, "--workspace", tmp_path / "runs")
    assert code == 2
    assert "next:" in err


def test_an_unknown_policy_is_told(tmp_path: Path, call: Callable[..., Any]) -> None:
    code, _, err = call(store(tmp_path / "g.parquet"), "--compat", "lenient")
    assert code == 2
    assert "reasoning360" in err


def test_the_policy_of_the_file_is_the_default(tmp_path: Path) -> None:
    stored = read_generations(store(tmp_path / "g.parquet", compat="reasoning360"))
    now = rescore_stored([stored])
    assert all("360" in line.now for line in now.summary)
    strict = rescore_stored([stored], compat="strict")
    assert strict.flips == []


def test_a_row_that_no_scorer_knows_is_told_with_its_place(tmp_path: Path) -> None:
    part = answers([row("math")], ["4"])
    unknown: Any = row("math")
    unknown["data_source"] = "gardening__roses"
    from tests.evaluate.support import as_rows

    part = type(part)(as_rows([unknown]), 1, part.texts, part.tokens, part.finished, part.scored)
    with pytest.raises(DataError, match="gardening__roses") as caught:
        rescore_stored([read_generations(store(tmp_path / "g.parquet", part))])
    assert "question 0" in str(caught.value.where)


def test_equal_answers_to_one_question_flip_alike(tmp_path: Path) -> None:
    part = answers([row("math")], [r"\boxed{4}"] * 3)
    part = old(part, 2, score=0.0, acc=False)
    found = rescore_stored([read_generations(store(tmp_path / "g.parquet", part))])
    assert [(flip.sample, flip.now.acc) for flip in found.flips] == [(2, True)]
