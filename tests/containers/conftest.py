from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.containers.support import ENGINES, Place, require

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A store and each engine that this machine has, one after the other."""
    require(request.param)
    data = tmp_path / "data"
    data.mkdir()
    return Place(request.param, tmp_path, data)
