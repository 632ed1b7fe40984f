"""The documentation's commands do what the pages show.

In a page, a block fenced as `console` holds commands (`$ ...`) and what they print. Every page runs
from top to bottom in a copy of the suites and goldens of its own. A comment before a block changes
how it is taken:

    <!-- exit: 3 -->              the exit code that its last command must have (0 if not said)
    <!-- file: path/to/file -->   not commands: the content of a file to write first

Shown output must come out in that order, blank space aside; `...` stands for anything.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<key>exit|file): (?P<value>\S+) -->\n+)?^```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
EXECUTED = {"harness", "python"}
SHOWN_ONLY = {"make", "nox", "git"}  # checked elsewhere, or not ours


@dataclass(frozen=True)
class Command:
    """One `$ ` line of a page, what it should print and how it should end."""

    line: str
    prints: tuple[str, ...]
    exits: int


def commands(body: str, exits: int) -> list[Command]:
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)
    assert not parts[0].strip(), f"output before the first command: {parts[0]!r}"
    found = []
    for number, part in enumerate(parts[1:], 1):
        line, *prints = re.sub(r"\\\n\s*", "", part).splitlines()
        last = number == len(parts) - 1
        found.append(Command(line, tuple(p for p in prints if p.strip()), exits if last else 0))
    return found


def run(command: Command, folder: Path) -> None:
    name, *arguments = shlex.split(command.line)
    if name in SHOWN_ONLY:
        return
    assert name in EXECUTED, f"docs may show {sorted(EXECUTED | SHOWN_ONLY)}, not {name!r}"
    program = str(Path(sys.executable).with_name(name))
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "130", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == command.exits, f"$ {command.line}\n{done.stdout}"
    missing = first_missing(command.prints, done.stdout)
    assert missing is None, f"$ {command.line}\nnot printed: {missing}\n\n{done.stdout}"


def first_missing(prints: tuple[str, ...], output: str) -> str | None:
    """The first shown line that does not come out, or not after the one before it."""
    lines = iter([squeezed(line) for line in output.splitlines()])
    for shown in prints:
        if shown.strip() == "...":
            continue
        pattern = ".*".join(re.escape(piece.strip()) for piece in squeezed(shown).split("..."))
        if not any(re.fullmatch(pattern, line) for line in lines):
            return shown
    return None


def squeezed(line: str) -> str:
    return " ".join(line.split())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the project's suites and goldens, in which a page may do what it likes."""
    for name in ("suites", "golden"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page: Path, copy: Path) -> None:
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["key"] == "file":
            target = copy / block["value"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block["body"], encoding="utf-8")
        elif block["kind"] == "console":
            for command in commands(block["body"], int(block["value"] or 0)):
                run(command, copy)


def test_every_make_target_shown_is_a_session() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.M))
    sessions |= {f"suite-{path.parent.name}" for path in (ROOT / "suites").glob("*/suite.yaml")}
    sessions |= {"test", "help"}
    for page in PAGES:
        for target in re.findall(r"(?:\$ |`)make ([\w-]+)", page.read_text(encoding="utf-8")):
            assert target in sessions | {"NAME", "suite-NAME"}, f"{page.name}: make {target}"


def test_a_wrong_page_is_noticed() -> None:
    output = "one   1\ntwo 2\nthree 3\n"
    assert first_missing(("one 1", "...", "th... 3"), output) is None
    assert first_missing(("two 2", "one 1"), output) == "one 1"
    assert first_missing(("two",), output) == "two"
