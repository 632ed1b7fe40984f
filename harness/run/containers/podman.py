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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import HarnessError, InfrastructureError
from harness.run.containers import container as cells
from harness.run.containers.backend import CellExit, Ending, Job, Probe
from harness.run.containers.hardening import seccomp_profile
from harness.run.containers.leases import Lease, Left, reaper, remove_all, remove_dead
from harness.run.containers.watching import Watcher, open_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
    unbound = [name for name, does in binds.items() if not does]
    reason = hint = ""
    if unbound:
        reason = f"podman cannot limit {' and '.join(unbound)} here"
        hint = (
            "use control groups of version 2 with memory, pids and cpu delegated to this user "
            "(systemd: Delegate=yes), or run as root"
        )
    elif not (host.get("security") or {}).get("seccompEnabled"):
        reason, hint = "podman has no seccomp here", "use a kernel and a podman that have it"
    return Probe(
        "podman",
        works=not reason,
        version=str((info.get("version") or {}).get("Version")),
        reason=reason,
        hint=hint,
        rootless=rootless,
        cgroup=cgroup or None,
        limits={**binds, "disk": True},
        gpus="cdi" if _has_gpu_spec() else None,
    )


def _has_gpu_spec() -> bool:
    specs = (path for folder in _CDI for path in Path(folder).glob("*.[jy]*"))
    return any(_GPU_KIND in path.read_text(errors="replace") for path in specs)


class PodmanBackend:
    """Runs each cell in a container of Podman."""

    name = "podman"

    def __init__(self, image: str) -> None:
        self._wanted = image
        self._lease: Lease | None = None
        self._found: Probe | None = None
        self._image: cells.Image | None = None
        self._id: str | None = None

    def missing(self) -> str:
        """Why no cell can be run by it on this machine, and what to type; empty if one can."""
        try:
            self._look()
        except HarnessError as error:
            return str(error)
        return ""

    def _look(self) -> tuple[Probe, cells.Image, str]:
        """What cells would run by. It changes nothing here: what a session began with stays."""
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
        return found, image, f"sha256:{told.stdout.strip()}"

    @contextmanager
    def session(self, owner: Path) -> Iterator[None]:
        """What cells are started in; containers of dead runs are removed first.

        Raises:
            InfrastructureError: no podman, no image, a limit that does not bind.
        """
        self._found, self._image, self._id = self._look()
        keeper = PodmanKeeper()
        remove_dead(keeper)
        self._lease = Lease.new(owner)
        with reaper(self.name, self._lease) as beside:
            try:
                yield
            finally:
                with suppress(InfrastructureError):  # then the reaper does it, or the next run
                    remove_all(keeper, self._lease.id)
                    beside.dismiss()

    def start(self, job: Job) -> PodmanCell:
        """Start the cell.

        Raises:
            InfrastructureError: podman or the disk refuses.
        """
        found, lease, image = self._found, self._lease, self._id
        assert found is not None
        assert lease is not None, "start is called within a session"
        assert image is not None
        ownership = cells.Ownership.of_this_process(rootless=found.rootless, keeps_id=True)
        ownership.give(job)
        log = open_log(job)
        name = f"rl-cell-{lease.id[:12]}-{secrets.token_hex(4)}"
        profile = _as_file(json.dumps(seccomp_profile()).encode())
        lease_reader, lease_end = os.pipe()
        command = [
            *("podman", "run", "--name", name),
            *_hardening(job, ownership.user, profile, rootless=found.rootless),
            *_limits(job),
            *_gpus(job, found),
            *(word for key, value in lease.labels(job.folder.name).items()
              for word in ("--label", f"{key}={value}")),
            *("--entrypoint", cells.COMMAND[0], image, *cells.COMMAND[1:]),
        ]  # fmt: skip
        try:
            process = subprocess.Popen(
                command,
                stdin=lease_reader,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=job.folder,  # its helper leaves a file where it is started
                pass_fds=(profile,),
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            os.close(lease_end)
            log.abandon()
            ownership.take_back(job)
            raise InfrastructureError(f"podman cannot be started: {error}") from error
        finally:
            os.close(lease_reader)
            os.close(profile)
        facts = {**self.provenance(), "gpus": list(job.gpus)}
        return PodmanCell(process, lease_end, name, log, job, ownership, facts)

    def provenance(self) -> Mapping[str, object]:
        """The engine and the image that is asked for; a cell's record has the one that ran."""
        found, image = self._found, self._image
        return {
            "backend": self.name,
            "engine": found.version if found else None,
            "rootless": found.rootless if found else None,
            "cgroup": found.cgroup if found else None,
            "image": image.name if image else self._wanted,
            "digest": self._id,
            "manifest": image.digest if image else None,
        }


def _hardening(job: Job, user: str, profile: int, *, rootless: bool) -> list[str]:
    words = [
        *("--interactive", "--pull", "never", "--log-driver", "none", "--no-healthcheck"),
        *(
            "--network",
            "none",
            "--no-hosts",
            "--ipc",
            "private",
            "--read-only",
            "--read-only-tmpfs=false",
        ),
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


class PodmanCell:
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
        self._job = job
        self._ownership = ownership
        self._facts = facts
        self._watcher = Watcher(
            log,
            job.limits,
            (job.out, job.resume),
            terminate=lambda: self._send("TERM"),
            kill=lambda: self._send("KILL"),
        )

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
                self._watcher.log.abandon()
                self._ownership.take_back(self._job)
        return self._exit(found)

    def stop(self) -> None:
        """Ask the cell to end, and kill it a little later."""
        self._watcher.end(Ending.STOPPED)

    def _exit(self, found: Mapping[str, Any]) -> CellExit:
        code, ending = self._process.returncode, self._watcher.ending
        state = found.get("State") or {}
        if code in _NOT_STARTED and not state.get("StartedAt", "0001").startswith("2"):
            raise InfrastructureError(
                f"podman could not start the cell: {_last_line(self._watcher.log.path)}",
                hint="try the same by hand: podman run --rm IMAGE true; harness doctor",
            )
        if not state and ending is Ending.EXITED:
            ending = Ending.ENGINE_LOST
        elif ending is Ending.EXITED and code != 0 and self._was_out_of_memory(state):
            ending = Ending.MEMORY_LIMIT
        if state and f"sha256:{found['Image']}" != self._facts["digest"]:
            raise cells.not_this_image(str(self._facts["digest"]), found["Image"])
        return CellExit(
            ending=ending,
            code=cells.signed(code),
            wall_s=self._watcher.wall_s,
            cpu_s=None,
            peak_bytes=None,
            container=self._facts,
        )

    def _inspected(self) -> Mapping[str, Any]:
        """What podman says of the container; empty if it is gone."""
        told = _run("container", "inspect", self._name)
        if told.returncode:
            return {}
        (found,) = json.loads(told.stdout)
        return dict(found)

    def _was_out_of_memory(self, state: Mapping[str, Any]) -> bool:
        # An engine does not notice each time; the first process in the container does.
        return bool(state.get("OOMKilled")) or cells.was_out_of_memory(self._job)

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


def _as_file(content: bytes) -> int:
    """A descriptor to read a text from, so that no file has to be left or removed."""
    descriptor = os.memfd_create("seccomp")
    os.write(descriptor, content)
    return descriptor


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
