"""The checks by topic, and doing them all at once."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeVar

from harness.doctor.finding import Finding, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.doctor.setting import Setting

# In the order of the table; each module registers the check of the same topic.
_TOPICS: Final = ("machine", "namespaces", "sandbox", "engines", "gpu", "hubs", "lock", "suite")
_PATIENCE_S: Final = 20.0
_checks: dict[str, Callable[[Setting], Iterable[Finding]]] = {}

_C = TypeVar("_C", bound="Callable[[Setting], Iterable[Finding]]")
_R = TypeVar("_R")


def check(topic: str) -> Callable[[_C], _C]:
    """Register the decorated function as the check of a topic.

    Raises:
        ValueError: the topic has another check.
    """

    def register(function: _C) -> _C:
        if _checks.setdefault(topic, function) is not function:
            raise ValueError(f"the topic {topic!r} has two checks")
        return function

    return register


def checks() -> Mapping[str, Callable[[Setting], Iterable[Finding]]]:
    """All checks, those of this package first and in the order of the table.

    Their modules import at their top what two of them import, so that no two threads wait for each
    other in the middle of imports that go in a circle.
    """
    for topic in _TOPICS:
        import_module(f"harness.doctor.checks.{topic}")
    return {topic: _checks[topic] for topic in dict.fromkeys((*_TOPICS, *_checks))}


def examine(
    setting: Setting,
    chosen: Mapping[str, Callable[[Setting], Iterable[Finding]]] | None = None,
    patience_s: float = _PATIENCE_S,
) -> list[Finding]:
    """Do all checks at once; one that fails or never ends is a finding of its own.

    Args:
        setting: what they look at.
        chosen: topic -> check; by default all.
        patience_s: seconds to wait for all of them.
    """
    wanted = checks() if chosen is None else chosen
    jobs = {topic: _job(function, setting) for topic, function in wanted.items()}
    findings: list[Finding] = []
    for topic, found in together(jobs, patience_s).items():
        if isinstance(found, Exception):
            findings.append(_failed(topic, found))
        else:
            findings += found
    return findings


def _job(
    function: Callable[[Setting], Iterable[Finding]], setting: Setting
) -> Callable[[], list[Finding]]:
    return lambda: list(function(setting))


def together(jobs: Mapping[str, Callable[[], _R]], patience_s: float) -> dict[str, _R | Exception]:
    """What each job returns or raises, in their order; TimeoutError for one that does not end.

    Threads that hang are left behind: they do not keep the process from ending.
    """
    told: dict[str, _R | Exception] = {}

    def work(name: str, job: Callable[[], _R]) -> None:
        try:
            told[name] = job()
        except Exception as error:  # noqa: BLE001 - a broken check must not hide the others
            told[name] = error

    threads = [
        threading.Thread(target=work, args=item, daemon=True, name=item[0]) for item in jobs.items()
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = TimeoutError(f"it has not answered within {patience_s:g} s")
    return {name: told.get(name, late) for name in jobs}


def _failed(topic: str, error: Exception) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    found = f"{type(error).__name__}: {str(error) or 'no more is known'}{where}"
    command = f"{sys.executable} -X faulthandler -m harness doctor --json"
    return Finding(topic, "the check itself", State.FAIL, found, "that it ends", command)
