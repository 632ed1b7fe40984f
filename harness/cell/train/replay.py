"""Engine `replay`: published points stand in for a training run (level R0).

settings.curve says which rows of a pinned CSV file are the learning curve, settings.also (a list)
which rows of further files join it by their steps, settings.before and settings.best which row is
the model before training and its best checkpoint. Numbers keep their exact value: what the file
says is what the metrics say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cell.contract import CellContext, mapping_at
from harness.cell.engines import engine
from harness.data.table import Row, matches, read_rows
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set


@engine("replay", version=1)
def replay(cell: CellContext) -> Mapping[str, object]:
    """Write the selected rows as metrics.

    Returns:
        `steps`, `evals` (each metric's last value) and, if asked for, `before` and `best`.

    Raises:
        DataError: where the file or the settings are wrong, as `file:line`.
    """
    if not {"curve", *_POINTS} & cell.settings.keys():
        raise DataError(
            "nothing to replay", where="spec.json", expected="settings.curve or settings.best"
        )
    result: dict[str, object] = {"steps": 0, "evals": {}}
    with cell.metrics() as metrics:
        if "curve" in cell.settings:
            for step, evals, columns in _curve(cell):
                metrics.write(step, evals=evals, **columns)
            result = {"steps": metrics.steps, "evals": metrics.evals}
    result |= {name: _point(cell, name) for name in _POINTS if name in cell.settings}
    return result


_POINTS = ("before", "best")
_Line = tuple[int, dict[str, float], dict[str, float]]  # step, evals, columns


def _curve(cell: CellContext) -> Iterator[_Line]:
    """The lines of the curve and of the further files, one for each step, in their order."""
    lines: dict[int, _Line] = {}
    sections = [("curve", _section(cell.settings, "curve", required=_CURVE)), *_also(cell)]
    for name, section in sections:
        for step, evals, columns in _lines(cell, section):
            _, known_evals, known_columns = lines.setdefault(step, (step, {}, {}))
            for known, further in ((known_evals, evals), (known_columns, columns)):
                if twice := sorted(known.keys() & further.keys()):
                    raise DataError(
                        f"settings.{name} gives {twice[0]} of step {step} again", where="spec.json"
                    )
                known.update(further)
    yield from (lines[step] for step in sorted(lines))


def _also(cell: CellContext) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The sections of settings.also, each with its name in messages."""
    also = cell.settings.get("also", [])
    if not isinstance(also, list):
        raise DataError("settings.also is not a list", where="spec.json", found=f"{also!r:.80}")
    sections = {f"also[{number}]": section for number, section in enumerate(also)}
    for name in sections:
        yield name, _section(sections, name, required=_CURVE)


def _lines(cell: CellContext, section: Mapping[str, object]) -> Iterator[_Line]:
    columns, evals = _names(section, "columns"), _names(section, "evals")
    if "step" not in columns:
        raise DataError("`columns` does not say which column is `step`", where="spec.json")
    rows = _select(cell, section, {*columns.values(), *evals.values()})
    previous: Row | None = None
    last = -1
    for row in rows:
        step = row.number(columns["step"])
        if step != int(step) or step < 0:
            raise DataError("a step is not a whole number", where=row.where, found=str(step))
        if step <= last:
            assert previous is not None
            raise DataError(
                f"step {int(step)} occurs twice" if step == last else "the steps go back",
                where=row.where,
                expected=f"a step after {last} ({previous.where})",
                found=str(int(step)),
            )
        last, previous = int(step), row
        numbers = {name: row.number(column) for name, column in columns.items() if name != "step"}
        yield last, {name: row.number(column) for name, column in evals.items()}, numbers


def _point(cell: CellContext, name: str) -> dict[str, float]:
    section = _section(cell.settings, name, required={"data", "select", "evals"})
    evals = _names(section, "evals")
    first, *others = _select(cell, section, set(evals.values()))
    if others:
        raise DataError(
            f"settings.{name} selects more than one row",
            where=others[0].where,
            expected=f"only the row at {first.where}",
            hint="add a column to `select`",
        )
    return {name: first.number(column) for name, column in evals.items()}


def _select(cell: CellContext, section: Mapping[str, object], needed: set[str]) -> list[Row]:
    file = cell.read_data(str(section["data"]))
    select = mapping_at(section, "select")
    for column, wanted in select.items():
        if isinstance(wanted, bool) or not isinstance(wanted, str | int | float):
            raise DataError(
                f"select.{column} is neither text nor a number",
                where="spec.json",
                found=repr(wanted),
            )
    every = read_rows(file.content, file.path, sorted(needed | select.keys()))
    rows = [row for row in every if matches(row, select)]
    if not rows:
        raise DataError("no row is selected", where=file.path, expected=f"rows with {dict(select)}")
    return rows


_CURVE = frozenset({"data", "select", "columns"})  # `evals` may follow


def _section(settings: Mapping[str, object], name: str, required: Set[str]) -> Mapping[str, object]:
    section = mapping_at(settings, name)
    allowed = required | {"evals"}
    if missing := sorted(required - section.keys()):
        raise DataError(f"settings.{name} lacks {', '.join(missing)}", where="spec.json")
    if unknown := sorted(section.keys() - allowed):
        raise DataError(
            f"settings.{name} has unknown keys: {', '.join(unknown)}",
            where="spec.json",
            expected=", ".join(sorted(allowed)),
        )
    return section


def _names(section: Mapping[str, object], key: str) -> dict[str, str]:
    return {name: str(column) for name, column in mapping_at(section, key).items()}
