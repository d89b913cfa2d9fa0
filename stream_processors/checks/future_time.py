"""Events that are said to happen after the record of them arrived."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, Verdict, View, given
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.checks.timing import (
    MICROS,
    TimeParameters,
    delay_micros,
    delay_sql,
    time_name,
    time_problem,
    timed_verdict,
)


class FutureTime(Check):
    """How many records have an event time after their arrival: a wrong clock, time zone or date."""

    name = "future_time"
    dimension = Dimension.TIMELINESS
    unit = Unit.PERCENT
    summary = "records with an event time in the future of their arrival"
    reason = Reason.OUT_OF_RANGE

    class Model(TimeParameters):
        """Its parameters."""

        tolerance_secs: float = Field(
            default=60.0, ge=0, description="Seconds that clocks may differ by without meaning anything."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no time."""
        return time_problem(rule, kinds)

    def _limit(self, rule: CheckRule) -> int:
        return -round(given(self.Model, rule).tolerance_secs * MICROS)

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows from the future."""
        return delay_micros(rule) < self._limit(rule)

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return the records with an event time, and how many of them are from the future."""
        return {"timed": delay_micros(rule).count(), "failed": self.broken(rule).sum()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the counts in ClickHouse."""
        delay = delay_sql(rule)
        return {"timed": f"count({delay})", "failed": f"countIf(ifNull({delay} < {self._limit(rule)}, false))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        tolerance = given(self.Model, rule).tolerance_secs
        return f"{demand(rule)} of the records may have {time_name(rule)} more than {tolerance:g} s after their arrival"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of records from the future."""
        return timed_verdict(rule, view, f"have {time_name(rule)} in the future")
