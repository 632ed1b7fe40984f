"""The image `cpu`, where it was built: it holds what its bill of materials says, and all of it."""

from __future__ import annotations

import json
import subprocess

import pytest

from harness.errors import HarnessError
from harness.images import resolve
from harness.images.transport import has
from tests.containers.support import ENGINES, missing

# Runs in the image. Files that a package brought and that are gone are told but for what the
# Dockerfile removes: tests, headers, static libraries and what pip wrote beside bytecode.
LISTING = """
import json, subprocess
from importlib.metadata import distributions
from pathlib import Path

queried = subprocess.run(
    ["dpkg-query", "-W", "-f", "${Package}@${Version} "], capture_output=True, text=True, check=True
)
found = list(distributions())
gone = [
    str(file)
    for one in found
    if one.name == "lm_eval"
    for file in one.files or []
    if file.suffix != ".pyc" and not Path(str(file.locate())).exists()
]
print(json.dumps({
    "deb": queried.stdout.split(),
    "pypi": [f"{one.name}@{one.version}" for one in found],
    "gone": gone,
    "bill": json.loads(Path("/usr/share/sbom/cpu.cdx.json").read_text()),
    "setuid": [str(p) for p in Path("/usr/bin").iterdir() if p.stat().st_mode & 0o6000],
}))
"""


@pytest.fixture(scope="module")
def listed() -> dict[str, object]:
    try:
        image = resolve("cpu").id
    except HarnessError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    engines = [engine for engine in ENGINES if not missing(engine) and has(engine, image)]
    if not engines:
        pytest.skip("no engine has the image cpu: harness images load cpu")
    command = [engines[0], "run", "--rm", "--interactive", "--network", "none"]
    # Podman's own limits are above what some roots may set.
    command += ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
    done = subprocess.run(
        [*command, "--entrypoint", "python3", image, "-"],
        input=LISTING,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def test_the_bill_of_materials_is_what_the_image_lists(listed) -> None:
    told = {"deb": set(), "pypi": set()}
    for component in listed["bill"]["components"]:
        kind, name = component["purl"].removeprefix("pkg:").split("/")[0], component["name"]
        told[kind].add(f"{normal(name) if kind == 'pypi' else name}@{component['version']}")
    assert told["deb"] == set(listed["deb"])
    found = {f"{normal(one.split('@')[0])}@{one.split('@')[1]}" for one in listed["pypi"]}
    assert found == told["pypi"]


def test_no_benchmark_is_missing(listed) -> None:
    assert listed["gone"] == []


def test_no_program_in_it_makes_its_caller_root(listed) -> None:
    assert listed["setuid"] == []
