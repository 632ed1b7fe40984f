"""The seccomp profile of cells' containers."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def seccomp_profile() -> dict[str, Any]:
    """What a cell may ask of the kernel, in Docker's format.

    It is that of a service which confines programs itself, since a cell scores code in it: engines'
    own profiles forbid the namespaces that this takes, and some let io_uring through.
    """
    from reward_scorers.sandbox.backends.profile import service_profile

    return service_profile()
