"""Records of a window."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, Outcome, Verdict, View, against_bounds, not_checked
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.checks.timing import bounds_problem


class RowCount(Check):
    """How many records a window has. A window that is known to be empty fails a lower bound, and never passes."""

    name = "row_count"
    dimension = Dimension.COVERAGE
    unit = Unit.ROWS
    summary = "records of a window"
    sees_silence = True

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that there is no bound, or that it is in percent."""
        return "it counts records: write unit rows" if rule.unit is Unit.PERCENT else bounds_problem(rule)

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return the count."""
        return {"rows": pl.len()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the count in ClickHouse."""
        return {"rows": "count()"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} records are expected in each window"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the count."""
        detail = f"{view.rows:,} records"
        found = against_bounds(rule, float(view.rows), rows=view.rows, at_risk=0, detail=detail)
        if found.outcome is Outcome.FAIL:
            return replace(found, rows_at_risk=view.rows)
        return found if view.rows else not_checked("no rows")
