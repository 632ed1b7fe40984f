"""The command `harness doctor`, as it is typed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from harness.cli import main
from harness.doctor import Finding, Needs, State, registry
from harness.doctor.table import closing_line, fixes, numbered, table
from harness.run.health import library
from tests.doctor.nvml import Gpu, machine

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
QUICK = ("machine", "namespaces", "gpu", "lock", "suite")  # those that ask no daemon


@dataclass(frozen=True)
class Result:
    """What the command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def row(self, topic: str, what: str) -> dict[str, str]:
        (found,) = [
            one for one in self.json["findings"] if (one["topic"], one["what"]) == (topic, what)
        ]
        return dict(found)


@pytest.fixture
def doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Types `harness doctor`, in a folder with suite star, with the checks that ask no daemon."""
    shutil.copytree(ROOT / "suites/star", tmp_path / "suites/star")
    monkeypatch.chdir(tmp_path)
    real = registry.checks
    monkeypatch.setattr(registry, "checks", lambda: {name: real()[name] for name in QUICK})

    def typed(*words: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["harness", "doctor", *words])
        with pytest.raises(SystemExit) as left:
            main()
        streams = capsys.readouterr()
        return Result(int(left.value.code or 0), streams.out, streams.err)

    return typed


def add_tier(tmp_path: Path, text: str) -> None:
    path = tmp_path / "suites/star/suite.yaml"
    entry = f"\n  mine:\n    extends: published\n    {text}\n"
    path.write_text(path.read_text().replace("\ntiers:\n", f"\ntiers:{entry}", 1))


def test_a_machine_that_has_what_is_needed(doctor: Callable[..., Result]) -> None:
    told = doctor("--suite", "star", "--tier", "published")
    assert told.code == 0
    assert "doctor: all that is needed is here to run star, tier published" in told.out


def test_json(doctor: Callable[..., Result]) -> None:
    told = doctor("--suite", "star", "--json")
    assert told.code == told.json["exit_code"] == 0
    assert told.json["needs"]["tier"] == "published"
    assert told.json["findings"][0].keys() == {
        *("topic", "what", "state", "found", "expected", "fix"),
    }
    assert told.row("lock", "star")["state"] == "ok"


def test_lock_drift_is_4(doctor: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "suites/star/suite.lock"
    path.write_text(path.read_text().replace('"suite_version": 3', '"suite_version": 2'))
    told = doctor("--suite", "star")
    assert told.code == 4
    assert "What is missing, type:\n [1] harness lock star" in told.out
    assert doctor("--json").code == 4, "also where no suite was chosen"


def test_what_is_needed_and_missing_is_5(doctor: Callable[..., Result], tmp_path: Path) -> None:
    add_tier(tmp_path, "resources: {memory_gb: 1000000}")
    told = doctor("--suite", "star", "--tier", "mine", "--json")
    assert told.code == 5, "although its lock drifted as well"
    assert told.row("suite", "memory")["state"] == "miss"


def test_a_tier_that_asks_for_gpus(
    doctor: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    add_tier(tmp_path, "resources: {gpus: 1}")
    words = ("--suite", "star", "--tier", "mine", "--json")
    monkeypatch.setattr(library, "_opened", machine(Gpu()))
    told = doctor(*words)
    assert told.row("gpu", "GPUs")["state"] == "ok"
    assert told.row("gpu", "GPU 0")["state"] == "ok"
    monkeypatch.setattr(library, "_opened", machine(Gpu(uncorrected=1)))
    told = doctor(*words)
    assert (told.code, told.row("gpu", "GPU 0")["state"]) == (5, "miss")
    monkeypatch.setattr(library, "_opened", machine())
    told = doctor(*words)
    assert (told.code, told.row("gpu", "GPUs")["state"]) == (5, "miss")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--suite", "nope"), "no suite `nope`"),
        (("--suite", "star", "--tier", "nope"), "no tier `nope`"),
        (("--tier", "published"), "it goes with --suite"),
        (("--container", "lxc"), "'lxc' is not one of"),
    ],
)
def test_usage_is_2(doctor: Callable[..., Result], words: tuple[str, ...], says: str) -> None:
    told = doctor(*words)
    assert told.code == 2
    assert says in told.err


def test_a_check_that_breaks_does_not_end_it(
    doctor: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_setting: object) -> list[Finding]:
        raise OSError("no such thing")

    monkeypatch.setitem(registry._checks, "machine", broken)
    told = doctor("--json")
    assert told.code == 5
    assert told.row("machine", "the check itself")["state"] == "fail"
    assert told.row("suite", "container")["state"] == "ok"


def test_this_machine_runs_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every check, on whatever machine this is: it may miss engines and GPUs, but not a process."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["harness", "doctor", "--json"])
    with pytest.raises(SystemExit):
        main()
    rows = json.loads(capsys.readouterr().out)["findings"]
    assert {one["topic"] for one in rows} == set(registry.checks())
    assert not [one for one in rows if one["state"] == "fail"]
    assert [one["state"] for one in rows if one["what"] == "process"] == ["ok"]


# -- The table -------------------------------------------------------------------------------------

LONG = "a rather long sentence that tells what was found on this machine and goes on and on"
ROWS = [
    Finding("machine", "cores", State.OK, "2 cores", "never shown"),
    Finding("engines", "docker: room for images", State.MISS, LONG, "25 GB", "docker system prune"),
    Finding("engines", "podman", State.NOTE, LONG, "", "sudo apt-get install podman   # " + LONG),
    Finding("gpu", "GPU 0", State.MISS, LONG, "healthy", "docker system prune"),
    Finding("gpu", "driver", State.NOTE, "none"),
    Finding("suite", "data of a long name and then some", State.OK, "in the suite"),
]


def lines(width: int) -> list[str]:
    screen = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    screen.print(table(ROWS))
    return screen.export_text().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits(width: int) -> None:
    told = lines(width)
    assert max(map(len, told)) <= width
    text = " ".join(" ".join(told).split())
    assert "docker: room for images" in text, "names are not folded"
    assert "miss [1]" in text
    assert "expected: 25 GB" in text
    assert "never shown" not in text
    assert "some" in text, "long names are folded, not cut"


def test_lines_to_type_are_numbered_once_and_needed_ones_first() -> None:
    assert list(numbered(ROWS)) == ["docker system prune", ROWS[2].fix]
    told = [line.plain for line in fixes(ROWS)]
    assert told[0] == "What is missing, type:"
    assert told[1] == " [1] docker system prune"
    assert told[3] == f" [2] {ROWS[2].fix}", "in one piece, to be copied"


def test_the_closing_line_counts() -> None:
    told = closing_line(Needs(), ROWS).plain
    assert re.search(r"something that is needed is missing .* \(2 ok, 2 note, 2 miss\)", told)
