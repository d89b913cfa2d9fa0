"""How long records are under way."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import WINDOW, Check, Verdict, View, against_bounds, given, not_checked
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.checks.timing import (
    MICROS,
    TimeParameters,
    bounds_problem,
    delay_micros,
    time_name,
    time_problem,
)
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.quantiles import Quantiles


class ArrivalDelay(Check):
    """A quantile of the seconds from event to arrival; an arrival before the event counts as no delay."""

    name = "arrival_delay"
    dimension = Dimension.TIMELINESS
    unit = Unit.SECONDS
    summary = "a quantile of the seconds from event to arrival"

    class Model(TimeParameters):
        """Its parameters."""

        quantile: float = Field(default=0.95, gt=0, le=1, description="Share of the records that are as quick or so.")

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the field is no time, or that there is no bound."""
        return time_problem(rule, kinds) or bounds_problem(rule)

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the delays of each window."""
        delays = batch.select(WINDOW, (delay_micros(rule).clip(lower_bound=0) / MICROS).alias("delay"))
        return {start: {"delays": cell} for start, cell in Quantiles.by_window(delays, "delay").items()}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        share = 100 * given(self.Model, rule).quantile
        return f"{share:g} % of the records must arrive within a time of {demand(rule)} after {time_name(rule)}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the quantile."""
        delays, quantile = view.cells.get("delays"), given(self.Model, rule).quantile
        found = delays.quantile(quantile) if isinstance(delays, Quantiles) else None
        if not isinstance(delays, Quantiles) or found is None:
            return not_checked(f"no record has {time_name(rule)}" if view.rows else "no rows", view.rows)
        upper = rule.bounds.upper if rule.bounds else None
        at_risk = 0 if upper is None else round(delays.n * (1 - delays.share_below(upper)))
        detail = f"{100 * quantile:g} % of {delays.n:,} records arrived within {found:,.3g} s"
        return against_bounds(rule, found, rows=view.rows, at_risk=at_risk, detail=detail, error=delays.error(quantile))
