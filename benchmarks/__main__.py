"""Run the benchmarks and write benchmarks/results/NAME.md: python -m benchmarks [NAME ...].

A benchmark is a module benchmarks/bench_NAME.py with a function `measure() -> Iterable[Row]`.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.rows import Row

HERE = Path(__file__).parent
PACKAGES = ("numpy", "scipy", "pydantic", "lmfit", "iminuit", "doit")


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; returns 2 for a name that is none, else 0."""
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or known:
        module = importlib.import_module(f"benchmarks.bench_{name}")
        rows = list(module.measure())
        text = page(name, (module.__doc__ or "").strip(), rows)
        target = HERE / "results" / f"{name}.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"{text}\nwritten: {target.relative_to(HERE.parent)}\n")
    return 0


def page(name: str, about: str, rows: list[Row]) -> str:
    """The result as a Markdown page: what was measured, on what machine, and each figure."""
    lines = [
        f"# {name}",
        "",
        about,
        "",
        f"Measured {time.strftime('%Y-%m-%d')} on {machine()}.",
        "",
    ]
    lines += ["| what | measured | limit | kept | note |", "|---|---|---|---|---|"]
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g} {row.unit}"
        kept = {None: "", True: "yes", False: "**no**"}[row.kept]
        lines.append(f"| {row.what} | {row.value:.3g} {row.unit} | {limit} | {kept} | {row.note} |")
    return "\n".join([*lines, ""])


def machine() -> str:
    """The facts without which a time says nothing."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages}"


def processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
