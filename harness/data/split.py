"""The split of a data set into three parts by a permutation of its rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def three_parts(
    rows: int, *, seed: int, held_out: float, test: float
) -> dict[str, NDArray[np.int64]]:
    """Row numbers of the parts train, validation and test, each in the order of the permutation.

    Two cuts, each after a permutation by `numpy.random.default_rng(seed)`: the first `held_out` of
    all rows, rounded up, are set apart and the rest is train; of those set apart, permuted again,
    the first `test`, rounded up, are test and the rest is validation. This is how the STaR
    repository splits MMLU (jakob-bjorner/star, star/dataset/dataset.py).

    Args:
        rows: how many there are.
        seed: of both permutations.
        held_out: share of the rows in validation and test together, in (0, 1).
        test: share of those in test, in (0, 1).
    """
    apart, train = _cut(rows, held_out, seed)
    in_test, in_validation = _cut(len(apart), test, seed)
    return {"train": train, "validation": apart[in_validation], "test": apart[in_test]}


def _cut(rows: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first `share` of the permuted rows, and the others."""
    import numpy as np

    order = np.random.default_rng(seed).permutation(rows)
    first = math.ceil(rows * share)
    return order[:first], order[first:]
