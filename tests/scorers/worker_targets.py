"""Targets for worker processes, each with one way to behave."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path

from reward_scorers.deadline import Deadline
from reward_scorers.workers import WorkerPool


def echo(payload: object) -> object:
    return payload


def pid(_: object) -> int:
    return os.getpid()


def pids_when_asked(payload: dict) -> list[int]:
    """The process that answers and its server, after doing what the payload says."""
    behave(payload)
    return [os.getpid(), os.getppid()]


_seen: list = []


def remember(payload: dict) -> list:
    """Everything asked so far, as far as this process knows."""
    _seen.append(payload)
    behave(payload)
    return _seen


def limits(_: object) -> dict:
    """The soft limits of this process and of its server, in seconds and bytes; Linux."""
    names = {"cpu": resource.RLIMIT_CPU, "memory": resource.RLIMIT_AS}
    return {
        name: [resource.prlimit(process, limit)[0] for process in (os.getpid(), os.getppid())]
        for name, limit in names.items()
    }


def forking(seconds: float) -> None:
    """Die, and leave a process behind that holds every descriptor open."""
    if not os.fork():
        time.sleep(seconds)
        os._exit(0)
    os.abort()


def behave(payload: dict) -> object:
    """Do what the payload says, then give its "value"."""
    if "print" in payload:
        print(payload["print"], flush=True)
        os.write(1, payload["print"].encode())
    time.sleep(payload.get("sleep", 0))
    if "eat" in payload:
        return len(bytearray(payload["eat"]))
    if payload.get("nest"):
        nest: list = []
        for _ in range(100_000):
            nest = [nest]
        return str(nest)
    if payload.get("raise"):
        raise KeyError(payload["raise"])
    if payload.get("abort"):
        os.abort()
    if payload.get("power"):
        return (9**9**8) % 7  # one step in C, which lets no thread run
    if payload.get("not json"):
        return object()
    return payload.get("value")


def die_once(mark: str) -> str:
    """Abort the first time, answer the second."""
    path = Path(mark)
    if path.exists():
        return "answered"
    path.touch()
    os.abort()


_inner = WorkerPool("tests.scorers.worker_targets:slow_to_load_pid")


def nested(_: object) -> int:
    """Ask a worker of one's own, which takes time to start."""
    return _inner.call(None, Deadline.after(1))


def slow_to_load_pid(_: object) -> int:
    return os.getpid()


if os.environ.get("TARGETS_IMPORTS"):
    with Path(os.environ["TARGETS_IMPORTS"]).open("a") as imports:
        imports.write("imported\n")
if os.environ.get("TARGETS_THREAD"):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
if os.environ.get("TARGETS_LOAD_S"):
    time.sleep(float(os.environ["TARGETS_LOAD_S"]))
if os.environ.get("TARGETS_FAIL"):
    sys.exit(os.environ["TARGETS_FAIL"])
