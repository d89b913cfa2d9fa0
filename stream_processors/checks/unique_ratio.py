"""The share of different values among all."""

from collections.abc import Mapping

import polars as pl

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import Check, FieldFigure, Scope, Verdict, View, beyond_doubt, not_checked
from headrace.stream_processors.checks.common import bounded, demand, fields_problem, named
from headrace.stream_processors.checks.distinct_count import MOST_FIELDS, combinations, different_sql, distinct_of
from headrace.stream_processors.sketches.base import Cell

_ALL = Bounds(lower=100.0)


class UniqueRatio(Check):
    """How many different values there are for 100 values: 100 % says that none repeats.

    Exact within each file, whose values the warehouse counts once its receipt came. Across the files of a window it is
    an estimate beyond 512 values: where its error reaches over the bound, it is not checked.
    """

    name = "unique_ratio"
    dimension = Dimension.UNIQUENESS
    unit = Unit.PERCENT
    summary = "different values in percent of all values; decided only beyond the error of the count"
    scope = Scope.BOTH
    needs_fields = 1

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that a field is unknown, or the unit makes no sense."""
        if rule.unit is not Unit.PERCENT:
            return "a ratio is in percent"
        return fields_problem(rule, kinds, most=MOST_FIELDS)

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return how many rows have a value: of one field a value that is not null, of several always."""
        return {"present": pl.len() if len(rule.fields) > 1 else pl.col(rule.fields[0]).is_not_null().sum()}

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's distinct values, for one field."""
        return {rule.fields[0]: frozenset({FieldFigure.DISTINCT})} if len(rule.fields) == 1 else {}

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the distinct combinations, for several fields."""
        return combinations(rule, batch) if len(rule.fields) > 1 else {}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the counts of values and of different ones in ClickHouse."""
        several = len(rule.fields) > 1
        present = "count()" if several else f"countIf(isNotNull({identifier(rule.fields[0])}))"
        return {"present": present, **different_sql(rule)}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule, _ALL)} of the values of {named(rule)} must be different"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the ratio, beyond its error."""
        found, present = distinct_of(rule, view), view.counts.get("present", 0)
        if not view.rows:
            return not_checked("no rows")
        if not present or not found.estimate:
            return not_checked(f"no values of {named(rule)}", view.rows)
        ratio, error = 100 * min(found.estimate / present, 1.0), 100 * found.error / present
        repeated = max(present - round(found.estimate), 0)
        detail = f"{'' if found.exact else 'about '}{found.estimate:,.0f} different among {present:,} values"
        told = bounded(rule, _ALL, ratio, rows=view.rows, at_risk=repeated, detail=detail, error=error)
        return beyond_doubt(told)
