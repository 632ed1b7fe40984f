from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.spec.discovery import find_suite, list_suites
from tests.spec.support import write_suite


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own_suite(root, name):
    folder = root / "suites" / name
    folder.mkdir(parents=True)
    return write_suite(folder).relative_to(root)


def test_the_suites_of_the_project_are_found_from_anywhere(elsewhere):
    assert find_suite("exp1").parts[-3:] == ("suites", "exp1", "suite.yaml")
    assert list_suites()["exp1"] == find_suite("exp1")


def test_a_suite_below_the_current_folder_comes_first(elsewhere):
    own = own_suite(elsewhere, "exp1")
    assert find_suite("exp1") == own
    assert list_suites()["exp1"] == own


def test_paths_of_files_and_folders(elsewhere):
    own = own_suite(elsewhere, "mine")
    assert find_suite("mine") == own
    assert find_suite(own) == own
    assert find_suite(str(own.parent)) == own
    assert find_suite(elsewhere / own) == elsewhere / own


def test_a_folder_of_the_same_name_is_not_a_suite(elsewhere):
    (elsewhere / "exp1").mkdir()
    assert find_suite("exp1").name == "suite.yaml"


def test_an_unknown_suite_names_the_nearest(elsewhere):
    with pytest.raises(SuiteError) as caught:
        find_suite("reptil")
    assert "no suite `reptil`" in str(caught.value)
    assert "did you mean `reptile`?" in str(caught.value)


def test_suites_are_listed_in_order(elsewhere):
    for name in ("zeta", "alpha"):
        own_suite(elsewhere, name)
    names = list(list_suites())
    assert names == sorted(names)
    assert {"alpha", "exp1", "zeta"} <= set(names)
    assert all(isinstance(path, Path) for path in list_suites().values())
