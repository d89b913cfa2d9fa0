"""A figure of a window that is far from what it used to be."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.sql_text import identifier
from headrace.stream_processors.checks.adwin import HELD, changes
from headrace.stream_processors.checks.base import (
    Check,
    FieldFigure,
    Outcome,
    Parameters,
    Verdict,
    View,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import NUMBERS, fields_problem, named, profile_cell
from headrace.stream_processors.checks.noise import LEAST_CHANCE, deviations
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles

SECOND_VOTE: Final = "second_vote"
"""The name in `CheckRule.prepared` of a change detector to ask instead of ADWIN: a callable that is given the metric of
the earlier windows and of this one, oldest first, and says whether the last one is in a new regime."""
_MAD_TO_STD: Final = 1.4826


class MetricAnomaly(Check):
    """A window's metric against the median of its own history, in robust standard deviations."""

    name = "metric_anomaly"
    dimension = Dimension.CONSISTENCY
    unit = Unit.VALUE
    summary = "a window's rows, nulls, mean, median or distinct values against their own history (robust z)"
    reads_history = True

    class Model(Parameters):
        """Parameters."""

        metric: Literal["rows", "null_rate", "mean", "std", "median", "distinct"] = Field(description="What to watch.")
        z: float = Field(default=5.0, gt=0, description="Robust standard deviations beyond which it is an anomaly.")
        least_windows: int = Field(default=12, ge=3, description="Earlier windows that are needed.")
        least_change: float = Field(
            default=0.01,
            ge=0,
            description="Share of the median that counts as one deviation where history is constant.",
        )
        chance: float | None = Field(
            default=None,
            ge=LEAST_CHANCE,
            le=0.05,
            description="Share of stable windows that may fail by chance: where it asks for more deviations than z, "
            "they hold. A contract's false-alarm budget sets it.",
        )
        votes: Literal[1, 2] = Field(
            default=1,
            description="2: it fails only if ADWIN agrees, which needs five windows of the new kind: no false alarm "
            "less in the bench, and all of five windows later.",
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that the metric does not fit the field."""
        metric = given(self.Model, rule).metric
        if metric == "rows":
            return "rows are counted without a field" if rule.fields else ""
        return fields_problem(rule, kinds, NUMBERS if metric in {"mean", "std", "median"} else frozenset(Kind))

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return the nulls, where they are watched."""
        nulls = given(self.Model, rule).metric == "null_rate"
        return {"nulls": pl.col(rule.fields[0]).is_null().sum()} if nulls else {}

    def sql(self, rule: CheckRule) -> Mapping[str, str] | None:
        """Return the nulls in ClickHouse, where they are watched."""
        nulls = given(self.Model, rule).metric == "null_rate"
        return {"nulls": f"countIf(isNull({identifier(rule.fields[0])}))"} if nulls else None

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile's figure of the metric."""
        figure = {
            "mean": FieldFigure.MOMENTS,
            "std": FieldFigure.MOMENTS,
            "median": FieldFigure.QUANTILES,
            "distinct": FieldFigure.DISTINCT,
        }.get(given(self.Model, rule).metric)
        return {rule.fields[0]: frozenset({figure})} if figure else {}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        values = given(self.Model, rule)
        of = f" of {named(rule)}" if rule.fields else ""
        return f"{values.metric.replace('_', ' ')}{of} may be {values.z:g} robust deviations from its own history"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the metric; `observed` is the metric itself, which becomes the history."""
        values = given(self.Model, rule)
        if not view.rows:
            return not_checked("no rows")
        observed = _metric(rule, view, values.metric)
        if observed is None:
            return not_checked(f"no values of {named(rule)}", view.rows)
        # The value is kept all the same: it is the history of later windows.
        history = [value for _, value in view.history]
        if len(history) < values.least_windows:
            why = f"{len(history)} earlier windows, {values.least_windows} are needed"
            return Verdict(Outcome.NOT_CHECKED, observed, rows=view.rows, detail=why)
        usual = statistics.median(history)
        spread = _MAD_TO_STD * statistics.median(abs(value - usual) for value in history)
        noise = _noise(rule, view, values.metric, usual)
        deviation = max(spread, noise, values.least_change * abs(usual)) or values.least_change or 1.0
        z = values.z if values.chance is None else max(values.z, deviations(values.chance, len(history)))
        bounds = Bounds(usual - z * deviation, usual + z * deviation)
        failed, detail = bounds.excess(observed) > 0, f"{observed:.6g}, usually {usual:.6g} +- {deviation:.3g}"
        if values.votes > 1:
            second, fired = _second_vote(rule, [*history, observed], usual, deviation)
            detail += f"; the second vote {'agrees' if second == failed else 'does not agree'}{fired}"
            failed = failed and second
        at_risk = view.rows if failed else 0
        return Verdict(Outcome.FAIL if failed else Outcome.PASS, observed, 0.0, bounds, view.rows, at_risk, detail)


def _metric(rule: CheckRule, view: View, metric: str) -> float | None:
    if metric == "rows":
        return float(view.rows)
    if metric == "null_rate":
        return 100.0 * view.counts["nulls"] / view.rows if "nulls" in view.counts else None
    if metric == "median":
        return profile_cell(view, rule.fields[0], FieldFigure.QUANTILES, Quantiles).quantile(0.5)
    if metric == "distinct":
        return profile_cell(view, rule.fields[0], FieldFigure.DISTINCT, Distinct).estimate or None
    found = profile_cell(view, rule.fields[0], FieldFigure.MOMENTS, Moments)
    return (found.mean if metric == "mean" else found.std) if found.n else None


def _noise(rule: CheckRule, view: View, metric: str, usual: float) -> float:
    """Return the standard deviation of the metric by chance alone, for the rows of this window; 0.0 if unknown.

    Not of the mean: the standard deviation of a window with a few wild values would hide them.
    """
    if metric == "rows":
        return math.sqrt(max(usual, 0.0))
    if metric == "null_rate":
        share = min(max(usual / 100, 1 / view.rows), 1 - 1 / view.rows) if view.rows > 1 else 0.5
        return 100 * math.sqrt(share * (1 - share) / view.rows)
    if metric == "median":
        values = profile_cell(view, rule.fields[0], FieldFigure.QUANTILES, Quantiles)
        around = 0.5 / math.sqrt(values.n)
        low, high = values.quantile(0.5 - around), values.quantile(0.5 + around)
        return ((high or 0.0) - (low or 0.0)) / 2
    return 0.0


def _second_vote(rule: CheckRule, metrics: Sequence[float], usual: float, deviation: float) -> tuple[bool, str]:
    """Return the second vote, and how often ADWIN fired in these windows beside the dummies that it must beat.

    A detector that fires as often as `always` says nothing, nor does one that fires as often as `never`.
    """
    vote: Callable[[Sequence[float]], bool] | None = rule.prepared.get(SECOND_VOTE)
    if vote is not None:
        return bool(vote(metrics)), ""
    fired = changes(metrics, usual, deviation)
    told = f" (ADWIN fired {sum(fired)} times in {len(fired)} windows; dummies: always {len(fired)}, never 0)"
    return any(fired[-HELD:]), told
