"""A checkout in miniature: suite exp1 with its golden file, and the command line run in it."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import main

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """What a command left: exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with suites/exp1 and golden/exp1, to be changed by a test."""
    for part in ("suites", "golden"):
        shutil.copytree(ROOT / part / "exp1", tmp_path / part / "exp1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def harness(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run one command in this process and return what it left."""

    def run(*words: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["harness", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        out, err = capfd.readouterr()
        return Result(0 if code is None else int(code), out, err)

    return run


def edit(path: Path, before: str, after: str) -> None:
    """Replace one piece of text that stands in the file."""
    text = path.read_text()
    assert before in text, f"{before!r} is not in {path}"
    path.write_text(text.replace(before, after, 1))
