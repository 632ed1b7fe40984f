"""Curves drawn from each law that is a formula, and an independent writing of that formula."""

from __future__ import annotations

import numpy as np

from tests.analysis.support import SIZES

N = np.repeat(SIZES, 40)
WHICH = np.repeat(np.arange(len(SIZES)), 40)
X = np.tile(np.arange(1, 41) / 10, len(SIZES)) * N / 1e9 * 1e18


def nref(value, limit, p):
    return limit + value * (1e9 / N) ** p


FORMULAS = {
    "chinchilla": lambda p: p["E"] + p["A"] * N ** -p["alpha"] + p["B"] * X ** -p["beta"],
    "invexp": lambda p: (p["S"] / X) ** p["k"][WHICH],
    "kn_saturation": lambda p: p["K_max"] / (1 + p["N0"] / X),
    "postopenai": lambda p: ((p["N0"] / N) ** p["beta"] + p["B0"] / (X + p["C0"])) ** p["alpha"],
    "postopenai_nref": lambda p: (
        (
            (p["N0"] / N) ** p["beta"]
            + nref(p["B0"], p["B_max"], p["p_B"]) / (X + nref(p["C0"], p["C_max"], p["p_C"]))
        )
        ** p["alpha"]
    ),
    "power": lambda p: p["A"][WHICH] * X ** -p["beta"][WHICH],
    "powlaw": lambda p: p["E"] + (p["A"] / N) ** p["alpha"] + (p["B"] / X) ** p["beta"],
    "saturating_power": lambda p: p["E"][WHICH] + p["A"][WHICH] * X ** -p["b"][WHICH],
    "sigmoid": lambda p: (
        p["R0"][WHICH] + (p["A"] - p["R0"])[WHICH] / (1 + (p["C_mid"][WHICH] / X) ** p["B"][WHICH])
    ),
    "powlawmul": lambda p: (p["C0"] * N ** p["r"] / X) ** (p["K_max"] / (1 + p["N0"] / N)),
}
PLANTED = {
    "chinchilla": {"E": 0.3, "A": 400.0, "alpha": 0.34, "B": 4000.0, "beta": 0.28},
    "invexp": {"S": 1e14, "k": np.linspace(0.02, 0.08, 7)},
    "kn_saturation": {"K_max": 0.13, "N0": 3e19},
    "postopenai": {"N0": 3.7e8, "beta": 1.02, "alpha": 0.2, "B0": 2e17, "C0": 3e17},
    "postopenai_nref": {
        "N0": 3.7e8,
        "beta": 1.02,
        "alpha": 0.2,
        "B_max": 1e16,
        "B0": 2e17,
        "p_B": 1.1,
        "C_max": 1e16,
        "C0": 3e17,
        "p_C": 0.7,
    },
    "power": {"A": np.linspace(3.0, 9.0, 7), "beta": np.linspace(0.02, 0.08, 7)},
    "powlaw": {"E": 0.1, "A": 2e7, "B": 1e15, "alpha": 0.6, "beta": 0.2},
    "saturating_power": {
        "E": np.array([0.1, 0.2, 0.3, 0.25, 0.2, 0.15, 0.1]),
        "A": np.linspace(1e3, 7e3, 7),
        "b": np.array([0.2, 0.21, 0.22, 0.23, 0.24, 0.22, 0.21]),
    },
    "sigmoid": {
        "A": np.linspace(0.5, 0.9, 7),
        "B": np.linspace(1.5, 3.0, 7),
        "C_mid": SIZES / 1e9 * 1.1e18,
        "R0": np.linspace(0.1, 0.2, 7),
    },
    "powlawmul": {"K_max": 0.13, "N0": 13e9, "C0": 1e2, "r": 1.3},
}


def draw(law, noise=0.0, seed=0):
    """Columns N, C, ErrRate; noise is relative."""
    y = FORMULAS[law](PLANTED[law])
    scatter = noise * np.random.default_rng(seed).standard_normal(len(y))
    return {"N": N, "C": X, "ErrRate": y * (1 + scatter)}


def pack(law, params):
    """All parameters as one vector, logarithms of the positive ones."""
    return np.concatenate([np.log(np.atleast_1d(params[name])) for name in PLANTED[law]])


def unpack(law, vector):
    """The inverse of `pack`."""
    found, at = {}, 0
    for name, value in PLANTED[law].items():
        size = np.size(value)
        part = np.exp(vector[at : at + size])
        found[name] = part if np.ndim(value) else part[0]
        at += size
    return found
