"""Complete records."""

from collections.abc import Mapping

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import Check, Verdict, View, against_bounds, not_checked
from headrace.stream_processors.checks.common import demand, named
from headrace.stream_processors.checks.timing import names_problem

_ALL = Bounds(lower=100.0)


class CompleteRows(Check):
    """How many records have a value in every one of several fields; by default all must."""

    name = "complete_rows"
    dimension = Dimension.COMPLETENESS
    unit = Unit.PERCENT
    summary = "records that have a value in every required field"
    needs_fields = 1
    reason = Reason.REQUIRED

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that a field is unknown, or that the unit cannot be followed."""
        if rule.unit is not Unit.PERCENT and rule.bounds is None:
            return "complete_rows without a bound counts in percent: leave the unit out"
        return names_problem(rule.fields, kinds)

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows that miss a value."""
        return pl.any_horizontal(pl.col(name).is_null() for name in rule.fields)

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count in ClickHouse."""
        return {"failed": f"countIf({' OR '.join(f'isNull({identifier(name)})' for name in rule.fields)})"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule, _ALL)} of the records must have all of {named(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of complete records."""
        if not view.rows or "failed" not in view.counts:
            return not_checked("its rows were not counted" if view.rows else "no rows", view.rows)
        failed = view.counts["failed"]
        complete = view.rows - failed
        share = 100.0 * complete / view.rows
        detail = f"{complete:,} of {view.rows:,} have all of {named(rule)} ({share:.3g} %)"
        observed = share if rule.unit is Unit.PERCENT else float(complete)
        return against_bounds(rule, observed, rows=view.rows, at_risk=failed, detail=detail, unless=_ALL)
