"""The Makefile, the sessions, the pins and the changelog fragments agree with each other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house import ROOT

MAKES_OWN = {"ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL"}
LOCKS = sorted((ROOT / "suites").glob("*/suite.lock"))
TARGETS = ("help", "test", "lint", "docs", "suites", "suite-exp1")
TYPES = {"numbers", "added", "changed", "fixed", "removed"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def recipes() -> dict[str, str]:
    """What make would type for each target, asked of make itself."""
    if shutil.which("make") is None:
        pytest.skip("no make on this machine")
    return {target: dry_run(target) for target in TARGETS}


def dry_run(*arguments: str) -> str:
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    # These tests run under make themselves, which hands its own arguments on.
    clean = {name: value for name, value in os.environ.items() if name not in MAKES_OWN}
    shown = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=True)
    return shown.stdout.strip()


def test_make_only_forwards_to_nox() -> None:
    assert recipes() == {
        "help": "tools/nox --list",
        "test": "tools/nox -s tests --",
        "lint": "tools/nox -s lint --",
        "docs": "tools/nox -s docs --",  # a folder of that name must not count as done
        "suites": "tools/nox -s suites --",
        "suite-exp1": "tools/nox -s suite-exp1 --",
    }


def test_make_passes_arguments_on() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make on this machine")
    assert dry_run("suite-exp1", "ARGS=--tier micro") == "tools/nox -s suite-exp1 -- --tier micro"


def test_every_direct_dependency_is_pinned(project: dict[str, Any]) -> None:
    named = list(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        named += extra
    named += (ROOT / "tools" / "requirements.in").read_text().splitlines()
    direct = {
        normal(match.group())
        for line in named
        if (match := re.match(r"[A-Za-z0-9._-]+", line)) and "[" not in line
    }
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normal(line.partition("==")[0]) for line in pins if "==" in line}
    assert direct <= pinned


def test_the_pins_name_no_place() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+!]+( ; .+)?", line), line


def test_every_python_gets_the_same_versions() -> None:
    """Suites lock the version of NumPy, whatever Python they run on; others move runs."""
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    names = [line.partition("==")[0] for line in pins]
    for name in ("numpy", "scipy", "torch"):
        assert names.count(name) == 1, name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_a_suite_is_locked_to_the_pinned_packages(lock: Path) -> None:
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    for name, locked in json.loads(lock.read_text())["packages"].items():
        assert f"{name}=={locked}" in pins, "after `make constraints`, run `harness lock SUITE`"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_a_suite_file_names_its_schema(lock: Path) -> None:
    first = (lock.parent / "suite.yaml").read_text().splitlines()[0]
    pointer = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert pointer is not None
    assert (lock.parent / pointer[1]).is_file()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_changelog_fragments_are_named_by_the_rule(project: dict[str, Any]) -> None:
    assert {entry["directory"] for entry in project["tool"]["towncrier"]["type"]} == TYPES
    for path in (ROOT / "changelog.d").iterdir():
        if path.name == "README.md":
            continue
        assert re.fullmatch(rf"\+[a-z0-9-]+\.({'|'.join(sorted(TYPES))})\.md", path.name), path.name
        assert path.read_text().strip(), path.name


def test_imports_point_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter comes with the dev extra")
    checked = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
