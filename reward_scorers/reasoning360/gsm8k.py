"""Scorer `reasoning360/gsm8k`: the number behind the last `####`, compared as a string.

Only the last 300 characters are read. Commas of the number are dropped, nothing else: "18.0" and
"18." are not "18". A text without "#### N" is wrong even if it boxes the right number.

Row: data_source openai/gsm8k, truth "18", text "...\\n#### 18".
Source of the rule: verl/utils/reward_score/gsm8k.py of github.com/LLM360/Reasoning360 at commit
13158341d2a0dfe5f3bb80e7126ff21de0d16676.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Outcome, register, verdict
from reward_scorers.text import shown

if TYPE_CHECKING:
    from reward_scorers.registry import Context

END: Final = 300  # characters
_MARKED = re.compile(r"#### (-?[0-9.,]+)")


@register("reasoning360/gsm8k", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the last `#### N` is the reference, else 0.

    Raises:
        GroundTruthError: the reference is no string (there, it would be equal to nothing) or empty.
    """
    if not isinstance(truth, str) or not truth.strip():
        raise GroundTruthError(f"expected a number as a string, found {shown(truth)!r}")
    found = _MARKED.findall(text[-END:])
    if not found:
        return verdict(acc=False, pred=None, reason="no '#### N' in the last 300 characters")
    pred = found[-1].replace(",", "")
    return verdict(acc=pred == truth, pred=shown(pred), reason="the number behind the last ####")
