"""The command `harness`: one verb per step of the pipeline."""

from __future__ import annotations

import json
import sys
import traceback


def main() -> None:
    """Run the command line and leave with a documented exit code (harness.errors.ExitCode)."""
    from harness.cli import chores, verbs  # noqa: F401 - they register themselves
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
    except BrokenPipeError:
        # `harness expand ... | head` ends the pipe early; that is no failure of ours.
        sys.stderr.close()
        sys.exit(0)
    except Exception:  # noqa: BLE001 - exit code 1 would say that a number was not reproduced
        traceback.print_exc()
        sys.stderr.write("error: this is a fault of the harness, and says nothing of any number\n")
        sys.exit(int(ExitCode.INFRASTRUCTURE))
