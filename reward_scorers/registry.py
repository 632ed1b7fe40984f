"""The registry of scorers: name -> function and version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

from reward_scorers.deadline import DEFAULT_S, Deadline

if TYPE_CHECKING:
    from reward_scorers.judge import Judge

# Another package offers scorers by an entry point of this group: name -> module that registers.
ENTRY_POINTS: Final = "reward_scorers.scorers"

# The scorers of this package: name -> module, imported when it is asked for.
_BUILT_IN: Final = {
    "arc": "reward_scorers.logic.arc",
    "code": "reward_scorers.code.programs",
    "codeio": "reward_scorers.simulation.codeio",
    "cruxeval_input": "reward_scorers.simulation.cruxeval_input",
    "cruxeval_output": "reward_scorers.simulation.cruxeval",
    "graph": "reward_scorers.logic.graph",
    "math": "reward_scorers.math.answer",
    "multiple_choice": "reward_scorers.stem.multiple_choice",
    "ordering": "reward_scorers.logic.ordering",
    "reasoning360/arc": "reward_scorers.reasoning360.arc",
    "reasoning360/codeio": "reward_scorers.reasoning360.codeio",
    "reasoning360/graph": "reward_scorers.reasoning360.graph",
    "reasoning360/gsm8k": "reward_scorers.reasoning360.gsm8k",
    "reasoning360/math": "reward_scorers.reasoning360.math",
    "reasoning360/math_dapo": "reward_scorers.reasoning360.math_dapo",
    "reasoning360/multiple_choice": "reward_scorers.reasoning360.multiple_choice",
    "reasoning360/ordering": "reward_scorers.reasoning360.ordering",
    "reasoning360/table": "reward_scorers.reasoning360.table",
    "reasoning360/zebra": "reward_scorers.reasoning360.zebra",
    "stem": "reward_scorers.stem.open_answer",
    "table": "reward_scorers.table.cells",
    "zebra": "reward_scorers.logic.zebra",
}


class Outcome(TypedDict):
    """What a scorer says of one answer.

    `score` is in [0, 1] and `acc` says whether the answer is right; `pred` is the answer that was
    read out of the text, None where there is none, and `reason` says how it was read, or why not.
    `fraction` is the share of the answer's parts (cells, tests) that are right, for scorers that
    know parts.
    """

    score: float
    acc: bool
    pred: str | None
    reason: str
    fraction: NotRequired[float]


def verdict(*, acc: bool, pred: str | None, reason: str) -> Outcome:
    """The outcome of an answer that is right or wrong as a whole."""
    return Outcome(score=float(acc), acc=acc, pred=pred, reason=reason)


@dataclass(frozen=True, slots=True)
class Context:
    """What a scorer may know besides the text and the reference answer.

    Args:
        extra: the row's `extra_info`, for example the options of a question.
        data_source: the row's data source.
        partial: whether the score is the share of right parts, for scorers that know parts; `acc`
            stays whether all are right.
        deadline: until when a step in a worker process may go on.
        judge: asked about answers that the rules call wrong; None asks nobody.
    """

    extra: Mapping[str, Any] = field(default_factory=dict)
    data_source: str = ""
    partial: bool = False
    deadline: Deadline = field(default_factory=lambda: Deadline.after(DEFAULT_S))
    judge: Judge | None = None


# score(text, truth, context=None); `truth` is what the data set holds, whatever its type.
Score = Callable[..., Outcome]


@dataclass(frozen=True)
class Scorer:
    """A function `score(text, truth, context)` of a model's text and the reference answer.

    It raises `GroundTruthError` where the reference is broken and nothing on account of the text.
    `version` is raised when, and only when, the outcome for some text changes. `timeout_s` is how
    long an answer may take where the caller does not say. `sandboxed` says that what an answer may
    do is done elsewhere: that a worker of `score_batch` is lost then says nothing of the answer.
    """

    name: str
    version: int
    score: Score
    timeout_s: float = DEFAULT_S
    sandboxed: bool = False


_SCORERS: dict[str, Scorer] = {}


def register(
    name: str, *, version: int, timeout_s: float = DEFAULT_S, sandboxed: bool = False
) -> Callable[[Score], Score]:
    """Decorator that makes a function known as a scorer.

    Raises:
        ValueError: the name is taken, or the version is not positive.
    """
    if name in _SCORERS:
        raise ValueError(f"a scorer named {name!r} is registered already")
    if version < 1:
        raise ValueError(f"scorer {name!r}: version must be 1 or more, found {version}")

    def enter(score: Score) -> Score:
        _SCORERS[name] = Scorer(name, version, score, timeout_s, sandboxed)
        return score

    return enter


def scorer(name: str) -> Scorer:
    """The scorer of a name.

    Raises:
        KeyError: there is none; the known names are told.
    """
    if name not in _SCORERS:
        if name in _BUILT_IN:
            import_module(_BUILT_IN[name])
        for point in entry_points(group=ENTRY_POINTS, name=name):
            point.load()
    try:
        return _SCORERS[name]
    except KeyError:
        raise KeyError(f"no scorer {name!r}; known: {scorer_names()}") from None


def scorer_names() -> list[str]:
    """The names of all scorers, also of other packages, sorted."""
    offered = {point.name for point in entry_points(group=ENTRY_POINTS)}
    return sorted(_SCORERS.keys() | _BUILT_IN.keys() | offered)


def versions() -> dict[str, int]:
    """Name -> version of every scorer, also of other packages, sorted by name."""
    return {name: scorer(name).version for name in scorer_names()}
