"""The code scorer's sandbox: which of its backends confine programs here, and why others do not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from harness.doctor.finding import Finding, State
from harness.doctor.registry import check, together
from harness.doctor.setting import Setting, lacking
from reward_scorers.sandbox import Sandbox
from reward_scorers.sandbox.backends.backend import backends

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPIC: Final = "sandbox"
_CHOSEN: Final = "REWARD_SCORERS_SANDBOX"
_IMAGE: Final = "REWARD_SCORERS_SANDBOX_IMAGE"
_PATIENCE_S: Final = 8.0
_NO_ROOT: Final = ("bubblewrap", "native")  # those that need no image, and so can be tried


@check(TOPIC)
def sandbox(setting: Setting) -> Iterator[Finding]:
    """What confines programs, by starting one; then the backends that lack something."""
    yield confinement(setting, together({"sandbox": isolation}, _PATIENCE_S)["sandbox"])
    lacks = {name: one.missing for name, one in backends().items()}
    for name, why in together(lacks, _PATIENCE_S).items():
        yield backend(setting, name, why)


def isolation() -> str:
    """How a program would be confined; starts a sandbox and ends it.

    Raises:
        SandboxUnavailable: nothing here can.
    """
    backend, image = os.environ.get(_CHOSEN) or "auto", os.environ.get(_IMAGE, "")
    with Sandbox(workers=1, backend=backend, image=image) as started:
        return started.isolation()


def confinement(setting: Setting, told: object) -> Finding:
    """What confines programs that a model has written."""
    what = "programs of models"
    if isinstance(told, Exception):
        message = " ".join(str(told).split())
        return lacking(
            TOPIC,
            what,
            f"cannot be confined: {message}",
            needed=setting.needs.sandbox,
            expected="a backend that works; without, the scorer `code` runs nothing",
            fix="sudo apt-get install bubblewrap",
        )
    return Finding(TOPIC, what, State.OK, f"confined by {str(told).replace('+', ', ')}")


def backend(setting: Setting, name: str, told: str | Exception) -> Finding:
    """One backend, by what it says that it lacks on this machine; nothing is started."""
    why = f"it cannot be asked: {told}" if isinstance(told, Exception) else told
    if not why:
        image = "" if name in _NO_ROOT else "; an image has to be named for it"
        return Finding(TOPIC, name, State.OK, f"can be used{image}")
    reason, _, fix = " ".join(why.split()).partition(": apt-get ")
    needed = setting.environment.get(_CHOSEN) == name and setting.needs.sandbox
    return lacking(TOPIC, name, reason, needed=needed, fix=f"sudo apt-get {fix}" if fix else "")
