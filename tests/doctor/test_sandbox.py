"""Rows of the code scorer's sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.doctor import Needs, Setting, State
from harness.doctor.checks import sandbox
from reward_scorers.sandbox import SandboxUnavailable
from reward_scorers.sandbox.backends.backend import backends

if TYPE_CHECKING:
    from collections.abc import Callable

SCORES_CODE = Needs(suite="s", tier="t", sandbox=True)


@pytest.mark.parametrize(("needs", "state"), [(Needs(), State.NOTE), (SCORES_CODE, State.MISS)])
def test_nothing_that_confines(setting: Callable[..., Setting], needs: Needs, state: State) -> None:
    row = sandbox.confinement(
        setting(needs=needs), SandboxUnavailable("programs cannot be confined\n here")
    )
    assert (row.state, bool(row.fix)) == (state, True)
    assert "programs cannot be confined here" in row.found


def test_what_confines_is_named(setting: Callable[..., Setting]) -> None:
    row = sandbox.confinement(setting(), "bubblewrap+landlock")
    assert (row.state, row.found) == (State.OK, "confined by bubblewrap, landlock")


@pytest.mark.parametrize(
    ("told", "state", "found", "fix"),
    [
        ("", State.OK, "can be used", ""),
        (
            *("bwrap is not installed: apt-get install bubblewrap", State.NOTE),
            *("bwrap is not installed", "sudo apt-get install bubblewrap"),
        ),
        (RuntimeError("boom"), State.NOTE, "it cannot be asked: boom", ""),
    ],
)
def test_a_backend(
    setting: Callable[..., Setting], told: Any, state: State, found: str, fix: str
) -> None:
    row = sandbox.backend(setting(), "native", told)
    assert (row.state, row.found, row.fix) == (state, found, fix)


def test_the_backend_that_the_environment_chooses_is_needed(
    setting: Callable[..., Setting],
) -> None:
    made = setting(needs=SCORES_CODE, environment={"REWARD_SCORERS_SANDBOX": "docker"})
    assert sandbox.backend(made, "docker", "it is not there").state is State.MISS
    assert sandbox.backend(made, "podman", "it is not there").state is State.NOTE


def test_every_backend_has_a_row(setting: Callable[..., Setting]) -> None:
    """By really asking this machine, and really starting one sandbox."""
    found = [one.what for one in sandbox.sandbox(setting())]
    assert found == ["programs of models", *backends()]
