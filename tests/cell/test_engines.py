from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.cell import engines
from harness.cell.train import engine, engine_names, engine_version, find_engine
from harness.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEAVY = ("numpy", "pydantic", "scipy", "torch", "typer", "matplotlib", "ruamel")


def test_versions_are_read_without_heavy_packages() -> None:
    script = (
        "import sys; from harness.cell.train import engine_names, engine_version;"
        "import harness.cell.__main__;"
        "[engine_version(name) for name in ('replay',)];"
        f"sys.exit(', '.join(set({HEAVY!r}) & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"imported: {done.stderr}"


def test_replay_is_built_in() -> None:
    assert "replay" in engine_names()
    assert engine_version("replay") == 1
    assert find_engine("replay").name == "replay"


def test_misspelt_engine_names_the_nearest() -> None:
    with pytest.raises(SuiteError, match="'reply'") as caught:
        engine_version("reply")
    assert caught.value.hint == "write `engine: replay`"


def test_name_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_registered", {})

    def one(cell: object) -> Mapping[str, object]:
        return {}

    def other(cell: object) -> Mapping[str, object]:
        return {}

    engine("toy", version=1)(one)
    engine("toy", version=1)(one)
    with pytest.raises(ValueError, match="registered twice"):
        engine("toy", version=2)(other)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("", "the entry point of engine 'hollow' does not register it"),
        ("import nothing_of_this_name\n", "`pip uninstall empty`"),
    ],
)
def test_a_broken_plugin_is_named(tmp_path: Path, module: str, told: str) -> None:
    info = tmp_path / "empty-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: empty\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness.engines]\nhollow = hollow_engine\n")
    (tmp_path / "hollow_engine.py").write_text(module)
    script = "from harness.cell.train import engine_version; engine_version('hollow')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "harness.errors.SuiteError" in done.stderr
    assert told in done.stderr
