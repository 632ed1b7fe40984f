"""pytest on a module that lies in no file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

    from .checks import Tally

# pytest wants a file to collect from; this one is read-only, and none of its folder is a package.
_PLACE = Path(os.__file__)


def run(execute: Callable[[], types.ModuleType], tally: Tally) -> None:
    """Collect and run the tests of a module, without configuration, conftest or plugins of files.

    Args:
        execute: makes the module.
        tally: counts test functions.
    """
    plugin = _Plugin(execute, tally)
    options = ["-q", "-c", "/dev/null", "--noconftest", "-p", "no:cacheprovider"]
    pytest.main([*options, "--rootdir", str(_PLACE.parent), str(_PLACE)], plugins=[plugin])


class _Plugin:
    def __init__(self, execute: Callable[[], types.ModuleType], tally: Tally) -> None:
        self._execute, self._tally = execute, tally

    def pytest_collect_file(self, file_path: Path, parent: Any) -> Any:
        """The tests, in place of the file."""
        if file_path != _PLACE:
            return None
        made = _Module.from_parent(parent, path=file_path)
        made.execute = self._execute
        return made

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """How many there are."""
        self._tally.expected = len(items)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """How one ended."""
        if report.when == "call" and report.passed:
            self._tally.right()
        elif report.skipped and hasattr(report, "wasxfail"):
            self._tally.right()  # it was expected to fail
        elif report.skipped:
            self._tally.expected -= 1
        elif report.failed:
            name = report.nodeid.partition("::")[2]
            self._tally.wrong(f"{name}: {report.longreprtext[-200:]}")

    def pytest_collectreport(self, report: Any) -> None:
        """What kept a module from being collected."""
        if report.failed:
            self._tally.wrong(report.longreprtext[-200:])


class _Module(pytest.Module):
    execute: Callable[[], types.ModuleType]

    def _getobj(self) -> types.ModuleType:
        return self.execute()
