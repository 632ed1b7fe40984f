"""Cells that are broken off and resumed: they end as they would have."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from hashlib import sha256
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harness.cell.train.rl import run
from harness.cell.train.rl.checkpoint import load_state
from harness.errors import InfrastructureError
from tests.train.support import VARIANTS, environment, train, write_spec

if TYPE_CHECKING:
    from pathlib import Path


KILLED = """
import json, os, signal, sys
from pathlib import Path

import peft
import torch
from transformers import Qwen2ForCausalLM, Qwen2Tokenizer

from harness.cell import contract
from harness.cell.__main__ import run_cell
from harness.cell.train.rl import run

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def train(root, during):
    run.CHECKPOINT_S = -1.0
    write, save = contract.MetricsWriter.write, torch.save
    def write_or_die(self, step, **numbers):
        if step == 4 and during == "step":
            die()
        write(self, step, **numbers)
    def save_or_die(state, file):
        if state["step"] == 4 and during == "checkpoint":
            file.write(b"half of it")
            file.flush()
            die()
        save(state, file)
    contract.MetricsWriter.write, torch.save = write_or_die, save_or_die
    (root / "killed").mkdir()
    run_cell(root / "spec.json", root / "killed", root, root / "resume")

# Nothing was computed yet in the parent, so that its children may fork.
for root, during in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        try:
            train(Path(root), during)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (root, status)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of cells that `kill -9` ended in step 4, or while they wrote its checkpoint."""
    roots = {name: tmp_path_factory.mktemp(name) for name in (*VARIANTS, "checkpoint")}
    for name, root in roots.items():
        write_spec(root, VARIANTS.get(name))
    asked = [(str(root), "step" if name in VARIANTS else name) for name, root in roots.items()]
    subprocess.run([sys.executable, "-c", KILLED, json.dumps(asked)], check=True, env=environment())
    return roots


@pytest.mark.parametrize("name", [*VARIANTS, "checkpoint"])
def test_after_kill_9_a_cell_ends_as_it_would_have(
    tmp_path: Path, killed: dict[str, Path], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    root = copytree(killed[name], tmp_path / "copy")
    assert not (root / "killed" / "result.json").exists()
    assert json.loads((root / "resume" / "checkpointed.json").read_bytes()) == {"step": 3}
    resumed = train(root, root / "spec.json", "resumed", root / "resume")
    assert "starts again" not in capfd.readouterr().err
    assert resumed.outcome == train(root, root / "spec.json", "whole").outcome


def test_only_what_is_left_is_done_again(
    tmp_path: Path, killed: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.cell.train.rl.learner import Learner

    root, steps, update = copytree(killed["grpo"], tmp_path / "copy"), [], Learner.update

    def counted(self: Learner, rollout: Any, step: int) -> dict[str, float]:
        steps.append(step)
        return update(self, rollout, step)

    monkeypatch.setattr(Learner, "update", counted)
    train(root, root / "spec.json", "counted", root / "resume")
    assert steps == [4, 5]


def foreign(content: bytes) -> bytes:
    """The same state, written by another torch."""
    return changed_state(content, computed_by={"torch": "1.0"})


def unsigned(content: bytes) -> bytes:
    return changed_state(content, computed_by=None)


def unsealed(content: bytes) -> bytes:
    """As torch alone writes it."""
    return changed_state(content)[: -len(b"\nsha256 ") - 64]


def flipped(content: bytes) -> bytes:
    """One bit of the middle, where the weights are: torch reads it without a word."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 0x40
    assert torch.load(io.BytesIO(changed), weights_only=True)
    return bytes(changed)


def changed_state(content: bytes, **changes: object) -> bytes:
    state = torch.load(io.BytesIO(content), weights_only=True) | changes
    file = io.BytesIO()
    torch.save({name: value for name, value in state.items() if value is not None}, file)
    return file.getvalue() + b"\nsha256 " + sha256(file.getvalue()).hexdigest().encode()


DAMAGES: dict[str, Any] = {
    "empty": lambda _: b"",
    "garbage": lambda _: b"garbage" * 100,
    "truncated": lambda content: content[: len(content) // 2],
    "a byte short": lambda content: content[:-1],
    "another torch": foreign,
    "unsigned": unsigned,
    "unsealed": unsealed,
    "a bit flipped": flipped,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_state_that_cannot_be_used_is_told_and_the_cell_starts_again(
    tmp_path: Path, killed: dict[str, Path], damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    state = (killed["reinforce_plus_plus"] / "resume" / "state.pt").read_bytes()
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "state.pt").write_bytes(DAMAGES[damage](state))
    spec = write_spec(tmp_path, VARIANTS["reinforce_plus_plus"])
    again = train(tmp_path, spec, "again", tmp_path / "resume")
    assert "state.pt" in (told := capfd.readouterr().err)
    assert "the cell starts again" in told
    assert again.outcome == train(tmp_path, spec, "whole").outcome
    assert not (tmp_path / "resume" / ".state.pt.partial").exists()


def test_a_state_with_a_new_seal_is_gone_on_from(killed: dict[str, Path], tmp_path: Path) -> None:
    """The damages above are those alone that keep it from being used."""
    state = (killed["reinforce_plus_plus"] / "resume" / "state.pt").read_bytes()
    (tmp_path / "state.pt").write_bytes(changed_state(state))
    found = load_state(tmp_path)
    assert found is not None
    assert found["step"] == 3


HOSTS: dict[str, Exception] = {
    "out of memory": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    "no memory": MemoryError(),
    "the disk failed": OSError(errno.EIO, "Input/output error"),
    "no more files": OSError(errno.EMFILE, "Too many open files"),
    "Permission denied": OSError(errno.EACCES, "Permission denied"),
}


@pytest.mark.parametrize("message", HOSTS)
def test_a_host_that_cannot_read_a_state_leaves_it_for_another_attempt(
    tmp_path: Path, killed: dict[str, Path], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = (killed["grpo"] / "resume" / "state.pt").read_bytes()
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "state.pt").write_bytes(state)

    def fail(*_: object, **__: object) -> None:
        raise HOSTS[message]

    monkeypatch.setattr(torch, "load", fail)
    monkeypatch.setattr(run, "CHECKPOINT_S", -1.0)
    spec = write_spec(tmp_path, VARIANTS["grpo"])
    with pytest.raises(InfrastructureError, match=message.replace("no memory", "out of memory")):
        train(tmp_path, spec, "out", tmp_path / "resume")
    assert (tmp_path / "resume" / "state.pt").read_bytes() == state


def broken_off(root: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """End a cell with an error in a method of its run."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (root / "resume").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(run.Run, at, stop)
        with pytest.raises(KeyboardInterrupt):
            train(root, spec, "broken", root / "resume")


@pytest.mark.parametrize("is_long", [True, False])
def test_a_long_warm_up_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool
) -> None:
    warm_up, steps = run.warm_up, []

    def counted(*arguments: Any, **options: Any) -> float:
        return warm_up(*arguments, stop=lambda step: bool(steps.append(step)), **options)

    spec = write_spec(tmp_path, VARIANTS["grpo"])
    monkeypatch.setattr(run, "CHECKPOINT_S", -1.0 if is_long else 600.0)
    monkeypatch.setattr(run, "warm_up", counted)
    broken_off(tmp_path, spec, monkeypatch, "_evaluate")
    del steps[:]
    resumed = train(tmp_path, spec, "resumed", tmp_path / "resume")
    assert len(steps) == (0 if is_long else 60)
    assert resumed.outcome == train(tmp_path, spec, "whole").outcome


def test_no_step_is_done_again_for_what_follows_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_spec(tmp_path, {"evaluation": {"final_samples": 2}})
    broken_off(tmp_path, spec, monkeypatch, "_finish")
    with monkeypatch.context() as patch:
        patch.delattr(run.Run, "_step")
        resumed = train(tmp_path, spec, "resumed", tmp_path / "resume")
    assert resumed.outcome == train(tmp_path, spec, "whole").outcome
