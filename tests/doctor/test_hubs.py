"""Caches, mirrors and the variables that say where they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.doctor import Setting, State
from harness.doctor.checks import hubs

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("environment", "models", "sets"),
    [
        ({"HOME": "/h"}, "/h/.cache/huggingface/hub", "/h/.cache/huggingface/datasets"),
        ({"HF_HOME": "/f"}, "/f/hub", "/f/datasets"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub", "/x/huggingface/datasets"),
        ({"HF_HOME": "/f", "HF_HUB_CACHE": "/m"}, "/m", "/f/datasets"),
        ({"HF_HOME": "/f", "HF_DATASETS_CACHE": "/d"}, "/f/hub", "/d"),
    ],
)
def test_where_the_caches_are(environment: dict[str, str], models: str, sets: str) -> None:
    assert hubs.hub_cache(environment) == Path(models)
    assert hubs.datasets_cache(environment) == Path(sets)


def test_what_a_cache_holds(tmp_path: Path) -> None:
    for name in ("models--a--b", "models--c--d"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_bytes(bytes(1_500_000))
    (tmp_path / "version.txt").write_text("1")
    row = hubs.cache("hub cache", tmp_path, "models--*")
    assert row.found == f"2 entries, 3 MB ({tmp_path})"


def test_a_cache_too_large_to_count(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "one").write_bytes(bytes(5000))
    (tmp_path / "a" / "two").write_bytes(bytes(5000))
    assert hubs.size(tmp_path, limit_s=-1.0) == "at least 5 kB"
    assert hubs.size(tmp_path) == "10 kB"


def test_no_cache_yet(tmp_path: Path) -> None:
    assert hubs.cache("hub cache", tmp_path / "absent", "*").state is State.OK


def test_mirrors(tmp_path: Path) -> None:
    (unset,) = hubs.mirrors("")
    assert unset.state is State.OK
    there, absent = hubs.mirrors(f"{tmp_path}:{tmp_path}/absent")
    assert (there.state, absent.state) == (State.OK, State.NOTE)
    assert absent.fix == f"ls -ld {tmp_path}/absent"


def test_a_download_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hubs.downloads(tmp_path / "not" / "yet").state is State.OK
    monkeypatch.setattr("os.access", lambda *_: False)
    row = hubs.downloads(tmp_path)
    assert (row.state, row.fix.startswith("export XDG_CACHE_HOME=")) == (State.NOTE, True)


def test_offline_variables() -> None:
    row = hubs.offline({"HF_HUB_OFFLINE": "1", "HARNESS_OFFLINE": "0"})
    assert row.found == "HARNESS_OFFLINE=0, HF_HUB_OFFLINE=1"
    assert hubs.offline({}).found == "none is set"


def test_all_rows(setting: Callable[..., Setting], tmp_path: Path) -> None:
    found = [one.what for one in hubs.hubs(setting(environment={"HOME": str(tmp_path)}))]
    assert found == [
        *("hub cache", "datasets cache", "download cache", "mirrors", "offline variables")
    ]
