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

# Importing NumPy takes ten times as long as running most programs, and a parent that has it takes
# twice as long to fork: so those who need it have one of their own.
_NUMPY = re.compile(r"^\s*(?:import|from)\s+numpy\b", re.MULTILINE)

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
    warm = ("numpy",) if any(map(_NUMPY.search, sources)) else ()
    with _lock:
        if _given is not None:
            return _given
        if warm not in _made:
            backend, image = os.environ.get(BACKEND, "auto"), os.environ.get(IMAGE, "")
            _made[warm] = Sandbox(backend=backend, image=image, warm=warm)
        return _made[warm]


def use_sandbox(chosen: Sandbox | None) -> None:
    """Have programs run in a sandbox of one's own; None goes back to the default."""
    global _given
    with _lock:
        _given = chosen
