"""A day put together from its hours is the day computed at once: figures of rules, profiles, verdicts."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule, WindowSpec
from headrace.schemas.record import FieldType, RecordField
from headrace.stream_processors.checks.base import ARRIVED, Outcome
from headrace.stream_processors.sketches.top import Top
from headrace.stream_processors.steps.roll_up import roll_up
from headrace.stream_processors.steps.stored_state import Kept, longer
from headrace.stream_processors.steps.verdicts import Known, evaluate
from headrace.stream_processors.steps.window_profile import Origin, window_deltas
from headrace.stream_processors.steps.window_record import field_profile
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.testing.real_rows import as_batch, real_records

HOUR, DAY = 3_600, 86_400
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
FIELDS = [
    RecordField("device", FieldType.STRING),
    RecordField("reading", FieldType.DOUBLE),
    RecordField("number", FieldType.LONG),
    RecordField("at", FieldType.TIMESTAMP),
]
TYPES = {field.name: field.type for field in FIELDS}


def rule(check: str, *fields: str, bounds: Bounds | None = None, **parameters: Any) -> CheckRule:
    found = check_named(check)
    return CheckRule(f"{check}-{'-'.join(fields)}", check, fields, parameters, bounds, found.unit, types=TYPES)


RULES = [
    rule("null_rate", "reading"),
    rule("row_count", bounds=Bounds(lower=20)),
    rule("duplicate_key", "device", "number"),
    rule("distinct_count", "number", bounds=Bounds(upper=5)),
    rule("quantile_bounds", "reading", bounds=Bounds(upper=0.4)),
    rule("mean_std_bounds", "reading", bounds=Bounds(upper=0.4)),
    rule("dominance_heaping", "device"),
    rule("sequence_gap", "number", key=["device"]),
    rule("out_of_order"),
    rule("stuck_value", "number", longest=2),
]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(float("nan"))),
        st.one_of(st.none(), st.integers(-5, 20)),
        st.integers(0, DAY - 1),
    ),
    min_size=1,
    max_size=80,
)


def states_of(rows: list[tuple[Any, ...]], size: int) -> dict[int, WindowState]:
    """Return the stream's state of each window of event time; rows come in the order of their time."""
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("device", "reading", "number"))}
    frame = pl.DataFrame(columns, schema={"device": pl.String, "reading": pl.Float64, "number": pl.Int64}).with_columns(
        pl.Series("at", [FIRST.replace(tzinfo=None) + timedelta(seconds=row[3]) for row in rows], pl.Datetime("us")),
        pl.lit("f").alias("_file"),
        pl.int_range(pl.len()).alias("_row"),
    )
    origin = Origin(frame["at"].cast(pl.Int64), 1)
    return deltas_of(frame, FIELDS, RULES, WindowSpec("at", size), origin)


def deltas_of(frame: pl.DataFrame, fields: Any, rules: Any, spec: WindowSpec, origin: Origin) -> dict[int, WindowState]:
    return {
        delta.start: WindowState([part_of(delta)])
        for delta in window_deltas(frame, fields, rules, spec, origin)
        if delta.clock == "event"
    }


def part_of(delta: Any) -> Part:
    return Part(delta.start, "1", delta.rows, counts=delta.counts, cells=delta.cells, fields=delta.fields)


def kept(states: dict[int, WindowState]) -> list[Kept]:
    """Return windows as the warehouse has them: packed again after they were merged."""
    return [Kept(start, "1", 0, Part.unpack(state.merged().pack())) for start, state in states.items()]


def close(left: Any, right: Any) -> bool:
    """Return True for equal profiles; means may be rounded otherwise."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(close(left[name], right[name]) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(close, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-6)
    return bool(left == right)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS.map(lambda rows: sorted(rows, key=lambda row: row[3])))
def test_a_day_of_hours_is_the_day_at_once(rows: list[tuple[Any, ...]]) -> None:
    hours, whole = states_of(rows, HOUR), states_of(rows, DAY)
    merged = longer(kept(hours), DAY, RULES)
    assert merged.keys() == whole.keys()
    for start, day in whole.items():
        own = merged[start]
        assert (own.rows, own.counts) == (day.rows, day.counts)
        found, wanted = (evaluate(RULES, one, start, start + DAY, Known()).judged for one in (own, day))
        for left, right in zip(found, wanted, strict=True):
            if check_named(left.rule.check).order_bound:
                assert left.verdict.outcome is Outcome.NOT_CHECKED
                continue
            assert left.verdict.outcome is right.verdict.outcome, left.rule.id
            off = abs((left.verdict.observed or 0.0) - (right.verdict.observed or 0.0))
            assert off <= right.verdict.error + 1e-6, left.rule.id
        profiles = [field_profile(name, day.field_cells(name)) for name in day.field_names]
        rolled = roll_up([{name: dict(one.part.fields[name]) for name in one.part.fields} for one in kept(hours)])
        assert rolled.unmerged == {}
        assert close(rolled.fields, profiles)


def test_minutes_by_hours_and_at_once_give_one_day() -> None:
    rows = [("ab"[n % 2], n / 7, n % 11, n * 61 % DAY) for n in range(300)]
    minutes = kept(states_of(sorted(rows, key=lambda row: row[3]), 60))
    through = longer(kept(longer(minutes, HOUR, RULES)), DAY, RULES)
    assert {start: state.merged().counts for start, state in through.items()} == {
        start: state.merged().counts for start, state in longer(minutes, DAY, RULES).items()
    }
    (one,), (other,) = through.values(), longer(minutes, DAY, RULES).values()
    assert one.field_cells("device") == other.field_cells("device")
    assert one.cells_of("duplicate_key-device-number") == other.cells_of("duplicate_key-device-number")


def test_a_span_of_two_contracts_has_profiles_and_no_figures_of_rules() -> None:
    hours = kept(states_of([("a", 1.0, 1, 10), ("b", 2.0, 2, HOUR + 10)], HOUR))
    mixed = [hours[0], replace(hours[1], version="2", part=replace(hours[1].part, version="2"))]
    (day,) = longer(mixed, DAY, RULES).values()
    assert (day.rows, day.counts, day.rules) == (2, {}, [])
    assert day.field_names == sorted(TYPES)


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    return as_batch(real_records("flights")[1].filter((pl.col("month") == 2) & (pl.col("day") <= 8)), "time_hour", DAY)


def test_days_of_real_hours_are_the_days_at_once(flights: pl.DataFrame) -> None:
    contract = real_records("flights")[0]
    names = [*(field.name for field in contract.fields), "_file", "_row"]

    def of_size(size: int) -> dict[int, WindowState]:
        # Batches of a few days: one of a whole month has too many hours for profiles of them all.
        parts: dict[int, list[Part]] = {}
        for batch in flights.iter_slices(5_000):
            spec, origin = WindowSpec("time_hour", size), Origin(batch[ARRIVED])
            found = deltas_of(batch.select(names), contract.record_fields, contract.checks, spec, origin)
            for start, state in found.items():
                parts.setdefault(start, []).extend(state.parts)
        return {start: WindowState(found) for start, found in parts.items()}

    merged, whole = longer(kept(of_size(HOUR)), DAY, contract.checks), of_size(DAY)
    assert len(merged) == len(whole) >= 8
    for start, day in whole.items():
        assert (merged[start].rows, merged[start].counts) == (day.rows, day.counts)
        for name in day.field_names:
            both = [field_profile(name, state.field_cells(name)) for state in (merged[start], day)]
            for figure in ("top", "shapes"):
                cells = [state.field_cells(name).get(figure) for state in (merged[start], day)]
                if any(isinstance(cell, Top) and cell.error for cell in cells):
                    assert near(*cells), (start, name)
                    both = [profile | {figure: []} for profile in both]
            assert close(*both), (start, name)


def near(left: Any, right: Any) -> bool:
    """Return True if the counts that both list are apart by their errors at most."""
    listed, counts = dict(left.items()), dict(right.items())
    shared = listed.keys() & counts.keys()
    return all(abs(listed[text] - counts[text]) <= left.error + right.error for text in shared)
