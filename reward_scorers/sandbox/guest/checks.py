"""Running test code beside a program: test functions, assertions, calls with expected values."""

import builtins
import importlib
import io
import math
import os
import sys
import types

from .examiner import Over, Remote
from .names import COUNTER, FILE

_LONGEST_DETAIL = 300


class Tally:
    """How many parts of a test passed, and what the first failure was.

    A part is an assertion, a call or a test function. Tests that end early may have had more of
    them: `expected` is the least number that the test's text shows.
    """

    def __init__(self):
        self.passed = self.failed = self.expected = 0
        self.detail = ""

    def right(self):
        """Count a part that passed."""
        self.passed += 1

    def wrong(self, detail):
        """Count a part that failed."""
        self.failed += 1
        self.detail = self.detail or detail[:_LONGEST_DETAIL]

    def total(self):
        """All parts, at least one."""
        return max(self.passed + self.failed, self.expected, 1)


class MissingModuleError(Exception):
    """The test code needs a module that the sandbox has not; that is not the program's fault."""


def run_code(examiner, source, trusted, tally, names=()):
    """Run test code whose assertions are counted, as if it stood behind the program in one file.

    Args:
        source: its text, or what `counted` made of it.
        trusted: name -> value of what trusted sources define.
        names: what the tests take from the program though Python has a builtin of that name.

    Raises:
        Over: the program's process can answer no more.
        MissingModuleError
    """
    if isinstance(source, str):
        from .counting import counted  # late: its imports would be every program's

        source = counted(source)
    code, tally.expected = source
    space = _module(examiner, trusted, code, names).__dict__
    space[COUNTER] = _Counter(examiner, tally)
    _guarded(lambda: exec(code, space), examiner, tally)


def run_pytest(examiner, source, trusted, tally):
    """Run test functions and classes by pytest.

    Raises:
        Over: the program's process can answer no more.
        MissingModuleError: pytest is not in the sandbox, say.
    """
    try:
        import pytest
    except ImportError:
        raise MissingModuleError("pytest") from None
    code = compile(source, FILE, "exec", dont_inherit=True)
    space = _module(examiner, trusted, code).__dict__
    path = "test_solution.py"
    names = sorted(name for name in space if name.isidentifier() and name != COUNTER)
    sys.modules["names_of_tests"] = module = types.ModuleType("names_of_tests")
    for name in names:
        setattr(module, name, space[name])
    module.__all__ = [name for name in names if not name.startswith("__")]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"from names_of_tests import *\n{source}")
    counter = _PytestCounter(examiner, tally)
    arguments = ["-q", "-p", "no:cacheprovider", "--rootdir", os.getcwd(), path]
    _guarded(lambda: pytest.main(arguments, plugins=[counter]), examiner, tally)
    if examiner.over is not None:
        raise examiner.over
    if not tally.passed and not tally.failed:
        tally.wrong("no test was collected")


def run_calls(examiner, entry, calls, tally):
    """Call a function; results are compared where there is something to compare them with.

    Args:
        entry: the function's name, with "()" for "make one": "Solution.().solve".
        calls: dicts with "args" and, where results are compared, "expected"; see `agree`.

    Returns:
        The results of calls without an expectation.
    """
    results = []
    if entry not in examiner.names and "Solution" in examiner.names and "." not in entry:
        entry = f"Solution.().{entry}"  # as contests have it: a method of that name
    function = Remote(examiner, name=entry)
    tally.expected = len(calls)
    for number, call in enumerate(calls):
        try:
            found = function(*call["args"], **call.get("kwargs", {}))
        except Exception as error:
            tally.wrong(f"call {number + 1}: {error}")
            results.append(None)
            continue
        if "expected" not in call:
            tally.right()
            results.append(found)
        elif agree(found, call["expected"], call["tolerance"], loose=call["loose"]):
            tally.right()
        else:
            tally.wrong(f"call {number + 1}: another value than expected")
    return results


def agree(found, expected, tolerance=0.0, *, loose=False):
    """Whether a value is the expected one: equal as Python has it.

    Args:
        tolerance: within which numbers are equal, absolute or relative.
        loose: whether a tuple may stand for a list, for data sets in JSON know lists only.
    """
    if isinstance(found, Remote):
        return False
    try:
        return _agree(found, expected, tolerance, loose)
    except (RecursionError, OverflowError, ValueError, TypeError):
        return False


def _agree(found, expected, tolerance, loose):
    if isinstance(found, (list, tuple)) and isinstance(expected, (list, tuple)):
        return (
            (type(found) is type(expected) or loose)
            and len(found) == len(expected)
            and all(_agree(*pair, tolerance, loose) for pair in zip(found, expected))
        )
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            _agree(found[key], expected[key], tolerance, loose) for key in expected
        )
    if _is_number(found) and _is_number(expected):
        if found != found or expected != expected:
            return found != found and expected != expected
        if tolerance:
            return math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
    return bool(found == expected)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def trusted_names(*sources):
    """What trusted sources (imports, helpers, a prefix) define, to be used by tests."""
    module = types.ModuleType("__main__")
    for source in sources:
        if source:
            exec(compile(source, "<trusted>", "exec", dont_inherit=True), module.__dict__)
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}


def _module(examiner, trusted, code, wanted=()):
    """The module in which test code runs."""
    solution = types.ModuleType("solution")
    for name in examiner.names:
        setattr(solution, name, Remote(examiner, name=name))
    sys.modules["solution"] = solution
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    space = module.__dict__
    space.update(trusted)
    for name in _names(code) - space.keys() - (vars(builtins).keys() - set(wanted)):
        # Never the other way round: a program could call its own things `len` or `math`.
        if name in sys.stdlib_module_names:
            space[name] = importlib.import_module(name)
        elif name in examiner.names:
            space[name] = Remote(examiner, name=name)
    return module


def _names(code):
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _guarded(run, examiner, tally):
    """Run test code; what it raises is a failure, but for what is nobody's fault."""
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), _Nowhere(), _Nowhere()
    try:
        run()
    except Over:
        raise
    except SystemExit as error:
        if error.code not in (None, 0, False):
            tally.wrong("the tests ended with an error")
    except ModuleNotFoundError as error:
        if getattr(error, "of_program", False):
            tally.wrong(str(error))
        else:
            raise MissingModuleError(error.name) from None
    except BaseException as error:
        tally.wrong(_described(error))
    if examiner.over is not None:
        raise examiner.over


def _described(error):
    place = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            place = f" (line {trace.tb_lineno} of the tests)"
        trace = trace.tb_next
    if getattr(error, "of_program", False):
        return f"the program raised {error}{place}"
    return f"{type(error).__name__}: {error}{place}"


class _Counter:
    """What assertions are turned into: `with __counter__: assert ...`."""

    def __init__(self, examiner, tally):
        self._examiner, self._tally = examiner, tally

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._tally.right()
            return False
        if not issubclass(kind, Exception) or isinstance(error, ModuleNotFoundError):
            return False
        self._tally.wrong(_described(error.with_traceback(trace)))
        return True


class _PytestCounter:
    def __init__(self, examiner, tally):
        self._examiner, self._tally = examiner, tally

    def pytest_collection_modifyitems(self, items):
        self._tally.expected = len(items)

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self._tally.right()
        elif report.failed:
            self._tally.wrong(f"{report.nodeid.partition('::')[2]}: {report.longreprtext[-200:]}")

    def pytest_collectreport(self, report):
        if report.failed:
            self._tally.wrong(report.longreprtext[-200:])


class _Nowhere(io.TextIOBase):
    """Takes what tests print."""

    def write(self, text):
        return len(text)
