"""Backend `apptainer`: each cell in a container of Apptainer, as clusters have it.

A container is a child of this process and ends with it: what holds for backend `process` of killing
and accounting holds here. What it runs is a SIF file made of one of our images, named by the id of
that image, and checked by its SHA-256 before the first cell.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import InfrastructureError
from harness.images.sif import apptainer, note_of, sha256_of, sif_of
from harness.run.containers import container as cells
from harness.run.containers.backend import Probe
from harness.run.containers.engine import EngineBackend, Found, cannot_limit
from harness.run.containers.hardening import seccomp_profile
from harness.run.containers.process import ProcessCell, spawn
from harness.run.containers.watching import open_log
from harness.run.disk import writing

if TYPE_CHECKING:
    from harness.run.containers.backend import Job

_ANSWERS_S: Final = 30
_HOME: Final = "/cell/home"
_PINNED_FILE: Final = re.compile(r"(?P<path>.+\.sif)@sha256:(?P<sha256>[0-9a-f]{64})")
# What apptainer itself needs of this process's environment; none of it reaches the cell.
_OF_APPTAINER: Final = ("PATH", "HOME", "USER", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR", "TMPDIR")


def probe() -> Probe:
    """Ask apptainer for its version, and the machine for what apptainer can limit on it."""
    program = apptainer()
    if program is None:
        hint = "load your cluster's module, or see https://apptainer.org/docs/admin/latest/"
        return Probe("apptainer", works=False, reason="apptainer is not installed", hint=hint)
    try:
        told = subprocess.run(
            [program, "version"], capture_output=True, text=True, timeout=_ANSWERS_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        hint = f"type {program} version"
        return Probe(
            "apptainer", works=False, reason=f"{program} does not work: {error}", hint=hint
        )
    binds = _limits_bind()
    reason = cannot_limit("apptainer", binds)
    hint = (
        "it takes control groups of version 2 and systemd with memory, pids and cpu delegated "
        "to this user, or root"
    )
    return Probe(
        "apptainer",
        works=not reason,
        version=told.stdout.strip(),
        reason=reason,
        hint=hint if reason else "",
        rootless=os.geteuid() != 0,
        cgroup="2" if _has_version_2() else "1",
        limits={**binds, "disk": True},
        gpus="nvccli" if shutil.which("nvidia-container-cli") else None,
    )


def _has_version_2() -> bool:
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def _limits_bind() -> dict[str, bool]:
    """Root can limit everywhere; others through systemd, what it has delegated to them."""
    names = {"memory": "memory", "pids": "pids", "cpus": "cpu"}
    if os.geteuid() == 0:
        return dict.fromkeys(names, True)
    service = Path(
        f"/sys/fs/cgroup/user.slice/user-{os.geteuid()}.slice/user@{os.geteuid()}.service"
    )
    try:
        delegated = (service / "cgroup.controllers").read_text(encoding="utf-8").split()
    except OSError:
        delegated = []
    return {name: controller in delegated for name, controller in names.items()}


class ApptainerBackend(EngineBackend):
    """Runs each cell in a container of Apptainer."""

    name = "apptainer"

    def look(self) -> Found:
        """Apptainer, and a SIF file of the image that is what it was when it was made."""
        found = probe()
        if not found.works:
            raise InfrastructureError(found.reason, hint=found.hint)
        sif, wanted, image = self._choose()
        if not sif.is_file():
            raise InfrastructureError(
                f"there is no SIF file of the image {self._wanted!r}",
                expected=str(sif),
                hint=f"harness images load {self._wanted} --engine apptainer",
            )
        digest = sha256_of(sif)
        if digest != wanted:
            raise InfrastructureError(
                "a SIF file is not what it was",
                where=str(sif),
                expected=f"sha256 {wanted}",
                found=f"sha256 {digest}",
                hint="remove it, then `harness images load`; or name the file with its digest",
            )
        image = image or cells.Image(self._wanted, self._wanted, id=f"sha256:{digest}")
        image = replace(image, reference=str(sif))
        return Found.of(found, image, str(image.id), sif=f"sha256:{digest}")

    def _choose(self) -> tuple[Path, str, cells.Image | None]:
        """The SIF file, its SHA-256, and the image that it was made of if that is known."""
        named = _PINNED_FILE.fullmatch(self._wanted)
        if named:
            return Path(named["path"]).absolute(), named["sha256"], None
        image = cells.find_image(self._wanted)
        if image.id is None:
            raise InfrastructureError(
                f"apptainer runs files, not {self._wanted}",
                expected="a name in docker/images.lock.toml, or PATH.sif@sha256:...",
                hint=f"apptainer pull cell.sif docker://{self._wanted} && sha256sum cell.sif",
            )
        sif = sif_of(image.id)
        wanted = ""
        with suppress(OSError, ValueError, KeyError):
            wanted = str(json.loads(note_of(sif).read_bytes())["sha256"])
        return sif, wanted, image

    def start(self, job: Job) -> ProcessCell:
        """Start the cell.

        Raises:
            InfrastructureError: it cannot be started, or the disk refuses.
        """
        found = self.found.probe
        ownership = cells.Ownership.of_this_process(rootless=found.rootless, keeps_id=True)
        gpus = _gpus(job, found)
        scratch = job.folder / "scratch"
        with writing(job.folder):
            for folder in ("tmp", "home"):
                (scratch / folder).mkdir(parents=True)
            profile = job.folder / "seccomp.json"
            profile.write_text(json.dumps(seccomp_profile()), encoding="utf-8")
        ownership.give(job, scratch)
        command = [
            *(str(apptainer()), "exec"),
            *_hardening(job, ownership, scratch, profile),
            *_limits(job),
            *gpus,
            *(self.found.image.reference, *cells.COMMAND),
        ]
        log = open_log(job)
        try:
            process, lease = spawn(command, job.out, _environment_of_apptainer(job), log)
        except InfrastructureError:
            ownership.take_back(job, scratch)
            raise
        return ProcessCell(
            process,
            lease,
            log,
            job,
            scratch,
            container=self.facts(job),
            code_of=cells.signed,
            at_end=lambda: ownership.take_back(job, scratch),
        )


def _hardening(job: Job, ownership: cells.Ownership, scratch: Path, profile: Path) -> list[str]:
    words = [
        # A read-only root is what a SIF file has; --containall gives namespaces of its own for
        # processes and IPC, a bare /dev, and nothing of this user's home.
        *("--containall", "--cleanenv", "--no-privs", "--no-mount", "bind-paths"),
        *("--home", f"{scratch}/home:{_HOME}", "--net", "--network", "none"),
        *("--workdir", str(scratch), "--pwd", str(cells.OUT)),
    ]
    if ownership.given_to is not None:  # only root may say who the cell is, and filter its calls
        user = ownership.given_to
        words += ["--security", f"uid:{user}", "--security", f"gid:{user}"]
        words += ["--security", f"seccomp:{profile}"]
    for one in cells.mounts(job):
        cells.refuse_in_name(one, ":,")
        words += ["--bind", f"{one.source}:{one.target}:{'rw' if one.writable else 'ro'}"]
    for key, value in cells.environment(job).items():
        if key != "HOME":  # which is said by --home alone
            words += ["--env", f"{key}={value}"]
    return words


def _limits(job: Job) -> list[str]:
    memory = str(cells.memory_bytes(job))
    words = ["--memory", memory, "--memory-swap", memory]
    words += ["--pids-limit", str(job.limits.pids or cells.DEFAULT_PIDS)]
    return words if job.limits.cpus is None else [*words, "--cpus", str(job.limits.cpus)]


def _gpus(job: Job, found: Probe) -> list[str]:
    if not job.gpus:
        return []
    if found.gpus is None:
        raise InfrastructureError(
            "apptainer cannot give single GPUs to containers here",
            expected="nvidia-container-cli, of nvidia-container-toolkit",
            hint="install nvidia-container-toolkit, or ask your cluster for it",
        )
    return ["--nv", "--nvccli"]


def _environment_of_apptainer(job: Job) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _OF_APPTAINER if name in os.environ}
    # With --containall, --nvccli gives the devices that this names, and no others.
    return {**kept, "NVIDIA_VISIBLE_DEVICES": ",".join(job.gpus)} if job.gpus else kept
