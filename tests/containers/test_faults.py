"""Runs and engines that end abruptly: no cell goes on, no container is left, no work is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.run.containers.leases import Lease, is_dead, remove_dead
from harness.run.containers.registry import open_keeper
from tests.containers.support import ROOT, Place, image_for, probing_cell, record_of
from tests.run.support import is_alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON_S = 10.0  # within which nothing of a dead run is left


def start(place: Place, *doings: list[object]) -> subprocess.Popen[str]:
    image_for(place.engine)  # made here, so that it is not made twice
    words = [place.engine, str(place.root), str(place.data), *map(json.dumps, doings)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.containers.driver", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def cells_of(place: Place) -> list[int]:
    """The numbers, on this machine, of the processes of this place's cells."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                mounts = (folder / "mountinfo").read_text()
            except OSError:
                continue
            if b"harness.cell" in command and f"{place.root}/" in mounts:
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize(
    "ways", [{}, {"deaf": True}, {"orphan": True}, {"frozen": True}], ids=lambda ways: "".join(ways)
)
def test_a_killed_run_leaves_no_cell_and_no_container(place: Place, ways: dict[str, bool]) -> None:
    run = start(place, [["hang", 300, ways]], [["hang", 300]])
    wait_until(lambda: len(cells_of(place)) == 4)  # each with its first process
    time.sleep(0.5)
    pids = cells_of(place)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    wait_until(lambda: not place.containers() and not any(map(is_alive, pids)), SOON_S)
    place.run(probing_cell(["look"]))  # and the store is as it should be
    assert not list(place.store.verify())


def test_a_cell_ends_also_where_the_reaper_was_killed_too(place: Place) -> None:
    run = start(place, [["hang", 300]])
    wait_until(lambda: len(cells_of(place)) == 2)
    pids = cells_of(place)
    reapers = subprocess.run(
        ["pgrep", "-P", str(run.pid), "-f", "containers.reaper"], capture_output=True, text=True
    )
    (reaper,) = map(int, reapers.stdout.split())
    os.kill(reaper, signal.SIGKILL)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    wait_until(lambda: not any(map(is_alive, pids)), SOON_S)
    for options, left in ((["--dry-run"], 1), ([], 0)):
        command = [sys.executable, "-m", "harness", "gc", "--workspace", place.root, "--json"]
        told = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, check=True)
        assert len(json.loads(told.stdout)["folders"]) == 1
        assert len(list((place.root / "store" / "tmp").iterdir())) == left
        # Other runs on this machine may have removed the container meanwhile: that is their duty.
        assert len(place.containers()) <= left


def test_a_stopped_run_keeps_what_has_finished(place: Place) -> None:
    run = start(place, [["look"]], [["hang", 300, {"deaf": True}]])
    wait_until(lambda: len(place.store.finished()) == 1)
    wait_until(lambda: len(cells_of(place)) == 2)
    os.kill(run.pid, signal.SIGINT)
    run.wait()
    assert place.containers() == []
    assert len(place.store.finished()) == 1
    assert place.store.failed_ids() == set()


def test_containers_of_living_runs_are_left_alone(place: Place) -> None:
    run = start(place, [["hang", 300]])
    try:
        wait_until(lambda: len(cells_of(place)) == 2)
        before = place.containers()
        remove_dead(open_keeper(place.engine))
        assert place.containers() == before
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    wait_until(lambda: not place.containers(), SOON_S)


def test_a_cell_killed_from_outside_is_tried_again(place: Place) -> None:
    run = start(place, [["hang", 4]])
    wait_until(lambda: len(cells_of(place)) == 2)
    (container,) = place.containers()
    subprocess.run([place.engine, "kill", container], check=True, capture_output=True)
    told, _ = run.communicate(timeout=60)
    assert json.loads(told) == {"computed": 1, "failures": 0}
    cell = probing_cell(["hang", 4])
    assert record_of(place, cell).attempt == 2
    failure = place.store.last_failure(cell.id)
    assert failure is not None
    assert failure.error is not None
    assert (failure.status, failure.error["kind"]) == ("invalid", "killed")


def test_a_container_that_is_removed_under_a_cell_is_told(place: Place) -> None:
    run = start(place, [["hang", 4]])
    wait_until(lambda: len(cells_of(place)) == 2)
    (container,) = place.containers()
    subprocess.run([place.engine, "rm", "--force", container], check=True, capture_output=True)
    told, _ = run.communicate(timeout=60)
    assert json.loads(told) == {"computed": 1, "failures": 0}
    failure = place.store.last_failure(probing_cell(["hang", 4]).id)
    assert failure is not None
    assert failure.error is not None
    assert failure.error["kind"] in ("engine_lost", "killed")


def test_a_run_of_another_machine_or_boot_is_judged_by_what_is_known(tmp_path: Path) -> None:
    owner = tmp_path / "owner"
    owner.write_text("")
    labels = Lease.new(owner).labels("cell")
    assert is_dead(labels)  # nobody holds the lock
    host = "rl-scaling-harness.host"
    machine, _, boot = labels[host].partition("/")
    assert is_dead({**labels, host: f"{machine}/another-boot"})
    assert not is_dead({**labels, host: f"another-machine/{boot}"})
    assert not is_dead({**labels, "rl-scaling-harness.view": "mnt:[1]"})
    assert not is_dead({})


class Dockerd:
    """An engine of the test's own, which may be killed: in a network of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.socket = root / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        for left in ("pid", "exec/containerd/containerd.pid"):  # of one that was killed
            (self.root / left).unlink(missing_ok=True)
        options = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        words = [word for key, path in options.items() for word in (f"--{key}", self.root / path)]
        command = ["unshare", "--net", "dockerd", *words, "-H", f"unix://{self.socket}"]
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--bridge=none", "--iptables=false"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers, 30)

    def answers(self) -> bool:
        asked = subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", "version"], capture_output=True
        )
        return asked.returncode == 0

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        containerd = self.root / "exec/containerd/containerd.pid"
        helper = int(containerd.read_text()) if containerd.exists() else None
        os.kill(self._process.pid, number)
        self._process.wait(60)
        if helper is not None and is_alive(helper):
            os.kill(helper, signal.SIGKILL)

    def clear_up(self) -> None:
        """Unmount what an engine that was killed has left, so that its folder can be removed."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted(
            (one for one in mounts if one.startswith(f"{self.root}/")), reverse=True
        ):
            subprocess.run(["umount", "--lazy", mount], check=False)


@pytest.fixture
def dockerd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dockerd]:
    from tests.containers.support import require

    require("docker")
    if os.geteuid() != 0:
        pytest.skip("only root can start a Docker Engine")
    # The path of a socket has at most 107 characters, and the engine makes some below its folder.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        engine = Dockerd(Path(folder))
        try:
            engine.start()
            monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.socket}")
            image_for.cache_clear()
            yield engine
        finally:
            engine.kill(signal.SIGTERM)
            engine.clear_up()
            image_for.cache_clear()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_cell_is_tried_again_after_its_engine_was_restarted(
    dockerd: Dockerd, tmp_path: Path, number: signal.Signals
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    place = Place("docker", tmp_path, data)
    run = start(place, [["hang", 6]])
    wait_until(lambda: len(cells_of(place)) == 2)
    dockerd.kill(number)
    time.sleep(1)
    dockerd.start()
    told, _ = run.communicate(timeout=120)
    assert json.loads(told) == {"computed": 1, "failures": 0}
    failure = place.store.last_failure(probing_cell(["hang", 6]).id)
    assert failure is not None
    assert failure.error is not None
    assert failure.status == "invalid"
    assert failure.error["kind"] in ("engine_lost", "killed")
    assert place.containers() == []


def test_an_engine_that_does_not_come_back_is_no_score(dockerd: Dockerd, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    place = Place("docker", tmp_path, data)
    run = start(place, [["hang", 300]])
    wait_until(lambda: len(cells_of(place)) == 2)
    pids = cells_of(place)
    dockerd.kill(signal.SIGTERM)
    run.communicate(timeout=120)
    assert run.returncode != 0
    wait_until(lambda: not any(map(is_alive, pids)), SOON_S)
    assert place.store.finished() == set()
    failure = place.store.last_failure(probing_cell(["hang", 300]).id)
    assert failure is not None
    assert failure.status == "invalid"
    dockerd.start()
