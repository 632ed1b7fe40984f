"""f(N) = f_max / (1 + N_half/N), in coordinates in which a fit is well scaled.

f_max and N_half both run to infinity when f is still proportional to N over the sizes seen.
Its value at a reference size, `height`, and `share` = N_half / (N_half + N_ref) do not:
share 0 is a constant f, share 1 is f proportional to N.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

# N_half is sought between the smallest size / REACH and the largest size * REACH: beyond
# that, f differs from its limit by less than 1e-4 at every size in the data.
REACH = 1e4


def value(height: NDArray[Any], share: NDArray[Any], N: NDArray[Any], N_ref: float) -> NDArray[Any]:
    """f(N) for height, share of shape (...) and N of shape (G,): shape (..., G)."""
    f: NDArray[Any] = height[..., None] / (1.0 + share[..., None] * (N_ref / N - 1.0))
    return f


def share_bounds(N: NDArray[Any], N_ref: float) -> tuple[float, float]:
    """Lowest and highest share that is sought for sizes N."""
    low, high = float(N.min()) / REACH, float(N.max()) * REACH
    return low / (low + N_ref), high / (high + N_ref)


def published(height: NDArray[Any], share: NDArray[Any], N_ref: float) -> list[NDArray[Any]]:
    """[f_max, N_half] from height and share."""
    return [height / (1.0 - share), N_ref * share / (1.0 - share)]


def coordinates(f_max: float, N_half: float, N_ref: float) -> list[float]:
    """[height, share] from f_max and N_half."""
    return [f_max * N_ref / (N_half + N_ref), N_half / (N_half + N_ref)]
