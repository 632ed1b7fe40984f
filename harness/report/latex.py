"""LaTeX source from plain cells: booktabs rules and nothing else to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "_": r"\_",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "±": r"$\pm$",
        "²": r"\textsuperscript{2}",
    }
)
_SYMBOLS = {
    "K_max": r"K_{\mathrm{max}}",
    "N0": "N_0",
    "E0": "E_0",
    "E0_max": r"E_{0,\mathrm{max}}",
    "N1": "N_1",
    "C0": "C_0",
    "B0": "B_0",
    "R0": "R_0",
    "B_max": r"B_{\mathrm{max}}",
    "C_max": r"C_{\mathrm{max}}",
    "C_mid": r"C_{\mathrm{mid}}",
    "N": "N",
    "tau": r"\tau",
    "alpha": r"\alpha",
    "beta": r"\beta",
    "A": "A",
    "B": "B",
    "E": "E",
    "S": "S",
    "k": "k",
    "b": "b",
    "r": "r",
}


def escape(text: str) -> str:
    """Plain text as LaTeX source."""
    return text.translate(_ESCAPES)


def fixed(value: float | None, decimals: int) -> str:
    """A number in math mode, so that its minus is one; a dash for none."""
    return "--" if value is None else f"${value:.{decimals}f}$"


def parameter_head(parameter: str, exponent: int) -> str:
    """Head of a column: the parameter's symbol and the power of ten that its cells leave out."""
    symbol = _SYMBOLS.get(parameter)
    head = f"${symbol}$" if symbol else escape(parameter)
    return f"{head} ($10^{{{exponent}}}$)" if exponent else head


def tabular(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A tabular with booktabs rules; cells are LaTeX source already."""
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def floating(blocks: Sequence[str], notes: Sequence[str], *, caption: str, label: str) -> str:
    """A table environment around one or more tabulars under each other, with notes below them."""
    body = "\n\n\\medskip\n".join(blocks)
    if notes:
        body += "\n\n\\smallskip\n{\\footnotesize " + "\\par\n".join(notes) + "\\par}"
    return (
        "% \\usepackage{booktabs}\n"
        "\\begin{table}\n\\centering\\small\n"
        f"{body}\n"
        f"\\caption{{{caption}}}\n\\label{{tab:{label}}}\n\\end{{table}}\n"
    )
