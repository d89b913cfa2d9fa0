"""Checks of completeness, coverage, time and repetition on the real flights of 2013 give the known figures."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule, Unit, WindowSpec
from headrace.schemas.expression import KIND_OF
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import ARRIVED, WINDOW, Check, Outcome, Verdict, View
from headrace.stream_processors.sketches.registry import unpack_cell
from headrace.stream_processors.steps.window_profile import Origin, window_deltas
from headrace.testing.check_views import merged_views, views_of
from headrace.testing.real_rows import as_batch, real_records

YEAR = 400 * 86_400
DAY = 86_400
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
CONTRACT, RECORDS = real_records("flights")
TYPES = {field.name: field.type for field in CONTRACT.record_fields}
KNOWN: dict[str, Any] = {
    facts.NOW: 1.4e9,
    facts.UNREADABLE_ROWS: {"flights.csv": 0},
    facts.KNOWN_SCHEMAS: {1},
    facts.REGISTERED_FIELDS: {name: kind.value for name, kind in TYPES.items()},
}


def rule(
    check: str, *fields: str, unit: Unit | None = None, bounds: Bounds | None = None, **parameters: Any
) -> CheckRule:
    return CheckRule(check, check, fields, parameters, bounds, unit or check_named(check).unit, types=TYPES)


def of_the_year(demand: CheckRule) -> Verdict:
    """Return the verdict on the whole year as one window that was judged in batches."""
    check: Check = check_named(demand.check)
    assert check.problem(demand, {name: KIND_OF[kind] for name, kind in TYPES.items()}) == ""
    batch = as_batch(RECORDS, "time_hour", YEAR).with_columns(pl.lit(0, pl.Int64).alias(WINDOW))
    parts = [views_of(check, demand, part, size=YEAR, facts=KNOWN) for part in batch.iter_slices(100_000)]
    return check.verdict(demand, merged_views(parts)[0])


TIMES = RECORDS["time_hour"]
HOURS = RECORDS.select((pl.col("time_hour").max() - pl.col("time_hour").min()).dt.total_hours() + 1).item()
PLANES = RECORDS.select("month", "day", "tailnum").drop_nulls()
REPEATED = PLANES.height - PLANES.n_unique()
KEY = ["month", "day", "carrier", "flight", "origin"]


KNOWN_RESULTS: list[tuple[CheckRule, float, Outcome]] = [
    (rule("schema_match"), 0, Outcome.PASS),
    (rule("schema_change"), 0, Outcome.PASS),
    (rule("parse_errors"), 0, Outcome.PASS),
    (rule("lossy_cast", "distance", to="int"), 0, Outcome.PASS),
    (rule("lossy_cast", "carrier", unit=Unit.ROWS, to="long"), 336_776, Outcome.FAIL),
    (rule("encoding", "carrier", "tailnum", "dest"), 0, Outcome.PASS),
    (rule("missing_rate", "tailnum", unit=Unit.ROWS, sentinels=["NA"]), 2_512, Outcome.FAIL),
    (rule("missing_rate", "dep_time", unit=Unit.ROWS, sentinels=[0]), 8_255, Outcome.FAIL),
    (
        rule("complete_rows", "dep_time", "arr_time", "air_time", unit=Unit.ROWS, bounds=Bounds(lower=1)),
        327_346,
        Outcome.PASS,
    ),
    (rule("conditional_required", "arr_time", unit=Unit.ROWS, when="dep_time is not null"), 458, Outcome.FAIL),
    (rule("row_count", bounds=Bounds(lower=336_776, upper=336_776)), 336_776, Outcome.PASS),
    (rule("silent_source", "origin", sources=["EWR", "JFK", "LGA"]), 0, Outcome.PASS),
    (rule("segment_coverage", "carrier", segments=CARRIERS), 100, Outcome.PASS),
    (
        rule("segment_coverage", "carrier", unit=Unit.ROWS, bounds=Bounds(lower=16), segments=CARRIERS, at_least=100),
        15,
        Outcome.FAIL,
    ),
    (rule("late_rate", unit=Unit.ROWS, after_secs=7_198), 46, Outcome.FAIL),
    (rule("future_time"), 0, Outcome.PASS),
    (rule("sequence_gap", "time_hour", step_secs=3600), HOURS - TIMES.n_unique(), Outcome.FAIL),
    (rule("duplicate_key", *KEY, unit=Unit.ROWS), 0, Outcome.NOT_CHECKED),
    (rule("duplicate_key", "month", "day", "tailnum", unit=Unit.ROWS), REPEATED, Outcome.FAIL),
    (rule("replayed_file"), 0, Outcome.PASS),
]
OTHER = [rule("arrival_delay"), rule("latency"), rule("out_of_order", key=["origin"]), rule("volume_anomaly")]


@pytest.mark.parametrize(
    ("demand", "observed", "outcome"),
    KNOWN_RESULTS,
    ids=lambda value: f"{value.check}-{'-'.join(value.fields)}" if isinstance(value, CheckRule) else "",
)
def test_a_check_of_the_year_says_what_is_known(demand: CheckRule, observed: float, outcome: Outcome) -> None:
    found = of_the_year(demand)
    assert found.outcome is outcome, found
    assert found.observed is not None
    assert abs(found.observed - observed) <= found.error, found


def test_quantiles_of_the_delay_are_within_their_error() -> None:
    found = of_the_year(rule("arrival_delay", bounds=Bounds(upper=6_000), quantile=0.5))
    assert found.outcome is Outcome.PASS
    assert found.observed == pytest.approx(3_600, abs=found.error + 1)


def test_latency_of_the_year_is_counted_from_its_last_hour() -> None:
    found = of_the_year(rule("latency", bounds=Bounds(upper=60)))
    assert (found.outcome, found.observed) == (Outcome.FAIL, 1.4e9 - 1_388_548_800)


def test_flights_out_of_order_are_counted_across_batches() -> None:
    late = RECORDS.select((pl.col("time_hour") < pl.col("time_hour").cum_max()).sum()).item()
    found = of_the_year(rule("out_of_order", unit=Unit.ROWS))
    assert found.outcome is Outcome.FAIL
    assert found.observed is not None
    assert abs(found.observed - late) <= found.error
    assert found.error < 0.1 * late


def test_a_month_that_comes_again_under_another_name_is_found() -> None:
    month = as_batch(RECORDS, "time_hour", YEAR).filter(pl.col("month") == 2)
    again = month.sample(fraction=1.0, shuffle=True, seed=1).with_columns(pl.lit("again").alias("_file"))
    check, demand = check_named("replayed_file"), rule("replayed_file")
    (view,) = views_of(check, demand, pl.concat([month, again])).values()
    assert check.verdict(demand, view).rows_at_risk == month.height


def test_daily_volume_is_usual_but_for_holidays() -> None:
    daily = as_batch(RECORDS, "time_hour", DAY).group_by(WINDOW).len().sort(WINDOW).rows()
    check, demand = check_named("volume_anomaly"), rule("volume_anomaly")
    found = {}
    for place, (start, rows) in enumerate(daily):
        view = View(start, start + DAY, rows, history=[(other, float(count)) for other, count in daily[:place]])
        found[start] = check.verdict(demand, view).outcome
    days = pl.from_epoch(pl.Series([start for start, outcome in found.items() if outcome is Outcome.FAIL])).dt.date()
    assert {str(day) for day in days} >= {"2013-07-04", "2013-11-28", "2013-11-29"}
    assert len(days) <= 40
    assert list(found.values()).count(Outcome.NOT_CHECKED) == 28


def test_the_judges_pass_gives_the_figures_of_every_check_on_both_clocks() -> None:
    rules = [
        replace(demand, id=str(place)) for place, demand in enumerate([*(row[0] for row in KNOWN_RESULTS), *OTHER])
    ]
    january = as_batch(RECORDS.filter(pl.col("month") == 1), "time_hour", DAY)
    records = january.select([*TYPES, "_file", "_row"])
    origin = Origin(january[ARRIVED], 1)
    deltas = window_deltas(records, CONTRACT.record_fields, rules, WindowSpec("time_hour", DAY), origin)
    by_arrival = january.with_columns((pl.col(ARRIVED) // (DAY * 1_000_000) * DAY).alias(WINDOW))
    for demand in rules:
        check: Check = check_named(demand.check)
        expected = {
            (clock, start): (view.counts, view.cells)
            for clock, batch in (("event", january), ("arrival", by_arrival))
            for start, view in views_of(check, demand, batch).items()
        }
        given = {
            (delta.clock, delta.start): (
                delta.counts.get(demand.id, {}),
                {name: unpack_cell(cell) for name, cell in delta.cells.get(demand.id, {}).items()},
            )
            for delta in deltas
        }
        assert given == expected, demand


def test_a_field_that_the_file_lacks_is_absent_although_the_judge_fills_it_in() -> None:
    records = RECORDS.head(100).drop("tailnum")
    origin, demand = Origin(pl.Series([0] * 100), 1), rule("schema_match")
    (delta, *_) = window_deltas(records, CONTRACT.record_fields, [demand], WindowSpec(), origin)
    cells = {name: unpack_cell(cell) for name, cell in delta.cells[demand.id].items()}
    found = check_named("schema_match").verdict(demand, View(delta.start, delta.start + DAY, 100, cells=cells))
    assert (found.outcome, found.observed, found.rows_at_risk) == (Outcome.FAIL, 1.0, 100)
    assert "tailnum is absent" in found.detail
