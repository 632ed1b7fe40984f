"""Synthetic curves for tests."""

from __future__ import annotations

import numpy as np

from harness.analysis import Curves

SIZES = np.array([0.5e9, 1.5e9, 3e9, 7e9, 14e9, 32e9, 72e9])


def planted(K_max, N0, E0, *, sizes=SIZES, points=20, noise=0.0, seed=0, start=1e17):
    """Curves of loglinear_kn: E0 holds one level per size; noise is relative, of seed `seed`."""
    rng = np.random.default_rng(seed)
    columns = {"N": [], "C": [], "ErrRate": []}
    for size, level in zip(sizes, E0, strict=True):
        x = start * (size / 1e9) * np.arange(1, points + 1)
        L = 10.0 ** (level - K_max / (1 + N0 / size) * np.log10(x))
        columns["N"].append(np.full(points, size))
        columns["C"].append(x)
        columns["ErrRate"].append(L * (1 + noise * rng.standard_normal(points)))
    return Curves({name: np.concatenate(parts) for name, parts in columns.items()})


def levels(K_max, N0, sizes=SIZES, start=1e17):
    """E0 that keep L between 0 and 1 for curves of `planted`."""
    return K_max / (1 + N0 / sizes) * np.log10(start * sizes / 1e9) - 0.05
