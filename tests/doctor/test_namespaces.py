"""What kernels offer, by the files in which they tell it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.doctor import Setting, State
from harness.doctor.checks.namespaces import (
    control_groups,
    landlock,
    landlock_abi,
    namespaces,
    seccomp,
    user_namespaces,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = "proc/sys/user/max_user_namespaces"
CLONE = "proc/sys/kernel/unprivileged_userns_clone"
APPARMOR = "proc/sys/kernel/apparmor_restrict_unprivileged_userns"


@pytest.mark.parametrize(
    ("files", "state", "fix"),
    [
        ({MOST: 96365}, State.OK, ""),
        ({MOST: 96365, CLONE: 1, APPARMOR: 0}, State.OK, ""),
        ({}, State.NOTE, ""),
        ({MOST: 0}, State.NOTE, "sudo sysctl -w user.max_user_namespaces=15000"),
        ({MOST: 9, CLONE: 0}, State.NOTE, "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            {MOST: 9, APPARMOR: 1},
            State.NOTE,
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_user_namespaces(
    setting: Callable[..., Setting], files: dict[str, object], state: State, fix: str
) -> None:
    told = user_namespaces(setting(files))
    assert (told.state, told.fix) == (state, fix)


def test_seccomp(setting: Callable[..., Setting]) -> None:
    assert seccomp(setting()).state is State.NOTE
    actions = {"proc/sys/kernel/seccomp/actions_avail": "kill_process errno allow"}
    assert seccomp(setting(actions)).state is State.OK


def test_landlock() -> None:
    assert landlock(None).state is State.NOTE
    assert landlock(7).found == "ABI 7"


def test_this_kernel_tells_its_landlock_without_harm() -> None:
    abi = landlock_abi()
    assert abi is None or 0 < abi < 100


@pytest.mark.parametrize(
    ("files", "state", "found"),
    [
        ({}, State.NOTE, "none are mounted"),
        (
            {"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids"},
            State.OK,
            "version 2: memory, pids, cpu",
        ),
        (
            {"sys/fs/cgroup/cgroup.controllers": "memory pids"},
            State.NOTE,
            "version 2 without cpu",
        ),
    ],
)
def test_control_groups(
    setting: Callable[..., Setting], files: dict[str, object], state: State, found: str
) -> None:
    told = control_groups(setting(files))
    assert (told.state, told.found) == (state, found)


@pytest.mark.parametrize(("user", "state"), [(0, State.OK), (1000, State.NOTE)])
def test_version_1_is_for_root(
    setting: Callable[..., Setting], monkeypatch: pytest.MonkeyPatch, user: int, state: State
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    files = {f"sys/fs/cgroup/{name}/tasks": "" for name in ("memory", "pids", "cpu")}
    assert control_groups(setting(files)).state is state


def test_nothing_of_it_is_needed_by_itself(setting: Callable[..., Setting]) -> None:
    assert State.MISS not in {one.state for one in namespaces(setting())}
