"""What a run ran on and with. Collected once per run and written into every record."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Sequence

# Instruction sets that change which kernels numerical libraries choose, hence last digits.
_INSTRUCTION_SETS = (
    *("sse4_2", "avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni"),
    *("avx512_bf16", "amx_tile", "amx_bf16", "asimd", "asimddp", "bf16", "sve", "sve2"),
)
_GPU_FIELDS = ("name", "driver_version", "memory.total", "uuid")
_COMMAND_S = 10.0


def collect(*, command: Sequence[str] | None = None) -> dict[str, object]:
    """What this process runs on and with.

    Args:
        command: the command line to record; by default this process's own.

    Returns:
        `harness` (its version), `git` ({commit, dirty} of the harness's checkout, or None),
        `python`, `packages` (name -> version), `os`, `cpu` ({model, instruction_sets, cores}),
        `gpus` (a list of {name, driver_version, memory.total, uuid}), `command`.
    """
    gpus = _start_nvidia_smi()  # it may take long, so it runs beside the rest
    system = os.uname()
    git = _git(Path(harness.__file__).parents[1])
    return {
        "harness": harness.__version__,
        "git": git,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": _packages(),
        "os": {"kernel": f"{system.sysname} {system.release}", "release": _os_release()},
        "cpu": {**_cpu(), "cores": os.cpu_count()},
        "gpus": _read_nvidia_smi(gpus),
        "command": list(sys.argv if command is None else command),
    }


def _git(checkout: Path) -> dict[str, object] | None:
    """The commit of a checkout of the harness; None where it was installed without one."""
    if not (checkout / ".git").exists():
        return None
    # Without optional locks: a run only looks, and must not get in the way of a commit.
    command = ["git", "--no-optional-locks", "-C", str(checkout), "status", "--porcelain=v2"]
    command.append("--branch")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
    return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)}


def _packages() -> dict[str, str]:
    versions: dict[str, str] = {}
    for distribution in distributions():
        folder = Path(str(getattr(distribution, "_path", "")))
        if folder.suffix == ".dist-info":
            # The folder's name says what its METADATA file says, and need not be opened.
            name, _, version = folder.stem.partition("-")
        else:
            name, version = distribution.metadata["Name"], distribution.version
        versions.setdefault(name, version)
    return dict(sorted(versions.items()))


def _os_release() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.mac_ver()[0]


def _cpu() -> dict[str, object]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {"model": platform.machine(), "instruction_sets": []}
    entries: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        entries.setdefault(key.strip(), value.strip())
    flags = set((entries.get("flags") or entries.get("Features") or "").split())
    return {
        "model": entries.get("model name") or platform.machine(),
        "instruction_sets": [name for name in _INSTRUCTION_SETS if name in flags],
    }


def _start_nvidia_smi() -> subprocess.Popen[str] | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = f"--query-gpu={','.join(_GPU_FIELDS)}"
    return subprocess.Popen(
        [program, query, "--format=csv,noheader"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _read_nvidia_smi(process: subprocess.Popen[str] | None) -> list[dict[str, str]]:
    if process is None:
        return []
    try:
        output, _ = process.communicate(timeout=_COMMAND_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return []
    if process.returncode != 0:
        return []
    return [
        dict(zip(_GPU_FIELDS, (value.strip() for value in line.split(",")), strict=False))
        for line in output.splitlines()
    ]
