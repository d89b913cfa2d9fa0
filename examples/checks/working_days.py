"""A check of one's own: records that say they happened on a Saturday or Sunday, when the office is closed."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given, not_checked, share_verdict


class WorkingDays(Check):
    """How many records happened on a Saturday or Sunday; those without a time are left out."""

    name = "working_days"
    dimension = Dimension.CONSISTENCY
    unit = Unit.PERCENT
    summary = "records of a Saturday or Sunday"
    needs_fields = 1

    class Model(Parameters):
        saturday: bool = Field(default=False, description="Saturday is a working day too.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        field = rule.fields[0]
        if kinds.get(field) in {Kind.DATE, Kind.TIMESTAMP}:
            return ""
        return f'field "{field}" is no date and no timestamp'

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        day = pl.col(rule.fields[0])
        return {"timed": day.is_not_null().sum(), "failed": (day.dt.weekday() > self._last(rule)).sum()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        day = identifier(rule.fields[0])
        return {"timed": f"count({day})", "failed": f"countIf(toDayOfWeek({day}) > {self._last(rule)})"}

    def sentence(self, rule: CheckRule) -> str:
        bounds = rule.bounds or Bounds(upper=0.0)
        return f"{bounds.spoken(rule.unit)} of {rule.fields[0]} may be {self._days(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        timed = view.counts.get("timed", 0)
        if not timed:
            return not_checked(f"no record has {rule.fields[0]}" if view.rows else "no rows", view.rows)
        return share_verdict(rule, view.counts.get("failed", 0), timed, f"are {self._days(rule)}")

    def _last(self, rule: CheckRule) -> int:
        return 6 if given(self.Model, rule).saturday else 5

    def _days(self, rule: CheckRule) -> str:
        return "on a Sunday" if given(self.Model, rule).saturday else "on a Saturday or Sunday"
