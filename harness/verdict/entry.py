"""What may stand in a golden file: numbers, claimed ranges, bands, and numbers without a check.

An entry is of one of four kinds. `published` was printed in a paper; `refit` was computed from
published points by an independent implementation; `transcribed` was read off the same figure that
the run replays; `recorded` was written from a run of this harness. The last two are guards, of the
data file and against drift, and no evidence of anything else.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Sequence


class Kind(StrEnum):
    """Where a golden number comes from."""

    PUBLISHED = "published"
    REFIT = "refit"
    TRANSCRIBED = "transcribed"
    RECORDED = "recorded"


_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")


def _finite_decimal(text: str) -> str:
    if not _DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
        msg = f"{text[:40]!r} is not a finite decimal number such as 0.135 or 1.49e-4"
        raise ValueError(msg)
    return text


def _rising(ends: tuple[str, str]) -> tuple[str, str]:
    if float(ends[0]) >= float(ends[1]):
        msg = f"{ends[0]} to {ends[1]} is not a range from a lower to a higher number"
        raise ValueError(msg)
    return ends


Digits = Annotated[str, AfterValidator(_finite_decimal)]
Range = Annotated[tuple[Digits, Digits], AfterValidator(_rising)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Reason = Annotated[str, Field(min_length=20)]


class Strict(BaseModel):
    """A part of a golden file: no unknown key, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Declaration(Strict):
    """What is known to be wrong with an entry before anything is run.

    `instead` is what an independent computation gives in place of the printed number; a run that
    does not find that either is judged not reproduced, so a declaration hides nothing.
    """

    kind: Literal["misprint", "incomplete_data", "unknown_protocol"]
    reason: Reason
    instead: Digits


class Point(Strict):
    """Published parameters at which the fit's own objective is evaluated (level R0)."""

    params: dict[str, float]
    by_curve: dict[str, dict[float, float]] = {}


class _Shown:
    """A number as printed, or the two ends of a range that a publication claims: one of the two."""

    if TYPE_CHECKING:
        printed: str | None
        between: tuple[str, str] | None

    @property
    def shown(self) -> str:
        """The number, or the range, as text for a reader."""
        if self.between is not None:
            return f"{self.between[0]} to {self.between[1]}"
        assert self.printed is not None
        return self.printed

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of the range, in the entry's unit; of a single number, the number twice."""
        low, high = self.between or (self.shown, self.shown)
        return float(low), float(high)

    @property
    def value(self) -> float:
        """The printed number, or the middle of the range, in the entry's unit."""
        low, high = self.ends
        return low if low == high else (low + high) / 2

    @property
    def half_unit(self) -> float:
        """Half a unit of the last printed digit (of a range: of its upper end)."""
        return half_unit(self.shown.rpartition(" ")[2])

    def _check_shown(self) -> None:
        if (self.printed is None) == (self.between is None):
            msg = "it needs either `printed` (one number) or `between` (a claimed range), not both"
            raise ValueError(msg)


class Entry(_Shown, Strict):
    """One golden number: digits as printed, unit, place, protocol.

    `tolerance`, `input_rounding`, `margin` and `sd` are in the entry's unit. What each means, and
    which level uses it: docs/add-a-golden.md.
    """

    id: str
    group: str
    label: str
    quantity: str
    kind: Kind
    printed: Digits | None = None
    between: Range | None = None
    unit: str = "1"
    scale: Positive = 1.0
    rtol: float | None = Field(default=None, gt=0, lt=1)
    tolerance: Positive | None = None
    tolerance_reason: Reason | None = None
    input_rounding: Positive | None = None
    margin: Positive | None = None
    margin_reason: Reason | None = None
    sd: Positive | None = None
    runs: int | None = Field(default=None, ge=1)
    questions: int | None = Field(default=None, ge=1)
    source: str
    place: str
    protocol: str
    declared: Declaration | None = None
    at: Point | None = None

    @property
    def texts(self) -> Sequence[str]:
        """What a refusal is matched against."""
        return (self.id, self.group, self.label, self.quantity, self.place)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_shown()
        if (self.margin is None) != (self.margin_reason is None):
            msg = "`margin` and `margin_reason` go together: a margin is set beforehand, with why"
            raise ValueError(msg)
        if (self.tolerance is None) != (self.tolerance_reason is None):
            msg = "`tolerance` and `tolerance_reason` go together: it stands beforehand, with why"
            raise ValueError(msg)
        if self.tolerance is not None and any((self.rtol, self.input_rounding, self.between)):
            msg = "`tolerance` is the whole tolerance: no rtol, input_rounding or between beside it"
            raise ValueError(msg)
        if self.sd is not None and self.runs is None:
            msg = "`sd` needs `runs`: how many runs stand behind the published number"
            raise ValueError(msg)
        if self.questions is not None and not 0 <= self.value * self.scale <= 1:
            msg = "`questions` is for a share: the printed number times `scale` lies in [0, 1]"
            raise ValueError(msg)
        if self.between is not None and any((self.rtol, self.margin, self.at)):
            msg = "a range is its own tolerance: `between` goes without rtol, margin and at"
            raise ValueError(msg)
        return self


def half_unit(printed: str) -> float:
    """Half a unit of the last digit of a number as printed: 0.0005 for "0.135"."""
    exponent = Decimal(printed).as_tuple().exponent
    if not isinstance(exponent, int):
        msg = f"{printed!r} has no last digit"
        raise TypeError(msg)
    return 0.5 * 10.0**exponent


class Band(Strict):
    """Published predictions on a fixed grid, judged together by one simultaneous band.

    `predicted[i][j]` is the published loss at size N[i] and abscissa x[j], and `se` the standard
    error of each, where the source gives one; `margin` is an absolute difference in loss. A
    `recorded` band was predicted by a fit of this harness to `runs` seeds.
    """

    id: str
    group: str
    label: str = "predictions"
    fit: str
    kind: Literal[Kind.PUBLISHED, Kind.REFIT, Kind.RECORDED]
    runs: int | None = Field(default=None, ge=2)
    x: tuple[Positive, ...] = Field(min_length=1)
    N: tuple[Positive, ...] = Field(min_length=1)
    predicted: tuple[tuple[float, ...], ...]
    se: tuple[tuple[Annotated[float, Field(ge=0)], ...], ...] | None = None
    margin: Positive
    margin_reason: Reason
    source: str
    place: str
    protocol: str

    @property
    def quantity(self) -> str:
        """The name under which the run's predictions are looked up."""
        return f"band/{self.fit}"

    @property
    def texts(self) -> Sequence[str]:
        """What a refusal is matched against."""
        return (self.id, self.group, self.label, self.quantity, self.place)

    @model_validator(mode="after")
    def _on_the_grid(self) -> Self:
        for name, table in (("predicted", self.predicted), ("se", self.se)):
            if table is None:
                continue
            if len(table) != len(self.N) or any(len(row) != len(self.x) for row in table):
                msg = f"`{name}` needs a row for each N ({len(self.N)}), each of {len(self.x)} x"
                raise ValueError(msg)
            if not all(math.isfinite(value) for row in table for value in row):
                msg = f"`{name}` holds a number that is not finite"
                raise ValueError(msg)
        if self.kind is Kind.RECORDED and (self.runs is None or self.se is None):
            msg = "a recorded band needs `runs` and `se`: how many seeds, and how far they differ"
            raise ValueError(msg)
        return self


class NotRecomputed(_Shown, Strict):
    """A published number that no run can find again, and why; it is shown and never counted."""

    id: str
    group: str
    label: str
    printed: Digits | None = None
    between: Range | None = None
    unit: str = "1"
    source: str
    place: str
    reason: Reason

    @property
    def texts(self) -> Sequence[str]:
        """What a refusal is matched against."""
        return (self.id, self.group, self.label, self.place)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_shown()
        return self


class Refusal(Strict):
    """Published numbers that may not become goldens, whoever adds them, and why.

    An entry is refused if `match` stands in its id, group, label, quantity or place, in any case.
    """

    what: str
    match: str = Field(min_length=3)
    reason: Reason

    def concerns(self, entry: Entry | Band | NotRecomputed) -> bool:
        """Whether the entry is one of those that are refused."""
        return any(self.match.casefold() in text.casefold() for text in entry.texts)
