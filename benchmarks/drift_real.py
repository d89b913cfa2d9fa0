"""python -m benchmarks.drift_real: how often the drift checks fire on the real days of 2013, one after another.

Nothing is injected and nothing is known to be wrong: real days differ by more than chance.
"""

from functools import reduce

import polars as pl

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks.base import WINDOW, FieldFigure, Outcome, View
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.top import Top
from headrace.testing.flight_checks import flights

_DAY = 86_400
_TRAILING = 7
_SHOWN = (
    *(CheckRule(name, "psi_drift", (name,)) for name in ("dep_delay", "air_time", "distance")),
    *(CheckRule(name, "unit_shift", (name,)) for name in ("air_time", "distance")),
    *(CheckRule(name, "category_drift", (name,)) for name in ("carrier", "origin")),
    CheckRule("dep_time", "metric_anomaly", ("dep_time",), {"metric": "null_rate"}),
    CheckRule("air_time", "metric_anomaly", ("air_time",), {"metric": "median"}),
    CheckRule("", "volume_anomaly"),
)


def main() -> None:
    """Print of each check how many days fail, and how many cannot be decided."""
    found = flights().with_columns((pl.col("time_hour").dt.epoch("s") // _DAY * _DAY).alias(WINDOW))
    grouped = found.group_by(WINDOW).agg(pl.len(), pl.col("dep_time").null_count().alias("nulls")).sort(WINDOW)
    days = [View(start, start + _DAY, rows, {"nulls": nulls}) for start, rows, nulls in grouped.rows()]
    print("| check | days | fail | not checked |\n|---|---|---|---|")
    for rule in _SHOWN:
        outcomes = [outcome for _, outcome in _outcomes(rule, days, _cells(rule, found))]
        fails, unknown = outcomes.count(Outcome.FAIL), outcomes.count(Outcome.NOT_CHECKED)
        print(f"| {rule.check} {rule.id} | {len(outcomes)} | {fails} | {unknown} |")


def _cells(rule: CheckRule, batch: pl.DataFrame) -> dict[int, dict[str, dict[str, Cell]]]:
    if not rule.fields or rule.parameters.get("metric") == "null_rate":
        return {}
    name = rule.fields[0]
    if batch[name].dtype == pl.String:
        return {start: {name: {FieldFigure.TOP: cell}} for start, cell in Top.by_window(batch, name).items()}
    return {start: {name: {FieldFigure.QUANTILES: cell}} for start, cell in Quantiles.by_window(batch, name).items()}


def _outcomes(
    rule: CheckRule, days: list[View], cells: dict[int, dict[str, dict[str, Cell]]]
) -> list[tuple[int, Outcome]]:
    check, history, outcomes = check_named(rule.check), list[tuple[int, float]](), []
    for number, day in enumerate(days):
        fields = cells.get(day.start, {})
        before = [cells[one.start] for one in days[max(0, number - _TRAILING) : number]] if cells else []
        merged = reduce(_merged, before) if before else {}
        reference = View(0, _DAY, 1, fields=merged) if merged else None
        view = View(day.start, day.end, day.rows, day.counts, {}, fields, history, reference)
        verdict = check.verdict(rule, view)
        outcomes.append((day.start, verdict.outcome))
        if verdict.observed is not None:
            history = [*history, (day.start, verdict.observed)]
    return outcomes


def _merged(left: dict[str, dict[str, Cell]], right: dict[str, dict[str, Cell]]) -> dict[str, dict[str, Cell]]:
    return {
        name: {figure: cell.merge(right[name][figure]) for figure, cell in own.items()} for name, own in left.items()
    }


if __name__ == "__main__":
    main()
