"""Counts and sums against what the sender says they are."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import (
    Check,
    Parameters,
    Scope,
    Verdict,
    View,
    against_bounds,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import NUMBERS, demand, fields_problem, named
from headrace.stream_processors.checks.facts import CONTROL_TOTALS

ROWS = "rows"
# What is no number of 62 bits in the last place is left out: it would not fit the sum.
_LARGEST = 2.0**62


class ControlTotal(Check):
    """By how much the number of records, or the sum of a field, differs from the total in a manifest or trailer."""

    name = "control_total"
    dimension = Dimension.ACCURACY
    unit = Unit.VALUE
    summary = "difference of a record count or sum from the manifest's or trailer's total"
    scope = Scope.FILE

    class Model(Parameters):
        """Parameters."""

        decimals: int = Field(
            default=2, ge=0, le=6, description="Decimal places to which each value is rounded before it is added."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the field has no sum."""
        return fields_problem(rule, kinds, NUMBERS) if rule.fields else ""

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return the sum in units of the last decimal place: whole, so that no order changes it."""
        if not rule.fields:
            return {"counted": pl.len()}
        value = pl.col(rule.fields[0]).cast(pl.Float64).fill_nan(None)
        scaled = (value * 10 ** given(self.Model, rule).decimals).round(0, mode="half_away_from_zero")
        return {"counted": pl.len(), "sum": scaled.filter(scaled.abs() < _LARGEST).cast(pl.Int64).sum()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count and the sum in ClickHouse."""
        if not rule.fields:
            return {"counted": "count()"}
        value = f"toFloat64({identifier(rule.fields[0])}) * {10 ** given(self.Model, rule).decimals}"
        rounded = f"sign({value}) * floor(abs({value}) + 0.5)"
        return {"counted": "count()", "sum": f"sum(toInt64(if(abs({value}) < {_LARGEST:.0f}, {rounded}, 0)))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        what = f"the sum of {named(rule)}" if rule.fields else "the number of records"
        return f"{what} may differ from the sender's total by {demand(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the difference."""
        key, figure = (rule.fields[0], "sum") if rule.fields else (ROWS, "counted")
        totals = view.facts.get(CONTROL_TOTALS) or {}
        if key not in totals:
            return not_checked(f"no manifest or trailer gives a total of {key}", view.rows)
        if not view.rows or figure not in view.counts:
            return not_checked("no rows" if not view.rows else "its rows were not counted", view.rows)
        scale = 10 ** given(self.Model, rule).decimals if rule.fields else 1
        seen, wanted = view.counts[figure] / scale, float(totals[key])
        difference = abs(view.counts[figure] - round(wanted * scale)) / scale
        detail = f"{key} add up to {seen:,.10g}, the sender says {wanted:,.10g}"
        at_risk = view.rows if difference else 0
        return against_bounds(rule, difference, rows=view.rows, at_risk=at_risk, detail=detail)
