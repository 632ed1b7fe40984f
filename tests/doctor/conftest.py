"""Settings that a test describes: a root with files, a made-up NVML, programs that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.doctor import Needs, Setting
from harness.run.health import Nvml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

NO_DRIVER = Nvml(None, "no NVIDIA driver is loaded")


@pytest.fixture
def setting(tmp_path: Path) -> Callable[..., Setting]:
    """Makes a setting with nothing in it but what is given.

    `files` are paths below the root with their text, `answers` what programs print by their first
    two words.
    """

    def make(
        files: dict[str, object] | None = None,
        answers: dict[str, str] | None = None,
        **values: Any,
    ) -> Setting:
        for name, content in (files or {}).items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        told = answers or {}

        def ask(words: Sequence[str]) -> str | None:
            return told.get(" ".join(words[:2]))

        given = {"needs": Needs(), "workspace": tmp_path / "runs", "environment": {}, **values}
        library = given.pop("library", NO_DRIVER)
        return Setting(**given, root=tmp_path / "root", library=library, ask=ask)

    return make
