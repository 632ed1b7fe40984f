"""The names that a person may have meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], n: int = 1) -> list[str]:
    """Up to n known names close to one that is not known, whatever their case; nearest first."""
    by_folded: dict[str, list[str]] = {}
    for one in known:
        by_folded.setdefault(one.casefold(), []).append(one)
    # 0.5 rather than difflib's 0.6: with two letters swapped, a name of two is still found.
    close = get_close_matches(name.casefold(), by_folded, n, cutoff=0.5)
    return [one for folded in close for one in by_folded[folded]][:n]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The hint of an error message, if a known name is close."""
    near = nearest(name, known)
    return f"did you mean `{near[0]}`?" if near else None
