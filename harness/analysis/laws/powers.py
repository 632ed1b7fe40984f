"""f = floor + sum of exp(a - b t), t = ln(N/N_ref) or ln(x/x_ref): sums of powers.

The exponents are linear in the coordinates, so exact derivatives cost no more than f itself. In
a, the logarithm of a term at the reference, and b, its exponent, terms of any unit are O(1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.formula import FormulaLaw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws.formula import Exact, Points

SMALLEST = 1e-8  # a term or floor is sought down to this share of a typical |y|
STEEPEST = 20.0  # highest exponent that is sought
FLATTEST = 1e-4  # lowest one: flatter, a term cannot be told from the floor
_EXPONENTS = (0.05, 0.15, 0.35, 0.8, 2.0)


@dataclass(frozen=True)
class Term:
    """One power: the places of its a and b among the coordinates, and whether it falls in N."""

    a: int
    b: int
    of_size: bool

    def abscissa(self, at: Points) -> NDArray[Any]:
        """ln(N/N_ref) or ln(x/x_ref) at the points."""
        return at.v if self.of_size else at.u


@dataclass(frozen=True)
class PowerSum:
    """Terms and a floor. floor: the place of its coordinate, None for no floor. log_floor:
    whether that coordinate is ln(floor/y_ref) rather than floor/y_ref, so that it stays positive.
    exponents: lowest and highest that are sought.
    """

    terms: tuple[Term, ...]
    floor: int | None = None
    log_floor: bool = False
    exponents: tuple[float, float] = (FLATTEST, STEEPEST)

    def bounds(self, at: Points) -> tuple[list[float], list[float]]:
        """Lowest and highest value of each coordinate."""
        count = 2 * len(self.terms) + (self.floor is not None)
        low, high = [-math.inf] * count, [math.inf] * count
        usual = math.log(at.scale.y_ref)
        for term in self.terms:
            low[term.a], high[term.a] = usual + math.log(SMALLEST), usual + 100.0
            low[term.b], high[term.b] = self.exponents
        if self.floor is not None and self.log_floor:
            low[self.floor], high[self.floor] = math.log(SMALLEST), 10.0
        return low, high

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """f at the points."""
        import numpy as np  # here, since planning imports laws and nothing slow

        parts = [np.exp(z[term.a] - z[term.b] * term.abscissa(at)) for term in self.terms]
        if self.floor is not None:
            floor = z[self.floor]
            parts.append((np.exp(floor) if self.log_floor else floor) * at.scale.y_ref)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return np.asarray(total)

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact:
        """f with first and second derivatives."""
        import numpy as np

        J: list[Any] = [None] * (2 * len(self.terms) + (self.floor is not None))
        second: dict[tuple[int, int], Any] = {}
        total: Any = 0.0
        for term in self.terms:
            t = term.abscissa(at)
            e = np.exp(z[term.a] - z[term.b] * t)
            by_b = -t * e
            total = total + e
            J[term.a], J[term.b] = e, by_b
            second[term.a, term.a] = e
            second[min(term.a, term.b), max(term.a, term.b)] = by_b
            second[term.b, term.b] = -t * by_b
        if self.floor is not None:
            y_ref = at.scale.y_ref
            if self.log_floor:
                floor = np.exp(z[self.floor]) * y_ref
                J[self.floor] = second[self.floor, self.floor] = floor
                total = total + floor
            else:
                J[self.floor] = y_ref
                total = total + z[self.floor] * y_ref
        return total, J, second

    def starts(self, at: Points) -> NDArray[Any]:
        """Every combination of five exponents, heights and floor of each in closed form.

        The heights are least squares in y under the condition that none is negative.
        """
        import itertools

        import numpy as np
        from scipy.optimize import nnls

        usual = at.scale.y_ref
        root = np.sqrt(at.w)
        found = []
        for exponents in itertools.product(_EXPONENTS, repeat=len(self.terms)):
            pairs = zip(exponents, self.terms, strict=True)
            columns = [np.exp(-b * term.abscissa(at)) for b, term in pairs]
            if self.floor is not None:
                columns.append(np.ones_like(at.y))
            table = np.stack(columns, axis=1) * root[:, None]
            lengths = np.maximum(np.linalg.norm(table, axis=0), 1e-300)
            heights = nnls(table / lengths, at.y * root)[0] / lengths
            z = np.zeros(2 * len(self.terms) + (self.floor is not None))
            for b, term, height in zip(exponents, self.terms, heights, strict=False):
                z[term.a], z[term.b] = np.log(max(height, 1e-3 * usual)), b
            if self.floor is not None:
                share = heights[-1] / usual
                z[self.floor] = np.log(max(share, 1e-3)) if self.log_floor else share
            found.append(z)
        return np.array(found)

    def log_starts(self, at: Points) -> NDArray[Any]:
        """Of one term alone: the least-squares line in logarithms, and the flat one."""
        import numpy as np

        (term,) = self.terms
        t = term.abscissa(at)
        v = np.log(np.maximum(at.y, 1e-3 * at.scale.y_ref))
        w = at.w / at.w.sum()
        centre, level = (w * t).sum(), (w * v).sum()
        slope = -(w * (t - centre) * v).sum() / (w * (t - centre) ** 2).sum()
        z = np.zeros((2, 2))
        z[:, term.a] = level + slope * centre, level
        z[:, term.b] = slope, 0.0
        return z


class PowerSumLaw(FormulaLaw):
    """A law that is a sum of powers, whatever its parameters are called."""

    powers: ClassVar[PowerSum]

    def bounds(self, at: Points) -> tuple[Sequence[float], Sequence[float]]:
        """Exponents and the smallest terms that are sought."""
        return self.powers.bounds(at)

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """L."""
        return self.powers.value(z, at)

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact:
        """Exact ones."""
        return self.powers.derivatives(z, at)

    def starts(self, at: Points) -> NDArray[Any]:
        """A grid of exponents."""
        return self.powers.starts(at)
