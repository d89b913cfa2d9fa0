"""The checks of the shipped contracts on the real files: they fail on the days that were odd indeed, and no others."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks.base import WINDOW, Check, FieldFigure, Outcome
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.testing.check_views import views_of
from headrace.testing.real_rows import as_batch, real_records

CELLS: Mapping[FieldFigure, Any] = {
    FieldFigure.DISTINCT: Distinct,
    FieldFigure.MOMENTS: Moments,
    FieldFigure.QUANTILES: Quantiles,
}
# They compare with earlier windows, or with another dataset, which the engine fetches, or with what a learner found.
NOT_ALONE = {
    "usual_volume",
    "usual_airlines",
    "destination_is_an_airport",
    "weather_unlike_before",
    "delays_predicted_as_before",
}
EXPECTED = {
    "flights": {
        # 2013-11-29 after Thanksgiving; the last day of UTC, which the file has four hours of.
        "flights_a_day": 2,
        "every_airport_reports": 1,
        "one_row_a_flight": 0,
        "cancelled_flights": 15,
        "aircraft_known": 2,
        "departed_flights_arrive": 2,
        "delays_of_the_day": 2,
        "airlines_a_day": 1,
        "destinations_a_day": 1,
        "usual_distances": 0,
    },
    "weather": {
        "reports_a_day": 5,
        "every_station_reports": 0,
        "one_report_an_hour": 0,
        "temperature_of_the_day": 0,
        "temperature_reported": 0,
        "wind_direction_reported": 0,
        "pressure_reported": 8,
    },
    "planes": {"whole_register": 0, "age_known": 0, "primary_key": 0},
    "airports": {"whole_list": 0, "time_zone_known": 0, "primary_key": 0},
    "airlines": {"whole_list": 0, "primary_key": 0},
}


def failed_windows(rule: CheckRule, batch: pl.DataFrame) -> tuple[int, int]:
    """Return in how many windows of a batch the rule fails, and in how many it was not checked."""
    check: Check = check_named(rule.check)
    fields: dict[int, dict[str, dict[str, Any]]] = {}
    for name, figures in check.reads(rule).items():
        for figure in figures & CELLS.keys():
            for start, cell in CELLS[figure].by_window(batch, name).items():
                fields.setdefault(start, {}).setdefault(name, {})[figure] = cell
    views = views_of(check, rule, batch, size=86_400)
    found = Counter(
        check.verdict(rule, replace(view, fields=fields.get(start, {}))).outcome for start, view in views.items()
    )
    return found[Outcome.FAIL], found[Outcome.NOT_CHECKED]


@pytest.mark.parametrize("dataset", sorted(EXPECTED))
def test_checks_of_the_contract_fail_on_the_odd_days_only(dataset: str) -> None:
    contract, records = real_records(dataset)
    window = contract.window
    batch = records.with_columns(pl.lit(0, pl.Int64).alias(WINDOW))
    if window.time_field:
        batch = as_batch(records, window.time_field, window.size_secs)
    found = {rule.id: failed_windows(rule, batch) for rule in contract.checks if rule.id not in NOT_ALONE}
    assert {name: failed for name, (failed, _) in found.items()} == EXPECTED[dataset]
    assert {name: missed for name, (_, missed) in found.items() if missed} == {}
