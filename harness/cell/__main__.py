"""`python -m harness.cell SPEC OUT`: run one cell. Exit status 0 only after result.json."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from harness.cell import contract
from harness.cell.devices import check_gpus
from harness.cell.engines import find_engine
from harness.cell.init import leave_first_process
from harness.cell.lease import hold_lease
from harness.cell.usage import write_usage
from harness.errors import DataError, HarnessError, InfrastructureError


def main(arguments: list[str]) -> int:
    """Run the cell that SPEC describes and leave its files in OUT; returns the exit status."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m harness.cell SPEC OUT\n")
        return contract.USAGE
    spec, out = Path(arguments[0]), Path(arguments[1])
    leave_first_process(out)
    hold_lease()
    try:
        check_gpus()
        checkpoints = os.environ.get(contract.RESUME_VARIABLE)
        run_cell(
            spec,
            out,
            Path(os.environ.get(contract.DATA_VARIABLE, ".")),
            Path(checkpoints) if checkpoints else None,
        )
    except HarnessError as error:
        return report(error, out)
    except Exception as error:  # libraries tell a full disk by types of their own
        failure = contract.host_failure(error)
        if failure is None:
            raise
        traceback.print_exc()
        return report(failure, out)
    return contract.FINISHED


def run_cell(spec: Path, out: Path, data_root: Path, checkpoints: Path | None = None) -> None:
    """Run the engine of one cell and write result.json.

    Raises:
        HarnessError: the cell cannot be run, or its data are not what they should be.
    """
    document = contract.read_spec(spec)
    engine = find_engine(str(document.get("engine")))
    if engine.version != document.get("engine_version"):
        raise DataError(
            f"engine {engine.name!r} has another version than the cell",
            where=str(spec),
            expected=f"version {document.get('engine_version')}",
            found=f"version {engine.version}",
            hint="install the version of the harness that planned this cell, or plan again",
        )
    if any(out.iterdir()):
        raise DataError("the results folder is not empty", where=str(out))
    cell = contract.CellContext(document, out, data_root, checkpoints)
    try:
        result = engine.run(cell)
    finally:
        write_usage(out)
    contract.write_json(
        out / contract.RESULT_FILE, {"schema": contract.CONTRACT_SCHEMA, "status": "ok", **result}
    )


def report(error: HarnessError, out: Path) -> int:
    """Tell a failure in the log and, where the disk allows, in error.json."""
    sys.stderr.write(f"{error}\n")
    try:
        contract.write_json(out / contract.ERROR_FILE, contract.error_report(error))
    except OSError as failure:
        sys.stderr.write(f"error.json could not be written: {failure}\n")
        return contract.HOST_FAILED
    return contract.HOST_FAILED if isinstance(error, InfrastructureError) else contract.FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
