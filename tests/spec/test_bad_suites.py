"""Every error of a suite file names its line, and says what to type."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from harness.errors import LockDriftError, SuiteError
from harness.spec.grid import expand
from harness.spec.load import load_suite
from tests.spec.support import BASE, ENGINES, LAWS, LOCK, changed, make_suite, write_suite

CASES = YAML(typ="safe").load(Path(__file__).with_name("bad_suites.yaml"))


def error_of(path):
    with pytest.raises(SuiteError) as caught:
        load_suite(path, laws=LAWS, engines=ENGINES, scorers=())
    return str(caught.value)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_error(case, tmp_path):
    changes = [(old, new) for old, new in case["replace"].items()]
    path = write_suite(tmp_path, *changes)
    lines = changed(*changes).split("\n")
    line = next(number for number, text in enumerate(lines, 1) if case["line"] in text)

    message = error_of(path)

    assert message.startswith(f"{path}:{line}: "), message
    for part in case["says"]:
        assert part in message, message


def test_the_small_suite_is_good(tmp_path):
    assert make_suite(tmp_path).name == "small"


def test_missing_file(tmp_path):
    message = error_of(tmp_path / "none.yaml")
    assert message.startswith(f"{tmp_path / 'none.yaml'}: no such file")
    assert "harness suites" in message


def test_a_folder_is_not_a_file(tmp_path):
    assert "cannot be read" in error_of(tmp_path)


def test_not_utf8(tmp_path):
    path = write_suite(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"A small suite", "Ein großes".encode("latin-1")))
    message = error_of(path)
    assert message.startswith(f"{path}:4: not UTF-8")
    assert "0xdf" in message


def test_byte_order_mark_and_windows_lines_are_fine(tmp_path):
    path = write_suite(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_suite(path).title == "A small suite"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "an empty file"),
        ("- 1\n", "a list of 1"),
        ("a: 1\n---\nb: 2\n", "another document"),
        ("a: &x [*x]\n", "alias to a value that contains it"),
        ("a: " + "[" * 1500, "nested too deeply"),
        ("a: !!int x\n", "not the number it is tagged as"),
    ],
)
def test_files_that_are_no_suite(tmp_path, text, part):
    path = tmp_path / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    assert part in error_of(path)


def test_what_is_wrong_comes_before_what_is_missing_and_in_the_order_of_the_file(tmp_path):
    path = write_suite(tmp_path, ("title: A", "titel: A"), ("judge: [fit", "jugde: [fit"))
    message = error_of(path)
    assert re.search(r"suite\.yaml:4: `titel`: no such key \(and 2 more errors", message), message


TOKENS = re.findall(r"\w+|[^\w\s]|\s+", BASE)
ODD = [
    "null",
    "[]",
    "{}",
    "-1",
    "true",
    "''",
    "{id: x}",
    "{range: [1]}",
    "${x}",
    "[[1]]",
    "0.5",
    "*",
]
ODD += [
    "'${settings.lr}'",
    "&a",
    "!t",
    "- ",
    "? ",
    "|",
    "'${model}'",
    "{data: 3}",
    "\t",
    "\0",
    "1e400",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(TOKENS) - 1), st.sampled_from(["", *ODD, *TOKENS]))
def test_a_damaged_file_is_either_good_or_refused_with_its_line(tmp_path, place, token):
    path = write_suite(tmp_path)
    path.write_text("".join([*TOKENS[:place], token, *TOKENS[place + 1 :]]), encoding="utf-8")
    message = None
    try:
        suite = load_suite(path, laws=LAWS, engines=ENGINES, scorers=())
        cells = [cell for tier in suite.tiers for cell in expand(suite, tier, LOCK)]
    except LockDriftError:
        return  # another engine or data set than the lock has
    except SuiteError as error:
        message = str(error)
    assert cells if message is None else re.match(re.escape(str(path)) + r":\d+: \S", message)
