"""What a kind of figure is, and the registry of kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.figure import Figure

    from harness.report.model import FigureDeclaration, ReportInput

    Draw = Callable[[FigureDeclaration, ReportInput], "Drawing"]

_KINDS: dict[str, Draw] = {}
_KEYS: dict[str, Keys] = {}


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a declaration, beside `name` and `kind`, that a kind of figure knows.

    Without those in `needs` it cannot draw; `takes` may be there. Any other would say nothing.
    """

    needs: tuple[str, ...]
    takes: tuple[str, ...]


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


def figure_kind(
    name: str, *, needs: tuple[str, ...] = (), takes: tuple[str, ...] = ()
) -> Callable[[Draw], Draw]:
    """Register a function that draws one kind of figure, and the keys that it knows."""

    def register(draw: Draw) -> Draw:
        if name in _KINDS:
            msg = f"figure kind {name!r} is registered twice"
            raise ValueError(msg)
        _KINDS[name] = draw
        _KEYS[name] = Keys(needs, takes)
        return draw

    return register


def figure_kinds() -> Mapping[str, Draw]:
    """What draws each kind, by the name that a suite file uses, in the order of the names."""
    return dict(sorted(_KINDS.items()))


def keys_of(kind: str) -> Keys:
    """The keys that a declaration of this kind must and may have."""
    return _KEYS[kind]
