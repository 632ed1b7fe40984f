"""Host health: what is read, what makes a record invalid, and what does not."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pynvml
import pytest

from harness.run.health import Nvml, judge, library, sample
from harness.run.health.gpu import REASONS, GpuProcess, others, process
from harness.run.health.kernel_log import KernelLog, Xid, normal_bus, parse
from harness.run.record import Status
from harness.run.scheduler import run_cells
from tests.doctor.nvml import ABSENT, FakeNvml, Gpu, machine, pair
from tests.run.support import FilesBackend, scripted_cell

if TYPE_CHECKING:
    from harness.run.containers import Job
    from harness.run.health.sampling import HostSample
    from tests.run.conftest import Bench

ROOT = Path(__file__).parents[2]
NONE = Nvml(None, "no NVIDIA driver is loaded")


class Log(KernelLog):
    """A kernel log that a test writes."""

    def __init__(self, *xids: Xid, readable: bool = True) -> None:
        self.lines = list(xids)
        self.readable = readable

    def xids(self) -> tuple[Xid, ...] | None:
        return tuple(self.lines) if self.readable else None


def seen(*gpus: Gpu, asked: bool = True, **kinds: Any) -> HostSample:
    """A sample of a machine with these GPUs; all of them were asked for."""
    library = machine(*gpus, **kinds)
    names = [str(index) for index in range(len(gpus))] if asked else []
    return sample(names, settles_s=0, library=library, log=Log())


def later(given: HostSample, seconds: float = 100.0) -> HostSample:
    return replace(given, clock_s=given.clock_s + seconds)


# -- What is called exists ------------------------------------------------------------------------


def called() -> set[str]:
    sources = [
        *(ROOT / "harness/run/health").glob("*.py"),
        *(ROOT / "harness/doctor").rglob("*.py"),
    ]
    text = "\n".join(path.read_text() for path in sources)
    return set(re.findall(r"nvml(?:Init|System|Device)[A-Za-z0-9_]*", text))


def test_every_function_of_nvml_that_is_called_exists() -> None:
    names = called()
    assert len(names) > 15
    missing = {name for name in names if not callable(getattr(pynvml, name, None))}
    assert not missing


def test_the_made_up_nvml_has_the_parameters_of_the_real_one() -> None:
    for name in called() - {"nvmlInit"}:
        real = list(inspect.signature(getattr(pynvml, name)).parameters)
        assert list(inspect.signature(getattr(FakeNvml(), name)).parameters) == real, name


def test_the_reasons_are_those_of_nvml() -> None:
    known = {
        "idle": pynvml.nvmlClocksEventReasonGpuIdle,
        "power cap": pynvml.nvmlClocksEventReasonSwPowerCap,
        "hardware slowdown": pynvml.nvmlClocksThrottleReasonHwSlowdown,
        "software thermal slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
        "hardware thermal slowdown": pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
        "power brake": pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
        "sync boost": pynvml.nvmlClocksEventReasonSyncBoost,
    }
    by_name = {name: bit for bit, name in REASONS.items()}
    assert {name: by_name[name] for name in known} == known


# -- Judging: one change between two samples of a GPU that the cell had ---------------------------

HEALTHY = Gpu()
SICK = {
    "uncorrected memory": ({}, {"uncorrected": 2}, "GPU 0 .* had 2 uncorrected ECC errors"),
    "one error": ({}, {"uncorrected": 1}, "had one uncorrected ECC error$"),
    "driver reloaded meanwhile": ({"uncorrected": 5}, {"uncorrected": 1}, "one uncorrected"),
    "no spare rows": ({}, {"rows": (0, 9, 0, 1)}, "cannot be taken out of use"),
    "no spare rows before": ({"rows": (0, 9, 0, 1)}, {"rows": (0, 9, 0, 1)}, "cannot be taken"),
    "row waits for a reset": ({}, {"rows": (0, 1, 1, 0)}, "a reset would take out"),
    "page waits": ({"rows": ABSENT}, {"rows": ABSENT, "pages_pending": 1}, "a reset would take"),
    "heat": ({}, {"heat_ns": 30_000_000_000}, "heat kept .* GPU 0 .* low for 30 s of 100 s"),
    "hardware slowdown": ({}, {"reasons": 0x8 | 0x40}, "slowed down: hardware thermal slowdown"),
    "power brake before": ({"reasons": 0x80}, {}, "slowed down: power brake"),
    "old driver, hot": ({}, {"reasons": ABSENT}, "hardware thermal slowdown"),
    "foreign process": ({}, {"pids": (1,)}, "another process computed on GPU 0 .*: pid 1"),
    "foreign process, old driver": ({}, {"pids": (1,), "old_processes": True}, "pid 1"),
    "foreign process before": ({"pids": (1,)}, {}, "another process computed on GPU 0"),
    "lost": ({}, {"lost": True}, "GPU 0 .* was lost while the cell ran"),
    "replaced": ({}, {"uuid": "GPU-cccc"}, "was lost while the cell ran"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "reason"), SICK.values(), ids=list(SICK))
def test_sick(before: dict[str, Any], after: dict[str, Any], reason: str) -> None:
    first, last = seen(replace(HEALTHY, **before)), later(seen(replace(HEALTHY, **after)))
    (told,) = judge(first, last)
    assert re.search(reason, told), told


FINE = {
    "nothing": ({}, {}),
    "an old error": ({"uncorrected": 3}, {"uncorrected": 3}),
    "no ECC": ({"uncorrected": ABSENT}, {"uncorrected": ABSENT}),
    "power limit under load": ({}, {"reasons": 0x4, "power_ns": 90_000_000_000}),
    "idle, then slow clock": ({"sm_mhz": 1980}, {"sm_mhz": 345, "reasons": 0x1}),
    "its clock just changes": ({}, {"reasons": 0x8}),
    "a blip of heat": ({}, {"heat_ns": 900_000_000}),
    "an old row that waits": ({"rows": (0, 1, 1, 0)}, {"rows": (0, 1, 1, 0)}),
    "a corrected row": ({}, {"rows": (1, 0, 0, 0)}),
    "hot, not too hot": ({}, {"celsius": 84}),
    "neighbours on its other parts": ({"mig": (1, 1)}, {"mig": (1, 1), "pids": (1,)}),
}


@pytest.mark.parametrize(("before", "after"), FINE.values(), ids=list(FINE))
def test_healthy(before: dict[str, Any], after: dict[str, Any]) -> None:
    first, last = seen(replace(HEALTHY, **before)), later(seen(replace(HEALTHY, **after)))
    assert judge(first, last) == ()


def test_a_gpu_lost_before_is_told_as_such() -> None:
    lost = replace(HEALTHY, lost=True)
    (told,) = judge(seen(lost), seen(lost))
    assert told == "GPU 0 was lost before the cell started"


def test_a_gpu_lost_before_that_the_cell_was_not_given() -> None:
    lost = seen(replace(HEALTHY, lost=True), asked=False)
    assert lost.gpus[0].problem == "lost"
    assert judge(lost, lost) == ()


def test_a_driver_that_stops_answering() -> None:
    last = replace(seen(), nvml="NVML cannot be initialised: Driver/library version mismatch")
    (told,) = judge(seen(HEALTHY), last)
    assert "NVML no longer answers" in told


def test_a_driver_that_was_changed() -> None:
    (told,) = judge(seen(HEALTHY), seen(HEALTHY, driver="580.65.06"))
    assert told == "the NVIDIA driver changed from 570.86.10 to 580.65.06"


def test_a_driver_that_comes_is_no_fault() -> None:
    assert judge(sample(["0"], library=NONE, log=Log()), seen(HEALTHY)) == ()


def test_a_gpu_that_never_was_is_not_judged() -> None:
    """The cell that asked for it fails by itself."""
    asked = sample(["7"], library=machine(HEALTHY), log=Log())
    assert asked.gpus[0].problem
    assert judge(asked, asked) == ()


def test_each_gpu_is_judged() -> None:
    one, two = pair()
    last = seen(replace(one, uncorrected=1), replace(two, reasons=0x80))
    assert [told[:5] for told in judge(seen(one, two), last)] == ["GPU 0", "GPU 1"]


def test_of_gpus_that_the_cell_was_not_given_only_errors_count() -> None:
    busy = replace(HEALTHY, pids=(1,), reasons=0x48, heat_ns=10**11, rows=(0, 9, 0, 1))
    before = seen(HEALTHY, asked=False)
    assert judge(before, later(seen(busy, asked=False))) == ()
    (told,) = judge(before, later(seen(replace(busy, uncorrected=1), asked=False)))
    assert "uncorrected ECC" in told


# -- Xid errors ------------------------------------------------------------------------------------

KMSG = (
    b"3,1234,5678901,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=7, name=python, "
    b"GPU has fallen off the bus.\n"
)


def xid(code: int, sequence: int = 2, bus: str = "0:3b:00") -> Xid:
    return Xid(sequence, bus, code, "pid=7")


@pytest.mark.parametrize(
    ("code", "bus", "asked", "is_sick"),
    [
        (79, "0:3b:00", True, True),
        (48, "0:3b:00", True, True),
        (31, "0:3b:00", True, False),  # a program's own fault, which it cannot survive
        (13, "0:3b:00", True, False),
        (45, "0:3b:00", True, False),  # the driver cleared away after a program that was stopped
        (43, "0:3b:00", True, False),
        (79, "0:86:00", True, False),  # another GPU's
        (79, "0:3b:00", False, True),
        (31, "0:3b:00", False, False),
    ],
)
def test_new_xids(code: int, bus: str, asked: bool, is_sick: bool) -> None:
    names = ["0"] if asked else []
    log, library = Log(xid(63, sequence=1)), machine(HEALTHY)
    before = sample(names, library=library, log=log)
    assert judge(before, sample(names, library=library, log=log)) == ()  # an old one
    log.lines.append(xid(code, bus=bus))
    told = judge(before, sample(names, library=library, log=log))
    assert bool(told) is is_sick, told
    if is_sick:
        assert f"GPU 0 (NVIDIA H100 80GB HBM3) reported Xid {code}: pid=7" in told


def test_a_log_that_may_not_be_read_is_unknown() -> None:
    before = sample(["0"], library=machine(HEALTHY), log=Log(readable=False))
    assert before.xids is None
    assert judge(before, before) == ()
    assert before.to_json()["xids"] is None


def test_a_line_of_the_kernel() -> None:
    told = parse(KMSG)
    assert told == Xid(1234, "0:3b:00", 79, "pid=7, name=python, GPU has fallen off the bus.")
    assert parse(b"6,1,2,-;usb 1-1: new device\n") is None
    assert parse(b"no record") is None


@pytest.mark.parametrize(
    "name", ["0000:3b:00", "00000000:3B:00.0", "0:3b:00", "3B:00", "0000:3b:00.1"]
)
def test_the_same_gpu_by_its_bus(name: str) -> None:
    assert normal_bus(name) == "0:3b:00"


def test_other_domains_are_other_gpus() -> None:
    assert normal_bus("00010000:3B:00.0") == "10000:3b:00" != normal_bus("0000:3b:00")


def test_what_the_kernel_writes_after_the_first_sample(tmp_path: Path) -> None:
    """A pipe gives one piece at a time and then nothing, as /dev/kmsg does."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    log = KernelLog.__new__(KernelLog)
    KernelLog.__init__(log, tmp_path / "absent")
    assert log.xids() is None
    log._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert log.xids() == ()
    os.write(writer, KMSG)
    assert [one.code for one in log.xids() or ()] == [79]
    assert [one.code for one in log.xids() or ()] == [79]  # kept
    os.close(log._file)
    os.close(writer)


@pytest.mark.parametrize(("from_start", "codes"), [(False, [48]), (True, [79, 48])])
def test_from_where_the_log_is_read(tmp_path: Path, from_start: bool, codes: list[int]) -> None:
    path = tmp_path / "kmsg"
    path.write_bytes(KMSG)
    log = KernelLog(path, from_start=from_start)
    found = [one.code for one in log.xids() or ()]
    with path.open("ab") as file:
        file.write(KMSG.replace(b"79", b"48"))
    assert [one.code for one in log.xids() or ()] == codes
    assert found == codes[:-1]


# -- Processes -------------------------------------------------------------------------------------


def made_up_proc(root: Path, *entries: tuple[int, str, int, str], namespace: int) -> Path:
    (root / "self/ns").mkdir(parents=True)
    (root / "self/ns/pid").symlink_to(f"pid:[{namespace}]")
    for pid, name, parent, state in entries:
        (root / str(pid)).mkdir()
        (root / str(pid) / "stat").write_text(f"{pid} ({name}) {state} {parent} 0 0")
    return root


FIRST = 4026531836


def test_a_process_and_its_ancestors(tmp_path: Path) -> None:
    proc = made_up_proc(
        tmp_path,
        *((1, "init", 0, "S"), (10, "harness", 1, "S"), (20, "a) (b", 10, "R")),
        *((21, "zombie", 10, "Z"),),
        namespace=FIRST,
    )
    told = process(20, proc)
    assert told == GpuProcess(20, "a) (b", (10, 1))
    assert process(21, proc) is None  # it has ended
    assert process(99, proc) is None
    assert others([told], [10]) == []
    assert others([told], [11]) == [told]


def test_in_a_container_the_numbers_mean_nothing(tmp_path: Path) -> None:
    proc = made_up_proc(tmp_path, (20, "not it", 1, "S"), namespace=4026532000)
    assert process(20, proc) == GpuProcess(20)


def test_the_cells_own_processes_are_not_foreign() -> None:
    before = seen(HEALTHY)
    ours = GpuProcess(500, "python", (400, before.pid))
    worker = GpuProcess(900, "ray", (800,))
    after = later(replace(before, gpus=(replace(before.gpus[0], processes=(ours, worker)),)))
    (told,) = judge(before, after)
    assert "pid 900 (ray)" in told
    assert judge(before, after, own_pids=[800]) == ()


def test_services_of_the_driver_compute_nothing() -> None:
    before = seen(HEALTHY)
    service = GpuProcess(900, "nvidia-cuda-mps", (1,))
    after = later(replace(before, gpus=(replace(before.gpus[0], processes=(service,)),)))
    assert judge(before, after) == ()


def test_a_process_that_is_just_leaving_is_waited_for() -> None:
    library = machine(replace(HEALTHY, pids=(1,)))
    asked = []

    def told(handle: int) -> list[Any]:
        asked.append(handle)
        busy = [type("Process", (), {"pid": 1})()]
        return busy if len(asked) < 3 else []

    library.api.nvmlDeviceGetComputeRunningProcesses = told
    assert sample(["0"], library=library, log=Log()).gpus[0].processes == ()
    assert len(asked) == 3


# -- Sampling --------------------------------------------------------------------------------------


def test_a_library_that_breaks_costs_no_cell() -> None:
    library = machine(HEALTHY)
    library.api.nvmlDeviceGetClockInfo = lambda *_: 1 // 0
    told = sample(["0"], library=library, log=Log())
    assert told.gpus[0].problem == "ZeroDivisionError: integer division or modulo by zero"


def test_without_a_driver_the_library_is_not_even_imported() -> None:
    if os.path.exists("/dev/nvidiactl"):  # noqa: PTH110
        pytest.skip("this machine has a GPU")
    code = "import sys, harness.run.health as h; h.sample(); print('pynvml' in sys.modules)"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.strip() == "False"


def test_the_form_of_a_sample_in_records() -> None:
    """Never change these names: records that are kept hold them. Add to them."""
    told = seen(replace(HEALTHY, pids=(1,)))
    document = json.loads(json.dumps(told.to_json()))
    assert list(document) == [
        *("at", "clock_s", "pid", "host", "asked", "gpus", "driver", "nvml", "xids"),
    ]
    assert list(document["host"]) == ["cpu", "memory", "pressure"]
    assert document["host"]["cpu"].keys() == {
        *("throttled", "mhz", "max_mhz", "load", "quota_throttled"),
    }
    assert document["host"]["memory"].keys() == {"available", "swap_used", "uncorrected"}
    assert document["gpus"][0].keys() == {
        *("asked", "problem", "index", "uuid", "name", "bus", "sm_mhz", "max_sm_mhz", "reasons"),
        *("heat_ns", "power_ns", "celsius", "uncorrected", "pending", "remap_failed", "processes"),
        *("persistence", "mig"),
    }
    assert document["gpus"][0]["processes"][0].keys() == {"pid", "name", "ancestors"}


# -- In records ------------------------------------------------------------------------------------


class Breaking(FilesBackend):
    """A cell during which a GPU has an error."""

    def start(self, job: Job) -> FilesBackend:
        library._opened.api.gpus[0] = replace(HEALTHY, uncorrected=1)
        return super().start(job)


@pytest.mark.parametrize("gpus", [[("0",)], []])
def test_a_cell_on_a_host_that_broke_is_invalid(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, gpus: list[tuple[str, ...]]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(library, "_opened", machine(HEALTHY))
    cell = scripted_cell(0)
    outcome = run_cells([cell], bench.store, Breaking(), bench.root, gpus=gpus)
    assert outcome.counts[Status.INVALID] == 1
    assert not bench.store.has(cell.id), "it has no numbers"
    record = bench.store.last_failure(cell.id)
    assert record is not None
    assert record.status is Status.INVALID
    told = record.provenance["health"]
    assert [
        one["uncorrected"] for one in (told["before"]["gpus"][0], told["after"]["gpus"][0])
    ] == [
        *(0, 1),
    ]
    assert told["sick"] == ["GPU 0 (NVIDIA H100 80GB HBM3) had one uncorrected ECC error"]
    assert told["sick"][0] in str((record.error or {})["message"])
    again = run_cells([cell], bench.store, FilesBackend(), bench.root, gpus=gpus)
    assert again.counts[Status.OK] == 1, "the old error is not counted again"
    assert bench.store.record(cell.id).provenance["health"]["sick"] == []
