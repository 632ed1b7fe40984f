"""From a suite file to a checked suite; every error with its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from harness.errors import SuiteError
from harness.spec.checks import check_suite
from harness.spec.nearest import nearest
from harness.spec.reference import parse, resolve
from harness.spec.source import KeyPath, Source, describe, key_text, read_yaml
from harness.spec.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "string_too_short": "text that is not empty",
}


def load_suite(
    path: Path,
    *,
    laws: Collection[str] | None = None,
    engines: Collection[str] | None = None,
    scorers: Collection[str] | None = None,
) -> Suite:
    """Read and check a suite file; its analyses come with their `for` records expanded.

    Args:
        path: the suite file (`discovery.find_suite` finds it by the suite's name).
        laws: names that analyses may use; None leaves them unchecked.
        engines: names that tiers may use; None leaves them unchecked.
        scorers: names that tiers may use; None leaves them unchecked.

    Raises:
        SuiteError: the first thing in the file that cannot be, with its line.
    """
    source = read_yaml(path)
    value, origins = _expand_analyses(source)
    try:
        # JSON's strict mode takes lists for tuples, and still no "1" for a 1.
        suite = Suite.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise _suite_error(error, source, origins) from None
    suite._source = source
    suite._origins = origins
    check_suite(suite, laws=laws, engines=engines, scorers=scorers)
    return suite


_Origins = dict[KeyPath, list[KeyPath]]  # of each list of analyses, where its members were written


def _expand_analyses(source: Source) -> tuple[dict[str, Any], _Origins]:
    """The document with one analysis per `for` record, and where each was written."""
    origins: _Origins = {}
    value = _expanded(source.value, source, (), origins)
    tiers = value.get("tiers")
    if isinstance(tiers, dict):
        value["tiers"] = {
            name: {
                **tier,
                "measure": _expanded(tier["measure"], source, ("tiers", name, "measure"), origins),
            }
            if isinstance(tier, dict) and isinstance(tier.get("measure"), dict)
            else tier
            for name, tier in tiers.items()
        }
    return value, origins


def _expanded(
    parent: dict[str, Any], source: Source, at: KeyPath, origins: _Origins
) -> dict[str, Any]:
    """`parent` with its list of analyses expanded."""
    entries = parent.get("analyses")
    if not isinstance(entries, list):
        return dict(parent)
    expanded: list[Any] = []
    written = origins.setdefault((*at, "analyses"), [])
    for number, entry in enumerate(entries):
        path = (*at, "analyses", number)
        records = entry.get("for", [{}]) if isinstance(entry, dict) else [{}]
        for record in _records(records, source, (*path, "for")):
            expanded.append(_substituted(entry, record, source, path, top=len(path)))
            written.append(path)
    return {**parent, "analyses": expanded}


def _records(records: Any, source: Source, path: KeyPath) -> list[Mapping[str, object]]:
    if isinstance(records, list) and records and all(isinstance(item, dict) for item in records):
        return records
    raise SuiteError(
        "not a list of records",
        where=source.where(path),
        expected="a list of at least one mapping: [{x: C, cut: 80}, ...]",
        found=describe(records),
    )


def _substituted(
    value: Any, record: Mapping[str, object], source: Source, path: KeyPath, *, top: int
) -> Any:
    """The value with the record's in place of `${key}`; `for` itself stands at depth `top`."""
    if isinstance(value, dict):
        return {
            key: _substituted(item, record, source, (*path, key), top=top)
            for key, item in value.items()
            if (*path[top:], key) != ("for",)
        }
    if isinstance(value, list):
        return [
            _substituted(item, record, source, (*path, number), top=top)
            for number, item in enumerate(value)
        ]
    if not isinstance(value, str) or "${" not in value:
        return value
    try:
        return resolve(parse(value), record)
    except SuiteError as error:
        error.where = source.where(path)
        raise


def _suite_error(error: ValidationError, source: Source, origins: _Origins) -> SuiteError:
    def located(details: ErrorDetails) -> tuple[tuple[bool, int, int], KeyPath, ErrorDetails]:
        # A misspelt key is missing too; what is there but wrong says more than what is not there.
        path = _file_path(details, source, origins)
        return (details["type"] == "missing", *source.position(path)), path, details

    # The errors of one analysis stand once for each of its records. A list that is too short only
    # because its items are wrong is no error of its own.
    found = [located(details) for details in error.errors()]
    told = [
        one
        for one in found
        if one[2]["type"] != "too_short"
        or not any(path[: len(one[1])] == one[1] and path != one[1] for _, path, _ in found)
    ]
    (_, path, first), *others = sorted(told, key=lambda entry: entry[0])
    more = len({other[1] for other in others} - {path})
    report = _report(path, first, source)
    if more:
        report.message += f" (and {more} more {'error' if more == 1 else 'errors'} after this one)"
    return report


def _file_path(details: ErrorDetails, source: Source, origins: _Origins) -> KeyPath:
    """Pydantic's location without the steps that are not in the file."""
    steps = [*details["loc"], *details.get("ctx", {}).get("path", ())]
    for at, written in origins.items():
        if tuple(steps[: len(at)]) == at and len(steps) > len(at):
            steps[: len(at) + 1] = written[int(steps[len(at)])]
            break
    path: list[str | int] = []
    for step in steps:
        if source.holds([*path, step]) or (details["type"] == "missing" and step == steps[-1]):
            path.append(step)
    return tuple(path)


def _report(path: KeyPath, details: ErrorDetails, source: Source) -> SuiteError:
    from harness.spec.schema import known_keys

    where, kind, context = source.where(path), details["type"], details.get("ctx", {})
    key, found = key_text(path), describe(details["input"])
    if kind == "extra_forbidden":
        valid = known_keys(path[:-1])
        near = nearest(str(path[-1]), valid)
        return SuiteError(
            f"`{key}`: no such key",
            where=where,
            expected="one of " + ", ".join(valid),
            found=str(path[-1]),
            hint=f"write `{near[0]}`" if near else "remove it",
        )
    if kind == "missing":
        name = str(path[-1])
        return SuiteError(
            f"`{key}` is missing",
            where=where,
            expected=known_keys(path[:-1]).get(name),
            hint=f"add `{name}:`",
        )
    if kind == "literal_error":
        options = str(context["expected"])
        words = options.replace("'", "").replace(" or ", ", ").split(", ")
        near = nearest(str(details["input"]), words)
        hint = f"write `{near[0]}`" if near else None
        return SuiteError(
            f"`{key}` has no such value", where=where, expected=options, found=found, hint=hint
        )
    if kind == "suite":
        return SuiteError(
            f"`{key}`: {details['msg']}",
            where=where,
            expected=context["expected"],
            found=context["found"],
        )
    if kind == "string_too_short" and context["min_length"] > 1:
        expected = f"at least {context['min_length']} characters"
        return SuiteError(f"`{key}` is too short", where=where, expected=expected, found=found)
    if kind in _EXPECTED:
        message = f"`{key}` has the wrong type"
        return SuiteError(message, where=where, expected=_EXPECTED[kind], found=found)
    return SuiteError(f"`{key}`: {details['msg']}", where=where, found=found)
