"""Scorers and routes for tests, as another package would have them."""

from __future__ import annotations

import os
import time
from typing import Any

from reward_scorers import Context, GroundTruthError, Outcome, Route, add_route, register
from reward_scorers.registry import verdict


@register("tests/behave", version=3)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Right if the text is the truth; some texts do what they say."""
    if truth is None:
        raise GroundTruthError("expected something, found nothing")
    if text.startswith("sleep"):
        time.sleep(60)
    if text == "abort":
        os.abort()
    if text == "where":
        return verdict(acc=True, pred=str(os.getpid()), reason="a process")
    if text == "what":
        return verdict(acc=True, pred=repr((truth, dict(context.extra))), reason="as received")
    return verdict(acc=text == truth, pred=text[:200] or None, reason="compared")


add_route(Route("tests__behave", "tests/behave"))
