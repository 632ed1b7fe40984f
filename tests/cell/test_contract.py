"""The cell contract as any image must keep it: files, order, exit statuses, the lease."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.cell import contract
from harness.cell.__main__ import main
from harness.cell.engines import Engine
from harness.errors import DataError
from harness.run import record
from tests.cell.support import CURVE, Suite, write_suite

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return write_suite(tmp_path)


def test_one_command_makes_a_cell(suite: Suite) -> None:
    spec = suite.spec(curve=CURVE)
    command = [sys.executable, "-m", "harness.cell", str(spec), str(suite.out)]
    environment = {**os.environ, "HARNESS_DATA": str(suite.root)}
    done = subprocess.run(command, env=environment, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    names = {path.name for path in suite.out.iterdir()}
    assert names == {"metrics.jsonl", "result.json", "usage.json"}
    assert json.loads((suite.out / "usage.json").read_bytes())["peak_bytes"] > 1 << 20
    assert json.loads((suite.out / "result.json").read_text()) == {
        "schema": 1,
        "status": "ok",
        "steps": 3,
        "evals": {"holdout.ErrRate": 0.7},
    }


def test_failure_leaves_an_error_and_no_result(
    suite: Suite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(suite.root))
    spec = suite.spec(curve={**CURVE, "select": {"source": "nobody"}})
    assert main([str(spec), str(suite.out)]) == contract.FAILED
    assert not (suite.out / "result.json").exists()
    error = json.loads((suite.out / "error.json").read_text())
    assert (error["kind"], error["message"]) == ("DataError", "no row is selected")
    assert error["where"] == "curve.csv"
    assert "curve.csv: no row is selected" in capsys.readouterr().err


def test_full_disk_that_a_library_tells_is_the_hosts_fault(
    suite: Suite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class SafetensorError(Exception):
        """Neither an OSError nor a RuntimeError."""

    def full(_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("harness.cell.__main__.find_engine", lambda _: Engine("replay", 1, full))
    monkeypatch.setenv("HARNESS_DATA", str(suite.root))
    assert main([str(suite.spec(curve=CURVE)), str(suite.out)]) == contract.HOST_FAILED
    error = json.loads((suite.out / "error.json").read_text())
    assert error["kind"] == "InfrastructureError"
    assert error["message"] == "the disk failed inside the cell: No space left on device"
    assert error["resumable"] is True
    assert "SafetensorError" in capsys.readouterr().err


def test_an_engines_own_fault_is_not_hidden(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("harness.cell.__main__.find_engine", lambda _: Engine("replay", 1, broken))
    with pytest.raises(ZeroDivisionError):
        main([str(suite.spec(curve=CURVE)), str(suite.out)])
    assert not (suite.out / "error.json").exists()


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == contract.USAGE
    assert "python -m harness.cell SPEC OUT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "cannot be read"), ("[]", "not a cell's spec"), ('{"schema": 2}', "not a cell's spec")],
)
def test_spec_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(content)
    with pytest.raises(DataError, match=message):
        contract.read_spec(spec)


def test_results_folder_must_be_empty(suite: Suite) -> None:
    (suite.out / "left.txt").write_text("")
    assert main([str(suite.spec(curve=CURVE)), str(suite.out)]) == contract.FAILED


def test_cell_ends_when_its_lease_does(tmp_path: Path) -> None:
    script = (
        "import time; from harness.cell.lease import hold_lease;"
        "hold_lease(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "HARNESS_LEASE": "stdin"},
        start_new_session=True,
    ) as cell:
        assert cell.stdin is not None
        assert cell.stdout is not None
        assert cell.stdout.readline() == b"held\n"
        assert cell.poll() is None
        cell.stdin.close()
        assert cell.wait(timeout=10) != 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_metrics_refuse_what_json_cannot_say(tmp_path: Path, bad: float) -> None:
    with (
        contract.MetricsWriter(tmp_path / "metrics.jsonl") as metrics,
        pytest.raises(DataError, match="step 1 is not finite"),
    ):
        metrics.write(1, evals={"holdout.ErrRate": bad})


def test_metrics_refuse_steps_that_do_not_increase(tmp_path: Path) -> None:
    with contract.MetricsWriter(tmp_path / "metrics.jsonl") as metrics:
        metrics.write(1, evals={})
        with pytest.raises(DataError, match="step 1 follows step 1"):
            metrics.write(1, evals={})


def test_metrics_remember_the_last_value_of_each_eval(tmp_path: Path) -> None:
    with contract.MetricsWriter(tmp_path / "metrics.jsonl") as metrics:
        metrics.write(1, evals={"a.x": 1.0, "b.x": 2.0}, reward=0.5)
        metrics.write(2, evals={"a.x": 3.0})
    assert metrics.evals == {"a.x": 3.0, "b.x": 2.0}
    assert metrics.steps == 2


def test_run_and_cell_agree_on_the_names_of_files() -> None:
    names = ("METRICS_FILE", "RESULT_FILE", "ERROR_FILE")
    assert [getattr(contract, name) for name in names] == [getattr(record, name) for name in names]
