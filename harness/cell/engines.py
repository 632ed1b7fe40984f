"""The registry of engines, open to other packages through the entry points `harness.engines`.

An engine's module must be cheap to import: its heavy packages are imported inside the function.
The version of an engine is part of every cell's identity, so planning imports the module too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from harness.cell.contract import CellContext
from harness.errors import HarnessError, SuiteError

ENTRY_POINTS = "harness.engines"

EngineFunction = Callable[[CellContext], Mapping[str, object]]

_BUILT_IN = {
    "replay": "harness.cell.train.replay",
    "torch_rl": "harness.cell.train.torch_rl",
    "rescore": "harness.cell.evaluate.rescore",
}
_registered: dict[str, Engine] = {}


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to make a curve.

    Attributes:
        name: what `engine:` in a suite says.
        version: raised when and only when the engine's numbers can change.
        run: writes the metrics of one cell; what it returns is added to result.json.
    """

    name: str
    version: int
    run: EngineFunction


def engine(name: str, *, version: int) -> Callable[[EngineFunction], EngineFunction]:
    """Register the decorated function as engine `name`.

    Raises:
        ValueError: the name is taken by another function.
    """

    def register(function: EngineFunction) -> EngineFunction:
        known = _registered.setdefault(name, Engine(name, version, function))
        if known.run is not function:
            raise ValueError(f"engine {name!r} is registered twice")
        return function

    return register


def find_engine(name: str) -> Engine:
    """The engine of this name, its module imported when first asked for.

    Raises:
        SuiteError: no such engine, or its entry point does not register it.
    """
    if name in _registered:
        return _registered[name]
    if name in _BUILT_IN:
        import_module(_BUILT_IN[name])
    else:
        _load_entry_point(name)
    if name not in _registered:
        raise SuiteError(
            f"the entry point of engine {name!r} does not register it",
            expected=f'a module that decorates a function with @engine("{name}", version=...)',
        )
    return _registered[name]


def engine_version(name: str) -> int:
    """The version of an engine, without its heavy packages.

    Raises:
        SuiteError: no such engine.
    """
    return find_engine(name).version


def engine_names() -> list[str]:
    """The names of all engines that a suite can ask for, sorted."""
    from importlib.metadata import entry_points

    plugins = {point.name for point in entry_points(group=ENTRY_POINTS)}
    return sorted(plugins | set(_BUILT_IN) | set(_registered))


def _load_entry_point(name: str) -> None:
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            point.load()
        except HarnessError:
            raise
        except Exception as error:  # whatever the import of another package may raise
            package = point.dist.name if point.dist else point.module
            raise SuiteError(
                f"the engine {name!r} cannot be loaded",
                where=f"package {package}, entry point {point.name} = {point.value!r}",
                found=f"{type(error).__name__}: {error}",
                hint=f"repair the package, or `pip uninstall {package}`",
            ) from error
        return
    from difflib import get_close_matches

    names = engine_names()
    near = get_close_matches(name, names, n=1)
    raise SuiteError(
        f"no engine is named {name!r}",
        expected=f"one of {', '.join(names)}",
        hint=f"write `engine: {near[0]}`" if near else "install the package that brings it",
    )
