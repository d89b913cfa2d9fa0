"""Values outside of a list."""

from collections.abc import Mapping
from datetime import date

from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension
from headrace.schemas.expression import Kind
from headrace.schemas.record import FieldType
from headrace.schemas.rules import OneOf, Scalar
from headrace.stream_processors.checks.base import Parameters, given
from headrace.stream_processors.checks.common import RowCheck, demand, field_type, fields_problem, named

_ALLOWED = frozenset({Kind.WHOLE, Kind.NUMBER, Kind.TEXT, Kind.BOOLEAN, Kind.DATE})
_VALUES: Mapping[Kind, tuple[type, ...]] = {
    Kind.WHOLE: (int,),
    Kind.NUMBER: (int, float),
    Kind.BOOLEAN: (bool,),
}
_SHOWN = 10


class InSet(RowCheck):
    """How many records have a value that is not on a list."""

    name = "in_set"
    dimension = Dimension.CONFORMITY
    summary = "values that are not on the list of allowed ones"
    reason = Reason.NOT_IN_SET
    what = "a value that is not on the list"

    class Model(Parameters):
        """Parameters."""

        values: list[str | int | float | bool] = Field(
            description="The allowed values; dates as YYYY-MM-DD. A missing value is not looked at.", min_length=1
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the values do not fit the field."""
        if found := fields_problem(rule, kinds, _ALLOWED):
            return found
        kind = kinds[rule.fields[0]]
        wanted = _VALUES.get(kind, (str,))
        for value in given(self.Model, rule).values:
            if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
                return f"value {value!r} is no {kind}"
            if kind is Kind.DATE and not _is_date(str(value)):
                return f"value {value!r} is no date: write YYYY-MM-DD"
        return ""

    def row_demand(self, rule: CheckRule) -> OneOf:
        """Return the list."""
        values: list[Scalar] = list(given(self.Model, rule).values)
        if field_type(rule, rule.fields[0]) is FieldType.DATE:
            values = [date.fromisoformat(str(value)) for value in values]
        return OneOf(tuple(values))

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule).values
        more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        listed = ", ".join(map(str, values[:_SHOWN]))
        return f"{demand(rule)} of {named(rule)} may be something else than {listed}{more}"


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
