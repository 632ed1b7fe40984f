"""The figures that a suite declares, each rendered as SVG, PDF and PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import SuiteError
from harness.report.drawing import figure_kinds
from harness.report.model import MissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from matplotlib.figure import Figure

    from harness.report.drawing import Drawing
    from harness.report.model import FigureDeclaration, ReportInput

# A creation date or a version would make the files of two identical runs differ.
_METADATA: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


_OPTIONS: dict[str, dict[str, Any]] = {
    "svg": {},
    "pdf": {},
    "png": {"pil_kwargs": {"compress_level": 4}},
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """One figure in all its formats."""

    name: str
    title: str
    kind: str
    caption: str
    alt: str
    svg: str
    pdf: bytes
    png: bytes
    dark: Mapping[str, str]

    def write(self, folder: Path) -> None:
        """Write NAME.svg, NAME.pdf and NAME.png."""
        (folder / f"{self.name}.svg").write_text(self.svg, encoding="utf-8")
        (folder / f"{self.name}.pdf").write_bytes(self.pdf)
        (folder / f"{self.name}.png").write_bytes(self.png)


@dataclass(frozen=True, slots=True)
class Omitted:
    """A figure that was not drawn, and why."""

    name: str
    reason: str


def render_figures(report: ReportInput) -> Iterator[Rendered | Omitted]:
    """Draw and render the figures that the suite declares, in its order.

    A figure of a fit that this run could not make, or of points that it has not, is omitted with
    the reason.

    Raises:
        SuiteError: a declaration names an unknown kind.
    """
    import matplotlib as mpl

    import harness.report.kinds  # noqa: F401  (fills the registry)
    from harness.report.style import rc_params

    kinds = figure_kinds()
    for declaration in report.figures:
        if declaration.kind not in kinds:
            raise SuiteError(
                f"figure {declaration.name!r} is of an unknown kind",
                expected=f"one of {', '.join(kinds)}",
                found=declaration.kind,
                hint="correct the kind in the suite file's figures",
            )
        with mpl.rc_context(rc_params()):
            try:
                drawing = kinds[declaration.kind](declaration, report)
            except MissingError as error:
                yield Omitted(declaration.name, error.message)
                continue
            yield render(declaration, drawing)


def render(declaration: FigureDeclaration, drawing: Drawing) -> Rendered:
    """Write one drawing in every format; equal drawings give equal bytes."""
    svg, pdf, png = (_save(drawing.figure, kind) for kind in ("svg", "pdf", "png"))
    return Rendered(
        name=declaration.name,
        title=declaration.title or declaration.name,
        kind=declaration.kind,
        caption=" ".join(filter(None, (declaration.caption, drawing.caption))),
        alt=drawing.alt,
        svg=svg.decode("utf-8"),
        pdf=pdf,
        png=png,
        dark=drawing.dark,
    )


def _save(figure: Figure, kind: str) -> bytes:
    from harness.report.style import DPI

    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=_METADATA[kind], **_OPTIONS[kind])
    return buffer.getvalue()
