"""Kinds of figure in a registry, and one rendering of each as SVG, PDF and PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import SuiteError
from harness.report.model import MissingFitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from matplotlib.figure import Figure

    from harness.report.model import FigureDeclaration, ReportInput

    Draw = Callable[[FigureDeclaration, ReportInput], "Drawing"]

_KINDS: dict[str, Draw] = {}

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
class Drawing:
    """A drawn figure, what it shows in words, and its colours on a dark page.

    `caption` is shown under the figure; `alt` says in a sentence what one would see in it.
    `dark` maps each colour of the figure that is not in the shared style to its counterpart.
    """

    figure: Figure
    caption: str
    alt: str
    dark: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """One figure in all its formats."""

    name: str
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


def figure_kind(name: str) -> Callable[[Draw], Draw]:
    """Register a function that draws one kind of figure."""

    def register(draw: Draw) -> Draw:
        if name in _KINDS:
            msg = f"figure kind {name!r} is registered twice"
            raise ValueError(msg)
        _KINDS[name] = draw
        return draw

    return register


def figure_kinds() -> tuple[str, ...]:
    """Names that a suite file may use as a figure's kind."""
    import harness.report.kinds  # noqa: F401  (fills the registry)

    return tuple(sorted(_KINDS))


def render_figures(report: ReportInput) -> Iterator[Rendered | Omitted]:
    """Draw and render the figures that the suite declares, in its order.

    A figure of a fit that this run could not make is omitted with the reason.

    Raises:
        SuiteError: a declaration names an unknown kind.
    """
    import matplotlib as mpl

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
                drawing = _KINDS[declaration.kind](declaration, report)
            except MissingFitError as error:
                yield Omitted(declaration.name, error.message)
                continue
            yield render(declaration, drawing)


def render(declaration: FigureDeclaration, drawing: Drawing) -> Rendered:
    """Write one drawing in every format; equal drawings give equal bytes."""
    svg, pdf, png = (_save(drawing.figure, kind) for kind in ("svg", "pdf", "png"))
    return Rendered(
        name=declaration.name,
        kind=declaration.kind,
        caption=drawing.caption,
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
