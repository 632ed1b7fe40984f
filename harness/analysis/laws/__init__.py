"""The laws that ship with the harness, and the registry that finds any law by name."""

from harness.analysis.laws import (
    chinchilla,
    invexp,
    kn_saturation,
    loglinear,
    loglinear_kn,
    loglinear_kn_e0,
    loglinear_tau,
    postopenai,
    postopenai_nref,
    power,
    powlaw,
    powlawmul,
    saturating_power,
    sigmoid,
)
from harness.analysis.laws.formula import FormulaLaw, Points, Scale
from harness.analysis.laws.law import Law, Parameter, SharedSlopeLaw, get_law, law_names, register

__all__ = [
    "FormulaLaw",
    "Law",
    "Parameter",
    "Points",
    "Scale",
    "SharedSlopeLaw",
    "chinchilla",
    "get_law",
    "invexp",
    "kn_saturation",
    "law_names",
    "loglinear",
    "loglinear_kn",
    "loglinear_kn_e0",
    "loglinear_tau",
    "postopenai",
    "postopenai_nref",
    "power",
    "powlaw",
    "powlawmul",
    "register",
    "saturating_power",
    "sigmoid",
]
