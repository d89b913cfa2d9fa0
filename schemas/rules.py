"""What a contract demands of a record: one rule each, with an id, a severity and a reason code.

The checks say what must hold; `headrace.stream_processors.steps.validate` looks whether it does. A missing value breaks
`Required` and no other check: the others speak of values that are there.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from headrace.core.vocabulary import Reason, Severity
from headrace.schemas.expression import Expression

Bound = int | float | date | datetime
Scalar = str | int | float | bool | date


@dataclass(frozen=True)
class Required:
    """The value is there."""

    code: ClassVar[Reason] = Reason.REQUIRED


@dataclass(frozen=True)
class OneOf:
    """The value is one of a list."""

    code: ClassVar[Reason] = Reason.NOT_IN_SET
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Range:
    """The value lies between two bounds; None is no bound. NaN lies outside of every range.

    `above` and `below` leave the bound itself out.
    """

    code: ClassVar[Reason] = Reason.OUT_OF_RANGE
    minimum: Bound | None = None
    maximum: Bound | None = None
    above: bool = False
    below: bool = False


@dataclass(frozen=True)
class Length:
    """The text has a number of characters (Unicode code points) between two bounds; None is no bound."""

    code: ClassVar[Reason] = Reason.BAD_LENGTH
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class Pattern:
    """The text has a match of a regular expression in it; `^` and `$` tie it to the ends.

    `text` is what the contract says, `compiled` the same for engines that run in linear time (schemas/patterns.py).
    """

    code: ClassVar[Reason] = Reason.PATTERN_MISMATCH
    text: str
    compiled: str


@dataclass(frozen=True)
class MultipleOf:
    """The number is a whole multiple of a step; fractions are allowed the rounding of binary numbers."""

    code: ClassVar[Reason] = Reason.NOT_A_MULTIPLE
    step: int | float


@dataclass(frozen=True)
class RowRule:
    """An SQL expression over the fields of one record is not false. Unknown (null) does not fail the row."""

    code: ClassVar[Reason] = Reason.ROW_RULE
    expression: Expression


Check = Required | OneOf | Range | Length | Pattern | MultipleOf | RowRule


@dataclass(frozen=True)
class Rule:
    """One demand of a contract on `fields`.

    A row that breaks a rule of severity critical goes to quarantine; breaking a rule of another severity is counted,
    and the row goes on.
    """

    id: str
    fields: tuple[str, ...]
    check: Check
    severity: Severity = Severity.CRITICAL
    description: str = ""

    @property
    def code(self) -> Reason:
        """Return the reason that a broken rule gives."""
        return self.check.code

    @property
    def rejects(self) -> bool:
        """Return True if a row that breaks the rule goes to quarantine."""
        return self.severity is Severity.CRITICAL

    @property
    def parameters(self) -> Mapping[str, object]:
        """Return what the check was set to, without what is unset; for people and comparisons.

        >>> Rule("distance.range", ("distance",), Range(0, None)).parameters
        {'minimum': 0}
        """
        if isinstance(self.check, RowRule):
            return {"expression": self.check.expression.text}
        if isinstance(self.check, Pattern):
            return {"pattern": self.check.text}
        found = dataclasses.asdict(self.check)
        return {name: value for name, value in found.items() if value is not None and value is not False}
