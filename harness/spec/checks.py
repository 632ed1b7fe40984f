"""What must hold between the parts of a suite: every name that is used is declared."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.errors import SuiteError
from harness.spec.expression import compile_expression
from harness.spec.grid import Settings
from harness.spec.nearest import did_you_mean
from harness.spec.reference import parse, resolve
from harness.spec.space import Space
from harness.spec.suite import RESERVED_AXES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from harness.spec.measures import Analysis, CurveTable
    from harness.spec.suite import Suite


def check_suite(
    suite: Suite,
    *,
    laws: Collection[str] | None,
    engines: Collection[str] | None,
    scorers: Collection[str] | None,
) -> None:
    """Check the names of a suite against each other, and against the registries that are given.

    Raises:
        SuiteError: the first thing that does not hold, with its line.
    """
    _check_data(suite)
    _check_tiers(suite, engines, scorers)
    own = [name for name in suite.tiers if suite.for_tier(name) is suite]
    _check_measures(suite, own, laws)
    for name in suite.tiers:
        if suite.tiers[name].measure is not None:
            _check_measures(suite.for_tier(name), [name], laws)


def _check_measures(suite: Suite, tiers: list[str], laws: Collection[str] | None) -> None:
    """Check what is made of the cells of these tiers."""
    _check_curves(suite, tiers)
    _check_analyses(suite, laws)
    _check_summaries(suite)
    _check_judge(suite)
    _check_goldens(suite)
    _check_outputs(suite)


def _known(kind: str, name: str, known: Iterable[str], where: str) -> None:
    """Raise SuiteError if a name is not among the known ones."""
    names = list(known)
    if name in names:
        return
    raise SuiteError(
        f"no {kind} `{name}`",
        where=where,
        expected="one of " + ", ".join(names) if names else f"a declared {kind}; there is none",
        hint=did_you_mean(name, names),
    )


def _unique(kind: str, entries: Iterable[tuple[str, str]]) -> None:
    """Raise SuiteError at the second of two entries (name, where) that share a name."""
    first: dict[str, str] = {}
    for name, where in entries:
        if name in first:
            raise SuiteError(
                f"two {kind} have the name `{name}`",
                where=where,
                found=f"the first at {first[name]}",
                hint="rename one of the two",
            )
        first[name] = where


def _check_data(suite: Suite) -> None:
    for name, data_set in suite.data.items():
        for key in ("unique", "numeric"):
            for number, column in enumerate(getattr(data_set, key)):
                if data_set.columns:
                    where = suite.at("data", name, key, number)
                    _known("column", column, data_set.columns, where)


def _check_tiers(
    suite: Suite, engines: Collection[str] | None, scorers: Collection[str] | None
) -> None:
    for name in suite.tiers:
        tier = suite.tier(name)
        for axis in RESERVED_AXES & tier.axes.keys():
            raise SuiteError(
                f"an axis cannot be called `{axis}`",
                where=suite.at("axes", axis),
                found=axis,
                hint=f"rename it: ${{{axis}.x}} has a meaning already",
            )
        if engines is not None:
            _known("engine", tier.engine, engines, suite.at("tiers", name, "engine"))
        for scorer in tier.scorers if scorers is not None else ():
            _known("scorer", scorer, scorers or (), suite.at("tiers", name, "scorers"))
        space = Space(suite, tier)
        space.check_not_empty()
        Settings(suite, tier, space)


def _check_curves(suite: Suite, tiers: list[str]) -> None:
    if suite.curves is None:
        for key in ("analyses", "summaries"):
            if getattr(suite, key):
                raise SuiteError(
                    f"`{key}` without `curves`",
                    where=suite.at(key),
                    expected="`curves`, which says how metrics become columns",
                    hint="add `curves: {labels: {...}, columns: {...}}`",
                )
        return
    names: set[str] = set()
    for tier in tiers or suite.tiers:
        names |= Space(suite, suite.tier(tier)).fields
    for label, field in suite.curves.labels.items():
        _known("axis field", field, sorted(names), suite.at("curves", "labels", label))
        if label in suite.curves.columns:
            where = suite.at("curves", "columns", label)
            raise SuiteError(f"`{label}` is a label and a column of the curves", where=where)
    _check_records(suite, suite.curves)


def _check_records(suite: Suite, curves: CurveTable) -> None:
    """Records of `curves: for` have the same new labels, and give each text a value."""
    for number, record in enumerate(curves.each):
        where = suite.at("curves", "for", number)
        for label in record:
            if label in curves.labels or label in curves.columns:
                raise SuiteError(f"`{label}` is a column of the curves already", where=where)
        if record.keys() != curves.each[0].keys():
            raise SuiteError(
                "records with different labels",
                where=where,
                expected=", ".join(curves.each[0]) + ", as in the first",
                found=", ".join(record),
            )
        if record in curves.each[:number]:
            raise SuiteError("the same record twice", where=where, found=str(record))
    for column, field in curves.columns.items():
        _check_text(field, curves.label_names, suite.at("curves", "columns", column))


def _check_text(text: str, labels: Iterable[str], where: str) -> None:
    """Raise SuiteError if the text refers to something else than a label."""
    try:
        resolve(parse(text), dict.fromkeys(labels, ""))
    except SuiteError as error:
        error.where = where
        raise


def _columns(suite: Suite) -> list[str]:
    return list(suite.curves.names) if suite.curves else []


def _check_analyses(suite: Suite, laws: Collection[str] | None) -> None:
    columns = _columns(suite)
    _unique("analyses", ((a.name, suite.at_analysis(i)) for i, a in enumerate(suite.analyses)))
    for number, analysis in enumerate(suite.analyses):
        for law in analysis.laws if laws is not None else ():
            rival = law in analysis.rivals and law != analysis.law
            blind = ("rivals",) if rival else ("extrapolate", "blind_law")
            key = ("law",) if law == analysis.law else blind
            _known("registered law", law, laws or (), suite.at_analysis(number, *key))
        for name in ("x", "y", "group", "run"):
            if getattr(analysis, name) is not None:
                where = suite.at_analysis(number, name)
                _known("curve column", getattr(analysis, name), columns, where)
        _check_distinct(analysis, suite, number)
        if analysis.resample is not None:
            where = suite.at_analysis(number, "resample", "by")
            drawn = ["curve", "block", *columns]
            _known("thing to draw", analysis.resample.by, drawn, where)
        if analysis.where is not None:
            where = suite.at_analysis(number, "where")
            compile_expression(analysis.where, columns, where=where)
        if analysis.extrapolate is not None:
            where = suite.at_analysis(number, "extrapolate", "to")
            compile_expression(analysis.extrapolate.to, columns, where=where)


def _check_distinct(analysis: Analysis, suite: Suite, number: int) -> None:
    """Raise SuiteError where one column is asked to play two parts of a fit."""
    first: dict[str, str] = {}
    for part in ("x", "y", "group", "run"):
        column = getattr(analysis, part)
        if column is not None and first.setdefault(column, part) != part:
            raise SuiteError(
                f"`{part}` is the column that `{first[column]}` is",
                where=suite.at_analysis(number, part),
                expected="another column",
                found=column,
            )


def _check_summaries(suite: Suite) -> None:
    entries = list(enumerate(suite.summaries))
    _unique("summaries", ((entry.name, suite.at("summaries", i)) for i, entry in entries))
    labels = suite.curves.label_names if suite.curves else ()
    for number, summary in entries:
        for key in ("field", "minus"):
            where = suite.at("summaries", number, key)
            name = getattr(summary, key)
            if name is not None and summary.take is not None:
                _known("curve column", name, _columns(suite), where)
            elif name is not None:
                _check_text(name, labels, where)
        if summary.last is not None and summary.take is None:
            raise SuiteError(
                "`last` without `take`",
                where=suite.at("summaries", number, "last"),
                expected="`take`, which says what becomes of the last points",
                hint="add `take: mean`",
            )
        if summary.where is not None:
            where = suite.at("summaries", number, "where")
            compile_expression(summary.where, labels, where=where)
        for place, label in enumerate(summary.by):
            _known("label", label, labels, suite.at("summaries", number, "by", place))


def _check_judge(suite: Suite) -> None:
    if suite.says("judge") and not suite.judge:
        raise SuiteError(
            "`judge` is empty: nothing would be compared",
            where=suite.at("judge"),
            expected="at least one glob pattern of quantity names",
            hint='judge: ["fit/*"]',
        )
    for number, pattern in enumerate(suite.judge):
        _check_pattern(suite, pattern, suite.at("judge", number))


def _check_goldens(suite: Suite) -> None:
    """What a golden file is recorded from is known before any cell runs."""
    names = [analysis.name for analysis in suite.analyses]
    for number, margin in enumerate(suite.margins):
        _check_pattern(suite, margin.match, suite.at("margins", number, "match"))
    entries = [(band.fit, suite.at("bands", i, "fit")) for i, band in enumerate(suite.bands)]
    for fit, where in entries:
        _known("analysis", fit, names, where)
    _unique("bands", entries)


def _check_pattern(suite: Suite, pattern: str, where: str) -> None:
    """Raise SuiteError if a glob pattern of quantity names can match none."""
    names = {
        "fit": [analysis.name for analysis in suite.analyses],
        "summary": [summary.name for summary in suite.summaries],
    }
    kind, _, rest = pattern.partition("/")
    if kind not in names or not rest:
        raise SuiteError(
            f"`{pattern}` names no quantity",
            where=where,
            expected="fit/NAME/PARAMETER or summary/NAME/..., where * stands for anything",
            found=pattern,
        )
    _matches({"fit": "analysis", "summary": "summary"}[kind], rest, names[kind], where)


def _matches(kind: str, pattern: str, names: list[str], where: str) -> None:
    """Raise SuiteError if the first part of a glob pattern names none of the names."""
    head = pattern.split("/")[0]
    if any(fnmatchcase(name, head) for name in names):
        return
    raise SuiteError(
        f"`{pattern}` matches no {kind}",
        where=where,
        expected="one of " + ", ".join(names) if names else f"a declared {kind}; there is none",
        found=head,
        hint=did_you_mean(head.replace("*", ""), names),
    )


def _check_outputs(suite: Suite) -> None:
    names = [analysis.name for analysis in suite.analyses]
    for key in ("figures", "tables"):
        entries = list(enumerate(getattr(suite, key)))
        _unique(key, ((entry.name, suite.at(key, number)) for number, entry in entries))
        for number, entry in entries:
            if getattr(entry, "fit", None) is not None:
                _known("analysis", entry.fit, names, suite.at(key, number, "fit"))
            for place, pattern in enumerate(entry.fits):
                _matches("analysis", pattern, names, suite.at(key, number, "fits", place))
    _check_tables(suite)


def _check_tables(suite: Suite) -> None:
    """A table shows fits or, of kind table-summaries, summaries; and not neither."""
    known = [summary.name for summary in suite.summaries]
    for number, table in enumerate(suite.tables):
        needs = "summaries" if table.kind == "table-summaries" else "fits"
        other = "fits" if needs == "summaries" else "summaries"
        if not getattr(table, needs) or getattr(table, other):
            raise SuiteError(
                f"a table of the kind {table.kind!r} shows `{needs}`, and no `{other}`",
                where=suite.at("tables", number),
                hint=f"list its `{needs}`, or choose another kind",
            )
        for place, name in enumerate(table.summaries):
            _known("summary", name, known, suite.at("tables", number, "summaries", place))
