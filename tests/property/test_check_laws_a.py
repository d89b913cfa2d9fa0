"""Laws of the checks of completeness, coverage and time: splits and orders of the same rows give the same verdict."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import ARRIVED, EVENT, SCHEMA_ID, WINDOW, Check, Outcome, View
from headrace.testing.check_laws import (
    no_rows_never_pass,
    parts_say_what_the_whole_says,
    stored_state_says_the_same,
    words_and_parameters,
)

START_SECS = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
START = datetime.fromtimestamp(START_SECS, UTC).replace(tzinfo=None)
TYPES = {
    "device": FieldType.STRING,
    "number": FieldType.LONG,
    "reading": FieldType.DOUBLE,
    "note": FieldType.STRING,
    "at": FieldType.TIMESTAMP,
}
SCHEMA: dict[str, Any] = {
    "device": pl.String,
    "number": pl.Int64,
    "reading": pl.Float64,
    "note": pl.String,
    "at": pl.Datetime("us"),
    EVENT: pl.Datetime("us"),
    ARRIVED: pl.Int64,
    SCHEMA_ID: pl.Int64,
    WINDOW: pl.Int64,
    "_file": pl.String,
    "_row": pl.Int64,
}
FACTS: dict[str, Any] = {
    facts.NOW: START_SECS + 9000.0,
    facts.UNREADABLE_ROWS: {},
    facts.KNOWN_SCHEMAS: {1},
    facts.SCHEMA_CHANGES: {2: "compatible", 3: "breaking"},
    facts.KNOWN_SOURCES: {"a": START_SECS - 1, "c": START_SECS - 9},
    facts.REGISTERED_FIELDS: {name: kind.value for name, kind in TYPES.items()},
}
HISTORY = [(START_SECS - week * 604_800, 20.0 + week) for week in (5, 4, 3, 2, 1)]


def rule(check: str, *fields: str, bounds: Bounds | None = None, **parameters: Any) -> CheckRule:
    found = check_named(check)
    unit = found.unit
    return CheckRule(check, check, fields, parameters, bounds, unit, types=TYPES)


RULES = [
    rule("schema_match"),
    rule("schema_change"),
    rule("parse_errors", bounds=Bounds(upper=1.0)),
    rule("lossy_cast", "note", to="double"),
    rule("lossy_cast", "reading", to="float"),
    rule("encoding", "device", "note"),
    rule("null_rate", "reading", bounds=Bounds(upper=20.0)),
    rule("missing_rate", "note", sentinels=["N/A"]),
    rule("missing_rate", "number", sentinels=[-999], bounds=Bounds(upper=20.0)),
    rule("complete_rows", "device", "number", bounds=Bounds(lower=50.0)),
    rule("conditional_required", "reading", when="number > 2 or device = 'a'"),
    rule("row_count", bounds=Bounds(lower=10)),
    rule("volume_anomaly"),
    rule("silent_source", "device"),
    rule("segment_coverage", "device", segments=["a", "b"], at_least=2),
    rule("latency", bounds=Bounds(upper=6000)),
    rule("arrival_delay", bounds=Bounds(upper=100)),
    rule("late_rate", after_secs=120, bounds=Bounds(upper=10.0)),
    rule("out_of_order", key=["device"], bounds=Bounds(upper=10.0)),
    rule("future_time", "at", tolerance_secs=30),
    rule("sequence_gap", "number", key=["device"], bounds=Bounds(upper=3)),
    rule("sequence_gap", "at", step_secs=600),
    rule("duplicate_key", "device", "number", bounds=Bounds(upper=10.0)),
    rule("replayed_file", least_rows=1),
]
SEES_ABSENCE = {"row_count", "volume_anomaly", "silent_source"}
each_rule = pytest.mark.parametrize("demand", RULES, ids=lambda demand: f"{demand.check}-{'-'.join(demand.fields)}")

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "device": st.sampled_from(["a", "b", "c", None]),
            "number": st.one_of(st.none(), st.sampled_from([-999, 1, 2, 3, 9])),
            "reading": st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.5, float("nan")])),
            "note": st.sampled_from(["", " ", "N/A", "1,5", "1.5", "ä", "Ã¤", "\x07", "\ufffd", None]),
            "second": st.one_of(st.none(), st.integers(0, 7199)),
            "delay": st.integers(-90, 400),
            "schema": st.sampled_from([1, 2, 3]),
            "file": st.sampled_from(["f1", "f2"]),
        }
    ),
    max_size=40,
)


def batch_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return the rows as a batch: windows of an hour, rows of a file numbered in order; no event time, no window."""
    found: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        second = row["second"]
        event = None if second is None else START + timedelta(seconds=second)
        found.append(
            {name: row[name] for name in ("device", "number", "reading", "note")}
            | {
                "at": event,
                EVENT: event,
                ARRIVED: (START_SECS + (second or 0) + row["delay"]) * 1_000_000,
                SCHEMA_ID: row["schema"],
                WINDOW: None if second is None else START_SECS + second // 3600 * 3600,
                "_file": row["file"],
                "_row": place,
            }
        )
    return pl.DataFrame(found, schema=SCHEMA, orient="row")


def split(batch: pl.DataFrame, data: st.DataObject, *, in_order: bool) -> list[pl.DataFrame]:
    """Return the rows as several batches in any order; in order, each is a range of rows."""
    if in_order:
        cuts = sorted(data.draw(st.lists(st.integers(0, batch.height), max_size=4), label="cuts"))
        edges = [0, *cuts, batch.height]
        parts = [batch[first:last] for first, last in pairwise(edges)]
    else:
        shuffled = batch[data.draw(st.permutations(range(batch.height)), label="order")]
        owner = pl.Series(data.draw(st.lists(st.integers(0, 3), min_size=batch.height, max_size=batch.height)))
        parts = [shuffled.filter(owner == part) for part in range(4)] if batch.height else [batch]
    return list(data.draw(st.permutations(parts), label="batches"))


def known(view: View) -> View:
    """Return the view with what is known from elsewhere."""
    return View(view.start, view.end, view.rows, view.counts, view.cells, {}, HISTORY, None, FACTS)


def check_of(demand: CheckRule) -> Check:
    check = check_named(demand.check)
    assert isinstance(check, Check)
    return check


@each_rule
@settings(max_examples=15, deadline=None)
@given(rows=ROWS, data=st.data())
def test_any_split_and_order_of_the_rows_gives_the_same_verdict(
    demand: CheckRule, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    check, batch = check_of(demand), batch_of(rows)
    parts = split(batch, data, in_order=check.order_bound)
    parts_say_what_the_whole_says(check, demand, batch, parts, known)


@each_rule
@settings(max_examples=8, deadline=None)
@given(rows=ROWS)
def test_a_verdict_is_the_same_after_its_state_was_stored(demand: CheckRule, rows: list[dict[str, Any]]) -> None:
    stored_state_says_the_same(check_of(demand), demand, batch_of(rows), known)


@each_rule
def test_no_rows_never_pass(demand: CheckRule) -> None:
    verdict = no_rows_never_pass(check_of(demand), demand, known)
    assert demand.check in SEES_ABSENCE or verdict.outcome is Outcome.NOT_CHECKED


@each_rule
def test_a_rule_and_its_check_have_words_and_documented_parameters(demand: CheckRule) -> None:
    words_and_parameters(check_of(demand), demand)


def test_every_check_of_this_file_is_held_to_the_laws() -> None:
    assert len({demand.check for demand in RULES}) == 21
