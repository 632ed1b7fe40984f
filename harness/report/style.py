"""One look for every figure: inks, a colour and a marker per size, axis names, text sizes.

Every ink is a hexadecimal colour that occurs nowhere else in a figure, so that the inline SVG of
the page can exchange it for a CSS variable and follow the reader's light or dark scheme.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.laws import get_law
from harness.report.numbers import MINUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis import Fit

INK, MUTED, GRID, SHADE, PAPER = "#1c2128", "#57606b", "#e3e6ea", "#eceff3", "#ffffff"
BLIND, ACCENT = "#b3261e", "#0b57d0"

# Ink on paper -> its counterpart on a dark page.
DARK_INKS = {
    INK: "#e8ebef",
    MUTED: "#a3adb8",
    GRID: "#2f363e",
    SHADE: "#262c34",
    PAPER: "#171b20",
    BLIND: "#ff8a80",
    ACCENT: "#8ab4f8",
}

TEXT, SMALL, TITLE = 9.0, 8.0, 10.5  # points; nothing in a figure is smaller than SMALL
DPI = 150

_MARKERS = "osD^vPX<>pdh*8"

# Samples of matplotlib's plasma map, dark to light; the ends that vanish on a white page (yellow)
# or on a dark one (deep blue) are left out on that page.
_LIGHT, _DARK = (0.0, 0.80), (0.45, 1.0)

_AXES = {
    "C": "Training compute C (FLOPs)",
    "D": "Training data D (samples)",
    "N": "Model size N (parameters)",
    "ErrRate": "Test loss L (error rate)",
    "step": "Training step",
    "tau": "Data reuse τ (passes)",
    "rollout_n": "Group size (rollouts)",
    "tokens": "Training tokens (tokens)",
    "length": "Response length (tokens)",
    "response_length": "Response length (tokens)",
}
# Heads of the key, where a whole axis label would not fit.
_KEYS = {"N": "Model size N", "tau": "Data reuse τ", "rollout_n": "Group size"}
# Plain text, not mathtext: parsing formulas took a third of the time of a whole report, and text
# stays one piece in SVG, to be searched and read aloud. LaTeX tables have symbols of their own.
_SYMBOLS = {
    "K_max": "Kₘₐₓ",
    "N0": "N₀",
    "E0": "E₀",
    "E0_max": "Eₘₐₓ",
    "N1": "N₁",
    "C0": "C₀",
    "B0": "B₀",
    "R0": "R₀",
    "B_max": "Bₘₐₓ",
    "C_max": "Cₘₐₓ",
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "beta": "β",
    "tau": "τ",
    "N_tasks": "Nₜₐₛₖₛ",
    "rollout_n": "nᵣₒₗₗₒᵤₜ",
}
_RAISED = {MINUS: "⁻", _SYMBOLS["alpha"]: "ᵅ", "β": "ᵝ", "b": "ᵇ", "k": "ᵏ", "B": "ᴮ", "ᵢ": "ⁱ"}
_EXPONENT = re.compile(rf"\^({MINUS}?[{_SYMBOLS['alpha']}βbkB]ᵢ?)(?!\w)")
_SLOPE_LAW = f"log₁₀ L = {MINUS}k(N) log₁₀ X + E₀(N),   k(N) = Kₘₐₓ/(1 + N₀/N)"
_FORMULAS = {
    "loglinear": f"log₁₀ L = {MINUS}k(N) log₁₀ X + E₀(N),   k free for each N",
    "loglinear_kn": _SLOPE_LAW,
    "loglinear_kn_e0": f"{_SLOPE_LAW},   E₀(N) = Eₘₐₓ/(1 + N₁/N)",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one curve is told from the others: never by colour alone."""

    color: str
    dark: str  # the color's counterpart on a dark page
    marker: str


# Things without an order, such as base and instruct: colours that colour-blind readers can tell
# apart, each with a counterpart of the same hue on a dark page.
SERIES = (
    Look(ACCENT, DARK_INKS[ACCENT], "o"),
    Look(BLIND, DARK_INKS[BLIND], "D"),
    Look("#00664f", "#5fd3b3", "s"),
    Look("#8a5a00", "#f0b95a", "^"),
    Look("#6b3fa0", "#c9a6f2", "v"),
    Look("#5c6b00", "#c5d45a", "P"),
    Look("#9b2f6d", "#f09ac9", "X"),
    Look("#00637a", "#6cc7de", "<"),
)


def rc_params() -> dict[Any, Any]:
    """Matplotlib settings shared by all figures; the hash salt makes SVG output repeatable."""
    return {
        "font.family": "sans-serif",
        # Matplotlib ships the first; the others have its widths where a browser lacks it.
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Geneva", "sans-serif"],
        "font.size": TEXT,
        "axes.labelsize": TEXT,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.8,
        "axes.facecolor": PAPER,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "figure.facecolor": PAPER,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "legend.fontsize": SMALL,
        "lines.solid_capstyle": "round",
        "path.simplify": True,
        "svg.fonttype": "none",
        "svg.hashsalt": "rl-scaling-harness",
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
    }


def size_looks(sizes: Sequence[float]) -> dict[float, Look]:
    """A colour from an ordered map and a marker for each size, small to large."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    colors = colormaps["plasma"]
    ordered = sorted(set(sizes))
    looks = {}
    for rank, N in enumerate(ordered):
        # Large models are dark on paper; rank, not log N, so that neighbours stay apart.
        place = 1 - rank / max(len(ordered) - 1, 1)
        light, dark = (to_hex(colors(_between(span, place))) for span in (_LIGHT, _DARK))
        looks[N] = Look(light, dark, _MARKERS[rank % len(_MARKERS)])
    return looks


def looks_for(values: Sequence[Any]) -> dict[Any, Look]:
    """A look for each value: ordered colours for numbers, unordered ones for anything else."""
    if all(isinstance(value, int | float) for value in values):
        return dict(size_looks(values))
    return {value: SERIES[rank % len(SERIES)] for rank, value in enumerate(dict.fromkeys(values))}


def key_title(group: str) -> str:
    """Head of a key whose entries are values of this column."""
    return _KEYS.get(group, group)


def axis_label(name: str) -> str:
    """Label with unit for a curve column; an unknown column is named as it is."""
    return _AXES.get(name, name)


def symbol(parameter: str) -> str:
    """A parameter's name as the literature writes it."""
    return _SYMBOLS.get(parameter, parameter)


def unit_of(fit: Fit, parameter: str) -> str:
    """Unit of a shared parameter, as its law gives it; empty for pure numbers."""
    units = {p.name: p.unit for p in get_law(fit.law).shared}
    unit = units.get(parameter, "1")
    return "" if unit == "1" else unit


def formula(fit: Fit) -> str:
    """The law in the fit's own X, or as its author wrote it."""
    text = _FORMULAS.get(fit.law)
    if text is None:
        text = re.sub(r"[A-Za-z]\w*", lambda name: _typeset(name[0]), get_law(fit.law).formula)
        text = text.replace("log10", "log₁₀").replace("-", MINUS).replace(" * ", " ")
    if fit.group != "N":
        group = symbol(fit.group)
        text = text.replace("(N)", f"({group})").replace("each N", f"each {group}")
    # A law's X or x is the fit's own abscissa.
    text = re.sub(r"\b[Xx]\b", symbol(fit.x), text)
    # An exponent of one letter is raised; a longer one has no letters of that kind.
    return _EXPONENT.sub(lambda power: "".join(_RAISED[sign] for sign in power[1]), text)


def _typeset(name: str) -> str:
    """A name in a formula; `A_i` is the A of one curve."""
    own = name.removesuffix("_i")
    return symbol(own) if own == name else f"{symbol(own)}ᵢ"


def _between(span: tuple[float, float], place: float) -> float:
    return span[0] + place * (span[1] - span[0])
