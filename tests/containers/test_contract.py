"""One contract for all engines: what a cell gets, what it is kept from, which limits bind."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import InfrastructureError, SuiteError
from harness.run.containers import Limits, open_backend, probe
from harness.run.containers.container import USER_OF_ROOT
from harness.run.disk import remove_tree
from tests.containers.support import Place, image_for, probing_cell, record_of

if TYPE_CHECKING:
    from harness.run.outcome import RunOutcome

MIB = 1 << 20
IO_URING_SETUP, KEYCTL, BPF = 425, 250, 321  # numbers of x86-64


def test_says_what_it_can_do(place: Place) -> None:
    found = probe(place.engine)
    assert found.works
    assert found.cgroup in ("1", "2")
    assert found.limits == {"memory": True, "pids": True, "cpus": True, "disk": True}


def test_a_cell_has_its_results_its_checkpoints_and_its_record(place: Place) -> None:
    cell = probing_cell(("look",), checkpoint=True)
    outcome = place.run(cell)
    assert (outcome.computed, outcome.failures) == (1, ())
    record = record_of(place, cell)
    container = record.provenance["container"]
    assert isinstance(container, dict)
    assert container["backend"] == place.engine
    assert container["digest"] == image_for(place.engine)
    assert container["engine"] == probe(place.engine).version
    assert record.timing.cpu_s is not None
    assert 0 < record.timing.cpu_s < 60
    assert isinstance(record.provenance["peak_bytes"], int)
    assert place.containers() == []


def test_the_environment_is_an_allow_list(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "http_proxy", "HTTPS_PROXY", "PYTHONPATH"):
        monkeypatch.setenv(name, "secret")
    (found,) = place.found(("look",))
    environment = found["environment"]
    assert "secret" not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"
    assert environment["HF_DATASETS_OFFLINE"] == environment["OMP_NUM_THREADS"] == "1"
    assert environment["HOME"] == environment["TMPDIR"] == "/tmp"
    of_engines = {"PATH", "HOSTNAME", "container", "TERM"}
    ours = {name for name in environment if not name.startswith(("HARNESS_", "HF_"))} - of_engines
    assert ours <= {
        *("LANG", "HOME", "TMPDIR", "PYTHONUNBUFFERED", "PYTHONHASHSEED", "TRANSFORMERS_OFFLINE"),
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        *("VECLIB_MAXIMUM_THREADS", "NVIDIA_VISIBLE_DEVICES"),
    }


def test_a_cell_is_nobody_and_has_no_rights(place: Place) -> None:
    found, root = place.found(("look",), ("become", 0))
    assert found["uid"] == (USER_OF_ROOT if os.geteuid() == 0 else os.geteuid())
    assert root == "PermissionError"
    status = dict(line.split(":\t") for line in found["status"].splitlines() if ":\t" in line)
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_a_cell_is_not_the_first_process(place: Place) -> None:
    (found,) = place.found(("look",))
    assert found["pid"] > 1
    assert found["ppid"] == 1


def test_what_attacks_on_kernels_need_is_refused(place: Place) -> None:
    answers = place.found(
        *(("raw_call", number, 0, 0, 0) for number in (IO_URING_SETUP, KEYCTL, BPF))
    )
    assert [answer for answer, _ in answers] == [-1, -1, -1]
    assert {error for _, error in answers} <= {1, 38}  # EPERM, ENOSYS


def test_no_network(place: Place) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        address = socket.gethostbyname(socket.gethostname())
        answers = place.found(
            ("interfaces",), ("connect", "127.0.0.1", port), ("connect", address, port)
        )
    assert answers[0] == ["lo"]
    assert all(isinstance(answer, str) and answer.endswith("Error") for answer in answers[1:])


def test_root_is_read_only(place: Place) -> None:
    paths = ("/file", "/usr/file", "/cell/file", "/cell/spec.json", "/etc/hosts")
    answers = place.found(*(("write", path) for path in paths), ("write", "/tmp/file"))
    assert set(answers[:-1]) <= {"OSError", "PermissionError"}
    assert answers[-1] is True
    (found,) = place.found(("look",))
    assert "ro" in found["options"]["/"]
    assert "ro" in found["options"]["/cell/spec.json"]
    assert {"rw", "nosuid", "nodev"} <= set(found["options"]["/tmp"])


def test_mounts_are_the_spec_the_data_and_what_is_written(place: Place) -> None:
    (place.data / "deep").mkdir()
    (place.data / "deep" / "a.csv").write_text("a\n1\n")
    elsewhere = place.root / "elsewhere.csv"
    elsewhere.write_text("b\n2\n")
    (place.data / "b.csv").symlink_to(elsewhere)
    (place.data / "secret.csv").write_text("not for this cell")
    (place.data / "c.csv.absent").write_text("it cannot be had")
    pins = {
        name: {"path": path, "sha256": hashlib.sha256(b"").hexdigest()}
        for name, path in (("a", "deep/a.csv"), ("b", "b.csv"), ("c", "c.csv"))
    }
    cell = probing_cell(
        ("look",), ("read", "/data/b.csv"), ("write", "/data/deep/a.csv"), pins={"data": pins}
    )
    assert not place.run(cell).failures
    found, text, written = place.store.load(cell.id).result["found"]  # type: ignore[misc]
    assert found["data"] == ["b.csv", "c.csv.absent", "deep/a.csv"]
    assert text == "b\n2\n"
    assert written in ("OSError", "PermissionError")
    assert all("ro" in found["options"][f"/data/{path}"] for path in found["data"])
    ours = {mount for mount in found["mounts"] if mount.startswith(("/cell", "/data"))}
    assert ours == {
        *("/cell/spec.json", "/cell/out", "/cell/resume"),
        *("/data/b.csv", "/data/c.csv.absent", "/data/deep/a.csv"),
    }
    assert not any("docker.sock" in mount or "podman" in mount for mount in found["mounts"])


@pytest.mark.skipif(os.geteuid() != 0, reason="for others, a cell is the user itself")
def test_data_that_only_root_can_read_are_readable(place: Place) -> None:
    (place.data / "a.csv").write_text("a\n1\n")
    (place.data / "a.csv").chmod(0o600)
    (place.data / "model").mkdir(mode=0o700)
    (place.data / "model" / "weights").write_text("w")
    pins = {name: {"path": name, "sha256": "0" * 64} for name in ("a.csv", "model")}
    cell = probing_cell(
        ("read", "/data/a.csv"), ("read", "/data/model/weights"), pins={"data": pins}
    )
    assert not place.run(cell).failures
    assert place.store.load(cell.id).result["found"] == ["a\n1\n", "w"]
    assert (place.data / "a.csv").stat().st_mode & 0o777 == 0o600


def test_a_folder_of_links_is_seen_as_what_they_lead_to(place: Place) -> None:
    """As hubs keep models: names that lead to files beside the folder."""
    (place.root / "blobs").mkdir()
    (place.root / "blobs" / "5a").write_text("weights")
    snapshot = place.data / "model" / "inner"
    snapshot.mkdir(parents=True)
    (snapshot / "model.bin").symlink_to(place.root / "blobs" / "5a")
    (snapshot / "broken").symlink_to(place.root / "nowhere")
    (snapshot.parent / "config.json").write_text("{}")
    pins = {"model": {"path": "model", "sha256": "0" * 64}}
    cell = probing_cell(
        ("read", "/data/model/inner/model.bin"),
        ("read", "/data/model/config.json"),
        ("read", "/data/model/inner/broken"),
        ("write", "/data/model/inner/model.bin"),
        pins={"data": pins},
    )
    assert not place.run(cell).failures
    found = place.store.load(cell.id).result["found"]
    assert found[:3] == ["weights", "{}", "FileNotFoundError"]  # type: ignore[index]
    assert found[3] in ("OSError", "PermissionError")  # type: ignore[index]
    assert (place.root / "blobs" / "5a").read_text() == "weights"


ODD = ("pipes", "folders", "deep", "deep checkpoints", "large", "nested", "links")


@pytest.mark.parametrize("kind", ODD)
def test_odd_files_fail_the_cell_and_nothing_else(place: Place, kind: str) -> None:
    """An image may be anybody's: what it leaves must not hold up or end the run."""
    bad = probing_cell(("odd_files", kind), ("leave", 1), index=0)
    good = probing_cell(("look",), index=1)
    try:
        outcome = place.run(bad, good, limits=Limits(wall_s=20))
    finally:  # pytest itself cannot remove folders as deep as these
        remove_tree(place.store.resume_folder(bad.id))
    assert outcome.computed == 1
    assert place.store.has(good.id)
    (failure,) = outcome.failures
    assert failure.cell.id == bad.id
    assert failure.status == "error"
    assert not list((place.store.root / "tmp").iterdir())


def test_names_of_all_kinds(place: Place) -> None:
    name = "a space, commas, col:on 'quo\"tes' ümläut =x"
    root = place.root / name
    (root / "data").mkdir(parents=True)
    odd = Place(place.engine, root, root / "data")
    (odd.data / f"{name}.csv").write_text("a\n1\n")
    pins = {"a": {"path": f"{name}.csv", "sha256": "0" * 64}}
    cell = probing_cell(("read", f"/data/{name}.csv"), pins={"data": pins})
    outcome = odd.run(cell)
    assert not outcome.failures, outcome.failures[0].message
    assert odd.store.load(cell.id).result["found"] == ["a\n1\n"]


def test_files_that_nobody_else_may_read(place: Place) -> None:
    """As a user with umask 077 makes them."""
    before = os.umask(0o077)
    try:
        cell = probing_cell(("write", "/cell/out/file"), checkpoint=True)
        outcome = place.run(cell)
    finally:
        os.umask(before)
    assert not outcome.failures, outcome.failures[0].message


def test_memory_binds(place: Place) -> None:
    limits = Limits(memory_bytes=256 * MIB)
    record = place.failure(probing_cell(("allocate", 1024)), limits=limits)
    assert record.status == "error"
    assert record.error is not None
    assert record.error["kind"] == "memory_limit"
    assert "0.268 GB" in str(record.error["message"])
    assert "memory_gb" in str(record.error["hint"])


def test_memory_of_a_child_binds_too(place: Place) -> None:
    """The kernel kills the largest, which need not be the cell."""
    code = "x = bytearray(b'x' * (1 << 30))"
    cell = probing_cell(("allocate", 64), ("run_code", code), ("leave", 1))
    record = place.failure(cell, limits=Limits(memory_bytes=256 * MIB))
    assert record.error is not None
    assert record.error["kind"] == "memory_limit"


def test_pids_bind(place: Place) -> None:
    few, many = place.found(("fork", 5), ("fork", 200), limits=Limits(pids=32))
    assert few == 5
    assert many == "BlockingIOError"


def test_cpus_bind(place: Place) -> None:
    (used,) = place.found(("burn", 2), limits=Limits(cpus=0.5))
    assert used < 1.6  # two busy processes for two seconds would get up to four


def test_scratch_is_of_limited_size(place: Place) -> None:
    limits = Limits(disk_bytes=16 * MIB)
    small, large = place.found(
        ("write", "/tmp/small", 4), ("write", "/tmp/{}", 4, 8), limits=limits
    )
    assert (small, large) == (True, "OSError")


def test_a_file_past_the_disk_limit_is_refused(place: Place) -> None:
    """By the kernel, before all that the cell has written is looked at."""
    limits = Limits(disk_bytes=32 * MIB)
    (answer,) = place.found(("write", "/cell/resume/large", 64, {"tidy": True}), limits=limits)
    assert answer == "OSError"


def test_many_files_past_the_disk_limit_end_the_cell(place: Place) -> None:
    cell = probing_cell(("write", "/cell/out/{}", 8, 8), ("hang", 30))
    record = place.failure(cell, limits=Limits(disk_bytes=32 * MIB))
    assert record.status == "error"
    assert record.error is not None
    assert record.error["kind"] == "disk_limit"
    assert "disk_gb" in str(record.error["hint"])


@pytest.mark.parametrize("ways", [{}, {"deaf": True}, {"orphan": True}], ids=str)
def test_time_limit_ends_all_of_a_cell(place: Place, ways: dict[str, bool]) -> None:
    record = place.failure(probing_cell(("hang", 60, ways)), limits=Limits(wall_s=1.5))
    assert record.error is not None
    assert record.error["kind"] == "wall_limit"
    assert record.timing.wall_s < 20
    assert place.containers() == []


def test_a_stopped_run_leaves_no_container(place: Place) -> None:
    cell = probing_cell(("hang", 60, {"deaf": True}))
    backend = place.backend()
    with place.store.workspace() as workspace, backend.session(workspace.owner):
        from harness.run.containers import Ending, Job

        stage = workspace.stage(cell)
        resume = place.store.resume_folder(cell.id)
        running = backend.start(Job(stage.folder, stage.out, resume, place.data))
        threading.Timer(1.0, running.stop).start()
        end = running.wait()
        assert end.ending is Ending.STOPPED
        assert place.containers() == []


@pytest.mark.parametrize(("status", "kind"), [(3, "failed"), (5, "host_failed"), (0, "failed")])
def test_a_status_is_told_as_it_is(place: Place, status: int, kind: str) -> None:
    record = place.failure(probing_cell(("leave", status)))
    assert record.error is not None
    assert record.error["kind"] == kind
    assert record.status == ("invalid" if kind == "host_failed" else "error")


def test_a_tag_is_refused(place: Place) -> None:
    session = open_backend(place.engine, "rl-harness:latest").session(Path("owner"))
    with pytest.raises(SuiteError, match="not pinned") as caught, session:
        pass
    assert "sha256" in str(caught.value)


def test_an_image_that_is_not_there_is_told_before_anything_runs(place: Place) -> None:
    backend = open_backend(place.engine, "sha256:" + "0" * 64)
    assert "does not have the image" in backend.missing()
    with pytest.raises(InfrastructureError, match="does not have the image") as caught:
        run_with(place, backend)
    assert caught.value.exit_code == 5
    assert place.store.failed_ids() == set()


def run_with(place: Place, backend: object) -> RunOutcome:
    from harness.run.scheduler import run_cells

    return run_cells([probing_cell(("look",))], place.store, backend, place.data)  # type: ignore[arg-type]


def test_files_of_a_cell_are_this_users(place: Place) -> None:
    cell = probing_cell(("write", "/cell/out/file"), checkpoint=True)
    place.run(cell)
    paths = [path for path in place.store.folder(cell.id).rglob("*") if path.is_file()]
    assert {path.stat().st_uid for path in paths} == {os.geteuid()}


def test_programs_are_confined_and_scored_inside(place: Place) -> None:
    """The code scorer works in a container of a cell, and what it runs has less than the cell."""
    programs = [
        "def square(x):\n    return x * x",
        "def square(x):\n    return x + x",
        "import os\nos._exit(0)",
        "import sys\nsys.exit(0)",
        "class A(int):\n    __eq__ = lambda s, o: True\ndef square(x):\n    return A()",
        "import os\ndef square(x):\n    os.listdir('/cell')\n    return x * x",
    ]
    ((scores, isolation),) = place.found(("score", *programs), limits=Limits(memory_bytes=1 << 30))
    assert scores == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert "seccomp" in isolation


def test_two_cells_at_a_time(place: Place) -> None:
    cells = [probing_cell(("hang", 1), index=index) for index in range(4)]
    outcome = place.run(*cells, workers=2)
    assert (outcome.computed, outcome.failures) == (4, ())


def test_the_log_is_what_the_cell_printed(place: Place) -> None:
    cell = probing_cell(("say", "x" * 300_000 + "\nthe end"))
    place.run(cell, limits=Limits(log_bytes=4000))
    log = (place.store.folder(cell.id) / "log.txt").read_text()
    assert log.startswith("xxxx")
    assert "bytes left out" in log
    assert log.rstrip().endswith("the end")
