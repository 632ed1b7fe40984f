"""Where suites are found: a path, ./suites, the checkout's suites, those of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import harness
from harness.errors import SuiteError
from harness.spec.nearest import did_you_mean

SUITE_FILE: Final = "suite.yaml"


def find_suite(name: str | Path) -> Path:
    """The suite file of a name, a suite's folder or a path.

    A name is looked up in ./suites first, then in the checkout that the package runs from, then in
    the copy that the installed package brings.

    Raises:
        SuiteError: there is none; the nearest names are told.
    """
    path = Path(name)
    if path.is_dir() and (path / SUITE_FILE).is_file():
        return path / SUITE_FILE
    if path.is_file():
        return path
    suites = list_suites()
    if str(name) in suites:
        return suites[str(name)]
    raise SuiteError(
        f"no suite `{name}`",
        expected="one of "
        + (", ".join(suites) or "none was found")
        + f", or the path of a {SUITE_FILE}",
        hint=did_you_mean(path.name, suites) or "`harness suites` lists the suites that are found",
    )


def list_suites() -> dict[str, Path]:
    """Name -> suite file of every suite that a name finds, sorted by name."""
    found: dict[str, Path] = {}
    for root in _roots():
        for path in sorted(root.glob(f"*/{SUITE_FILE}")):
            found.setdefault(path.parent.name, path)
    return dict(sorted(found.items()))


def _roots() -> list[Path]:
    package = Path(harness.__file__).parent
    beside = package.parent
    # Beside an installed package is site-packages, where a folder `suites` is somebody else's.
    checkout = [beside / "suites"] if (beside / "pyproject.toml").is_file() else []
    return [Path("suites"), *checkout, package / "_packaged" / "suites"]
