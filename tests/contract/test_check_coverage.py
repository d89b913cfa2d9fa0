"""No installed check without its page, its laws, and a fault that it finds in real flights, and only then."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_catalog import check_named, check_names
from headrace.schemas.check_rules import Bounds, CheckRule
from headrace.schemas.expression import KIND_OF
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import ARRIVED, SCHEMA_ID, WINDOW, Check, Outcome, Verdict
from headrace.stream_processors.sketches.moments import Moments
from headrace.testing.check_views import views_of
from headrace.testing.flight_checks import with_keys
from headrace.testing.real_rows import as_batch, real_records

ROOT = Path(__file__).parents[2]
DAY, MICROS = 86_400, 1_000_000
START = 1_358_208_000
TYPES = {known.name: known.type for known in real_records("flights")[0].record_fields}
Change = Callable[[pl.DataFrame], pl.DataFrame]


def untouched(rows: pl.DataFrame) -> pl.DataFrame:
    return rows


@dataclass(frozen=True)
class Fault:
    """A rule, what is done to the rows of a day, and what is known then; `sound` is known without the fault."""

    rule: CheckRule
    change: Change = untouched
    sound: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Any] | None = None


def rule(check: str, *fields: str, bounds: Bounds | None = None, **parameters: Any) -> CheckRule:
    return CheckRule(check, check, fields, parameters, bounds, check_named(check).unit, types=TYPES)


def some(**values: Any) -> Change:
    """Return the change of every fifth row: a column's value, or an expression."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        hit = pl.int_range(pl.len()) % 5 == 0
        made = {name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in values.items()}
        return rows.with_columns(
            pl.when(hit).then(value.cast(rows.schema[name])).otherwise(pl.col(name)).alias(name)
            for name, value in made.items()
        )

    return change


def every(**values: Any) -> Change:
    return lambda rows: rows.with_columns(
        (value if isinstance(value, pl.Expr) else pl.lit(value)).cast(rows.schema[name]).alias(name)
        for name, value in values.items()
    )


def few(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.head(100)


def twice(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([rows, rows.with_columns(pl.lit("again").alias("_file"))])


def turned_round(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.reverse().with_columns(pl.int_range(pl.len()).alias("_row"))


def told(name: str, value: Any) -> dict[str, Any]:
    return {"facts": {name: value}}


def found(anomalous: int) -> dict[str, Any]:
    """Return what a learner tells of the day: so many of its 800 records are anomalous."""
    weights = {"scored_weight": 800_000, "anomalous_weight": 1_000 * anomalous}
    return {"counts": {"seen": 800, "scored": 800, "anomalous": anomalous} | weights}


def lost(mean: float) -> dict[str, Any]:
    """Return what a learner tells of a day on which it lost so much a record, after days on which it lost about 15."""
    history = [(START - day * DAY, 15.0 + day % 3) for day in range(20, 0, -1)]
    cells = {"loss": Moments(800, mean, 800 * 400.0)}
    return {"counts": {"seen": 800, "loss_weight": 800_000}, "cells": cells, "history": history}


@cache
def days() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the flights of the 15th of January 2013 in the order of their time, and those of the two weeks before."""
    batch = as_batch(real_records("flights")[1].filter(pl.col("month") == 1), "time_hour", DAY)
    own = batch.filter(pl.col("day") == 15).sort("time_hour", maintain_order=True)
    own = own.with_columns(pl.int_range(pl.len()).alias("_row"), pl.lit(START, pl.Int64).alias(WINDOW))
    return own, batch.filter(pl.col("day") < 15).with_columns(pl.lit(START, pl.Int64).alias(WINDOW))


ROWS = days()[0]
FLIGHT = ("month", "day", "carrier", "flight", "origin")
STAGES = {"consumed": 10, "quarantined": 1, "produced": 9, "inserted": 9}
FIELDS = {name: kind.value for name, kind in TYPES.items()}
EARLIER = [(START - week * 7 * DAY, 900.0 + week) for week in (6, 5, 4, 3, 2, 1)]
AT_MOST_5 = Bounds(upper=5.0)
DISTANCE = pl.col("distance")
ENDED = float(START + DAY + 6 * 3_600)

FAULTS = [
    Fault(
        rule("schema_match"),
        untouched,
        told(facts.REGISTERED_FIELDS, FIELDS),
        told(facts.REGISTERED_FIELDS, FIELDS | {"carrier": "long"}),
    ),
    Fault(
        rule("schema_change"),
        every(**{SCHEMA_ID: 2}),
        {"facts": {facts.KNOWN_SCHEMAS: {1}, facts.SCHEMA_CHANGES: {2: "breaking"}}},
    ),
    Fault(
        rule("parse_errors"), untouched, told(facts.UNREADABLE_ROWS, {"f": 0}), told(facts.UNREADABLE_ROWS, {"f": 50})
    ),
    Fault(rule("lossy_cast", "distance", to="int"), some(distance=2**40)),
    Fault(rule("encoding", "dest"), some(dest="\ufffd")),
    Fault(rule("null_rate", "dep_time", bounds=AT_MOST_5), some(dep_time=None)),
    Fault(rule("missing_rate", "tailnum", sentinels=["N/A"], bounds=AT_MOST_5), some(tailnum="N/A")),
    Fault(rule("complete_rows", "dep_time", "arr_time", bounds=Bounds(lower=90.0)), some(arr_time=None)),
    Fault(rule("conditional_required", "arr_time", when="dep_time is not null", bounds=AT_MOST_5), some(arr_time=None)),
    Fault(rule("row_count", bounds=Bounds(lower=500)), few),
    Fault(rule("volume_anomaly"), few, {"history": EARLIER}),
    Fault(
        rule("silent_source", "origin", sources=["EWR", "JFK", "LGA"]),
        lambda rows: rows.filter(pl.col("origin") != "LGA"),
    ),
    Fault(
        rule("segment_coverage", "origin", segments=["EWR", "LGA"]), lambda rows: rows.filter(pl.col("origin") != "LGA")
    ),
    Fault(
        rule("latency", bounds=Bounds(upper=DAY)), untouched, told(facts.NOW, ENDED), told(facts.NOW, ENDED + 9 * DAY)
    ),
    Fault(rule("arrival_delay", bounds=Bounds(upper=8_000)), every(**{ARRIVED: pl.col(ARRIVED) + DAY * MICROS})),
    Fault(rule("late_rate", after_secs=7_200), some(**{ARRIVED: pl.col(ARRIVED) + DAY * MICROS})),
    Fault(rule("out_of_order"), turned_round),
    Fault(rule("future_time"), some(**{ARRIVED: pl.col(ARRIVED) - DAY * MICROS})),
    Fault(rule("sequence_gap", "hour"), lambda rows: rows.filter(pl.col("hour") != 12)),
    Fault(rule("duplicate_key", *FLIGHT), twice),
    Fault(rule("replayed_file"), twice),
    Fault(rule("distinct_count", "carrier", bounds=Bounds(10, 20)), every(carrier="UA")),
    Fault(rule("unique_ratio", *FLIGHT, bounds=Bounds(lower=80)), twice),
    Fault(rule("in_set", "origin", values=["EWR", "JFK", "LGA"]), some(origin="XXX")),
    Fault(rule("pattern", "dest", pattern="^[A-Z]{3}$"), some(dest="jfk")),
    Fault(rule("range", "distance", minimum=1, maximum=6_000), some(distance=-5)),
    Fault(rule("length", "carrier", minimum=2, maximum=2), some(carrier="UAL")),
    Fault(rule("format", "hour", format="latitude"), some(hour=500)),
    Fault(rule("row_rule", expression="hour * 100 + minute = sched_dep_time"), some(minute=pl.col("minute") + 1)),
    Fault(with_keys(rule("reference", "carrier", dataset="airlines")), some(carrier="??")),
    Fault(
        rule("control_total", "distance"),
        some(distance=DISTANCE + 1),
        told(facts.CONTROL_TOTALS, {"distance": float(ROWS["distance"].sum())}),
    ),
    Fault(
        rule("sink_reconcile"),
        untouched,
        told(facts.STAGE_ROWS, STAGES),
        told(facts.STAGE_ROWS, STAGES | {"inserted": 8}),
    ),
    Fault(rule("mean_std_bounds", "distance", bounds=Bounds(900, 1_200)), every(distance=DISTANCE * 10)),
    Fault(rule("quantile_bounds", "distance", bounds=Bounds(700, 1_000)), every(distance=DISTANCE * 10)),
    Fault(rule("quantile_bounds", "distance", reference="trailing:P7D"), every(distance=DISTANCE * 2)),
    Fault(rule("outlier_rate", "air_time"), some(air_time=50_000)),
    Fault(rule("stuck_value", "dep_time", longest=50), every(dep_time=900)),
    Fault(rule("unit_shift", "distance"), every(distance=DISTANCE * 1_000)),
    Fault(rule("dominance_heaping", "origin"), every(origin="JFK")),
    Fault(rule("psi_drift", "distance"), every(distance=DISTANCE * 3)),
    Fault(rule("category_drift", "carrier"), every(carrier="UA")),
    Fault(
        rule("metric_anomaly", "distance", metric="median"),
        every(distance=DISTANCE * 3),
        {"history": [(n, 870.0 + n % 3) for n in range(24)]},
    ),
    Fault(rule("pii_leak", "tailnum"), some(tailnum="jo@example.org")),
    Fault(rule("anomaly_share", learner="odd"), untouched, found(10), found(200)),
    Fault(rule("model_drift", learner="late"), untouched, lost(15.0), lost(24.0)),
]


def verdict_on(asked: CheckRule, rows: pl.DataFrame, known: Mapping[str, Any]) -> Verdict:
    check: Check = check_named(asked.check)
    (view,) = views_of(check, asked, rows, size=DAY).values()
    (reference,) = views_of(check, asked, days()[1], size=DAY).values()
    return check.verdict(asked, replace(view, **({"reference": reference} | dict(known))))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.rule.check)
def test_a_check_passes_real_flights_and_finds_the_fault_that_is_put_into_them(fault: Fault) -> None:
    check: Check = check_named(fault.rule.check)
    assert check.problem(fault.rule, {name: KIND_OF[kind] for name, kind in TYPES.items()}) == ""
    sound = verdict_on(fault.rule, ROWS, fault.sound)
    assert sound.outcome is Outcome.PASS, sound
    found = verdict_on(fault.rule, fault.change(ROWS), fault.sound if fault.known is None else fault.known)
    assert found.outcome is Outcome.FAIL, found
    assert found.detail


def law_rules() -> set[str]:
    """Return the checks that the tests of laws hold to the laws."""
    found: set[str] = set()
    for file in sorted((ROOT / "tests/property").glob("test_check_laws_*.py")):
        spec = importlib.util.spec_from_file_location(f"coverage_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.update(one.check for one in module.RULES)
    return found


def test_no_installed_check_is_without_page_laws_or_fault() -> None:
    installed = set(check_names())
    page = (ROOT / "docs/guide/checks.md").read_text()
    gaps = {
        "no section in docs/guide/checks.md": {name for name in installed if f"\n## {name}\n" not in page},
        "not held to the laws (tests/property/test_check_laws_*.py)": installed - law_rules(),
        "no fault in real data (FAULTS of this file)": installed - {one.rule.check for one in FAULTS},
    }
    assert {why: names for why, names in gaps.items() if names} == {}
    assert len(installed) >= 44
