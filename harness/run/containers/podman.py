"""Backend `podman`: each cell in a container of Podman, through its command line.

`podman run` stays beside the cell and passes the output and the lease on: when this process is
gone, its standard input ends, and with it the cell's (harness.cell.init).
"""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import InfrastructureError
from harness.run.containers import container as cells
from harness.run.containers.backend import Probe
from harness.run.containers.engine import Found, LeasedCell, LeasingBackend, cannot_limit
from harness.run.containers.hardening import seccomp_profile
from harness.run.containers.leases import Left
from harness.run.containers.process import spawn
from harness.run.containers.watching import Watcher, open_log
from reward_scorers.sandbox.backends.containers import as_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.run.containers.backend import CellExit, Job
    from harness.run.containers.output import CappedLog

_ANSWERS_S: Final = 60
_FAILED: Final = 125  # podman's own failure, not that of what runs in the container
_NOT_STARTED: Final = (_FAILED, 126, 127)  # the last two may also be a program's own
_CDI: Final = ("/etc/cdi", "/var/run/cdi")
_GPU_KIND: Final = "nvidia.com/gpu"


def probe() -> Probe:
    """Ask podman what it can limit here."""
    if shutil.which("podman") is None:
        hint = "install it (Debian, Ubuntu: apt-get install podman)"
        return Probe("podman", works=False, reason="podman is not installed", hint=hint)
    try:
        info = json.loads(_ask("info", "--format", "json"))
    except (InfrastructureError, ValueError) as error:
        told = str(getattr(error, "message", error))
        return Probe("podman", works=False, reason=told, hint="see podman info")
    host = info.get("host") or {}
    rootless = bool((host.get("security") or {}).get("rootless"))
    cgroup = str(host.get("cgroupVersion", "")).removeprefix("v")
    # Without rights, version 1 is silently left out: limits that are asked for then do nothing.
    controllers = set(host.get("cgroupControllers") or ())
    if rootless and cgroup == "1":
        controllers = set()
    limits = {"memory": "memory", "pids": "pids", "cpus": "cpu"}
    binds = {name: controller in controllers for name, controller in limits.items()}
    reason = cannot_limit("podman", binds)
    hint = (
        "use control groups of version 2 with memory, pids and cpu delegated to this user "
        "(systemd: Delegate=yes), or run as root"
    )
    if not reason and not (host.get("security") or {}).get("seccompEnabled"):
        reason, hint = "podman has no seccomp here", "use a kernel and a podman that have it"
    return Probe(
        "podman",
        works=not reason,
        version=str((info.get("version") or {}).get("Version")),
        reason=reason,
        hint=hint if reason else "",
        rootless=rootless,
        cgroup=cgroup or None,
        limits={**binds, "disk": True},
        gpus="cdi" if _has_gpu_spec() else None,
    )


def _has_gpu_spec() -> bool:
    specs = (path for folder in _CDI for path in Path(folder).glob("*.[jy]*"))
    return any(_GPU_KIND in path.read_text(errors="replace") for path in specs)


class PodmanBackend(LeasingBackend):
    """Runs each cell in a container of Podman."""

    name = "podman"

    def look(self) -> Found:
        """Podman, and the image there."""
        found = probe()
        if not found.works:
            raise InfrastructureError(found.reason, hint=found.hint)
        image = cells.find_image(self._wanted)
        told = _run("image", "inspect", "--format", "{{.Id}}", image.reference)
        if told.returncode:
            raise InfrastructureError(
                f"podman does not have the image {image.name!r}",
                expected=image.reference,
                hint=cells.how_to_get(image, "podman"),
            )
        return Found.of(found, image, f"sha256:{told.stdout.strip()}")

    def keeper(self) -> PodmanKeeper:
        """What lists and removes its containers."""
        return PodmanKeeper()

    def start(self, job: Job) -> PodmanCell:
        """Start the cell.

        Raises:
            InfrastructureError: podman or the disk refuses.
        """
        rootless = self.found.probe.rootless
        ownership = cells.Ownership.of_this_process(rootless=rootless, keeps_id=True)
        gpus = _gpus(job, self.found.probe)
        labels = self.lease.labels(job.folder.name).items()
        name = f"rl-cell-{self.lease.id[:12]}-{secrets.token_hex(4)}"
        ownership.give(job)
        log = open_log(job)
        profile = as_file(json.dumps(seccomp_profile()).encode())
        command = [
            *("podman", "run", "--name", name),
            *_hardening(job, ownership.user, profile, rootless=rootless),
            *_limits(job),
            *gpus,
            *(word for key, value in labels for word in ("--label", f"{key}={value}")),
            *("--entrypoint", cells.COMMAND[0], self.found.id, *cells.COMMAND[1:]),
        ]
        try:
            # Its helper leaves a file where it is started.
            process, lease = spawn(command, job.folder, os.environ, log, pass_fds=(profile,))
        except InfrastructureError:
            ownership.take_back(job)
            raise
        finally:
            os.close(profile)
        return PodmanCell(process, lease, name, log, job, ownership, self.facts(job))


def _hardening(job: Job, user: str, profile: int, *, rootless: bool) -> list[str]:
    words = [
        *("--interactive", "--pull", "never", "--log-driver", "none", "--no-healthcheck"),
        *("--network", "none", "--no-hosts", "--ipc", "private"),
        *("--read-only", "--read-only-tmpfs=false"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--security-opt", f"seccomp=/dev/fd/{profile}"),
        # As in backend docker: the code scorer mounts, in namespaces of its own.
        *("--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"),
        *("--user", user, "--hostname", "cell", "--workdir", str(cells.OUT)),
        *("--http-proxy=false", "--shm-size", str(cells.memory_bytes(job) // 2)),
    ]
    if rootless:
        words += ["--userns", "keep-id"]
    for key, value in cells.environment(job).items():
        words += ["--env", f"{key}={value}"]
    for one in cells.mounts(job):
        words += _mount(one)
    size = cells.scratch_bytes(job)
    return [*words, "--tmpfs", f"{cells.SCRATCH}:rw,nosuid,nodev,exec,mode=1777,size={size}"]


def _mount(one: cells.Mount) -> list[str]:
    """The fields of a mount as podman reads them: a line of CSV; names may hold anything."""
    mode = "rw" if one.writable else "ro"
    line = io.StringIO()
    fields = ["type=bind", f"source={one.source}", f"target={one.target}", mode]
    csv.writer(line, lineterminator="").writerow(fields)
    return ["--mount", line.getvalue()]


def _limits(job: Job) -> list[str]:
    limits, memory, files = job.limits, cells.memory_bytes(job), cells.OPEN_FILES
    words = [
        *("--memory", str(memory), "--memory-swap", str(memory)),
        *("--pids-limit", str(limits.pids or cells.DEFAULT_PIDS)),
        # Podman would raise them, which not every root may.
        *("--ulimit", "core=0", "--ulimit", f"nofile={files}:{files}"),
        *("--ulimit", f"nproc={_processes()}:{_processes()}"),
    ]
    if limits.cpus is not None:
        words += ["--cpus", str(limits.cpus)]
    if limits.disk_bytes is not None:
        words += ["--ulimit", f"fsize={limits.disk_bytes}:{limits.disk_bytes}"]
    return words


def _processes() -> int:
    """The most processes that a user may have here: --pids-limit is for each cell, this for all."""
    allowed = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    numbers = int(Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii"))
    return numbers if allowed == resource.RLIM_INFINITY else min(allowed, numbers)


def _gpus(job: Job, found: Probe) -> list[str]:
    if job.gpus and found.gpus is None:
        raise InfrastructureError(
            "podman cannot give GPUs to containers here",
            expected=f"CDI devices of kind {_GPU_KIND} in {' or '.join(_CDI)}",
            hint="install nvidia-container-toolkit, then: "
            "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
        )
    return [word for gpu in job.gpus for word in ("--device", f"{_GPU_KIND}={gpu}")]


class PodmanCell(LeasedCell):
    """A running cell."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        lease: int,
        name: str,
        log: CappedLog,
        job: Job,
        ownership: cells.Ownership,
        facts: Mapping[str, object],
    ) -> None:
        self._process = process
        self._lease = lease
        self._name = name
        watcher = Watcher(
            log,
            job.limits,
            (job.out, job.resume),
            terminate=lambda: self._send("TERM"),
            kill=lambda: self._send("KILL"),
        )
        super().__init__(watcher, job, ownership, facts)

    def wait(self) -> CellExit:
        """Copy the cell's output to its log until it ends; enforce its limits.

        Raises:
            InfrastructureError: the log cannot be written, podman could not start the cell, or
                another image ran; the container is removed first.
        """
        assert self._process.stdout is not None
        found: Mapping[str, Any] = {}
        with self._process.stdout as output:
            try:
                self._watcher.watch(output.fileno(), lambda: self._process.poll() is not None)
                found = self._inspected()
            finally:
                _run("rm", "--force", "--time", "0", "--ignore", "--volumes", self._name)
                os.close(self._lease)
                self._process.wait()
                self._let_go()
        code, state = self._process.returncode, found.get("State") or {}
        if code in _NOT_STARTED and not state.get("StartedAt", "0001").startswith("2"):
            raise InfrastructureError(
                f"podman could not start the cell: {_last_line(self._watcher.log.path)}",
                hint="try the same by hand: podman run --rm IMAGE true; harness doctor",
            )
        if state:
            self._require_image(f"sha256:{found['Image']}")
        return self._exit(code, state, is_lost=not state)

    def _inspected(self) -> Mapping[str, Any]:
        """What podman says of the container; empty if it is gone."""
        told = _run("container", "inspect", self._name)
        if told.returncode:
            return {}
        (found,) = json.loads(told.stdout)
        return dict(found)

    def _send(self, name: str) -> None:
        _run("kill", "--signal", name, self._name)


class PodmanKeeper:
    """Lists and removes containers."""

    def list(self, label: str) -> Iterable[Left]:
        """All containers, running or not, with this label: KEY or KEY=VALUE."""
        told = _ask("ps", "--all", "--no-trunc", "--filter", f"label={label}", "--format", "json")
        return [
            Left(one["Id"], one.get("Labels") or {}, one.get("State", ""))
            for one in json.loads(told or "[]")
        ]

    def remove(self, container: str) -> None:
        """Kill and remove it; one that is gone is no error.

        Raises:
            InfrastructureError: podman cannot.
        """
        _ask("rm", "--force", "--time", "0", "--ignore", "--volumes", container)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["podman", *words],
            capture_output=True,
            text=True,
            timeout=_ANSWERS_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, _FAILED, "", str(error))


def _ask(*words: str) -> str:
    """What podman prints.

    Raises:
        InfrastructureError: it fails or does not answer.
    """
    told = _run(*words)
    if told.returncode:
        said = (told.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise InfrastructureError(f"podman does not work: {said}", hint="see podman info")
    return told.stdout


def _last_line(path: str) -> str:
    lines = Path(path).read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
