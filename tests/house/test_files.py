"""What holds for every file of the project."""

from __future__ import annotations

import functools
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_MODULE = 600


def tracked() -> list[Path]:
    """Every file that git would hand on."""
    command = ["git", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@functools.cache
def texts() -> list[tuple[str, str]]:
    """Name and content of every tracked text file."""
    found = []
    for path in tracked():
        raw = path.read_bytes()
        if b"\0" not in raw:
            found.append((path.relative_to(ROOT).as_posix(), raw.decode("utf-8")))
    return found


def test_no_module_is_too_long_to_read() -> None:
    long = [
        (name, lines)
        for name, text in texts()
        if name.endswith(".py") and (lines := text.count("\n")) > LONGEST_MODULE
    ]
    assert not long


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        # Written in pieces, so that this file does not match itself.
        ("a home or work folder of one machine", r"(?<![\w.])/(root|work|Users|home)/" + r"\w"),
        ("a package index", r"(pypi|pythonhosted|files\.python|npmjs|debian)" + r"\.(org|com|net)"),
        ("an index option", r"--(extra-)?" + r"index-url[= ]"),
    ],
)
def test_nothing_names_one_machine_or_registry(what: str, pattern: str) -> None:
    hits = [
        f"{name}:{text[: match.start()].count(chr(10)) + 1}: {match.group()}"
        for name, text in texts()
        for match in re.finditer(pattern, text)
    ]
    assert not hits, f"{what}: {hits}"


def test_text_files_end_with_one_newline() -> None:
    bad = [name for name, text in texts() if text and (text[-1] != "\n" or text[-2:] == "\n\n")]
    assert not bad
