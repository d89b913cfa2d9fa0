"""Missing values, however they are written."""

from collections.abc import Mapping
from typing import Final

import polars as pl
from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.sql_text import identifier, literal
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given
from headrace.stream_processors.checks.common import NUMBERS, counted_verdict, demand, field_type, fields_problem

# Unicode's white space, as both engines' sets of characters understand it.
_BLANK: Final = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_TAKEN = frozenset({Kind.TEXT, *NUMBERS, Kind.DATE})


class MissingRate(Check):
    """How many records have no value in a field, or one that only stands for none."""

    name = "missing_rate"
    dimension = Dimension.COMPLETENESS
    unit = Unit.PERCENT
    summary = "records without a value in a field, blanks and declared sentinels among them"
    needs_fields = 1
    reason = Reason.REQUIRED

    class Model(Parameters):
        """Its parameters."""

        sentinels: list[str | int | float] = Field(
            default=[], description='Values that stand for none, e.g. [-999, "N/A", "1900-01-01"].', max_length=100
        )
        blanks: bool = Field(default=True, description="Whether texts of nothing but white space are missing.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field or a sentinel is of the wrong kind; "" may stand anywhere, as the standard has it."""
        if found := fields_problem(rule, kinds, _TAKEN):
            return found
        numbers = kinds[rule.fields[0]] in NUMBERS
        listed = [value for value in given(self.Model, rule).sentinels if value != ""]
        wrong = [value for value in listed if isinstance(value, str) == numbers]
        wanted = "numbers" if numbers else 'texts in quotes, a date as "1900-01-01"'
        return f"sentinel {wrong[0]!r} cannot be in {rule.fields[0]}; write {wanted}" if wrong else ""

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows that miss the value."""
        column, chosen = pl.col(rule.fields[0]), given(self.Model, rule)
        kind = KIND_OF[field_type(rule, rule.fields[0])]
        parts = [column.is_null()]
        if kind in NUMBERS:
            numbers = [float(value) for value in chosen.sentinels if value != ""]
            return parts[0] | column.cast(pl.Float64).is_in(numbers) if numbers else parts[0]
        text = column.cast(pl.String)
        if chosen.sentinels:
            parts.append(text.is_in([str(value) for value in chosen.sentinels]))
        if chosen.blanks and kind is Kind.TEXT:
            parts.append(~text.str.contains(f"[^{_BLANK}]"))
        return pl.any_horizontal(parts)

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count in ClickHouse."""
        name, chosen = identifier(rule.fields[0]), given(self.Model, rule)
        kind = KIND_OF[field_type(rule, rule.fields[0])]
        parts = [f"isNull({name})"]
        if kind in NUMBERS:
            numbers = [f"toFloat64({float(value)!r})" for value in chosen.sentinels if value != ""]
            parts += [f"toFloat64({name}) IN ({', '.join(numbers)})"] if numbers else []
        elif chosen.sentinels:
            parts.append(f"toString({name}) IN ({', '.join(literal(str(value)) for value in chosen.sentinels)})")
        if chosen.blanks and kind is Kind.TEXT:
            parts.append(f"not(match({name}, {literal(f'[^{_BLANK}]')}))")
        return {"failed": f"countIf(ifNull({' OR '.join(parts)}, false))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        listed = ", ".join(map(str, given(self.Model, rule).sentinels[:5]))
        return f"{demand(rule)} of {rule.fields[0]} may be missing or blank" + (f" or {listed}" if listed else "")

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of missing values."""
        return counted_verdict(rule, view, f"miss {rule.fields[0]}")
