"""The vocabulary of judgement: quantities that a run found, and what each is worth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.errors import ExitCode
from harness.verdict.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Verdict(StrEnum):
    """The four outcomes; there is no fifth."""

    REPRODUCED = "reproduced"
    DRIFTED = "drifted"
    INCONCLUSIVE = "inconclusive"
    NOT_REPRODUCED = "not_reproduced"


class Level(StrEnum):
    """How much of the work was redone: the fit, the scoring, the evaluation, the training."""

    R0 = "R0"
    R1 = "R1"
    R2 = "R2"
    R3 = "R3"


EXIT_CODES = {
    Verdict.REPRODUCED: ExitCode.OK,
    Verdict.DRIFTED: ExitCode.OK,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Verdict.NOT_REPRODUCED: ExitCode.NOT_REPRODUCED,
}


@dataclass(frozen=True)
class Sample:
    """One quantity from several seeds.

    Attributes:
        values: one number for each seed, in base units.
        questions: size of the evaluation set behind each; None for what is no share of questions.
    """

    values: tuple[float, ...]
    questions: int | None = None


@dataclass(frozen=True)
class Spread:
    """Standard error of a value that no seeds stand behind, and the degrees of freedom of it.

    For a parameter: the standard deviation over resampled refits, in base units, and one less than
    the number of curves or clusters that were drawn.
    """

    se: float
    df: float


@dataclass(frozen=True)
class Quantity:
    """One number that a run produced, under a name that goldens refer to.

    Attributes:
        name: for example `fit/base-C-intra/K_max`.
        value: in base units (parameters, FLOPs, samples, a fraction); None when it could not be
            had, and then `missing` says why.
        slack: half-width within which an optimiser may stop and still be within a relative
            objective excess of 1: SE * sqrt(n - p). Zero for numbers that no optimiser found.
        missing: why there is no value, or no value that may be compared.
        doubt: why the value, though there, is not determined by the data (a fit's flags).
        sample: the values by seed whose mean `value` is; None where there are no seeds.
        spread: the standard error, where no sample gives one.
    """

    name: str
    value: float | None
    slack: float = 0.0
    missing: str | None = None
    doubt: str | None = None
    sample: Sample | None = None
    spread: Spread | None = None


@dataclass(frozen=True)
class Statistics:
    """What a statistical comparison rests on, in the entry's unit.

    Attributes:
        se: Welch standard error of the difference.
        df: its degrees of freedom after Welch and Satterthwaite.
        low, high: the 90% interval of the difference, which the equivalence test holds against the
            margin.
        seeds: how many seeds the run has; None for what comes from resampling.
        seeds_needed: how many would give 80% power at the margin; None if no number does.
    """

    se: float
    df: float
    low: float
    high: float
    seeds: int | None
    seeds_needed: int | None


@dataclass(frozen=True)
class Comparison:
    """One golden entry held against what the run found.

    `published` is the number as printed, or a claimed range: "0.2 to 0.4". `found`, `difference`
    (from a range: from its nearer end, if outside) and `tolerance` are in the unit of the entry (N0
    is printed in 1e9 parameters). `declared` names what the golden says of its own entry
    beforehand: `misprint`, `incomplete_data` or `unknown_protocol`; such an entry does not count in
    the verdict of its row or its suite. Nor does one that is `reported_only`: a parameter whose fit
    is judged by its predictions. `statistics` is there where levels R1 to R3 compare samples.
    """

    entry: str
    group: str
    quantity: str
    label: str
    unit: str
    published: str
    found: float | None
    difference: float | None
    tolerance: float | None
    tolerance_reason: str
    verdict: Verdict
    reason: str
    declared: str | None
    kind: str
    source: str
    statistics: Statistics | None = None
    reported_only: bool = False

    @property
    def counts(self) -> bool:
        """Whether the entry takes part in the verdict of its row and its suite."""
        return not self.reported_only and (self.declared is None or self.verdict is _WORST)

    @property
    def is_evidence(self) -> bool:
        """Whether finding the number again says anything of it: not if the run only replays it."""
        return self.kind != Kind.TRANSCRIBED.value

    @property
    def digits(self) -> str:
        """The published number whose last digit says how finely to show what was found."""
        return self.published.rpartition(" ")[2]


def of_row(comparisons: Iterable[Comparison]) -> Verdict:
    """The worst of the entries that count; `inconclusive` if none does.

    Declared entries do not count, nor those that are only reported.
    """
    verdicts = {c.verdict for c in comparisons if c.counts}
    for verdict in (Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE, Verdict.DRIFTED):
        if verdict in verdicts:
            return verdict
    return Verdict.REPRODUCED if verdicts else Verdict.INCONCLUSIVE


def overall(comparisons: Iterable[Comparison]) -> Verdict:
    """The verdict of a suite: the worst of the entries that count.

    Where nothing counts but numbers that were transcribed from the file that the run replays, the
    answer is `inconclusive` at best: finding them again says that the file is whole.
    """
    known = list(comparisons)
    verdict = of_row(known)
    if verdict is Verdict.NOT_REPRODUCED or any(c.counts and c.is_evidence for c in known):
        return verdict
    return Verdict.INCONCLUSIVE


# A declared entry whose run contradicts even the declaration is a failure like any other.
_WORST = Verdict.NOT_REPRODUCED


def by_group(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Rows of the verdict table in the order in which the golden file lists them."""
    rows: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        rows.setdefault(comparison.group, []).append(comparison)
    return rows
