"""Backend `docker`: each cell in a container of Docker Engine, asked through its API.

The connection that the cell's output comes by is also its lease: when this process is gone, the
engine closes the cell's standard input, and the cell ends (harness.cell.init).
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from harness.errors import InfrastructureError
from harness.run.containers import container as cells
from harness.run.containers.backend import Probe
from harness.run.containers.engine import Found, LeasedCell, LeasingBackend, cannot_limit
from harness.run.containers.hardening import seccomp_profile
from harness.run.containers.leases import Left
from harness.run.containers.watching import Watcher, open_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from docker import APIClient

    from harness.run.containers.backend import CellExit, Job
    from harness.run.containers.output import CappedLog

_ANSWERS_S: Final = 60
_PROBE_S: Final = 10
_BACK_S: Final = 15.0  # how long an engine that went away is waited for
_LOOK_S: Final = 0.25
_NO_ENGINE: Final = "start it, or let this user use it (group docker): docker version"
_GONE: Final = (404, 409)  # there is none, or somebody else is just removing it
_FRAME: Final = 8  # bytes of the head of a piece of output: stream, 0, 0, 0, length


def connect(timeout_s: float = _ANSWERS_S) -> APIClient:
    """A client of the engine that the environment names, as the docker command would use.

    Raises:
        InfrastructureError: no engine answers, or it is on another machine.
    """
    import docker
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        settings: dict[str, Any] = docker.utils.kwargs_from_env()
        if "base_url" not in settings:
            name = os.environ.get("DOCKER_CONTEXT")
            chosen = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
            if chosen is None:
                raise DockerException(f"there is no context {name!r}")
            if chosen.Host:
                settings["base_url"] = chosen.Host
    except Exception as error:  # noqa: BLE001 - whatever is wrong with its settings
        raise InfrastructureError(
            f"docker's settings are wrong: {_first_line(error)}",
            hint="see DOCKER_HOST, DOCKER_CONTEXT, DOCKER_TLS_VERIFY and `docker context ls`",
        ) from None
    url = settings.get("base_url") or "unix:///var/run/docker.sock"
    if not url.startswith(("unix://", "http+unix://", "/")):
        raise InfrastructureError(
            "docker runs on another machine, which does not see this one's files",
            found=url,
            hint="unset DOCKER_HOST, or choose another engine by --container",
        )
    try:
        return docker.APIClient(**settings, version="auto", timeout=timeout_s)
    except DockerException as error:
        raise InfrastructureError(
            f"docker does not answer at {url}: {_first_line(error)}", hint=_NO_ENGINE
        ) from None


def probe() -> Probe:
    """Ask the engine what it can limit here."""
    try:
        client = connect(_PROBE_S)
        with _told("ask docker what it can do"):
            info, version = client.info(), client.version()
    except InfrastructureError as error:
        return Probe("docker", works=False, reason=error.message, hint=error.hint or "")
    limits = {
        "memory": bool(info.get("MemoryLimit")),
        "pids": bool(info.get("PidsLimit")),
        "cpus": bool(info.get("CpuCfsQuota")),
        "disk": True,
    }
    told = [str(option) for option in info.get("SecurityOptions") or ()]
    reason, hint = cannot_limit("docker", limits), "give the daemon control groups: see docker info"
    if not reason and not any("seccomp" in option for option in told):
        reason, hint = "docker has no seccomp here", "use a kernel and a docker that have it"
    return Probe(
        "docker",
        works=not reason,
        version=str(version.get("Version")),
        reason=reason,
        hint=hint if reason else "",
        rootless=any("rootless" in option for option in told),
        cgroup=str(info.get("CgroupVersion", "1")),
        limits=limits,
        gpus=_gpus(info),
    )


def _gpus(info: Mapping[str, Any]) -> str | None:
    if info.get("CDISpecDirs") and info.get("DiscoveredDevices"):
        return "cdi"
    return "nvidia" if "nvidia" in (info.get("Runtimes") or {}) else None


class DockerBackend(LeasingBackend):
    """Runs each cell in a container of Docker Engine."""

    name = "docker"

    def look(self) -> Found:
        """The engine, and the image there."""
        found = probe()
        if not found.works:
            raise InfrastructureError(found.reason, hint=found.hint)
        image = cells.find_image(self._wanted)
        with _told("look for the image", image):
            identity = str(connect().inspect_image(image.reference)["Id"])
        return Found.of(found, image, identity)

    def keeper(self) -> DockerKeeper:
        """What lists and removes its containers."""
        self._client = connect()
        return DockerKeeper(self._client)

    def start(self, job: Job) -> DockerCell:
        """Start the cell.

        Raises:
            InfrastructureError: the engine or the disk refuses.
        """
        rootless = self.found.probe.rootless
        ownership = cells.Ownership.of_this_process(rootless=rootless, keeps_id=False)
        ownership.give(job)
        log = open_log(job)
        try:
            with _told("start a container", self.found.image):
                made = self._create(job, ownership.user)
                try:
                    return DockerCell(self._client, made, log, job, ownership, self.facts(job))
                except BaseException:
                    with suppress(Exception):
                        self._client.remove_container(made, force=True)
                    raise
        except BaseException:
            log.abandon()
            ownership.take_back(job)
            raise

    def _create(self, job: Job, user: str) -> str:
        from docker.types import Mount

        memory, limits = cells.memory_bytes(job), job.limits
        scratch = f"rw,nosuid,nodev,exec,mode=1777,size={cells.scratch_bytes(job)}"
        host = self._client.create_host_config(
            mounts=[
                Mount(str(one.target), str(one.source), "bind", read_only=not one.writable)
                for one in cells.mounts(job)
            ],
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=[
                "no-new-privileges",
                f"seccomp={json.dumps(seccomp_profile())}",
                # Profiles of AppArmor forbid the mounts by which the code scorer confines programs
                # inside; the cell itself has no right to mount anything.
                "apparmor=unconfined",
                "label=disable",  # SELinux would forbid what is mounted
            ],
            mem_limit=memory,
            memswap_limit=memory,
            nano_cpus=None if limits.cpus is None else int(limits.cpus * 1e9),
            pids_limit=limits.pids or cells.DEFAULT_PIDS,
            tmpfs={str(cells.SCRATCH): scratch},
            shm_size=memory // 2,
            ulimits=_ulimits(job),
            log_config={"Type": "none", "Config": {}},
            device_requests=_device_requests(job, self.found.probe.gpus),
        )
        made = self._client.create_container(
            self.found.id,
            list(cells.COMMAND[1:]),
            entrypoint=[cells.COMMAND[0]],
            user=user,
            stdin_open=True,
            environment=dict(cells.environment(job)),
            working_dir=str(cells.OUT),
            labels=self.lease.labels(job.folder.name),
            host_config=host,
            hostname="cell",
            use_config_proxy=False,  # the environment is an allow-list
        )
        return str(made["Id"])


def _ulimits(job: Job) -> list[Any]:
    from docker.types import Ulimit

    ulimits = [
        Ulimit(name="core", soft=0, hard=0),
        Ulimit(name="nofile", soft=cells.OPEN_FILES, hard=cells.OPEN_FILES),
    ]
    if (disk := job.limits.disk_bytes) is not None:
        # The kernel keeps each file within the limit; the watcher, all of them together.
        ulimits.append(Ulimit(name="fsize", soft=disk, hard=disk))
    return ulimits


def _device_requests(job: Job, way: str | None) -> list[Any] | None:
    from docker.types import DeviceRequest

    if not job.gpus:
        return None
    if way is None:
        raise InfrastructureError(
            "docker cannot give GPUs to containers here",
            expected="a runtime named nvidia, or CDI devices",
            hint="install nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure "
            "--runtime=docker && sudo systemctl restart docker",
        )
    if way == "cdi":
        return [DeviceRequest(driver="cdi", device_ids=[f"nvidia.com/gpu={g}" for g in job.gpus])]
    return [DeviceRequest(device_ids=list(job.gpus), capabilities=[["gpu"]])]


class DockerCell(LeasedCell):
    """A running cell."""

    def __init__(
        self,
        client: APIClient,
        container: str,
        log: CappedLog,
        job: Job,
        ownership: cells.Ownership,
        facts: Mapping[str, object],
    ) -> None:
        self._client = client
        self._container = container
        self._state: Mapping[str, Any] = {}
        self._is_lost = False
        # Before the start, so that nothing of its output is missed.
        self._stream = client.attach_socket(
            container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        )
        client.start(container)
        watcher = Watcher(
            log,
            job.limits,
            (job.out, job.resume),
            terminate=lambda: self._send("SIGTERM"),
            kill=lambda: self._send("SIGKILL"),
        )
        super().__init__(watcher, job, ownership, facts)

    def wait(self) -> CellExit:
        """Copy the cell's output to its log until it ends; enforce its limits.

        Raises:
            InfrastructureError: the log cannot be written, or another image ran; the container is
                removed first.
        """
        try:
            self._watcher.watch(self._stream.fileno(), self._has_ended, _Frames().decoded)
        finally:
            with suppress(OSError):
                self._stream.close()
            with suppress(Exception):  # the reaper or the next run does it
                self._client.remove_container(self._container, force=True)
            self._let_go()
        # Of a container that still ran when it was last seen, the status says nothing.
        state = self._state if _is_over(self._state) else {}
        return self._exit(int(state.get("ExitCode", -1)), state, is_lost=self._is_lost)

    def _has_ended(self) -> bool:
        """Whether the container runs no more, or its engine is gone for good."""
        found = self._inspected()
        if found is None:
            self._is_lost = True
            return True
        self._require_image(found["Image"])
        self._state = found["State"]
        return _is_over(self._state)

    def _inspected(self) -> Mapping[str, Any] | None:
        """What the engine says of the container; None if it or the container is gone."""
        patience = time.monotonic() + _BACK_S
        while True:
            try:
                found: Mapping[str, Any] = self._client.inspect_container(self._container)
            except Exception as error:  # noqa: BLE001 - the SDK lets those of requests through
                if _is_not_found(error) or time.monotonic() > patience:
                    return None
                time.sleep(_LOOK_S)
            else:
                return found

    def _send(self, name: str) -> None:
        with suppress(Exception):  # it has ended, or its engine has
            self._client.kill(self._container, name)


def _is_over(state: Mapping[str, Any]) -> bool:
    return state.get("Status") in ("exited", "dead")


class _Frames:
    """Takes the heads of the pieces out of a container's output."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def decoded(self, chunk: bytes) -> bytes:
        """What the cell printed, of what came through the connection."""
        printed = []
        while chunk:
            if self._left == 0:
                wanted = _FRAME - len(self._head)
                self._head, chunk = self._head + chunk[:wanted], chunk[wanted:]
                if len(self._head) == _FRAME:
                    self._left = int.from_bytes(self._head[4:])
                    self._head = b""
            else:
                printed.append(chunk[: self._left])
                chunk, self._left = chunk[self._left :], self._left - len(printed[-1])
        return b"".join(printed)


class DockerKeeper:
    """Lists and removes containers."""

    def __init__(self, client: APIClient | None = None) -> None:
        self._client = client or connect()

    def list(self, label: str) -> Iterable[Left]:
        """All containers, running or not, with this label: KEY or KEY=VALUE."""
        with _told("list containers"):
            found = self._client.containers(all=True, filters={"label": [label]})
        return [Left(one["Id"], one.get("Labels") or {}, one.get("State", "")) for one in found]

    def remove(self, container: str) -> None:
        """Kill and remove it; one that is gone is no error."""
        from docker.errors import APIError

        with _told("remove a container"):
            try:
                self._client.remove_container(container, force=True, v=True)
            except APIError as error:
                if error.status_code not in _GONE:
                    raise


@contextmanager
def _told(doing: str, image: cells.Image | None = None) -> Iterator[None]:
    """Turn what the SDK raises into what a person can act on; `image` is what is asked for."""
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests.exceptions import RequestException

    try:
        yield
    except ImageNotFound as error:
        name, wanted = ("?", None) if image is None else (image.name, image.reference)
        raise InfrastructureError(
            f"docker does not have the image {name!r}",
            expected=wanted,
            hint=None if image is None else cells.how_to_get(image, "docker"),
        ) from error
    except APIError as error:
        raise InfrastructureError(
            f"docker refused to {doing}: {error.explanation or _first_line(error)}",
            hint="see what it logged: docker info, journalctl -u docker",
        ) from error
    except (DockerException, RequestException, OSError) as error:
        raise InfrastructureError(
            f"docker does not answer: {_first_line(error)}", hint=_NO_ENGINE
        ) from error


def _is_not_found(error: Exception) -> bool:
    from docker.errors import NotFound

    return isinstance(error, NotFound)


def _first_line(error: BaseException) -> str:
    """What went wrong, in a line: what the system said, if that is behind it."""
    cause: BaseException | None = error
    while cause is not None:
        for one in (cause, *_inside(cause)):
            if isinstance(one, OSError) and one.strerror:
                return one.strerror
        cause = cause.__cause__ or cause.__context__
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _inside(error: BaseException) -> list[object]:
    """urllib3 and requests put errors into the arguments of others."""
    found: list[object] = []
    for argument in error.args:
        found += [argument, *_inside(argument)] if isinstance(argument, BaseException) else []
        found += list(argument) if isinstance(argument, tuple) else []
    return found
