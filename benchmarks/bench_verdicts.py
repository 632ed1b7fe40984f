"""How often the verdict on suite exp1, tier micro, is right.

Fresh seeds (those of the tiers micro and micro-fresh, which the golden file has never seen) are
taken four at a time, as the default slice takes four: a share of `reproduced` below 90% would
make the tier useless. Every sixth of all combinations is taken; they share seeds, so that the share
is that of so many seeds and no more. Negative controls are slices with one thing wrong, of which
none may come out `reproduced`: two sizes swapped (every pair), one seed only, and cells trained
again with a learning rate ten times as large or small, or with a scorer in which one rule is
changed (the first number of an answer counts, not its box), of three sizes, in the place of the
right ones.
In exp2, tier micro, two values of tau are swapped (every pair).
For the default slice of every suite with a tier micro: the chance that it does not come out
equivalent to its golden, were its seeds drawn from the golden's own distribution, by the power of
each entry's test as if entries were independent (docs/statistics.md).

The cells must be in the store before: `harness run exp1 --tier micro` and `--tier micro-fresh`, and
`harness run exp2 --tier micro`, in the workspace that HARNESS_WORKSPACE names.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row
from harness import pipeline
from harness.collect import CellResult, curve_table, read_cells
from harness.steps import Collected, Request
from harness.verdict.power import tost_power
from harness.verdict.statistical import golden_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.steps import Locked

SLICE = 4  # seeds of the default slice
CONTROLLED = ("math-31K", "math-205K", "math-31K-instruct")  # sizes that are trained again
TRAINED = ("exp1", "exp2", "grpo", "crossdomain", "agentic")
EVERY = 6  # combinations of seeds, of which one is judged

# A cell whose scorer takes the first digit of an answer in place of its box.
_OTHER_RULE = """
import sys
from dataclasses import replace
from pathlib import Path
from reward_scorers import registry
right = registry.scorer("math")
def first_number(text, truth, context=None):
    digits = [one for one in text if one.isdigit()]
    return right.score(f"\\\\boxed{{{digits[0]}}}" if digits else "", truth, context)
registry._SCORERS["math"] = replace(right, score=first_number)
from harness.cell.__main__ import run_cell
run_cell(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""
_AS_IT_IS = """
import sys
from pathlib import Path
from harness.cell.__main__ import run_cell
run_cell(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def measure() -> Iterator[Row]:
    """Verdicts on fresh seeds, and on slices with one thing wrong."""
    locked = _locked("micro")
    own = _finished(locked)
    fresh = [*own, *_finished(_locked("micro-fresh"))]
    seeds = sorted({int(str(one.labels["seed"])) for one in fresh})
    slices = list(itertools.combinations(seeds, SLICE))[::EVERY]
    verdicts = Counter(_verdict(locked, _of(fresh, chosen)) for chosen in slices)
    note = f"{len(slices)} slices of {len(seeds)} fresh seeds: {_told(verdicts)}"
    yield Row(
        "fresh slices not reproduced", 1 - verdicts["reproduced"] / len(slices), "", 0.1, note
    )
    yield _control("two sizes swapped", _swaps(locked, own, "N"))
    reuse = _locked("micro", "exp2")
    yield _control("two values of tau swapped", _swaps(reuse, _finished(reuse), "tau"))
    yield _control("one seed only", Counter(_verdict(locked, _of(fresh, (s,))) for s in seeds))
    first = _of(fresh, slices[0])
    for what, change in (
        ("learning rate x 10", {"lr": 10.0}),
        ("learning rate / 10", {"lr": 0.1}),
        ("a scorer with one rule changed", {"program": _OTHER_RULE}),
    ):
        with tempfile.TemporaryDirectory() as folder:
            changed = _trained_again(locked, first, Path(folder), **change)  # type: ignore[arg-type]
        yield _control(what, Counter([_verdict(locked, changed)]))
    for name in TRAINED:
        yield _power(name)


def _locked(tier: str, suite: str = "exp1") -> Locked:
    workspace = Path(os.environ.get("HARNESS_WORKSPACE", "runs"))
    return pipeline.lock(pipeline.load(Request(suite, tier, None, workspace, 2)))


def _finished(locked: Locked) -> list[CellResult]:
    store = pipeline.store_of(locked.loaded.request)
    table = locked.loaded.suite.curves
    assert table is not None
    return read_cells(store, pipeline.cells(locked, None), table)


def _of(results: Sequence[CellResult], seeds: Sequence[int]) -> list[CellResult]:
    return [one for one in results if one.labels["seed"] in seeds]


def _verdict(locked: Locked, results: Sequence[CellResult]) -> str:
    collected = Collected(locked, results, curve_table(results), ())
    return pipeline.check(pipeline.fit(collected)).verdict.value


def _swaps(locked: Locked, results: Sequence[CellResult], label: str) -> Counter[str]:
    """Verdicts with two values of a label exchanged, for every pair of values."""
    values = sorted({one.labels[label] for one in results}, key=str)
    pairs = itertools.combinations(values, 2)
    return Counter(_verdict(locked, _swapped(results, label, *pair)) for pair in pairs)


def _swapped(
    results: Sequence[CellResult], label: str, first: object, second: object
) -> list[CellResult]:
    other = {first: second, second: first}

    def relabelled(labels: Mapping[str, object]) -> dict[str, object]:
        return {**labels, label: other.get(labels[label], labels[label])}

    return [
        replace(one, labels=relabelled(one.labels), rows=[relabelled(row) for row in one.rows])
        for one in results
    ]


def _trained_again(
    locked: Locked,
    results: Sequence[CellResult],
    folder: Path,
    *,
    lr: float = 1.0,
    program: str = _AS_IT_IS,
) -> list[CellResult]:
    """The slice, with cells of some sizes trained again under a change."""
    data = pipeline.readable_data(locked, [one.cell for one in results]).root

    def again(numbered: tuple[int, CellResult]) -> CellResult:
        number, one = numbered
        document = json.loads(json.dumps(one.cell.document))
        if document["axes"]["model"]["id"] not in CONTROLLED:
            return one
        document["settings"]["train"]["lr"] *= lr
        home = folder / str(number)
        (home / "out").mkdir(parents=True)
        (home / "spec.json").write_text(json.dumps(document))
        command = [sys.executable, "-c", program, home / "spec.json", home / "out", data]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment)
        return _read(one, home / "out")

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(again, enumerate(results)))


def _read(one: CellResult, out: Path) -> CellResult:
    """A cell that was trained outside the store, in the place of the one in it."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [line["evals"].get("heldout.ErrRate", float("nan")) for line in lines]
    rows = [{**row, "ErrRate": loss} for row, loss in zip(one.rows, losses, strict=True)]
    return replace(one, rows=rows, result=json.loads((out / "result.json").read_text()))


def _power(suite: str) -> Row:
    """Chance that a default slice is not found equivalent; counts and bands are left out."""
    locked = _locked("micro", suite)
    seeds = len(locked.loaded.suite.tier("micro").axes["seed"])
    golden = pipeline.golden(locked.loaded)
    assert golden is not None
    entries = [one for one in golden.entries if one.sd is not None and one.margin is not None]
    power = math.prod(
        tost_power(float(one.sd or 0), seeds, error, float(one.margin or 0))
        for one in entries
        if (error := golden_error(one, None, None)) is not None
    )
    note = f"{len(entries)} entries, {seeds} seeds"
    return Row(f"{suite}: expected to miss equivalence", 1 - power, "", 0.1, note)


def _control(what: str, verdicts: Counter[str]) -> Row:
    share = verdicts["reproduced"] / verdicts.total()
    return Row(f"control, {what}: reproduced", share, "", 0.0, _told(verdicts))


def _told(verdicts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items()))
