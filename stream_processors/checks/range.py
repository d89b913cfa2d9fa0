"""Values outside of two bounds."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas import rules
from headrace.schemas.check_rules import CheckRule, Dimension
from headrace.schemas.expression import Kind
from headrace.schemas.rules import Bound
from headrace.stream_processors.checks.base import Parameters, given
from headrace.stream_processors.checks.common import NUMBERS, RowCheck, demand, fields_problem, named

_ALLOWED = NUMBERS | {Kind.DATE, Kind.TIMESTAMP}
_DATE_LENGTH = 10


class Range(RowCheck):
    """How many records have a value below a minimum or above a maximum."""

    name = "range"
    dimension = Dimension.CONFORMITY
    summary = "values outside of a minimum and a maximum"
    reason = Reason.OUT_OF_RANGE
    what = "a value out of range"

    class Model(Parameters):
        """Parameters."""

        minimum: int | float | str | None = Field(
            default=None, description="Least value: a number, YYYY-MM-DD, or a timestamp with its zone."
        )
        maximum: int | float | str | None = Field(default=None, description="Greatest value.")
        above: bool = Field(default=False, description="The minimum itself is outside.")
        below: bool = Field(default=False, description="The maximum itself is outside.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the bounds do not fit the field."""
        if found := fields_problem(rule, kinds, _ALLOWED):
            return found
        kind, values = kinds[rule.fields[0]], given(self.Model, rule)
        if values.minimum is None and values.maximum is None:
            return "it needs a minimum or a maximum"
        for value in (values.minimum, values.maximum):
            if value is not None and (fault := _misfit(value, kind)):
                return fault
        found_range = self.row_demand(rule)
        low, high = found_range.minimum, found_range.maximum
        if low is not None and high is not None and low > high:  # type: ignore[operator]
            return f"minimum {values.minimum} is above maximum {values.maximum}"
        return ""

    def row_demand(self, rule: CheckRule) -> rules.Range:
        """Return the bounds."""
        values = given(self.Model, rule)
        return rules.Range(_bound(values.minimum), _bound(values.maximum), above=values.above, below=values.below)

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        low = f" below {values.minimum}" if values.minimum is not None else ""
        high = f" above {values.maximum}" if values.maximum is not None else ""
        return f"{demand(rule)} of {named(rule)} may be{low}{' or' if low and high else ''}{high}"


def _misfit(value: float | str, kind: Kind) -> str:
    if isinstance(value, bool) or isinstance(value, str) is (kind in NUMBERS):
        return f"bound {value!r} is no {kind}"
    if not isinstance(value, str):
        return "" if abs(value) < 2**63 else f"bound {value!r} does not fit 64 bits"
    try:
        found = _bound(value)
    except ValueError:
        return f"bound {value!r} is no {kind}: write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ"
    if isinstance(found, datetime):
        return "" if kind is Kind.TIMESTAMP and found.tzinfo else f"bound {value!r} is no {kind} with a zone"
    return "" if kind is Kind.DATE else f"bound {value!r} is no {kind}: write YYYY-MM-DDTHH:MM:SSZ"


def _bound(value: float | str | None) -> Bound | None:
    if not isinstance(value, str):
        return value
    if len(value) <= _DATE_LENGTH:
        return date.fromisoformat(value)
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment
