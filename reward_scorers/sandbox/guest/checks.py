"""Running test code beside a program: assertions, test functions, calls with expected values."""

from __future__ import annotations

import builtins
import importlib
import io
import math
import os
import sys
import types
from typing import TYPE_CHECKING, Any

from . import values
from .examiner import Over
from .names import COUNTER, FILE, line_in
from .remote import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .examiner import Examiner

_LONGEST_DETAIL = 300
_BUILTINS = frozenset(vars(builtins))

# What tests may use without an import, as where program and tests stand in one file: it is never
# taken from the program, which could have another thing of that name.
_COMMON = {
    "np": "numpy",
    "Counter": "collections",
    "OrderedDict": "collections",
    "defaultdict": "collections",
    "deque": "collections",
    "isclose": "math",
    "reduce": "functools",
    **dict.fromkeys(("Any", "Dict", "List", "Optional", "Set", "Tuple", "Union"), "typing"),
}


class Tally:
    """How many parts of a test passed, and what the first failure was.

    A part is an assertion, a call or a test function. Tests that end early may have had more of
    them: `expected` is the least number that the test's text shows.
    """

    def __init__(self) -> None:
        self.passed = self.failed = self.expected = 0
        self.detail = ""

    def right(self) -> None:
        """Count a part that passed."""
        self.passed += 1

    def wrong(self, detail: str) -> None:
        """Count a part that failed."""
        self.failed += 1
        self.detail = self.detail or detail[:_LONGEST_DETAIL]

    def total(self) -> int:
        """All parts, at least one."""
        return max(self.passed + self.failed, self.expected, 1)


class BrokenTestsError(Exception):
    """The tests cannot be run, whatever the program; the message says why."""


def run_code(
    examiner: Examiner,
    source: str | tuple[types.CodeType, int],
    trusted: Mapping[str, Any],
    tally: Tally,
    names: Iterable[str] = (),
) -> None:
    """Run test code whose assertions are counted, as if it stood behind the program in one file.

    Args:
        examiner: asks the program.
        source: the code's text, or what `counted` made of it.
        trusted: name -> value of what trusted sources define.
        tally: what is counted.
        names: what the tests take from the program though Python has a builtin of that name.

    Raises:
        Over: the program's process can answer no more.
        BrokenTestsError
    """
    if isinstance(source, str):
        from .counting import counted  # late: its imports would be every program's

        source = counted(source)
    code, tally.expected = source
    module = _module(examiner, trusted, code, names)
    module.__dict__[COUNTER] = _Counter(tally)
    cases = _Cases(module, tally)
    _guarded(lambda: exec(code, module.__dict__), examiner, tally)
    _guarded(cases.run, examiner, tally)
    if not (tally.passed or tally.failed or examiner.asked):
        raise BrokenTestsError("they test nothing")


def run_pytest(examiner: Examiner, source: str, trusted: Mapping[str, Any], tally: Tally) -> None:
    """Run test functions and classes by pytest.

    Nothing of it lies in a file: the program shares the file system with this process.

    Raises:
        Over: the program's process can answer no more.
        BrokenTestsError: pytest is not in the sandbox, say.
    """
    os.chdir("/")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        from .pytest_run import run
    except ImportError:
        raise BrokenTestsError("they need pytest, which is not in the sandbox") from None
    code = compile(source, FILE, "exec", dont_inherit=True)
    module = _module(examiner, trusted, code)

    def execute() -> types.ModuleType:
        exec(code, module.__dict__)
        return module

    _guarded(lambda: run(execute, tally), examiner, tally)
    if not tally.passed and not tally.failed:
        raise BrokenTestsError("no test was collected")


def run_calls(
    examiner: Examiner, entry: str, calls: Sequence[Mapping[str, Any]], tally: Tally
) -> list[Any]:
    """Call a function; results are compared where there is something to compare them with.

    Args:
        examiner: asks the program.
        entry: the function's name, with "()" for "make one": "Solution.().solve".
        calls: dicts with "args" and, where results are compared, "expected"; see `agree`.
        tally: what is counted.

    Returns:
        The results of calls without an expectation, None for those that raised.

    Raises:
        Over: the program's process can answer no more.
    """
    if entry not in examiner.names and "Solution" in examiner.names and "." not in entry:
        entry = f"Solution.().{entry}"  # as contests have it: a method of that name
    results: list[Any] = []
    tally.expected = len(calls)
    for number, call in enumerate(calls):
        try:
            found = examiner.ask("call", {"name": entry}, call["args"], call["kwargs"])
        except Exception as error:  # the program's
            tally.wrong(f"call {number + 1}: {getattr(error, 'of_program', error)}")
            results.append(None)
            continue
        if "expected" not in call:
            tally.right()
            results.append(found)
        elif _is_right(found, call):
            tally.right()
        else:
            tally.wrong(f"call {number + 1}: another value than expected")
    return results


def _is_right(found: Any, call: Mapping[str, Any]) -> bool:
    expected, tolerance, kind = call["expected"], call["tolerance"], call["types"]
    if agree(found, expected, tolerance, kind):
        return True
    # Some data sets have a result as the only item of a list.
    alone = kind == LOOSE and isinstance(expected, list) and len(expected) == 1
    return alone and agree(found, expected[0], tolerance, kind)


EXACT, EQUAL, LOOSE = "exact", "equal", "loose"


def agree(found: Any, expected: Any, tolerance: float = 0.0, types: str = EXACT) -> bool:
    """Whether a value is the expected one.

    Args:
        found, expected: builtin values.
        tolerance: how far a number may be from an expected float, absolute or relative.
        types: "exact" tells 1 from 1.0 and True at every depth; "equal" does as Python does, and
            "loose" takes a tuple for a list, for data sets in JSON know lists only.
    """
    if is_remote(found):
        return False
    try:
        if types != EXACT and type(found) is type(expected) and found == expected:
            return True
        return _agree(found, expected, tolerance, types)
    except Exception:  # signalling NaN, numbers too large to be compared, ...
        return False


def _agree(found: Any, expected: Any, tolerance: float, types: str) -> bool:
    if isinstance(found, (list, tuple)) and isinstance(expected, (list, tuple)):
        return (
            (type(found) is type(expected) or types == LOOSE)
            and len(found) == len(expected)
            and all(
                _agree(one, other, tolerance, types)
                for one, other in zip(found, expected, strict=True)
            )
        )
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            _agree(found[key], expected[key], tolerance, types) for key in expected
        )
    if _is_number(found) and _is_number(expected):
        if found != found or expected != expected:
            return bool(found != found and expected != expected)
        if tolerance and isinstance(expected, float):
            return math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
    return (types != EXACT or type(found) is type(expected)) and bool(found == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def trusted_names(*sources: str) -> dict[str, Any]:
    """What trusted sources (helpers, a prefix) define, to be used by tests."""
    module = types.ModuleType("__main__")
    for source in filter(None, sources):
        exec(compile(source, "<trusted>", "exec", dont_inherit=True), module.__dict__)
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}


def _module(
    examiner: Examiner,
    trusted: Mapping[str, Any],
    code: types.CodeType,
    wanted: Iterable[str] = (),
) -> types.ModuleType:
    """The module in which test code runs, and the module `solution` that it may import."""
    names = _names(code)
    solution = types.ModuleType("solution")
    for name in examiner.names if "solution" in names else names & examiner.names:
        setattr(solution, name, examiner.named(name))
    known = _BUILTINS | sys.stdlib_module_names | trusted.keys() | _COMMON.keys()
    solution.__all__ = [  # type: ignore[attr-defined]
        name
        for name in sorted(examiner.names - known)
        if not name.startswith(("_", "test", "Test"))
    ]
    sys.modules["solution"] = solution
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    space = module.__dict__
    space.update(trusted)
    space.update(eval=_guard(eval, code), exec=_guard(exec, code))
    for name in names - trusted.keys() - (_BUILTINS - set(wanted)):
        # Never the other way round: a program could call its own things `len` or `math`.
        if name in wanted and name in examiner.names:
            space[name] = getattr(solution, name)
        elif name in sys.stdlib_module_names or name in _COMMON:
            _use_library(space, name)
        elif name in examiner.names:
            space[name] = getattr(solution, name)
    return module


def _use_library(space: dict[str, Any], name: str) -> None:
    try:
        found: Any = importlib.import_module(_COMMON.get(name, name))
    except ImportError:
        return  # the test says so itself, if it uses it
    space[name] = getattr(found, name, found) if name in _COMMON else found


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _texts(code: types.CodeType) -> set[str]:
    found = {constant for constant in code.co_consts if isinstance(constant, str)}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _texts(constant)
    return found


def _guard(run: Callable[..., Any], code: types.CodeType) -> Callable[..., Any]:
    """`eval` and `exec` for tests: what a program has returned is not run in this process.

    Texts of the test itself are; of others, arithmetic without any name.
    """
    own = _texts(code)

    def guarded(text: Any, *spaces: Any) -> Any:
        if isinstance(text, types.CodeType) or text in own:
            return run(text, *(spaces or (sys.modules["__main__"].__dict__,)))
        if run is exec or not _is_arithmetic(text):
            raise ValueError("a text of the program is not run by tests")
        return eval(text, {"__builtins__": {}})  # noqa: S307 - arithmetic

    return guarded


def _is_arithmetic(text: Any) -> bool:
    import ast  # late: its imports would be every program's

    if not isinstance(text, str) or len(text) > 1_000:
        return False
    allowed = (
        *(ast.Expression, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare),
        *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Tuple, ast.List, ast.Load),
    )
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, allowed) for node in ast.walk(tree))


def _guarded(run: Callable[[], object], examiner: Examiner, tally: Tally) -> None:
    """Run test code; what it raises is a failure, but for what is nobody's fault."""
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), _Nowhere(), _Nowhere()
    try:
        run()
    except Over:
        raise
    except SystemExit as error:
        if error.code not in (None, 0, False):
            tally.wrong("the tests ended with an error")
    except values.NoValue as error:
        if not examiner.asked:  # else it may be what the program has returned
            raise BrokenTestsError(f"they pass what cannot be sent: {error}") from None
        tally.wrong(f"it was passed what cannot be sent: {error}")
    except ModuleNotFoundError as error:
        if not getattr(error, "of_program", False):
            raise BrokenTestsError(
                f"they need the module {error.name}, which is not in the sandbox"
            ) from None
        tally.wrong(described(error))
    except BaseException as error:  # whatever tests raise
        tally.wrong(described(error))
    if examiner.over is not None:
        raise examiner.over


def described(error: BaseException) -> str:
    """An exception that tests have raised, with its line."""
    line = line_in(FILE, error)
    place = "" if line is None else f" (line {line} of the tests)"
    if getattr(error, "of_program", False):
        return f"the program raised {error.of_program}{place}"  # type: ignore[attr-defined]
    try:
        words = str(error)
    except Exception:  # it holds an object of the program, which is asked for its text
        words = "an object of the program"
    return f"{type(error).__name__}: {words}{place}"


class _Counter:
    """What assertions are turned into: `with __counter__: assert ...`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> bool:
        if kind is None:
            self._tally.right()
            return False
        if not issubclass(kind, Exception) or issubclass(
            kind, (ModuleNotFoundError, values.NoValue)
        ):
            return False
        self._tally.wrong(described(error.with_traceback(trace)))
        return True


class _Cases:
    """Test cases of unittest: run and counted once, whether the tests' text runs them or not."""

    def __init__(self, module: types.ModuleType, tally: Tally) -> None:
        self._module, self._tally = module, tally
        self._done = False
        if "unittest" in sys.modules:  # which `_module` has imported if tests name it
            sys.modules["unittest"].main = lambda *_, **__: self.run()  # type: ignore[attr-defined]

    def run(self) -> None:
        """Run the cases, if they have not run."""
        unittest: Any = sys.modules.get("unittest")
        if unittest is None or self._done:
            return
        self._done = True
        suite = unittest.TestSuite(
            unittest.defaultTestLoader.loadTestsFromTestCase(kind)
            for kind in vars(self._module).values()
            if isinstance(kind, type) and issubclass(kind, unittest.TestCase)
        )
        count = suite.countTestCases()
        self._tally.expected = max(self._tally.expected, count)
        result = unittest.TestResult()
        suite.run(result)
        wrong = [*result.failures, *result.errors]
        for _ in range(result.testsRun - len(wrong)):
            self._tally.right()
        for _, text in wrong:
            self._tally.wrong(text.strip().rpartition("\n")[2])


class _Nowhere(io.TextIOBase):
    """Takes what tests print."""

    def write(self, text: str) -> int:
        """Nothing is kept."""
        return len(text)
