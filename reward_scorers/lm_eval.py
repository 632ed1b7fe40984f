"""A scoring function for tasks of lm-eval (EleutherAI's Language Model Evaluation Harness).

lm-eval looks for `!function utils.process_results` in the file utils.py beside the task's YAML;
there, one line is enough: `from reward_scorers.lm_eval import process_results`. The YAML lists the
metrics `acc` and `score`, both with `aggregation: mean`.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from reward_scorers.scoring import compute_score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def process_results(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, float]:
    """The metrics of one document, whose fields are those of a row of the Guru data.

    `results` holds the model's text, or, where a task keeps its repeats, the list of its texts: the
    metrics are then their means (avg@k).
    """
    truth = (doc if "ground_truth" in doc else doc["reward_model"])["ground_truth"]
    texts = [results[0]] if isinstance(results[0], str) else results[0]
    found = [
        compute_score(doc["data_source"], text, truth, doc.get("extra_info")) for text in texts
    ]
    return {
        "acc": fmean(row["acc"] for row in found),
        "score": fmean(row["score"] for row in found),
    }
