"""Whether the host was fit for a cell, from a sample before it and one after.

What makes a record `invalid`, and why:

- Wrong numbers are possible: a GPU had an uncorrected memory error, reported a hardware error
  (Xid), was lost, or has failed memory that can no longer be replaced; the host's own memory had an
  uncorrected error; the driver was changed under the cell. None of these has to end the cell, and
  the cell cannot know.
- Timings are wrong: heat or the power supply kept a GPU's clock low, or somebody else computed on
  a GPU that the cell had for itself. Costs and budgets come from these timings.

What is only noted: cores that are slow, hot, busy or held back by a quota, little memory, swapping,
and a GPU at its power limit. A cell's numbers do not depend on how long they took; wall times of
processes on shared cores are never held against anything; and a GPU at its power limit under load
works as it is meant to.

Of GPUs that the cell was not given, only new hardware errors count: a cell without a container may
have computed on them, and a rerun costs less than a wrong number. Their clocks and processes are
nobody's business here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.run.health.gpu import LOST, others

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.run.health.gpu import GpuProcess, GpuSample
    from harness.run.health.kernel_log import Xid
    from harness.run.health.sampling import HostSample

# A blip of some milliseconds moves no timing that anybody reads; one percent does.
_HELD_SHARE: Final = 0.01

# Reasons that only a machine with a fault of cooling or supply has, whatever it computes. "Software
# thermal slowdown" is told by its length, which `heat_ns` has; "hardware slowdown" by itself is not
# among them, since drivers also set it for a moment when the clock changes (nvml.h).
_SLOWED: Final = ("hardware thermal slowdown", "power brake")

# What a program brings about as easily as hardware does, by NVIDIA's catalogue of Xid errors: 13
# graphics engine exception, 31 page fault, 43 GPU stopped processing, 45 cleanup after a program
# that was stopped or has crashed. CUDA refuses all further work of a process that had one: a cell
# that finished was not hurt, and one that failed has its own fault to tell.
_OF_PROGRAMS: Final = frozenset({13, 31, 43, 45})

# Services that hold every GPU and compute nothing themselves, by the 15 letters the kernel keeps.
_SERVICES: Final = frozenset({"nvidia-cuda-mps", "nv-hostengine", "nvidia-persiste"})


def judge(before: HostSample, after: HostSample, own_pids: Sequence[int] = ()) -> tuple[str, ...]:
    """Why the host was not fit for the cell that ran between two samples; empty if it was.

    Args:
        before: taken before the cell started.
        after: taken in the same way, after it has ended.
        own_pids: processes whose own and whose children's work on the GPUs is the cell's. The
            processes that took the samples are always among them.
    """
    own = (*own_pids, before.pid, after.pid)
    reasons = [*_host(before, after)]
    for first in before.gpus:
        reasons += _gpu(first, before, after, own)
    return tuple(dict.fromkeys(reasons))


def _host(before: HostSample, after: HostSample) -> Iterator[str]:
    errors = _grown(before.host.memory.uncorrected, after.host.memory.uncorrected)
    if errors:
        yield f"the host's memory had {_count(errors, 'uncorrected error')}"
    if before.driver and after.driver and before.driver != after.driver:
        yield f"the NVIDIA driver changed from {before.driver} to {after.driver}"
    if before.gpus and after.nvml and not before.nvml:
        yield f"NVML no longer answers: {after.nvml}"


def _gpu(
    first: GpuSample, before: HostSample, after: HostSample, own: Sequence[int]
) -> Iterator[str]:
    name = _name(first)
    if first.problem:
        if before.asked and first.problem == LOST:
            yield f"{name} was lost before the cell started"
        return
    last = next((one for one in after.gpus if one.uuid == first.uuid), None)
    if last is None or last.problem:
        if not after.nvml:  # else that is the reason
            yield f"{name} was lost while the cell ran"
        return
    if errors := _grown(first.uncorrected, last.uncorrected):
        yield f"{name} had {_count(errors, 'uncorrected ECC error')}"
    yield from _xids(name, first, before, after)
    if before.asked:
        yield from _memory_failed(name, first, last)
        yield from _slow(name, first, last, after.clock_s - before.clock_s)
        yield from _shared(name, first, last, own)


def _xids(name: str, gpu: GpuSample, before: HostSample, after: HostSample) -> Iterator[str]:
    old = {xid.sequence for xid in before.xids or ()}
    for xid in after.xids or ():
        if xid.sequence not in old and xid.bus == gpu.bus and xid.code not in _OF_PROGRAMS:
            yield f"{name} reported Xid {_told(xid)}"


def _told(xid: Xid) -> str:
    return f"{xid.code}: {xid.text}" if xid.text else str(xid.code)


def _memory_failed(name: str, first: GpuSample, last: GpuSample) -> Iterator[str]:
    if last.remap_failed:
        yield f"{name} has failed memory that cannot be taken out of use"
    elif last.pending and not first.pending:
        yield f"{name} has failed memory that a reset would take out of use"


def _slow(name: str, first: GpuSample, last: GpuSample, apart_s: float) -> Iterator[str]:
    held_s = (_grown(first.heat_ns, last.heat_ns) or 0) / 1e9
    if held_s > _HELD_SHARE * max(apart_s, 0.0):
        yield f"heat kept the clock of {name} low for {held_s:.3g} s of {apart_s:.3g} s"
    told = {*(first.reasons or ()), *(last.reasons or ())}
    slowed = [reason for reason in _SLOWED if reason in told]
    if slowed:
        yield f"{name} was slowed down: {', '.join(slowed)}"


def _shared(name: str, first: GpuSample, last: GpuSample, own: Sequence[int]) -> Iterator[str]:
    if first.mig:
        return  # NVML tells the processes of all parts, and the others' are none of the cell's
    found: dict[int, GpuProcess] = {}
    for sample in (first, last):
        foreign = others(sample.processes or (), own)
        found |= {one.pid: one for one in foreign if one.name not in _SERVICES}
    for pid, one in sorted(found.items()):
        program = f" ({one.name})" if one.name else ""
        yield f"another process computed on {name}: pid {pid}{program}"


def _grown(before: int | None, after: int | None) -> int | None:
    """How far a counter has grown; one that is smaller than before has started anew."""
    if before is None or after is None:
        return None
    return after - before if after >= before else after


def _count(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"


def _name(gpu: GpuSample) -> str:
    label = gpu.asked if gpu.index is None else gpu.index
    return f"GPU {label} ({gpu.name})" if gpu.name else f"GPU {label}"
