"""What a law is, and the registry of laws.

A law here says: each curve is a straight line in log10 L against log10 X,

    log10 L = -k log10 X + E0,

and names which of k and E0 are free for each curve and which follow from N. Everything the
fit needs besides that it works out by itself: derivatives are complex steps, so `slope` and
`intercept` must be analytic formulas (no abs, max or conditions on a value).

Planning imports every law for its version, so a law's module should be cheap to import: formulas
of arrays do not need NumPy's name.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from harness.errors import HarnessError, SuiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.metadata import EntryPoint

    from numpy.typing import NDArray

ENTRY_POINTS = "harness.laws"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a law: its name in the literature, its unit, what it means."""

    name: str
    unit: str
    meaning: str


class Law:
    """A law whose k and E0 are free for every curve; the base of all others.

    `projection` says what of the fit has a closed form. `min_curves` is the number of distinct N
    below which the shared parameters cannot be told from the data.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    formula: ClassVar[str]
    source: ClassVar[str]
    projection: ClassVar[str] = "none"
    identifiability: ClassVar[str]
    shared: ClassVar[tuple[Parameter, ...]] = ()
    per_curve: ClassVar[tuple[Parameter, ...]]
    min_curves: ClassVar[int] = 1


class SharedSlopeLaw(Law, ABC):
    """A law whose slope k (and possibly E0) follows from N by shared parameters.

    The fit moves in coordinates z of the law's own choice, shape (..., P), in which the
    problem is well scaled; `N_ref` is the geometric mean of the sizes that are fitted.
    A coordinate with two finite bounds is searched on a grid; the law must be linear in the
    others. A bounded coordinate stands at the place of the shared parameter that it bounds.

    midpoints: parameters in units of N that should lie among the sizes.
    """

    shares_intercept: ClassVar[bool] = False
    midpoints: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def bounds(self, N: NDArray[Any], N_ref: float) -> tuple[Sequence[float], Sequence[float]]:
        """Lowest and highest value of each of the P coordinates."""

    @abstractmethod
    def slope(self, z: NDArray[Any], N: NDArray[Any], N_ref: float) -> NDArray[Any]:
        """k for coordinates (..., P) and sizes (G,): shape (..., G)."""

    def intercept(self, z: NDArray[Any], N: NDArray[Any], N_ref: float) -> NDArray[Any]:
        """E0, shaped as `slope`; only where `shares_intercept`."""
        raise NotImplementedError(f"{self.name} has a free E0 for every curve")

    @abstractmethod
    def published(self, z: NDArray[Any], N_ref: float) -> Sequence[NDArray[Any]]:
        """Coordinates (..., P) to the parameters of `shared`, in that order, (...) each."""

    @abstractmethod
    def coordinates(self, params: Mapping[str, float], N_ref: float) -> Sequence[float]:
        """The inverse of `published`: P numbers."""


LawClass = TypeVar("LawClass", bound=type[Law])
_LAWS: dict[str, Law] = {}


def register(name: str, *, version: int) -> Callable[[LawClass], LawClass]:
    """Enter a law class under `name`; its parameters never change under one name and version.

    Raises SuiteError if another law has the name.
    """

    def enter(law: LawClass) -> LawClass:
        known = _LAWS.get(name)
        # The same class again is a module that was reloaded.
        if known is not None and _home(type(known)) != _home(law):
            raise SuiteError(
                f"two laws are named {name!r}",
                expected="one law per name",
                found=f"{_home(type(known))} and {_home(law)}",
                hint="rename the newer one",
            )
        law.name, law.version = name, version
        _LAWS[name] = law()
        return law

    return enter


def _home(law: type[Law]) -> str:
    return f"{law.__module__}.{law.__qualname__}"


def law_names() -> tuple[str, ...]:
    """Names of all laws, built in or offered by installed packages, sorted."""
    offered = {point.name for point in entry_points(group=ENTRY_POINTS)}
    return tuple(sorted(offered | set(_LAWS)))


def get_law(name: str) -> Law:
    """The law registered as `name`, loading the package that offers it if need be.

    Raises SuiteError that lists the nearest names if there is none, or that names the package
    whose law cannot be loaded.
    """
    if not isinstance(name, str):
        raise SuiteError(
            "a law is called by its name",
            expected="one of " + ", ".join(law_names()),
            found=repr(name)[:60],
            hint='law="loglinear_kn"',
        )
    if name not in _LAWS:
        for point in entry_points(group=ENTRY_POINTS, name=name):
            _load(point)
    if name in _LAWS:
        return _LAWS[name]
    names = law_names()
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    raise SuiteError(
        f"there is no law {name!r}",
        expected="one of " + ", ".join(names),
        found=name,
        hint=("nearest: " + ", ".join(near) if near else "`harness laws` tells what each is")
        + f"; a package adds laws through the entry point group {ENTRY_POINTS!r}",
    )


def _load(point: EntryPoint) -> None:
    package = point.dist.name if point.dist else point.module
    where = f"package {package}, entry point {point.name} = {point.value!r}"
    try:
        point.load()
    except HarnessError:
        raise
    except Exception as error:  # whatever the import of another package may raise
        raise SuiteError(
            f"the law {point.name!r} cannot be loaded",
            where=where,
            found=f"{type(error).__name__}: {error}",
            hint=f"repair the package, or `pip uninstall {package}`",
        ) from error
    if point.name not in _LAWS:
        raise SuiteError(
            f"the entry point does not register the law {point.name!r}",
            where=where,
            expected=f'a module that decorates a class with @register("{point.name}", version=...)',
            hint=f"repair the package, or `pip uninstall {package}`",
        )
