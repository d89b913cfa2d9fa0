"""Values that would lose something on the way into another type."""

from collections.abc import Mapping
from typing import Final, Literal

import polars as pl
from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.sql_text import identifier, literal
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given
from headrace.stream_processors.checks.common import NUMBERS, TEXTS, counted_verdict, demand, field_type, fields_problem

# Texts that become a number as they stand: no decimal comma, thousands separator, unit, or digit too many.
_WRITTEN: Final = {
    "long": r"^[+-]?[0-9]{1,18}$",
    "int": r"^[+-]?[0-9]{1,9}$",
    "double": r"^[+-]?(?:[0-9]{1,15}|[0-9]{0,7}\.[0-9]{1,8}|[0-9]{1,12}\.[0-9]{0,3})(?:[eE][+-]?[0-9]{1,2})?$",
    "float": r"^[+-]?(?:[0-9]{1,6}|[0-9]{0,3}\.[0-9]{1,3}|[0-9]{1,5}\.[0-9]?)(?:[eE][+-]?[0-9])?$",
}
_GREATEST: Final = {"long": 2.0**63, "int": 2.0**31}


class LossyCast(Check):
    """How many values of a field would be cut, rounded or misread as another type."""

    name = "lossy_cast"
    dimension = Dimension.CONFORMITY
    unit = Unit.PERCENT
    summary = "values that lose something as another type: decimal commas, units, fractions, digits"
    needs_fields = 1
    reason = Reason.TYPE_MISMATCH

    class Model(Parameters):
        """Its parameters."""

        to: Literal["int", "long", "float", "double"] = Field(
            description="Type that the values are meant to have in the end."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is neither text nor number, or that nothing can be lost."""
        if found := fields_problem(rule, kinds, TEXTS | NUMBERS):
            return found
        fraction = kinds[rule.fields[0]] is Kind.NUMBER and given(self.Model, rule).to == "double"
        return f'a number loses nothing as double; field "{rule.fields[0]}" is one' if fraction else ""

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows whose value does not survive."""
        column, to = pl.col(rule.fields[0]), given(self.Model, rule).to
        if KIND_OF[field_type(rule, rule.fields[0])] is Kind.TEXT:
            return ~column.str.contains(_WRITTEN[to])
        number = column.cast(pl.Float64)
        if to in _GREATEST:
            limit = _GREATEST[to]
            return (number != number.floor()) | (number >= limit) | (number < -limit) | number.is_nan()
        if to == "double":
            return number.abs() > 2.0**53
        return (number != number.cast(pl.Float32).cast(pl.Float64)) & number.is_finite()

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count in ClickHouse."""
        name, to = identifier(rule.fields[0]), given(self.Model, rule).to
        number = f"toFloat64({name})"
        if KIND_OF[field_type(rule, rule.fields[0])] is Kind.TEXT:
            lost = f"not(match({name}, {literal(_WRITTEN[to])}))"
        elif to in _GREATEST:
            limit = f"toFloat64({int(_GREATEST[to])})"
            outside = f"{number} >= {limit} OR {number} < -{limit} OR isNaN({number})"
            lost = f"{number} != floor({number}) OR {outside}"
        elif to == "double":
            lost = f"abs({number}) > toFloat64({2**53})"
        else:
            lost = f"{number} != toFloat64(toFloat32({number})) AND isFinite({number})"
        return {"failed": f"countIf(ifNull({lost}, false))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} of {rule.fields[0]} may lose something as {given(self.Model, rule).to}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of such values."""
        return counted_verdict(rule, view, f"lose something of {rule.fields[0]} as {given(self.Model, rule).to}")
