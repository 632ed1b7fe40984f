"""The GPUs: driver, CUDA, their health now, and whether containers can be given them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import harness
from harness.doctor import cdi, cuda
from harness.doctor.finding import Finding, State
from harness.doctor.images import image_reference
from harness.doctor.registry import check
from harness.doctor.setting import Setting, gigabytes, lacking
from harness.run.health import gpus_here, judge, sample
from harness.run.health.kernel_log import KernelLog
from harness.run.health.library import visible_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.run.health import GpuHere

TOPIC: Final = "gpu"
_TOOLKIT: Final = "sudo apt-get install nvidia-container-toolkit"
_MAKE_SPEC: Final = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
_MOST_XIDS: Final = 4
_WITH_IMAGES: Final = ("docker", "podman")
_ENGINES: Final = ("docker", "podman", "apptainer")


@check(TOPIC)
def gpu(setting: Setting) -> Iterator[Finding]:
    """What there is; without a driver and without need of one, a single row says so."""
    needed = setting.needs.gpus > 0
    library = setting.library
    specs = cdi.specs(setting.root)
    if library.api is None:
        fix = "nvidia-smi   # if it does not answer, install the driver of your GPU"
        expected = f"{setting.needs.gpus} for each cell" if needed else ""
        yield lacking(
            TOPIC, "driver", library.problem, needed=needed, expected=expected,
            fix=fix if needed else "",
        )  # fmt: skip
        if not (needed or specs):
            return
    else:
        yield from driver(setting)
        found = gpus_here(library, setting.environment)
        yield enough(setting, found)
        memory = {one.uuid: one.memory_bytes for one in found}
        for name in visible_names(library, setting.environment):
            yield one_gpu(setting, name, memory)
        yield xids(KernelLog(setting.root / "dev/kmsg", from_start=True))
    yield toolkit(setting)
    yield from devices(setting, specs)


def driver(setting: Setting) -> Iterator[Finding]:
    """The driver, and whether it runs what is in the image."""
    library = setting.library
    told = library.text("nvmlSystemGetDriverVersion")
    here = cuda.Driver(
        cuda.version(told), cuda.of_number(library.number("nvmlSystemGetCudaDriverVersion_v2"))
    )
    yield Finding(TOPIC, "driver", State.OK, f"{told}, CUDA up to {cuda.shown(here.cuda)}")
    name = setting.needs.image if setting.needs.gpus else "cuda"
    wanted = image_cuda(setting, name)
    if wanted is not None:
        yield image(setting, name, here, wanted)


def image_cuda(setting: Setting, name: str) -> cuda.Version | None:
    """What an engine says that the image has, if one has it; else what it is built from."""
    reference = image_reference(name)
    for engine in _WITH_IMAGES if reference is not None else ():
        words = [engine, "image", "inspect", "--format", "{{json .Config}}", str(reference)]
        found = cuda.of_config(setting.ask(words))
        if found is not None:
            return found
    return cuda.of_image(name, Path(harness.__file__).parents[1])


def image(setting: Setting, name: str, here: cuda.Driver, wanted: cuda.Version) -> Finding:
    """The driver's CUDA against the image's."""
    what = f"CUDA of image {name}"
    told = f"the image has {cuda.shown(wanted)}, the driver speaks {cuda.shown(here.cuda)}"
    does = cuda.runs(here, wanted)
    if does is cuda.Runs.YES:
        return Finding(TOPIC, what, State.OK, told)
    if does is cuda.Runs.MINOR:
        found = f"{told}: runs by minor version compatibility, all but PTX code"
        return Finding(TOPIC, what, State.NOTE, found, f"CUDA {cuda.shown(wanted)} in the driver")
    return lacking(
        TOPIC,
        what,
        told,
        needed=setting.needs.gpus > 0 and setting.needs.container != "process",
        expected=cuda.needed_driver(wanted),
        fix="nvidia-smi   # shows the driver; install a later one, and restart the machine",
    )


def enough(setting: Setting, found: list[GpuHere]) -> Finding:
    """Whether there are as many as a cell asks for."""
    asked, limits = setting.needs.gpus, setting.environment.get("CUDA_VISIBLE_DEVICES")
    told = f"{len(found)}" + ("" if limits is None else f" (CUDA_VISIBLE_DEVICES={limits})")
    if len(found) >= max(asked, 1):
        return Finding(TOPIC, "GPUs", State.OK, told)
    return lacking(
        TOPIC,
        "GPUs",
        told,
        needed=asked > 0,
        expected=f"{asked} for each cell" if asked else "",
        fix="nvidia-smi -L" if limits is None else "unset CUDA_VISIBLE_DEVICES",
    )


def one_gpu(setting: Setting, name: str, memory: Mapping[str, int | None]) -> Finding:
    """What it is and how it is now; one that would make records invalid is a miss where needed."""
    now = sample([name], settles_s=0, library=setting.library, root=setting.root)
    told = now.gpus[0]
    what = f"GPU {name if told.index is None else told.index}"
    size = memory.get(told.uuid or "")
    words = [told.name or told.problem or "unknown"]
    words += [gigabytes(size)] if size else []
    words += [f"{told.sm_mhz} of {told.max_sm_mhz} MHz"] if told.sm_mhz else []
    words += [f"{told.celsius} °C"] if told.celsius is not None else []
    # The row says already which GPU it is.
    sick = [reason.replace(f"{what} ({told.name})", "it") for reason in judge(now, now)]
    if told.problem and not sick:
        sick.append(told.problem)
    if told.uncorrected:
        sick.append(f"{told.uncorrected} uncorrected ECC errors since the driver was loaded")
    if told.pending:
        sick.append("failed memory waits for a reset")
    if not sick:
        return Finding(TOPIC, what, State.OK, ", ".join(words))
    return lacking(
        TOPIC,
        what,
        f"{', '.join(words)}; {'; '.join(sick)}",
        needed=setting.needs.gpus > 0,
        expected="healthy, and nobody else's: else records are invalid",
        fix="nvidia-smi -q" + ("" if told.index is None else f" -i {told.index}"),
    )


def xids(log: KernelLog) -> Finding:
    """Errors that the driver has told since the machine started; a record counts only new ones."""
    told = log.xids()
    if told is None:
        found, fix = "unknown: the kernel's log may not be read", "sudo dmesg | grep Xid"
        return Finding(TOPIC, "Xid errors", State.NOTE, found, "", fix)
    if not told:
        return Finding(TOPIC, "Xid errors", State.OK, "none in the kernel's log")
    last = ", ".join(f"{one.code} on {one.bus}" for one in told[-_MOST_XIDS:])
    found = f"{len(told)} in the kernel's log, at last {last}"
    fix = "sudo dmesg | grep Xid   # docs.nvidia.com/deploy/xid-errors says what each means"
    return Finding(TOPIC, "Xid errors", State.NOTE, found, "none", fix)


def toolkit(setting: Setting) -> Finding:
    """Whether what gives GPUs to containers is installed."""
    what = "container toolkit"
    told = setting.ask(["nvidia-ctk", "--version"])
    in_container = setting.needs.gpus > 0 and setting.needs.container in _ENGINES
    if told is None:
        return lacking(TOPIC, what, "nvidia-ctk is not there", needed=in_container, fix=_TOOLKIT)
    version = told.splitlines()[0].rpartition("version ")[2] or "of an unknown version"
    runtimes = setting.ask(["docker", "info", "--format", "{{json .Runtimes}}"])
    if shutil.which("docker") is None or runtimes is None:
        return Finding(TOPIC, what, State.OK, version)
    if '"nvidia"' in runtimes:
        return Finding(TOPIC, what, State.OK, f"{version}; docker has the runtime nvidia")
    fix = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
    found = f"{version}; docker has no runtime nvidia"
    return Finding(TOPIC, what, State.NOTE, found, "needed where there is no CDI", fix)


def devices(setting: Setting, specs: list[cdi.Spec]) -> Iterator[Finding]:
    """The CDI devices, and whether their description fits the driver."""
    needed = setting.needs.gpus > 0 and setting.needs.container == "podman"
    ours = [one for one in specs if one.problem or one.kind == cdi.KIND]
    if not ours:
        expected = f"devices of kind {cdi.KIND} in /etc/cdi or /var/run/cdi"
        yield lacking(
            TOPIC, "CDI devices", "none", needed=needed, expected=expected, fix=_MAKE_SPEC
        )
    loaded = setting.library.text("nvmlSystemGetDriverVersion")
    for one in ours:
        if one.problem:
            found = f"{one.path} cannot be read: {one.problem}"
            yield lacking(TOPIC, "CDI devices", found, needed=needed, fix=_MAKE_SPEC)
        elif loaded and one.driver and one.driver != loaded:
            found = f"{one.path} is of driver {one.driver}"
            expected = f"driver {loaded}, which is loaded"
            yield lacking(
                TOPIC, "CDI devices", found, needed=needed, expected=expected, fix=_MAKE_SPEC
            )
        else:
            names = ", ".join(one.devices) or "no device"
            yield Finding(TOPIC, "CDI devices", State.OK, f"{names} ({one.path})")
