"""The cases of all scorers. They are data: `X.cases.json` beside `X.py`, a list of

name        what the case shows
text        what the model wrote
truth       the reference answer
extra       the row's extra_info (left out: empty)
partial     whether the share of right parts is the score (left out: false)
score, acc, pred, fraction
            what comes out; what is left out is not looked at
reason      a part of the reason; of the error's message, where there is an error
error       true: the reference answer is broken
reasoning360
            the score under that policy, as the reference implementation gave it
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from reward_scorers import Context, GroundTruthError, scorer
from reward_scorers.registry import _BUILT_IN

PACKAGE = Path(__file__).parents[2] / "reward_scorers"
FILES = sorted(PACKAGE.rglob("*.cases.json"))
GIVEN = {"name", "text", "truth", "extra", "partial"}
FOUND = {"score", "acc", "pred", "fraction", "reason", "error", "reasoning360"}
NAMES = {module: name for name, module in _BUILT_IN.items()}


@dataclass(frozen=True)
class Case:
    scorer: str
    data: dict[str, Any]

    @property
    def context(self) -> Context:
        return Context(extra=self.data.get("extra", {}), partial=self.data.get("partial", False))


def module_of(file: Path) -> str:
    stem = file.relative_to(PACKAGE.parent).as_posix().removesuffix(".cases.json")
    return stem.replace("/", ".")


def load(file: Path) -> list[Case]:
    return [Case(NAMES[module_of(file)], data) for data in json.loads(file.read_text("utf-8"))]


CASES = [
    pytest.param(case, id=f"{case.scorer}: {case.data['name']}")
    for file in FILES
    for case in load(file)
]


@pytest.mark.parametrize("case", CASES)
def test_case(case: Case) -> None:
    data = case.data
    score = scorer(case.scorer).score
    if data.get("error"):
        with pytest.raises(GroundTruthError) as raised:
            score(data["text"], data["truth"], case.context)
        assert data.get("reason", "") in str(raised.value)
        return
    found = score(data["text"], data["truth"], case.context)
    assert found["score"] == pytest.approx(data["score"], abs=1e-9), found
    for key in ("acc", "pred"):
        assert found[key] == data.get(key, found[key]), found
    if "fraction" in data:
        assert found["fraction"] == pytest.approx(data["fraction"], abs=1e-9), found
    assert data.get("reason", "") in found["reason"], found


@pytest.mark.parametrize(
    "case", [param for param in CASES if "reasoning360" in param.values[0].data]
)
def test_case_under_the_policy_of_the_reference(case: Case) -> None:
    found = scorer(f"reasoning360/{case.scorer}").score(
        case.data["text"], case.data["truth"], case.context
    )
    assert found["score"] == pytest.approx(case.data["reasoning360"], abs=1e-9), found


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_cases_are_well_formed(file: Path) -> None:
    cases = json.loads(file.read_text("utf-8"))
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names)
    for case in cases:
        assert case.keys() <= GIVEN | FOUND, case["name"]
        assert case.keys() >= {"text", "truth"}, case["name"]
        assert ("error" in case) is not ("score" in case), case["name"]
    assert {case["score"] for case in cases if "score" in case} >= {0, 1}


@pytest.mark.parametrize("module", sorted(NAMES))
def test_every_scorer_has_cases(module: str) -> None:
    found = find_spec(module)
    assert found is not None, f"{module} is registered in reward_scorers.registry and not there"
    assert found.origin is not None
    assert Path(found.origin).with_suffix(".cases.json").is_file()
