"""What the worker of the symbolic step runs: math-verify without its timeouts, which need signals.

Importing this module imports SymPy, so that it is there before the first deadline runs. Nothing
else imports it.
"""

from __future__ import annotations

import logging

from math_verify import parse, verify

logging.disable(logging.CRITICAL)  # both functions warn at every call that they have no timeout


def warm() -> None:
    """Have math-verify make what it makes at its first call, before the first deadline runs."""
    verify_pair([r"\sum_{k=1}^{2} k", "3"])


def verify_pair(pair: list[str]) -> bool:
    """Whether math-verify calls a reference and an answer equal; not where it fails."""
    try:
        gold, answer = (parse(f"${text}$", parsing_timeout=None) for text in pair)
        return bool(verify(gold, answer, timeout_seconds=None))
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 - what SymPy raises on what it cannot compare has no end
        return False
