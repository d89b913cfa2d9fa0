"""How old the newest record is."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import WINDOW, Check, Outcome, Verdict, View, against_bounds, not_checked
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.checks.timing import (
    MICROS,
    TimeParameters,
    bounds_problem,
    micros_of,
    micros_sql,
    time_field,
    time_name,
    time_problem,
)
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.extremes import Extremes


class Latency(Check):
    """How long ago the newest event was, at the moment of the verdict (fact `now`)."""

    name = "latency"
    dimension = Dimension.TIMELINESS
    unit = Unit.SECONDS
    summary = "seconds from the newest event to now"
    Model = TimeParameters

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no time, or that there is no bound."""
        return time_problem(rule, kinds) or bounds_problem(rule)

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the oldest and the newest event of each window."""
        times = batch.select(WINDOW, micros_of(time_field(rule)).alias("time"))
        return {start: {"times": cell} for start, cell in Extremes.by_window(times, "time").items()}

    def sql(self, rule: CheckRule) -> Mapping[str, str]:
        """Return the newest event in ClickHouse, in microseconds; 0 where there is none."""
        return {"newest": f"ifNull(max({micros_sql(time_field(rule))}), 0)"}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"the newest {time_name(rule)} must be {demand(rule)} ago"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the age of the newest event."""
        times = view.cells.get("times")
        newest = times.high if isinstance(times, Extremes) else view.counts.get("newest") or None
        now = view.facts.get(facts.NOW)
        if not view.rows or newest is None:
            return not_checked(f"no record has {time_name(rule)}" if view.rows else "no rows", view.rows)
        if now is None:
            return not_checked("what time it is now is unknown", view.rows)
        # Event time may be ahead of the newest row of this window, in others.
        age = float(now) - max(newest / MICROS, float(view.facts.get(facts.WATERMARK, newest / MICROS)))
        detail = f"the newest event is {age:,.0f} s old"
        found = against_bounds(rule, age, rows=view.rows, at_risk=0, detail=detail)
        return replace(found, rows_at_risk=view.rows) if found.outcome is Outcome.FAIL else found
