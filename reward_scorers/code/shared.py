"""The sandbox of this process, which all scorers share that run programs."""

from __future__ import annotations

import os
import threading
from typing import Final

from reward_scorers.sandbox import Sandbox

# Trainers pass numbers and texts to reward functions, not objects: so which sandbox it is can be
# said by the environment as well.
BACKEND: Final = "REWARD_SCORERS_SANDBOX"
IMAGE: Final = "REWARD_SCORERS_SANDBOX_IMAGE"

_lock = threading.Lock()
_chosen: Sandbox | None = None


def sandbox() -> Sandbox:
    """The sandbox that programs are run in; made when it is first asked for.

    Raises:
        ValueError: the environment names a backend that there is not.
    """
    global _chosen  # one per process, so that its workers stay warm
    with _lock:
        if _chosen is None:
            _chosen = Sandbox(
                backend=os.environ.get(BACKEND, "auto"), image=os.environ.get(IMAGE, "")
            )
        return _chosen


def use_sandbox(chosen: Sandbox | None) -> None:
    """Have programs run in a sandbox of one's own; None goes back to the default."""
    global _chosen
    with _lock:
        _chosen = chosen
