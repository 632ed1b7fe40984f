from __future__ import annotations

import subprocess
import sys
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from harness.cell.evaluate import documents, task_files
from harness.cell.evaluate.task_files import MICRO, PUBLIC, find_tasks, task_hashes
from harness.errors import DataError
from reward_scorers import Scorer
from reward_scorers.scoring import find_scorer

BASE = "output_type: generate_until\nmetadata: {version: 1}\n"
TASK = "include: _base\ntask: mine\ndoc_to_text: question\nprocess_docs: !function utils.keep\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "_base").write_text(BASE)
    (tmp_path / "mine.yaml").write_text(TASK)
    (tmp_path / "utils.py").write_text("def keep(docs): return docs\n")
    return tmp_path


def hashed(folder: Path) -> str:
    return task_hashes(["mine"], [folder])["mine"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("mine.yaml", "question", "answer"),
        ("_base", "version: 1", "version: 2"),
        ("utils.py", "return docs", "return docs[1:]"),
    ],
)
def test_what_can_move_a_number_moves_the_hash(folder: Path, name: str, old: str, new: str) -> None:
    before = hashed(folder)
    path = folder / name
    path.write_text(path.read_text().replace(old, new))
    assert hashed(folder) != before


def test_comments_order_and_place_do_not(folder: Path, tmp_path: Path) -> None:
    before = hashed(folder)
    path = folder / "mine.yaml"
    lines = path.read_text().splitlines()
    path.write_text("# why\n" + "\n".join(reversed(lines)) + "\n")
    assert hashed(folder) == before
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for one in [*folder.glob("*.*"), folder / "_base"]:
        one.rename(moved / one.name)
    assert hashed(moved) == before


def test_a_scorers_version_moves_the_hash_of_its_tasks_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["micro_math", "micro_code", "micro_stem"]
    before = task_hashes(names)

    def newer(source: str, compat: str = "strict") -> Scorer:
        chosen = find_scorer(source, compat)
        if not source.startswith("math"):
            return chosen
        return Scorer(chosen.name, chosen.version + 1, chosen.score)

    monkeypatch.setattr("reward_scorers.scoring.find_scorer", newer)
    after = task_hashes(names)
    assert [name for name in names if before[name] != after[name]] == ["micro_math"]


def test_our_own_functions_move_the_hash_of_the_tasks_that_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = task_hashes(["micro_math"])
    source = Path(documents.__file__).read_text()
    other = tmp_path / "documents.py"
    other.write_text(source + "# changed\n")
    spec = spec_from_file_location(documents.__name__, other)
    monkeypatch.setattr(task_files, "find_spec", lambda name: spec)
    assert task_hashes(["micro_math"]) != before


def test_a_groups_hash_follows_its_members(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text("group: both\ntask: [one, two]\n")
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(f"task: {name}\nnum_fewshot: 0\n")
    before = task_hashes(["both"], [tmp_path])
    (tmp_path / "two.yaml").write_text("task: two\nnum_fewshot: 5\n")
    assert task_hashes(["both"], [tmp_path]) != before


def test_every_public_benchmark_is_in_the_installed_lm_eval() -> None:
    found = find_tasks(PUBLIC)
    assert [one.name for one in found] == list(PUBLIC)
    assert not any(one.is_micro for one in found)
    hashes = task_hashes(["gsm8k", "minerva_math500", "mmlu", "humaneval"])
    assert len(set(hashes.values())) == 4


def test_lm_eval_itself_knows_our_tasks_and_the_public_ones() -> None:
    from lm_eval.tasks import TaskManager

    files = find_tasks(["gsm8k", "hendrycks_math500", "humaneval", "micro_math", "micro_stem"])
    folders = {str(one.folder) for one in files}
    manager = TaskManager(include_path=list(folders), include_defaults=False)
    assert {one.name for one in files} <= set(manager.all_tasks)


def test_a_folder_of_ones_own_comes_first(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("task: micro_math\n")
    (mine,) = find_tasks(["micro_math"], [tmp_path])
    (ours,) = find_tasks(["micro_math"])
    assert mine.folder == tmp_path
    assert ours.folder == MICRO


def test_an_unknown_task_is_told_with_the_nearest() -> None:
    with pytest.raises(DataError, match="no task 'gsm8'") as caught:
        find_tasks(["gsm8"])
    assert caught.value.hint == "write `gsm8k`"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("task: mine\ninclude: mine.yaml\n", "includes itself"),
        ("task: mine\ninclude: nothing\n", "cannot be read"),
        ("task: mine\na: [\n", "cannot be read"),
        ("- 1\n# \ntask: mine\n", "cannot be read"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(DataError, match=message):
        task_hashes(["mine"], [tmp_path])


def test_hashing_imports_nothing_heavy() -> None:
    program = (
        "import sys; from harness.cell.evaluate.task_files import task_hashes;"
        "task_hashes(['micro_math', 'micro_code', 'gsm8k']);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'lm_eval', 'transformers')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
