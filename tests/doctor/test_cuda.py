"""Which driver runs what was built for which CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.doctor.cuda import Driver, Runs, needed_driver, of_image, of_number, runs, version

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("driver", "speaks", "image", "does"),
    [
        ("570.86.10", "12.8", "12.8.1", "yes"),
        ("570.86.10", "12.8", "12.4", "yes"),
        ("580.65.06", "13.0", "12.8", "yes"),  # a later major runs what an earlier one built
        ("535.104.05", "12.2", "12.8", "minor"),
        ("525.60.13", "12.0", "12.8", "minor"),
        ("525.60.11", "12.0", "12.8", "no"),  # before the first driver of the table
        ("470.82.01", "11.4", "12.8", "no"),
        ("570.86.10", "12.8", "13.0", "no"),
        ("450.80.02", "11.0", "11.8", "minor"),
        (None, "12.2", "12.8", "minor"),
        (None, None, "12.8", "no"),
        (None, "11.8", "12.8", "no"),
        ("570.86.10", None, "12.8", "minor"),
        ("999.1", "15.0", "15.2", "minor"),  # a major that is not in the table yet
    ],
)
def test_the_rules(driver: str | None, speaks: str | None, image: str, does: str) -> None:
    wanted = version(image)
    assert wanted is not None
    assert runs(Driver(version(driver), version(speaks)), wanted) == does


@given(st.integers(11, 13), st.integers(0, 9), st.integers(11, 13), st.integers(0, 9))
def test_a_driver_that_speaks_more_never_runs_less(a: int, b: int, c: int, d: int) -> None:
    order = [Runs.NO, Runs.MINOR, Runs.YES]
    image = (12, 4)
    less, more = sorted([(a, b), (c, d)])
    assert order.index(runs(Driver((999,), less), image)) <= order.index(
        runs(Driver((999,), more), image)
    )


def test_the_numbers_of_nvml() -> None:
    assert of_number(12080) == (12, 8)
    assert of_number(13000) == (13, 0)
    assert of_number(None) is None


@pytest.mark.parametrize("text", ["", "12.x", None, "v12"])
def test_no_version(text: str | None) -> None:
    assert version(text) is None


def test_what_to_install() -> None:
    assert needed_driver((12, 8)) == "driver 525.60.13 or later"
    assert needed_driver((15, 0)) == "a driver with CUDA 15 or later"


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("docker/images.lock.toml", '[image.cuda]\nbase = "x/cuda:12.8.1-devel@sha256:0"', (12, 8)),
        ("docker/images.lock.toml", '[cuda]\ncuda = "12.4"', (12, 4)),
        ("docker/images.lock.toml", '[image.cpu]\nbase = "x/cuda:12.8.1"', None),
        ("docker/images.lock.toml", "not toml = = =", None),
        ("docker/cuda/Dockerfile", "ARG BASE=nvidia/cuda:13.0.0-devel\nFROM $BASE", (13, 0)),
        ("docker/cuda/Dockerfile", "ENV CUDA_VERSION=12.6.3", (12, 6)),
        ("docker/cuda/Dockerfile", "# needs CUDA 12.8 or newer", (12, 8)),
        ("docker/cuda/Dockerfile", "RUN pip install torch", None),
    ],
)
def test_the_cuda_of_an_image(
    tmp_path: Path, name: str, content: str, found: tuple[int, ...] | None
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    told = of_image("cuda", tmp_path)
    assert (told[:2] if told else None) == found


def test_no_lock_no_cuda(tmp_path: Path) -> None:
    assert of_image("cuda", tmp_path) is None
