"""Which scorer answers for which data source: a registry by prefix, the longest prefix first.

Data sets and papers spell one source in several ways (`stem_web` and `stem__web`,
`simulation__arcagi1` and `logic__arcagi`): every spelling has a route. The names are those of the
Guru data (arXiv 2506.14965), of verl and of the evaluation sets that they use.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Final

from reward_scorers.errors import UnknownSourceError, UnsupportedSourceError
from reward_scorers.text import shown

# Another package adds routes by an entry point of this group: its object is called with no
# argument and calls `add_route`.
ENTRY_POINTS: Final = "reward_scorers.routes"

# Under which rules answers are scored: by ours, or as the implementation scored them with which
# the Guru figures were made (github.com/LLM360/Reasoning360).
STRICT: Final = "strict"
REASONING360: Final = "reasoning360"
POLICIES: Final = (STRICT, REASONING360)


@dataclass(frozen=True, slots=True)
class Route:
    """Where answers to the questions of a data source go.

    Args:
        prefix: what the data source's name begins with; the whole name if `exact`.
        scorer: the scorer under policy `strict`.
        reasoning360: the scorer under policy `reasoning360`; None if it is the same one.
        unsupported: why the source cannot be scored; "" if it can.
    """

    prefix: str
    scorer: str = ""
    reasoning360: str | None = None
    unsupported: str = ""
    exact: bool = False

    def scorer_under(self, policy: str) -> str:
        """The name of the scorer under a policy."""
        return self.reasoning360 or self.scorer if policy == REASONING360 else self.scorer


_ROUTES: dict[str, Route] = {}
_plugins_read = False
_reading = threading.RLock()


def add_route(route: Route) -> None:
    """Enter a route.

    Raises:
        ValueError: its prefix has a route, or it leads nowhere.
    """
    if route.prefix in _ROUTES:
        raise ValueError(f"data sources {route.prefix!r} have a route already")
    if bool(route.scorer) == bool(route.unsupported):
        raise ValueError(f"route {route.prefix!r}: give a scorer, or say why it is unsupported")
    _ROUTES[route.prefix] = route


def routes() -> list[Route]:
    """All routes, the longest prefix first, equally long ones by name."""
    _read_plugins()
    return sorted(_ROUTES.values(), key=lambda route: (-len(route.prefix), route.prefix))


def find_route(data_source: str) -> Route:
    """The route of a data source.

    Raises:
        UnknownSourceError: there is none; the nearest prefixes are told.
        UnsupportedSourceError: it is known and cannot be scored; the reason is told.
    """
    _read_plugins()
    if not isinstance(data_source, str):
        raise UnknownSourceError(f"a data source is a name, found {shown(data_source)}")
    name = data_source.strip()
    for length in range(len(name), 0, -1):
        route = _ROUTES.get(name[:length])
        if route is not None and (length == len(name) or not route.exact):
            if route.unsupported:
                raise UnsupportedSourceError(f"data source {data_source!r}: {route.unsupported}")
            return route
    near = get_close_matches(name, _ROUTES, n=3, cutoff=0.4)
    known = f"the nearest known: {', '.join(near)}" if near else "no known one is like it"
    raise UnknownSourceError(
        f"no scorer for data source {data_source!r}; {known}. "
        "All are listed by reward_scorers.routes(); add one by reward_scorers.add_route(...)"
    )


def _read_plugins() -> None:
    global _plugins_read  # entry points are read once per process, and other threads wait for it
    if _plugins_read:
        return
    with _reading:
        if not _plugins_read:
            for point in entry_points(group=ENTRY_POINTS):
                point.load()()
            _plugins_read = True


for _prefixes, _scorer, _reference in (
    (("math__",), "math", "reasoning360/math"),
    (("math_dapo", "aime"), "math", "reasoning360/math_dapo"),
    (("openai/gsm8k", "gsm8k"), "math", "reasoning360/gsm8k"),
    (("lighteval/MATH", "DigitalLearningGmbH/MATH-lighteval", "amc"), "math", None),
    (("logic__zebra_puzzle",), "zebra", "reasoning360/zebra"),
    (("logic__ordering_puzzle",), "ordering", "reasoning360/ordering"),
    (("logic__graph",), "graph", "reasoning360/graph"),
    (("simulation__arcagi", "simulation__barc"), "arc", "reasoning360/arc"),
    (("logic__arcagi", "logic__barc"), "arc", "reasoning360/arc"),
    (("simulation__codeio",), "codeio", "reasoning360/codeio"),
    (("simulation__cruxeval-o",), "cruxeval_output", None),
    (("simulation__cruxeval-i",), "cruxeval_input", None),
    (("codegen__", "openai_humaneval", "humaneval", "evalplus/"), "code", None),
    (("mbpp", "google-research-datasets/mbpp", "livecodebench"), "code", None),
    (("codecontests", "apps", "codeforces", "taco"), "code", None),
    (("table__",), "table", "reasoning360/table"),
    (("stem_web", "stem__web"), "stem", None),
    (("stem__gpqa", "stem__supergpqa"), "multiple_choice", "reasoning360/multiple_choice"),
    (("gpqa", "Idavidrein/gpqa", "supergpqa", "m-a-p/SuperGPQA"), "multiple_choice", None),
    (("mmlu", "MMLU", "cais/mmlu", "TIGER-Lab/MMLU-Pro"), "multiple_choice", None),
    # MMLU in other languages, translated by people or machines.
    (("mmmlu", "MMMLU", "openai/MMMLU", "multilingual_mmlu"), "multiple_choice", None),
    (("m_mmlu", "alexandrainst/m_mmlu", "jon-tow/okapi_mmlu"), "multiple_choice", None),
    (("global_mmlu", "CohereForAI/Global-MMLU", "CohereLabs/Global-MMLU"), "multiple_choice", None),
    (("afrimmlu", "masakhane/afrimmlu"), "multiple_choice", None),
):
    for _prefix in _prefixes:
        add_route(Route(_prefix, _scorer, _reference))

add_route(
    Route("ood__ifeval", unsupported="instruction checks of IFEval are not part of this package")
)
