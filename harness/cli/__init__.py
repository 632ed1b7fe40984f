"""The command `harness`: one verb per step of the pipeline."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_STOPPED = "stopped; what is finished is kept, and the same command goes on from here\n"


def program() -> None:
    """The console script: `main`, as a well-behaved member of a pipeline of processes."""
    if hasattr(signal, "SIGPIPE"):
        # `harness expand ... | head` ends the pipe early, which is no verdict: exit code 1 is one.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _leave)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    main()


def main() -> None:
    """Run the command line and leave with a documented exit code (harness.errors.ExitCode)."""
    from harness.cli import chores, doctor, fit, images, rescore, verbs  # noqa: F401 - they register themselves
    from harness.cli.app import app
    from harness.errors import ExitCode, HarnessError

    try:
        app(prog_name="harness")
    except HarnessError as error:
        if "--json" in sys.argv:
            fields = ("message", "where", "expected", "found", "hint")
            document = {name: getattr(error, name) for name in fields}
            sys.stdout.write(json.dumps({"error": document}, indent=1) + "\n")
        sys.stderr.write(f"error: {error}\n")
        sys.exit(int(error.exit_code))
    except SystemExit as left:
        if left.code == 128 + signal.SIGINT:
            sys.stderr.write(_STOPPED)
        raise
    except Exception:  # noqa: BLE001 - exit code 1 would say that a number was not reproduced
        traceback.print_exc()
        sys.stderr.write("error: this is a fault of the harness, and says nothing of any number\n")
        sys.exit(int(ExitCode.INFRASTRUCTURE))


def _leave(number: int, _frame: FrameType | None) -> None:
    """End by an exception, so that what is half-written is cleaned up."""
    sys.stderr.write(_STOPPED)
    sys.exit(128 + number)
