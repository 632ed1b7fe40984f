"""What `harness gc` takes for garbage: containers of dead runs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import cleaning
from harness.errors import InfrastructureError
from harness.run.claims import try_claim
from harness.run.containers.leases import Lease, Left

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Keeper:
    """An engine with three containers: of a living run, of a dead one, of somebody else."""

    def __init__(self, folder: Path) -> None:
        self.removed: list[str] = []
        self._alive = folder / "alive"
        self._dead = folder / "dead"
        self._dead.write_text("")

    def list(self, label: str) -> Iterable[Left]:
        assert label == "rl-scaling-harness.owner"
        return [
            Left("1", Lease.new(self._alive).labels("one"), "running"),
            Left("2", Lease.new(self._dead).labels("two"), "exited"),
            Left("3", {"rl-scaling-harness.cell": "three"}, "running"),
        ]

    def remove(self, container: str) -> None:
        self.removed.append(container)


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    made = Keeper(tmp_path)

    def opened(name: str) -> Keeper:
        if name == "podman":
            raise InfrastructureError("podman does not work")
        return made

    monkeypatch.setattr(cleaning, "open_keeper", opened)
    return made


@pytest.mark.parametrize("dry_run", [True, False])
def test_containers_of_dead_runs_are_removed(keeper: Keeper, tmp_path: Path, dry_run: bool) -> None:
    with try_claim(tmp_path / "alive"):  # type: ignore[union-attr]
        found = cleaning.collect_garbage(None, dry_run=dry_run)
    assert [(one.engine, one.id, one.cell) for one in found.containers] == [("docker", "2", "two")]
    assert keeper.removed == ([] if dry_run else ["2"])
    assert "podman" in found.unasked


def test_a_run_that_has_ended_meanwhile_is_dead(keeper: Keeper, tmp_path: Path) -> None:
    claim = try_claim(tmp_path / "alive")
    assert claim is not None
    assert len(cleaning.collect_garbage(None, dry_run=True).containers) == 1
    claim.release()
    assert len(cleaning.collect_garbage(None, dry_run=True).containers) == 2


def test_a_workspace_without_store_has_no_garbage(keeper: Keeper, tmp_path: Path) -> None:
    found = cleaning.collect_garbage(tmp_path / "nowhere", dry_run=False)
    assert (found.folders, found.checkpoints) == ([], [])
