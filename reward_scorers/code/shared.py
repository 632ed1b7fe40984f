"""The sandboxes of this process, which all scorers share that run programs."""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Final

from reward_scorers.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable

# Trainers pass numbers and texts to reward functions, not objects: so which sandbox it is can be
# said by the environment as well.
BACKEND: Final = "REWARD_SCORERS_SANDBOX"
IMAGE: Final = "REWARD_SCORERS_SANDBOX_IMAGE"

# What takes longer to import than most programs to run. A parent that has it takes longer to fork,
# and so does one that has more to show: those who need it have a sandbox of their own.
_HEAVY: Final = ("numpy", "pytest")
_IMPORT = re.compile(rf"^\s*(?:import|from)\s+({'|'.join(_HEAVY)})\b", re.MULTILINE)

_lock = threading.Lock()
_given: Sandbox | None = None
_made: dict[tuple[str, ...], Sandbox] = {}


def sandbox(sources: Iterable[str] = ()) -> Sandbox:
    """The sandbox that programs are run in; made when it is first asked for.

    Args:
        sources: the programs and tests, which say what they import.

    Raises:
        ValueError: the environment names a backend that there is not.
    """
    needed = {name for source in sources for name in _IMPORT.findall(source)}
    warm = tuple(sorted(needed))
    with _lock:
        if _given is not None:
            return _given
        if warm not in _made:
            backend, image = os.environ.get(BACKEND, "auto"), os.environ.get(IMAGE, "")
            packages = ("numpy", *(needed - {"numpy"}))
            _made[warm] = Sandbox(backend=backend, image=image, packages=packages, warm=warm)
        return _made[warm]


def use_sandbox(chosen: Sandbox | None) -> None:
    """Have programs run in a sandbox of one's own; None goes back to the default."""
    global _given
    with _lock:
        _given = chosen
