"""What can go wrong with a sandbox that is not a program's fault."""

from __future__ import annotations

from reward_scorers.errors import WorkerError


class SandboxUnavailable(WorkerError):  # noqa: N818 - it says what is, like FileNotFound
    """This machine has no means, or not the chosen ones, to confine a program.

    The message says what to install or to allow. Nothing was run.
    """
