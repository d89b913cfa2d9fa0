"""The number of different values."""

from collections.abc import Mapping

import polars as pl

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, FieldFigure, Verdict, View, against_bounds, not_checked
from headrace.stream_processors.checks.common import (
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
MOST_FIELDS = 8


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


def distinct_of(rule: CheckRule, view: View) -> Distinct:
    """Return the distinct values of the rule's field, or of its fields together."""
    if len(rule.fields) == 1:
        return profile_cell(view, rule.fields[0], FieldFigure.DISTINCT, Distinct)
    return own_cell(view, DISTINCT, Distinct)
