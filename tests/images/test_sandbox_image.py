"""The image `sandbox`, where it was built: the code scorer runs programs in it."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.images import resolve
from harness.images.transport import has
from reward_scorers.sandbox import Sandbox, Tests
from tests.containers.support import ENGINES, missing

PROGRAM = """
import numpy
from sortedcontainers import SortedList

def smallest_square(numbers):
    return int(numpy.square(SortedList(numbers)[0]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_programs_find_the_packages_that_are_locked(engine: str) -> None:
    if reason := missing(engine):
        pytest.skip(reason)
    try:
        image = resolve("sandbox").id
    except HarnessError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    if not has(engine, image):
        pytest.skip(f"{engine} does not have the image sandbox: harness images load sandbox")
    with Sandbox(1, backend=engine, image=image) as sandbox:
        right = sandbox.run(PROGRAM, Tests("assert smallest_square([5, 3, 4]) == 9"))
        wrong = sandbox.run(PROGRAM, Tests("assert smallest_square([5, 3, 4]) == 16"))
    assert (right.passed, right.total) == (1, 1), right.detail
    assert wrong.passed == 0
