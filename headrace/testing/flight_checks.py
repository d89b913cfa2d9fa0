"""Checks with plausible parameters for the flights of 2013, and the flights as a batch that checks can look at."""

import io
from dataclasses import replace
from typing import Any

import polars as pl

from headrace.runtime.samples import FLIGHTS, sample_csv
from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import WINDOW
from headrace.stream_processors.checks.reference import KEYS, KnownKeys

_WHOLE = (
    "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay flight air_time distance hour "
    "minute"
).split()
TYPES = {
    **dict.fromkeys(_WHOLE, FieldType.LONG),
    **dict.fromkeys(["carrier", "tailnum", "origin", "dest"], FieldType.STRING),
    "time_hour": FieldType.TIMESTAMP,
}
_MONTH_SECS = 2_678_400


def flights() -> pl.DataFrame:
    """Return all flights of 2013: a window for each month, one file, rows in the file's order."""
    kinds = {name: pl.Int64 if name in _WHOLE else pl.String for name in TYPES}
    found = pl.read_csv(io.BytesIO(sample_csv(FLIGHTS)), null_values=["NA"], schema_overrides=kinds)
    moment = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us")
    window = (pl.col("month") * _MONTH_SECS).alias(WINDOW)
    return found.with_columns(moment, window, _file=pl.lit("f"), _row=pl.int_range(pl.len()))


def flight_rule(check: str, *fields: str, bounds: Bounds | None = None, **parameters: Any) -> CheckRule:
    """Return a rule on flights with the check's own unit and dimension."""
    found = check_named(check)
    name = "-".join([check, *fields, *(str(value) for key, value in parameters.items() if key in {"of", "metric"})])
    return CheckRule(name, check, fields, parameters, bounds, found.unit, dimension=found.dimension, types=TYPES)


def with_keys(rule: CheckRule) -> CheckRule:
    """Return a rule of `reference` with the keys it asks for."""
    column = {"airlines": "carrier", "airports": "faa", "planes": "tailnum"}[rule.parameters["dataset"]]
    frame = pl.read_csv(io.BytesIO(sample_csv(rule.parameters["dataset"])), infer_schema=False).select(column)
    return replace(rule, prepared={KEYS: KnownKeys(frame)})


def at_most(value: float) -> Bounds:
    """Return an upper bound."""
    return Bounds(upper=value)


def flight_rules() -> list[tuple[CheckRule, str]]:
    """Return rules with the outcome that they have on January, February being the reference."""
    return [*_rules_of_rows(), *_rules_of_figures()]


def _rules_of_rows() -> list[tuple[CheckRule, str]]:
    return [
        (flight_rule("in_set", "origin", values=["EWR", "JFK", "LGA"]), "pass"),
        (flight_rule("in_set", "carrier", values=["UA", "AA"], bounds=at_most(1.0)), "fail"),
        (flight_rule("pattern", "tailnum", pattern=r"^N[0-9]{1,5}[A-Z]{0,2}$"), "fail"),
        (flight_rule("pattern", "dest", pattern="^[A-L]"), "fail"),
        (flight_rule("range", "dep_time", minimum=1, maximum=2400), "pass"),
        (flight_rule("range", "time_hour", minimum="2013-01-01T00:00:00Z", maximum="2013-12-31T23:59:59Z"), "pass"),
        (flight_rule("range", "dep_delay", maximum=60), "fail"),
        (flight_rule("length", "carrier", minimum=2, maximum=2), "pass"),
        (flight_rule("format", "origin", format="country"), "fail"),
        (flight_rule("format", "flight", format="luhn"), "fail"),
        (flight_rule("row_rule", expression="hour * 100 + minute = sched_dep_time"), "pass"),
        (flight_rule("row_rule", expression="arr_time >= dep_time or arr_time is null"), "fail"),
        (flight_rule("row_rule", expression="lower(origin) in ('ewr') and distance / 2 > 100.5"), "fail"),
        (with_keys(flight_rule("reference", "carrier", dataset="airlines")), "pass"),
        (with_keys(flight_rule("reference", "tailnum", dataset="planes")), "fail"),
        (with_keys(flight_rule("reference", "dest", dataset="airports", keys=["faa"], bounds=at_most(5.0))), "pass"),
        (flight_rule("control_total"), "pass"),
        (flight_rule("control_total", "distance", decimals=0), "pass"),
    ]


def _rules_of_figures() -> list[tuple[CheckRule, str]]:
    return [
        (flight_rule("sink_reconcile"), "pass"),
        (flight_rule("distinct_count", "carrier", bounds=Bounds(10, 20)), "pass"),
        (flight_rule("distinct_count", "tailnum", bounds=Bounds(2500, 4000)), "pass"),
        (flight_rule("distinct_count", "origin", "dest", bounds=at_most(100)), "fail"),
        (flight_rule("unique_ratio", "tailnum"), "fail"),
        (flight_rule("unique_ratio", "month", "day", "carrier", "flight", "origin"), "not_checked"),
        (flight_rule("mean_std_bounds", "distance", bounds=Bounds(900, 1200)), "pass"),
        (flight_rule("mean_std_bounds", "dep_delay", of="std", bounds=at_most(20)), "fail"),
        (flight_rule("quantile_bounds", "distance", bounds=Bounds(700, 1000)), "pass"),
        (flight_rule("quantile_bounds", "dep_delay", quantile=0.99, bounds=at_most(60)), "fail"),
        (flight_rule("outlier_rate", "air_time"), "pass"),
        (flight_rule("outlier_rate", "dep_delay", fence=1.5), "fail"),
        (flight_rule("stuck_value", "dep_time", longest=50), "pass"),
        (flight_rule("stuck_value", "year", longest=50, key=["origin"]), "fail"),
        (flight_rule("unit_shift", "distance"), "pass"),
        (flight_rule("dominance_heaping", "origin"), "pass"),
        (flight_rule("dominance_heaping", "sched_dep_time", of="last_digit"), "fail"),
        (flight_rule("dominance_heaping", "arr_time", of="last_digit"), "pass"),
        (flight_rule("psi_drift", "distance"), "pass"),
        (flight_rule("psi_drift", "day", threshold=0.01), "fail"),
        (flight_rule("category_drift", "carrier"), "pass"),
        (flight_rule("category_drift", "month"), "fail"),
        (flight_rule("metric_anomaly", metric="rows", least_windows=6), "pass"),
        (flight_rule("metric_anomaly", "dep_time", metric="null_rate", least_windows=6), "pass"),
        (flight_rule("metric_anomaly", "distance", metric="median", least_windows=6), "pass"),
        (flight_rule("pii_leak"), "pass"),
        (flight_rule("pii_leak", "tailnum", detectors=["email", "card"]), "pass"),
    ]
