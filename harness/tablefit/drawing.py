"""The figure of a fitted table: points, law and residuals, as the reports of suites draw them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import InfrastructureError, SuiteError
from harness.report.figures import Rendered, render_figures
from harness.report.model import ReportInput
from harness.verdict.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.analysis import Curves
    from harness.tablefit.fitting import TableFit

FORMATS = (".svg", ".pdf", ".png")
_MOST_CURVES, _MOST_POINTS = 40, 400


@dataclass(frozen=True)
class _Points:
    used: Curves
    held_out: Curves


@dataclass(frozen=True)
class _Declared:
    name: str
    kind: str = "scaling"
    fit: str | None = None
    fits: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    x: str | None = None
    y: str | None = None
    group: str | None = None
    panels: str | None = None
    where: str | None = None
    smooth: str | None = None
    title: str | None = None
    caption: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def check_format(path: Path) -> None:
    """Refuse a file that no figure can be written to, before anything is computed.

    Raises:
        SuiteError: its ending is of no format, or its folder is not there.
    """
    if path.suffix.lower() not in FORMATS:
        raise SuiteError(
            "a figure of an unknown format",
            where=str(path),
            expected="a file that ends in " + ", ".join(FORMATS),
            hint=f"write --figure {path.with_suffix('.svg')}",
        )
    if not path.parent.is_dir():
        raise SuiteError(
            "the folder of the figure is not there",
            where=str(path),
            expected=f"a folder {path.parent}",
            hint=f"make it, or write --figure {path.name}",
        )


def write_figure(found: TableFit, name: str, path: Path) -> str:
    """Write the figure; returns a sentence on what it leaves out, or an empty one.

    Raises:
        InfrastructureError: the file cannot be written.
    """
    fit = found.fit
    used, thinned = _thin(found.used, fit.group)
    shown, _ = _thin(found.clipped, fit.group)
    report = ReportInput(
        suite="",
        version=1,
        title="",
        tier="",
        level="",
        run_id="",
        verdict=Verdict.INCONCLUSIVE,
        comparisons=[],
        fits={name: fit},
        resamples={name: found.resample} if found.resample is not None else {},
        points={name: _Points(used, shown)},
        extrapolations={},
        figures=[_Declared(name, fit=name)],
        tables=[],
    )
    (drawn,) = render_figures(report)
    assert isinstance(drawn, Rendered)  # the fit that it shows is there
    formats = {".svg": drawn.svg.encode(), ".pdf": drawn.pdf, ".png": drawn.png}
    try:
        path.write_bytes(formats[path.suffix.lower()])
    except OSError as error:
        raise InfrastructureError(
            f"cannot write the figure: {error.strerror}",
            where=str(path),
            hint="choose another file with --figure, or none with --no-figure",
        ) from error
    return thinned


def _thin(curves: Curves, group: str) -> tuple[Curves, str]:
    """At most so many curves and points, evenly chosen: a figure shows no more."""
    if not len(curves):
        return curves, ""
    values, code = np.unique(curves[group], return_inverse=True)
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_CURVES)).round())
    keep = np.zeros(len(curves), dtype=bool)
    for one in chosen.astype(int):
        rows = np.flatnonzero(code == one)
        some = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_POINTS)).round().astype(int)
        keep[rows[np.unique(some)]] = True
    if keep.all():
        return curves, ""
    told = f"the figure shows {int(keep.sum()):,} of {len(curves):,} points"
    if len(chosen) < len(values):
        told += f" and {len(chosen)} of {len(values)} curves"
    return curves.where(keep), told
