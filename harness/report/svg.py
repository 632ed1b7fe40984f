"""Matplotlib's SVG made fit to stand inside a page: small, without foreign ids, in its colours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAG = re.compile(r"<[^!?/][^>]*>")
_LONG_NUMBER = re.compile(r"(\.\d\d)\d+")
_STYLE = re.compile(r' style="([^"]*)"')
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?:xlink:)?href="#([^"]*)"|url\(#([^)]*)\)')
_COLOR = re.compile(r"#[0-9a-f]{6}\b")
_EMPTY_GROUP = re.compile(r"<g>\s*</g>\s*")


@dataclass(frozen=True, slots=True)
class InlineSvg:
    """An `svg` element, and the rules for its classes."""

    element: str
    css: str


def inline(svg: str, *, prefix: str, alt: str, dark: Mapping[str, str]) -> InlineSvg:
    """Make a figure part of a page.

    Args:
        svg: a document as Matplotlib writes it, text as text.
        prefix: distinguishes this figure's ids and classes from those of the others.
        alt: what a reader who does not see the figure is told.
        dark: colours that become CSS variables, `#1c2128` -> `var(--1c2128)`.
    """
    body = svg[svg.index("</metadata>") + len("</metadata>") : svg.rindex("</svg>")]
    body = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    wanted = {a or b: f"{prefix}-{i}" for i, (a, b) in enumerate(_references(body))}
    classes: dict[str, str] = {}

    def restyle(match: re.Match[str]) -> str:
        rule = _COLOR.sub(lambda m: f"var(--{m[0][1:]})" if m[0] in dark else m[0], match[1])
        name = classes.setdefault(rule, f"{prefix}s{len(classes)}")
        return f' class="{name}"'

    def tidy(match: re.Match[str]) -> str:
        tag = _ID.sub(lambda m: f' id="{wanted[m[1]]}"' if m[1] in wanted else "", match[0])
        tag = _REFERENCE.sub(lambda m: _refer(m, wanted), tag)
        return _STYLE.sub(restyle, _LONG_NUMBER.sub(r"\1", tag))

    body = _TAG.sub(tidy, body)
    body = re.sub(r" ?\n *", " ", body).replace("> <", "><")
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None
    element = f'<svg {view[0]} role="img" aria-label="{_attribute(alt)}">{body}</svg>'
    css = "".join(f".{name}{{{rule}}}" for rule, name in classes.items())
    return InlineSvg(_EMPTY_GROUP.sub("", element), css)


def color_variables(colors: Mapping[str, str], *, dark: bool) -> str:
    """Declarations of the CSS variables that `inline` refers to, for one scheme."""
    return "".join(f"--{light[1:]}:{night if dark else light};" for light, night in colors.items())


def _references(body: str) -> list[tuple[str, str]]:
    return list(dict.fromkeys(_REFERENCE.findall(body)))


def _refer(match: re.Match[str], wanted: Mapping[str, str]) -> str:
    target = wanted[match[1] or match[2]]
    return f"url(#{target})" if match[2] else f'href="#{target}"'


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
