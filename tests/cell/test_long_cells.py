"""What the contract offers to cells that train for long: kept lines, progress, whole files."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell import contract, lease, progress
from harness.cell.contract import CellContext, DivergedError
from harness.errors import DataError, InfrastructureError
from harness.run import record

if TYPE_CHECKING:
    from typing import BinaryIO

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def cell(tmp_path: Path) -> CellContext:
    for name in ("out", "resume"):
        (tmp_path / name).mkdir()
    return CellContext({}, tmp_path / "out", tmp_path, tmp_path / "resume")


def read(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_bytes())
    return found


@given(rewards=st.lists(NUMBERS, min_size=1, max_size=8), cut=st.integers(0, 8))
def test_kept_lines_make_the_file_of_an_uninterrupted_cell(
    tmp_path_factory: pytest.TempPathFactory, rewards: list[float], cut: int
) -> None:
    def write(name: str, kept: list[dict[str, object]]) -> tuple[bytes, contract.MetricsWriter]:
        out = tmp_path_factory.mktemp(name)
        with CellContext({}, out, out).metrics(kept=kept) as metrics:
            for step in range(len(kept), len(rewards)):
                metrics.write(step, evals={f"e{step % 2}": rewards[step]}, reward=rewards[step])
        return (out / "metrics.jsonl").read_bytes(), metrics

    whole, first = write("whole", [])
    kept = [json.loads(line) for line in whole.splitlines()[:cut]]
    resumed, second = write("resumed", kept)
    assert resumed == whole
    assert (first.steps, first.evals) == (second.steps, second.evals)


def test_steps_go_on_after_the_kept_lines(cell: CellContext) -> None:
    with (
        cell.metrics(kept=[{"step": 4, "evals": {}}]) as metrics,
        pytest.raises(DataError, match="step 4 follows step 4"),
    ):
        metrics.write(4, evals={})


def test_kept_lines_that_go_back_are_refused(cell: CellContext) -> None:
    kept = [{"step": 4, "evals": {}}, {"step": 3, "evals": {}}]
    with pytest.raises(DataError, match="step 3 follows step 4"), cell.metrics(kept=kept):
        pass


def test_number_that_is_not_finite_is_not_to_be_resumed(cell: CellContext) -> None:
    with cell.metrics() as metrics, pytest.raises(DivergedError) as caught:
        metrics.write(1, evals={"heldout.pass_at_1": 0.5}, reward=0.5, loss=float("nan"))
    assert caught.value.found == "loss nan"
    assert contract.error_report(caught.value)["resumable"] is False
    assert contract.error_report(DataError("other"))["resumable"] is True


def test_progress_is_written_at_most_twice_a_second(
    cell: CellContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [10.0]
    monkeypatch.setattr("harness.cell.progress.time.monotonic", lambda: now[0])
    seen = []
    for step in range(101):
        cell.progress(step, 100, reward=step / 100)
        seen.append(read(cell.out / "progress.json")["step"])
        now[0] += 0.1
    assert seen[-1] == 100, "the last step is always told"
    assert len(set(seen)) <= 23
    assert [path.name for path in cell.out.iterdir()] == ["progress.json"]


def test_numbers_stay_until_told_anew(cell: CellContext) -> None:
    cell.progress(0, 2, pass_at_1=0.25)
    cell.progress(2, 2, reward=0.5, kl=float("nan"))
    told = {"step": 2, "total": 2, "numbers": {"pass_at_1": 0.25, "reward": 0.5}}
    assert read(cell.out / "progress.json") == told


def test_progress_that_cannot_be_told_harms_nothing(tmp_path: Path) -> None:
    CellContext({}, tmp_path / "absent", tmp_path).progress(1, 2)


def test_checkpointed_tells_the_step(cell: CellContext) -> None:
    cell.checkpointed(40)
    assert cell.resume is not None
    assert read(cell.resume / "checkpointed.json") == {"step": 40}
    CellContext({}, cell.out, cell.out).checkpointed(1)  # nowhere to tell it
    assert list(cell.out.iterdir()) == []


def test_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, object]] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        done.append(("fsync", os.fstat(descriptor).st_ino))
        sync(descriptor)

    def note_replace(path: Path, target: Path) -> Path:
        done.append(("replace", path.stat().st_ino))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    path = tmp_path / "inner" / "state.pt"
    path.parent.mkdir()
    contract.write_whole(path, lambda file: file.write(b"state"))
    contract.sync_folders(path.parent)
    file, folder, parent = (one.stat().st_ino for one in (path, path.parent, tmp_path))
    assert done == [("fsync", file), ("replace", file), ("fsync", folder), ("fsync", parent)]


def test_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    contract.write_whole(path, lambda file: file.write(b"old"))

    def fail(file: BinaryIO) -> None:
        file.write(b"new")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        contract.write_whole(path, fail)
    assert path.read_bytes() == b"old"


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


class SafetensorError(Exception):
    """As safetensors names its own, which is no error of the system's."""


def wrapped(cause: Exception) -> Exception:
    """What torch.save raises where the file that it was given fails."""
    error = RuntimeError("unexpected pos 704 vs 598")
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "out of memory"),
        (OutOfMemoryError("CUDA out of memory. Tried"), "CUDA out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk failed"),
        (wrapped(OSError(errno.ENOSPC, "No space left on device")), "disk failed"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "disk failed"),
        (Exception("Cannot allocate memory (os error 12)"), "out of memory"),
        (OSError(errno.EMFILE, "Too many open files"), "no more files"),
        (SafetensorError("file not found (os error 2)"), None),
        (SafetensorError("HeaderTooLarge"), None),
        (RuntimeError("shapes do not match"), None),
        (OSError(errno.ENOENT, "No such file"), None),
    ],
)
def test_whose_fault(error: Exception, message: str | None) -> None:
    failure = contract.host_failure(error)
    if message is None:
        assert failure is None
    else:
        assert isinstance(failure, InfrastructureError)
        assert message in failure.message


def test_folder_has_one_cell_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_PATIENCE_S", 0.1)
    script = (
        "import sys, time, pathlib; from harness.cell.lease import hold_folder;"
        "hold_folder(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InfrastructureError, match="still alive"):
            lease.hold_folder(tmp_path)
        other.kill()
        other.wait()
    lease.hold_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_run_and_cell_agree_on_the_names_of_files() -> None:
    assert progress.PROGRESS_FILE == record.PROGRESS_FILE
    assert contract.CHECKPOINTED_FILE == record.CHECKPOINTED_FILE
