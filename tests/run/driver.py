"""A run in a process of its own: `python -m tests.run.driver STORE SITE TRACE RUN CELLS SETTINGS`.

Prints one JSON object about what happened and exits as the command line would.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness.errors import HarnessError
from harness.run.scheduler import run_cells
from harness.run.store import Store
from tests.run.support import TracingBackend, scripted_cells


def main(store: str, site: str, trace: str, run: str, cells: str, settings: str) -> int:
    kept = Store(Path(store))
    report: dict[str, object] = {"error": None}
    code = 0
    try:
        outcome = run_cells(
            scripted_cells(int(cells), **json.loads(settings)),
            kept,
            TracingBackend(Path(site), Path(trace), run),
            Path(site),
            workers=3,
        )
        report |= {"counts": outcome.counts, "computed": outcome.computed}
        report["failures"] = [failure.message for failure in outcome.failures]
    except HarnessError as error:
        report["error"] = str(error)
        code = error.exit_code
    finished = kept.finished()
    report["finished"] = len(finished)
    report["read"] = len([kept.load(cell_id) for cell_id in finished])
    report["damage"] = [str(damage.path) for damage in kept.verify()]
    print(json.dumps(report), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
