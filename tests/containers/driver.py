"""A run in a process of its own: `python -m tests.containers.driver ENGINE ROOT DATA DO...`.

Each DO is a list in JSON: what one cell does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.containers.support import Place, probing_cell


def main(engine: str, root: str, data: str, *doings: str) -> int:
    place = Place(engine, Path(root), Path(data))
    cells = [probing_cell(*json.loads(do), index=index) for index, do in enumerate(doings)]
    outcome = place.run(*cells, workers=len(cells))
    print(json.dumps({"computed": outcome.computed, "failures": len(outcome.failures)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
