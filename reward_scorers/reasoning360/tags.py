"""How the reference implementation finds answers: between <answer> tags, anywhere in the text."""

from __future__ import annotations

from typing import Final

_OPEN: Final = "<answer>"
_CLOSE: Final = "</answer>"


def last_answer(text: str, *, over_lines: bool) -> str | None:
    """What stands in the last <answer>...</answer>, without the spaces around it.

    Tags are in lower case, an open one counts from its first occurrence, and what is reasoning is
    not told from what is answer. Without `over_lines`, both tags must stand on one line.
    """
    lines = [text] if over_lines else reversed(text.split("\n"))
    for line in lines:
        found = None
        start = line.find(_OPEN)
        while start >= 0:
            end = line.find(_CLOSE, start + len(_OPEN))
            if end < 0:
                break
            found = line[start + len(_OPEN) : end]
            start = line.find(_OPEN, end + len(_CLOSE))
        if found is not None:
            return found.strip()
    return None
