"""Checks that need more than the rows of one window: history, facts, earlier windows, several batches."""

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, Unit
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import SCHEMA_ID, Outcome, Verdict, View
from headrace.stream_processors.sketches.keys import KeySet
from headrace.testing.check_rows import NOON, TYPES, empty, frame, judged
from headrace.testing.check_rows import check_rule as rule
from headrace.testing.check_views import merged_views, views_of

WEEK = 604_800


def test_complete_rows_observes_the_complete_share() -> None:
    demand = rule("complete_rows", "name", bounds=Bounds(lower=75.0))
    found = judged(demand, frame(name=["a", "b", "c", None]))
    assert (found.outcome, found.observed) == (Outcome.PASS, 75.0)
    assert judged(demand, frame(name=["a", "b", None, None])).outcome is Outcome.FAIL


def test_row_count_of_an_empty_window_fails_a_lower_bound_and_never_passes() -> None:
    assert empty(rule("row_count", bounds=Bounds(lower=1))).outcome is Outcome.FAIL
    assert empty(rule("row_count", bounds=Bounds(upper=9))).outcome is Outcome.NOT_CHECKED
    assert judged(rule("row_count", bounds=Bounds(lower=2, upper=2)), frame(name=["a", "b"])).outcome is Outcome.PASS
    assert judged(rule("row_count", bounds=Bounds(lower=3)), frame(name=["a", "b"])).outcome is Outcome.FAIL


def test_volume_anomaly_compares_with_the_same_hour_of_the_week_only() -> None:
    demand = rule("volume_anomaly")
    same_hour = [(NOON - week * WEEK, 1000.0 + 10 * week) for week in range(1, 6)]
    history = [*((NOON - week * WEEK + 7200, 5.0) for week in range(1, 30)), *same_hour]

    def volume(rows: int) -> Outcome:
        found = check_named("volume_anomaly").verdict(demand, View(NOON, NOON + 3600, rows, history=history))
        assert isinstance(found, Verdict)
        return found.outcome

    assert volume(1030) is Outcome.PASS
    assert volume(830) is Outcome.PASS
    assert volume(820) is Outcome.FAIL
    assert volume(1250) is Outcome.FAIL
    assert volume(0) is Outcome.FAIL


def test_volume_anomaly_observes_the_count_while_it_has_too_little_history() -> None:
    view = View(NOON, NOON + 86_400, 7, history=[(NOON - week * WEEK, 7.0) for week in range(1, 4)])
    found = check_named("volume_anomaly").verdict(rule("volume_anomaly"), view)
    assert (found.outcome, found.observed) == (Outcome.NOT_CHECKED, 7.0)
    longer = View(NOON, NOON + 86_400, 7, history=[(NOON - week * WEEK, 7.0) for week in range(1, 5)])
    assert check_named("volume_anomaly").verdict(rule("volume_anomaly"), longer).outcome is Outcome.PASS


def test_silent_source_names_the_sources_that_are_gone() -> None:
    batch = frame(name=["a", "a", "b"])
    demand = rule("silent_source", "name", sources=["a", "b", "c"])
    found = judged(demand, batch)
    assert (found.outcome, found.observed) == (Outcome.FAIL, 1.0)
    assert "c" in found.detail
    assert judged(rule("silent_source", "name", sources=["a", "b"]), batch).outcome is Outcome.PASS
    assert empty(demand).outcome is Outcome.FAIL


def test_silent_source_waits_for_the_windows_it_was_told() -> None:
    demand = rule("silent_source", "name", windows=3)
    batch = frame(name=["a"])
    recently = {facts.KNOWN_SOURCES: {"a": NOON - 3600, "b": NOON - 7200}}
    long_ago = {facts.KNOWN_SOURCES: {"a": NOON - 3600, "b": NOON - 10_800}}
    assert judged(demand, batch, facts=recently).outcome is Outcome.PASS
    assert judged(demand, batch, facts=long_ago).outcome is Outcome.FAIL
    assert judged(rule("silent_source", "name", windows=3, sources=["a"]), batch).outcome is Outcome.NOT_CHECKED


def test_silent_source_needs_no_event_time() -> None:
    batch = frame(name=["a", "b"], at=[None, None])
    assert judged(rule("silent_source", "name", sources=["a", "b"]), batch).outcome is Outcome.PASS
    assert judged(rule("silent_source", "name", sources=["a", "z" * 80]), batch).observed == 1.0
    long = frame(name=["z" * 80])
    assert judged(rule("silent_source", "name", sources=["z" * 80]), long).outcome is Outcome.PASS


def test_latency_is_the_age_of_the_newest_event() -> None:
    demand = rule("latency", bounds=Bounds(upper=300))
    batch = frame(at=[0.0, 50.0, None])
    assert judged(demand, batch).outcome is Outcome.NOT_CHECKED
    assert judged(demand, batch, facts={facts.NOW: NOON + 350}).outcome is Outcome.PASS
    late = judged(demand, batch, facts={facts.NOW: NOON + 351})
    assert (late.outcome, late.observed) == (Outcome.FAIL, 301.0)
    newer_elsewhere = {facts.NOW: NOON + 351, facts.WATERMARK: NOON + 60}
    assert judged(demand, batch, facts=newer_elsewhere).outcome is Outcome.PASS


def test_arrival_delay_fails_only_beyond_its_error() -> None:
    delays = [float(second) for second in range(1, 101)]
    batch = frame(at=[0.0] * 100, delay=delays)
    inside = judged(rule("arrival_delay", bounds=Bounds(upper=96), quantile=0.95), batch)
    assert inside.outcome is Outcome.PASS
    assert inside.observed == pytest.approx(95, abs=inside.error + 0.5)
    assert judged(rule("arrival_delay", bounds=Bounds(upper=94.9), quantile=0.95), batch).outcome is Outcome.PASS
    late = judged(rule("arrival_delay", bounds=Bounds(upper=90), quantile=0.95), batch)
    assert late.outcome is Outcome.FAIL
    assert 9 <= late.rows_at_risk <= 12
    assert judged(rule("arrival_delay", bounds=Bounds(upper=0)), frame(at=[0.0], delay=-5.0)).outcome is Outcome.PASS


def test_out_of_order_counts_what_is_late_because_of_an_earlier_batch() -> None:
    demand = rule("out_of_order", unit=Unit.ROWS)
    check = check_named("out_of_order")
    whole = frame(at=[1.0, 5.0, 2.0, 3.0, 5.0, 6.0])
    views = [views_of(check, demand, part) for part in (whole[2:], whole[:2])]
    (view,) = merged_views(views).values()
    found = check.verdict(demand, view)
    assert (found.observed, found.error, found.rows_at_risk) == (2.0, 0.0, 2)
    assert all(check.verdict(demand, own).observed == 0.0 for part in views for own in part.values())


def test_out_of_order_of_large_batches_is_within_its_error() -> None:
    demand = rule("out_of_order", unit=Unit.ROWS)
    check = check_named("out_of_order")
    times = [float((place * 7) % 50 + place // 2) for place in range(600)]
    whole = frame(at=times)
    late = sum(time < max(times[:place], default=time) for place, time in enumerate(times))
    (view,) = merged_views([views_of(check, demand, part) for part in whole.iter_slices(150)]).values()
    found = check.verdict(demand, view)
    assert abs(found.observed - late) <= found.error
    assert judged(demand, whole).observed == late


def test_out_of_order_of_too_many_keys_is_not_checked() -> None:
    demand = rule("out_of_order", key=["name"])
    assert judged(demand, frame(name=[f"n{place}" for place in range(250)])).outcome is Outcome.PASS
    assert judged(demand, frame(name=[f"n{place}" for place in range(251)])).outcome is Outcome.NOT_CHECKED


def test_duplicate_key_past_the_exact_set_is_an_estimate_with_its_error() -> None:
    check, demand = check_named("duplicate_key"), rule("duplicate_key", "count")
    batch = frame(count=[*range(50_000), *range(5_000)])
    cell = KeySet.by_window(batch, ["count"], limit=1_000)[NOON]
    found = check.verdict(demand, View(NOON, NOON + 3600, batch.height, cells={"keys": cell}))
    assert found.error > 0
    assert abs(found.observed - 100 * 5_000 / 55_000) <= 2 * found.error
    none = View(
        NOON,
        NOON + 3600,
        50_000,
        cells={"keys": KeySet.by_window(frame(count=list(range(50_000))), ["count"], limit=1_000)[NOON]},
    )
    told = check.verdict(demand, none)
    assert told.outcome is Outcome.NOT_CHECKED, "the error may hide a key that comes twice"
    assert "cannot be told" in told.detail
    assert check.verdict(replace(demand, bounds=Bounds(upper=5.0)), none).outcome is Outcome.PASS


def test_replayed_file_is_found_in_any_order_of_its_rows() -> None:
    first = frame(name=[f"n{place}" for place in range(12)], at=[0.0] * 12)
    again = first.reverse().with_columns(pl.lit("f2").alias("_file"))
    other = frame(name=[f"n{place}" for place in range(1, 13)], at=[0.0] * 12, file="f3")
    demand = rule("replayed_file", "name")
    assert judged(demand, pl.concat([first, other])).outcome is Outcome.PASS
    found = judged(demand, pl.concat([first, again, other]))
    assert (found.outcome, found.observed, found.rows_at_risk) == (Outcome.FAIL, 1.0, 12)
    assert "f2 repeats f1" in found.detail


def test_replayed_file_knows_earlier_windows_and_skipped_files() -> None:
    batch, demand = frame(name=[f"n{place}" for place in range(12)]), rule("replayed_file")
    check = check_named("replayed_file")
    (view,) = views_of(check, demand, batch).values()
    (digest,) = check.digests(view.cells).values()
    assert judged(demand, batch, facts={facts.KNOWN_CONTENT: {digest: "f0"}}).outcome is Outcome.FAIL
    assert judged(demand, batch, facts={facts.KNOWN_CONTENT: {digest: "f1"}}).outcome is Outcome.PASS
    assert judged(demand, batch, facts={facts.SKIPPED_FILES: {"b.csv": "a.csv"}}).outcome is Outcome.FAIL


def test_parse_errors_count_what_was_put_aside() -> None:
    demand = rule("parse_errors", bounds=Bounds(upper=25.0))
    batch = frame(name=["a", "b", "c"])
    assert judged(demand, batch, facts={facts.UNREADABLE_ROWS: {}}).outcome is Outcome.PASS
    assert judged(demand, batch, facts={facts.UNREADABLE_ROWS: {"x.csv": 1}}).observed == 25.0
    found = judged(demand, batch, facts={facts.UNREADABLE_ROWS: {"x.csv": 1, "y.csv": 4}})
    assert (found.outcome, found.rows_at_risk) == (Outcome.FAIL, 5)
    assert "y.csv" in found.detail
    assert empty(demand, facts={facts.UNREADABLE_ROWS: {"x.csv": 3}}).outcome is Outcome.FAIL


def matching() -> pl.DataFrame:
    columns: dict[str, Any] = {"name": ["a", "b"], "count": [1, 2], "price": [1.0, 2.0], "ready": [True, False]}
    return frame(**columns, day=[date(2026, 3, 2)] * 2)


def test_schema_match_finds_absent_new_and_differently_typed_fields() -> None:
    demand = rule("schema_match")
    assert judged(demand, matching()).outcome is Outcome.PASS
    wrong = matching().drop("price").with_columns(pl.col("count").cast(pl.String), pl.lit(1).alias("extra"))
    found = judged(demand, wrong)
    assert (found.outcome, found.observed, found.rows_at_risk) == (Outcome.FAIL, 3.0, 2)
    assert "price is absent" in found.detail
    fine = rule("schema_match", allow_extra=True, allow_absent=True)
    assert judged(fine, matching().drop("price").with_columns(pl.lit(1).alias("extra"))).outcome is Outcome.PASS
    assert judged(fine, wrong).observed == 1.0


def test_schema_match_compares_the_registered_schema() -> None:
    registered = {name: kind.value for name, kind in TYPES.items()}
    demand = rule("schema_match")
    assert judged(demand, matching(), facts={facts.REGISTERED_FIELDS: registered}).outcome is Outcome.PASS
    found = judged(demand, matching(), facts={facts.REGISTERED_FIELDS: {**registered, "count": "int"}})
    assert (found.outcome, found.observed) == (Outcome.FAIL, 1.0)


def test_schema_change_allows_what_the_rule_allows() -> None:
    batch = frame(name=["a", "b", "c"]).with_columns(pl.Series(SCHEMA_ID, [1, 2, 3]))
    known = {facts.KNOWN_SCHEMAS: {1}, facts.SCHEMA_CHANGES: {2: "compatible", 3: "breaking"}}
    assert judged(rule("schema_change"), batch).outcome is Outcome.NOT_CHECKED
    assert judged(rule("schema_change"), batch[:2], facts=known).outcome is Outcome.PASS
    assert judged(rule("schema_change", allow="none"), batch[:2], facts=known).outcome is Outcome.FAIL
    found = judged(rule("schema_change"), batch, facts=known)
    assert (found.observed, found.rows_at_risk) == (1.0, 1)
    assert judged(rule("schema_change"), batch[:1], facts={facts.KNOWN_SCHEMAS: ()}).outcome is Outcome.PASS


def test_sequence_gap_with_too_many_sequences_fails_but_does_not_pass() -> None:
    demand = rule("sequence_gap", "count", key=["name"])
    names = [f"n{place}" for place in range(600)]
    assert judged(demand, frame(name=names, count=[1] * 600)).outcome is Outcome.NOT_CHECKED
    gaps = frame(name=names * 2, count=[1] * 600 + [3] * 600)
    assert judged(demand, gaps).outcome is Outcome.FAIL


def test_sequence_gap_past_its_ranges_is_within_its_error() -> None:
    demand = rule("sequence_gap", "count", bounds=Bounds(upper=1))
    check = check_named("sequence_gap")
    numbers = [place * (2 + place % 3) for place in range(300)]
    missing = max(numbers) + 1 - len(set(numbers))
    parts = [views_of(check, demand, frame(count=numbers[part::7])) for part in range(7)]
    (view,) = merged_views(parts).values()
    for found in (check.verdict(demand, view), judged(demand, frame(count=numbers))):
        assert found.error > 0
        assert abs((found.observed or 0.0) - missing) <= found.error
