"""A verdict held beside the one that the suite foretells."""

from __future__ import annotations

import pytest

from harness.verdict.expectation import Expected, exit_code, is_expected, told
from harness.verdict.model import Verdict

HONEST = Expected(Verdict.NOT_REPRODUCED, "the logs contradict the claim")


@pytest.mark.parametrize(
    ("verdict", "expected", "code"),
    [
        ("reproduced", None, 0),
        ("drifted", None, 0),
        ("inconclusive", None, 3),
        ("not_reproduced", None, 1),
        ("not_reproduced", "not_reproduced", 0),
        ("inconclusive", "not_reproduced", 3),
        ("reproduced", "not_reproduced", 1),
        ("drifted", "drifted", 0),
        ("reproduced", "drifted", 1),
        ("not_reproduced", "drifted", 1),
        ("inconclusive", "inconclusive", 0),
        ("drifted", "inconclusive", 1),
    ],
)
def test_exit_code_of_whether_it_came_out_as_foretold(verdict, expected, code) -> None:
    foretold = Expected(Verdict(expected), "why") if expected else None
    assert int(exit_code(Verdict(verdict), foretold)) == code
    assert is_expected(Verdict(verdict), foretold) == (code == 0)


def test_a_foretold_verdict_is_told_with_its_reason_and_any_other_loudly() -> None:
    assert told(Verdict.NOT_REPRODUCED, HONEST) == (
        "as the suite expects: the logs contradict the claim"
    )
    for other in (Verdict.REPRODUCED, Verdict.DRIFTED, Verdict.INCONCLUSIVE):
        assert told(other, HONEST).startswith("NOT AS EXPECTED: the suite expects not reproduced")
        assert told(other, None) == ""
