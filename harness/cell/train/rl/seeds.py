"""Random numbers by purpose: every draw of a run follows from its seed, a purpose and a step.

No generator is carried from step to step, so that a resumed run draws what it would have drawn, and
an evaluation more or less moves no other draw.
"""

from __future__ import annotations

import hashlib


def derived_seed(seed: int, purpose: str, step: int = 0) -> int:
    """A seed of 63 bits: the head of SHA-256 of all three."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
