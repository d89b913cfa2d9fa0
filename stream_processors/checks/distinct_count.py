"""The number of different values."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import Check, FieldFigure, Verdict, View, against_bounds, not_checked
from headrace.stream_processors.checks.common import (
    FRACTIONS,
    bounds_problem,
    demand,
    fields_problem,
    named,
    own_cell,
    profile_cell,
)
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.distinct import Distinct

DISTINCT = "distinct"
DIFFERENT = "different"
"""The figure of exactly counted values, which SQL gives and the stream does not."""
MOST_FIELDS = 8


@dataclass(frozen=True)
class Counted:
    """A number of different values that was counted."""

    estimate: float
    error: float = 0.0
    exact: bool = True


class DistinctCount(Check):
    """How many different values a field has, or several fields together: exact up to 512, then within its error."""

    name = "distinct_count"
    dimension = Dimension.UNIQUENESS
    unit = Unit.VALUE
    summary = "number of different values; exact up to 512, then with its error"
    needs_fields = 1

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the rule has no bounds."""
        return fields_problem(rule, kinds, most=MOST_FIELDS) or bounds_problem(rule)

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's distinct values, for one field."""
        return {rule.fields[0]: frozenset({FieldFigure.DISTINCT})} if len(rule.fields) == 1 else {}

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the distinct combinations, for several fields."""
        return combinations(rule, batch) if len(rule.fields) > 1 else {}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the exact number in ClickHouse."""
        return different_sql(rule)

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{named(rule)} must have {demand(rule)} different values"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the number, beyond its error."""
        found = distinct_of(rule, view)
        if not view.rows:
            return not_checked("no rows")
        if not found.estimate:
            return not_checked(f"no values of {named(rule)}", view.rows)
        about = "" if found.exact else "about "
        detail = f"{named(rule)} has {about}{found.estimate:,.0f} different values"
        return against_bounds(rule, found.estimate, rows=view.rows, at_risk=0, detail=detail, error=found.error)


def combinations(rule: CheckRule, batch: pl.DataFrame) -> dict[int, dict[str, Cell]]:
    """Return the distinct values of the rule's fields together, by window."""
    found = Distinct.by_window(batch, list(rule.fields))
    return {start: {DISTINCT: cell} for start, cell in found.items()}


def different_sql(rule: CheckRule) -> dict[str, str]:
    """Return the number of different values of the rule's field, or of its fields together, in ClickHouse."""
    columns = [_column(rule, name) for name in rule.fields]
    values = columns[0] if len(columns) == 1 else f"tuple({', '.join(columns)})"
    return {DIFFERENT: f"uniqExact({values})"}


def _column(rule: CheckRule, name: str) -> str:
    """Return a field as the stream compares its values: one NaN, one zero."""
    column = identifier(name)
    return f"if(isNaN({column}), nan, toFloat64({column}) + 0)" if rule.types.get(name) in FRACTIONS else column


def distinct_of(rule: CheckRule, view: View) -> Distinct | Counted:
    """Return the distinct values of the rule's field, or of its fields together."""
    if DIFFERENT in view.counts:
        return Counted(float(view.counts[DIFFERENT]))
    if len(rule.fields) == 1:
        return profile_cell(view, rule.fields[0], FieldFigure.DISTINCT, Distinct)
    return own_cell(view, DISTINCT, Distinct)
