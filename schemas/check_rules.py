"""What a contract demands of many records together: a named check with its parameters, bound, severity and weight.

A `Rule` (schemas/rules.py) is about one record and may send it to quarantine; a `CheckRule` is about a window or a file
and ends in a verdict. The checks themselves are plug-ins (`headrace.checks`); this says only what a contract asked for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from headrace.core.vocabulary import Severity
from headrace.schemas.record import FieldType


class Dimension(StrEnum):
    """The side of quality that a check looks at, in ODCS's words."""

    ACCURACY = "accuracy"
    COMPLETENESS = "completeness"
    CONFORMITY = "conformity"
    CONSISTENCY = "consistency"
    COVERAGE = "coverage"
    TIMELINESS = "timeliness"
    UNIQUENESS = "uniqueness"


class Unit(StrEnum):
    """What an observed value and its bounds count."""

    ROWS = "rows"
    PERCENT = "percent"
    SECONDS = "seconds"
    VALUE = "value"


@dataclass(frozen=True)
class Bounds:
    """Where an observed value may lie; None is no bound. `above` and `below` leave the bound itself out.

    `inside` False turns it round (ODCS mustNotBe, mustNotBeBetween).
    """

    lower: float | None = None
    upper: float | None = None
    above: bool = False
    below: bool = False
    inside: bool = True

    def excess(self, observed: float) -> float:
        """Return by how much the value is beyond the bounds, 0 inside; a value that is no number is beyond them all.

        >>> Bounds(upper=2.0).excess(2.5), Bounds(lower=1, upper=2).excess(1.5)
        (0.5, 0.0)
        """
        if math.isnan(observed):
            return math.inf
        low = -math.inf if self.lower is None else self.lower
        high = math.inf if self.upper is None else self.upper
        beyond = max(low - observed, observed - high, 0.0)
        at_bound = (self.above and observed == low) or (self.below and observed == high)
        if self.inside:
            return math.ulp(observed) if at_bound and not beyond else beyond
        return 0.0 if beyond or at_bound else max(math.ulp(observed), min(observed - low, high - observed))

    def spoken(self, unit: Unit) -> str:
        """Return the bounds in words, e.g. `at most 2 %`."""
        mark = {Unit.PERCENT: " %", Unit.ROWS: "", Unit.SECONDS: " s", Unit.VALUE: ""}[unit]
        if self.lower is not None and self.lower == self.upper:
            return f"{'exactly' if self.inside else 'not'} {self.lower:g}{mark}"
        low = "" if self.lower is None else f"{'more than' if self.above else 'at least'} {self.lower:g}{mark}"
        high = "" if self.upper is None else f"{'less than' if self.below else 'at most'} {self.upper:g}{mark}"
        both = " and ".join(part for part in (low, high) if part) or "anything"
        return both if self.inside else f"not ({both})"


@dataclass(frozen=True)
class CheckRule:
    """One check that a contract asks for.

    `check` names the plug-in, `parameters` are its own (validated by it when the contract is read), `fields` what it
    looks at: none means the whole record. `weight` is how much it counts in the score. `bounds` None: the check has a
    bound of its own, from its parameters. `types` has the types of the contract's fields, all of them.
    `prepared` is what the engine fetched for the check before it looks at a batch, e.g. the keys of a reference; it is
    no part of the demand, and equal demands with other preparations are equal.
    """

    id: str
    check: str
    fields: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    bounds: Bounds | None = None
    unit: Unit = Unit.VALUE
    severity: Severity = Severity.WARNING
    dimension: Dimension = Dimension.CONFORMITY
    weight: float = 1.0
    description: str = ""
    fix_hint: str = ""
    business_impact: str = ""
    types: Mapping[str, FieldType] = field(default_factory=dict, hash=False, repr=False)
    prepared: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False, repr=False)


@dataclass(frozen=True)
class WindowSpec:
    """How a dataset's records are put into windows.

    `time_field` is the timestamp or date field of event time, "" when there is none; `size_secs` the length of a
    window; `lateness_secs` how long after its end a window waits for late records, in event time.
    """

    time_field: str = ""
    size_secs: int = 3600
    lateness_secs: int = 0
