"""A lock pins scorers by what their registry says."""

from __future__ import annotations

import pytest

from harness.spec.grid import expand
from harness.spec.load import load_suite
from harness.spec.lock import build_lock
from reward_scorers import Outcome, register, registry, scorer, versions
from tests.spec.support import ENGINES, LAWS, write_suite


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_SCORERS", {})
    monkeypatch.setattr(registry, "_BUILT_IN", {})


def exact(text: str, gold: str) -> Outcome:
    right = text == gold
    return Outcome(score=float(right), acc=right, pred=text, reason="the whole text")


def test_a_registered_scorer_is_found_by_its_name():
    register("exact", version=3)(exact)

    assert versions() == {"exact": 3}
    assert scorer("exact").score("4", "4")["score"] == 1.0
    assert scorer("exact").score("4", "5")["score"] == 0.0


def test_a_name_is_taken_once_and_versions_count_from_one():
    register("exact", version=1)(exact)
    with pytest.raises(ValueError, match="registered already"):
        register("exact", version=2)
    with pytest.raises(ValueError, match="version must be 1 or more"):
        register("other", version=0)
    with pytest.raises(KeyError, match="exact"):
        scorer("exakt")


def test_a_scorer_of_another_version_makes_other_cells(tmp_path):
    path = write_suite(tmp_path, ("    level: R0", "    level: R0\n    scorers: [exact]"))
    ids = []
    for version in (1, 2):
        suite = load_suite(path, laws=LAWS, engines=ENGINES, scorers=["exact"])
        lock = build_lock(suite, LAWS, ENGINES, {"exact": version, "unused": 1})
        assert lock.scorers == {"exact": version}
        cell = next(expand(suite, "first", lock))
        assert cell.document["pins"]["scorers"] == {"exact": version}
        ids.append(cell.id)
    assert ids[0] != ids[1]
