"""Records that come too late."""

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


class LateRate(Check):
    """How many records arrive later after their event than is allowed."""

    name = "late_rate"
    dimension = Dimension.TIMELINESS
    unit = Unit.PERCENT
    summary = "records that arrive longer after their event than allowed"
    reason = Reason.LATE

    class Model(TimeParameters):
        """Its parameters."""

        after_secs: float = Field(ge=0, description="Seconds from event to arrival from which on a record is late.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no time."""
        return time_problem(rule, kinds)

    def _limit(self, rule: CheckRule) -> int:
        return round(given(self.Model, rule).after_secs * MICROS)

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows that came too late; one without event time did not."""
        return delay_micros(rule) > self._limit(rule)

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return the records with an event time, and how many of them came too late."""
        return {"timed": delay_micros(rule).count(), "failed": self.broken(rule).sum()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the counts in ClickHouse."""
        delay = delay_sql(rule)
        return {"timed": f"count({delay})", "failed": f"countIf(ifNull({delay} > {self._limit(rule)}, false))"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        after = given(self.Model, rule).after_secs
        return f"{demand(rule)} of the records may arrive more than {after:g} s after {time_name(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the share of late records."""
        return timed_verdict(rule, view, f"arrived more than {given(self.Model, rule).after_secs:g} s late")
