"""report.json: everything that the page says, as data with exact numbers."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from harness.report import judged, limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis import Extrapolation, Fit, ProfileInterval, Resample
    from harness.report.figures import Omitted, Rendered
    from harness.report.model import ReportInput

SCHEMA = 1


def render_json(report: ReportInput, figures: Sequence[Rendered | Omitted]) -> str:
    """The report as JSON text.

    Floats are written with as many digits as tell them apart, so that reading them gives the same
    floats; those that are not finite become the strings "nan", "inf" and "-inf", since JSON has
    none. Mappings by curve become lists of {GROUP: ..., "value": ...}. Draws of a resampling and
    points of curves are left out: the store has the points, and seed and lock give the draws again.
    """
    document = {
        "schema": SCHEMA,
        "suite": report.suite,
        "version": report.version,
        "title": report.title,
        "tier": report.tier,
        "level": report.level,
        "run_id": report.run_id,
        "inputs_sha256": report.inputs_sha256,
        "verdict": report.verdict,
        "headline": judged.headline(report),
        "rows": [
            {
                "name": row.name,
                "verdict": row.verdict,
                "comparisons": [x.comparison for x in row.lines],
            }
            for row in judged.rows(report)
        ],
        "expected": report.expected,
        "not_recomputed": [one.model_dump(exclude_none=True) for one in report.not_recomputed],
        "refused": [one.model_dump() for one in report.refused],
        "fits": {
            name: {
                **fit_document(fit, report.resamples.get(name)),
                "held_out": [held_out_document(fit, one) for one in report.held_out.get(name, ())],
                "rivals": report.rivals.get(name, ()),
                "profiles": [profile_document(one) for one in report.profiles.get(name, ())],
            }
            for name, fit in report.fits.items()
        },
        "extrapolations": report.extrapolations,
        "incomplete": report.incomplete,
        "cell_errors": report.cell_errors,
        "drift": report.drift,
        "figures": [{"name": f.name, "drawn": not hasattr(f, "reason")} for f in figures],
        "tables": [table.name for table in report.tables],
        "notes": report.notes,
        "rerun": report.rerun,
        "limits": limits.sentences(report),
        "timing": report.timing,
        "provenance": report.provenance,
    }
    return json.dumps(_plain(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def fit_document(fit: Fit, resample: Resample | None) -> dict[str, object]:
    """All numbers of a fit; mappings by curve become lists of {GROUP: ..., "value": ...}."""
    plain = {field.name: getattr(fit, field.name) for field in fields(fit)}
    plain["correlation"] = [
        {"parameters": list(pair), "value": value} for pair, value in fit.correlation.items()
    ]
    for name in ("by_curve", "se_by_curve"):
        plain[name] = {
            parameter: _by_curve(fit, values) for parameter, values in plain[name].items()
        }
    plain["r2_by_curve"] = _by_curve(fit, fit.r2_by_curve)
    return {**plain, "resample": _resample(resample)}


def held_out_document(fit: Fit, found: Extrapolation) -> dict[str, object]:
    """One held-out prediction without its points."""
    names = ("part", "kind", "law", "rmse", "relative_error", "r2", "reason")
    told = {name: getattr(found, name) for name in names}
    return {fit.group: found.N, "n": len(found.x), **told}


def profile_document(found: ProfileInterval) -> dict[str, object]:
    """A profile interval without its grid."""
    names = ("parameter", "level", "low", "high", "note")
    return {name: getattr(found, name) for name in names}


def _by_curve(fit: Fit, values: Mapping[float, float]) -> list[dict[str, float]]:
    return [{fit.group: group, "value": value} for group, value in values.items()]


def _resample(resample: Resample | None) -> dict[str, object] | None:
    if resample is None:
        return None
    names = ("method", "n", "seed", "failed", "on_bound", "intervals", "note", "flags")
    return {name: getattr(resample, name) for name in names}


def _plain(value: object) -> object:
    """Dataclasses, arrays, enums and mappings by number as what JSON has."""
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
