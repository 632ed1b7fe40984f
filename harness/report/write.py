"""The report folder: whole or not there at all."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError
from harness.report.document import render_json
from harness.report.figures import Rendered, render_figures
from harness.report.html import render_html
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.report.tables import render_tables

if TYPE_CHECKING:
    from harness.report.model import ReportInput

_ABANDONED_S = 3600.0


def write_report(report: ReportInput, folder: str | Path) -> Path:
    """Write the report folder and return the path of its report.html.

    The folder is written under another name beside its place and renamed; one that stood there
    is replaced.

    Raises:
        SuiteError: the suite declares an unknown kind of figure or table.
        InfrastructureError: the folder cannot be written.
    """
    place = Path(folder).absolute()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place.parent)
        beside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            _fill(report, beside)
            beside.chmod(0o755)
            _put(beside, place)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    except OSError as error:
        raise InfrastructureError(
            f"cannot write the report: {error.strerror or error}",
            where=str(place),
            expected="a folder that can be written, with room for a few megabytes",
            hint="free the disk or choose another workspace, then `harness report`",
        ) from error
    return place / "report.html"


def _sweep(parent: Path) -> None:
    """Remove what killed writers left; a living one is done within seconds."""
    for left in parent.glob(".*.????????"):
        if left.is_dir() and time.time() - left.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)


def _fill(report: ReportInput, folder: Path) -> None:
    figures = list(render_figures(report))
    for name in ("figures", "tables"):
        (folder / name).mkdir()
    for figure in figures:
        if isinstance(figure, Rendered):
            figure.write(folder / "figures")
    for name, text in render_tables(report):
        _write(folder / "tables" / f"{name}.tex", text)
    _write(folder / "report.html", render_html(report, figures))
    _write(folder / "summary.md", render_markdown(report))
    _write(folder / "junit.xml", render_junit(report))
    _write(folder / "report.json", render_json(report, figures))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _put(beside: Path, place: Path) -> None:
    """Rename into place. A folder cannot replace a full one, so an old one is moved away first."""
    if not place.exists():
        beside.replace(place)
        return
    away = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    old = away / place.name
    place.replace(old)
    try:
        beside.replace(place)
    except OSError:
        with suppress(OSError):
            old.replace(place)
        raise
    finally:
        shutil.rmtree(away, ignore_errors=True)
