"""Checks of completeness, conformity, coverage, time and repetition: good data passes, each injected fault is found."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import ARRIVED, EVENT, SCHEMA_ID, WINDOW, Check, Outcome, Verdict, View
from headrace.stream_processors.sketches.keys import KeySet
from headrace.testing.check_views import merged_views, views_of

NOON = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp())
WEEK = 604_800
TYPES = {
    "name": FieldType.STRING,
    "count": FieldType.LONG,
    "price": FieldType.DOUBLE,
    "day": FieldType.DATE,
    "at": FieldType.TIMESTAMP,
    "ready": FieldType.BOOLEAN,
}
KINDS = {name: KIND_OF[kind] for name, kind in TYPES.items()}


def rule(
    check: str, *fields: str, unit: Unit | None = None, bounds: Bounds | None = None, **parameters: Any
) -> CheckRule:
    return CheckRule(check, check, fields, parameters, bounds, unit or check_named(check).unit, types=TYPES)


def frame(
    delay: float | list[float] = 1.0, file: str | list[str] = "f1", window: int = NOON, **columns: Any
) -> pl.DataFrame:
    """Return rows of one window; `at` is in seconds after noon, and event time unless there is none."""
    rows = max((len(values) for values in columns.values()), default=1)
    seconds = columns.get("at", [float(place) for place in range(rows)])
    micros = [None if second is None else int((NOON + second) * 1_000_000) for second in seconds]
    delays = delay if isinstance(delay, list) else [delay] * rows
    made = {name: pl.Series(name, values, strict=True) for name, values in columns.items() if name != "at"}
    return pl.DataFrame({"_row": pl.Series(range(rows), dtype=pl.Int64), **made}).with_columns(
        pl.Series("at", micros, pl.Int64).cast(pl.Datetime("us")),
        pl.Series(EVENT, micros, pl.Int64).cast(pl.Datetime("us")),
        pl.Series(
            ARRIVED, [(micro or NOON * 10**6) + round(own * 10**6) for micro, own in zip(micros, delays, strict=True)]
        ),
        pl.Series(WINDOW, [window] * rows),
        pl.Series("_file", [file] * rows if isinstance(file, str) else file),
    )


def judged(demand: CheckRule, batch: pl.DataFrame, **known: Any) -> Verdict:
    check = check_named(demand.check)
    (view,) = views_of(check, demand, batch, **known).values()
    found = check.verdict(demand, view)
    assert isinstance(found, Verdict)
    return found


def empty(demand: CheckRule, **known: Any) -> Verdict:
    found = check_named(demand.check).verdict(demand, View(NOON, NOON + 3600, 0, **known))
    assert isinstance(found, Verdict)
    return found


@pytest.mark.parametrize(
    ("demand", "good", "bad", "failed"),
    [
        (rule("missing_rate", "name"), {"name": ["a", " b ", "-"]}, {"name": ["a", " \t\u00a0", None]}, 2),
        (rule("missing_rate", "name", blanks=False), {"name": ["a", " "]}, {"name": ["a", None]}, 1),
        (rule("missing_rate", "name", sentinels=["N/A", "-"]), {"name": ["a", "n/a"]}, {"name": ["-", "N/A", "a"]}, 2),
        (rule("missing_rate", "count", sentinels=[-999, ""]), {"count": [0, 999]}, {"count": [-999, 1, None]}, 2),
        (rule("missing_rate", "price", sentinels=[-9.5]), {"price": [9.5, 0.0]}, {"price": [-9.5, 1.0]}, 1),
        (
            rule("missing_rate", "day", sentinels=["1900-01-01"]),
            {"day": [date(2026, 1, 1)]},
            {"day": [date(1900, 1, 1), None]},
            2,
        ),
        (
            rule("complete_rows", "name", "count"),
            {"name": ["a"], "count": [1]},
            {"name": ["a", None, "c"], "count": [None, None, 3]},
            2,
        ),
        (
            rule("conditional_required", "price", when="ready and count > 1"),
            {"ready": [True, False, None, True], "count": [2, 2, 2, 1], "price": [1.0, None, None, None]},
            {"ready": [True, True, False], "count": [2, 3, 4], "price": [None, 1.0, None]},
            1,
        ),
        (
            rule("encoding", "name"),
            {"name": ["Ägypten", "tab\there", "línea\n", "€", None]},
            {"name": ["a\ufffd", "\x00", "\x9f", "Ã¤", "â€œ", "ok"]},
            5,
        ),
        (rule("encoding", "name", decoded_twice=False), {"name": ["Ã¤"]}, {"name": ["\x07"]}, 1),
        (
            rule("lossy_cast", "name", to="double"),
            {"name": ["1", "-1.5", "2e3", ".5", None]},
            {"name": ["1,5", "1 000", "12kg", "", "12345678901234567890"]},
            5,
        ),
        (rule("lossy_cast", "name", to="long"), {"name": ["+1", "-900"]}, {"name": ["1.0", "1.5"]}, 2),
        (
            rule("lossy_cast", "price", to="int"),
            {"price": [1.0, -2147483648.0]},
            {"price": [1.5, 2147483648.0, float("nan"), float("inf")]},
            4,
        ),
        (rule("lossy_cast", "price", to="float"), {"price": [0.5, 3.0, float("nan")]}, {"price": [0.1, 0.5]}, 1),
        (rule("lossy_cast", "count", to="double"), {"count": [2**53]}, {"count": [2**53 + 2, 1]}, 1),
        (
            rule("late_rate", after_secs=60),
            {"at": [0.0, None], "delay": [60.0, 99.0]},
            {"at": [0.0, 1.0], "delay": [60.5, 1.0]},
            1,
        ),
        (rule("future_time"), {"at": [0.0, 1.0], "delay": [-60.0, 5.0]}, {"at": [0.0, 1.0], "delay": [-60.5, 5.0]}, 1),
        (rule("future_time", "day"), {"day": [date(2026, 3, 2)]}, {"day": [date(2026, 3, 3)]}, 1),
        (rule("out_of_order"), {"at": [1.0, 1.0, None, 2.0]}, {"at": [2.0, 1.0, 3.0, 2.5]}, 2),
        (rule("out_of_order", tolerance_secs=1), {"at": [2.0, 1.0]}, {"at": [2.5, 1.0]}, 1),
        (
            rule("out_of_order", key=["name"]),
            {"name": ["a", "b", "a"], "at": [5.0, 1.0, 6.0]},
            {"name": ["a", "b", "a"], "at": [5.0, 1.0, 4.0]},
            1,
        ),
        (rule("sequence_gap", "count"), {"count": [3, 1, 2, 2, None]}, {"count": [1, 5, 3]}, 2),
        (
            rule("sequence_gap", "count", key=["name"]),
            {"name": ["a", "b", "a"], "count": [1, 9, 2]},
            {"name": ["a", "b", "a"], "count": [1, 9, 3]},
            1,
        ),
        (rule("sequence_gap", "at", step_secs=60), {"at": [0.0, 60.0, 119.0]}, {"at": [0.0, 180.0]}, 2),
        (rule("duplicate_key", "name"), {"name": ["a", "b", None, None]}, {"name": ["a", "b", "a"]}, 1),
        (
            rule("duplicate_key", "name", "count", unit=Unit.ROWS),
            {"name": ["a", "a"], "count": [1, 2]},
            {"name": ["a", "a"], "count": [1, 1]},
            1,
        ),
        (rule("segment_coverage", "name", segments=["a", "b"]), {"name": ["a", "b", "c"]}, {"name": ["a", "c"]}, 0),
        (
            rule("segment_coverage", "ready", segments=[True, False], at_least=2),
            {"ready": [True, False] * 2},
            {"ready": [True, True, False]},
            1,
        ),
        (rule("segment_coverage", "count", segments=[1, 2]), {"count": [1, 2]}, {"count": [2, 12]}, 0),
    ],
    ids=lambda value: value.check if isinstance(value, CheckRule) else "",
)
def test_good_data_passes_and_a_fault_is_found(
    demand: CheckRule, good: dict[str, Any], bad: dict[str, Any], failed: int
) -> None:
    passed = judged(demand, frame(**good))
    assert passed.outcome is Outcome.PASS, passed
    assert passed.rows_at_risk == 0
    found = judged(demand, frame(**bad))
    assert (found.outcome, found.rows_at_risk) == (Outcome.FAIL, failed), found


@pytest.mark.parametrize(
    ("demand", "columns"),
    [
        (rule("conditional_required", "price", when="count > 5"), {"count": [1, None], "price": [None, 1.0]}),
        (rule("late_rate", after_secs=1), {"at": [None, None]}),
        (rule("future_time"), {"at": [None]}),
        (rule("out_of_order"), {"at": [None]}),
        (rule("latency", bounds=Bounds(upper=1)), {"at": [None]}),
        (rule("arrival_delay", bounds=Bounds(upper=1)), {"at": [None]}),
        (rule("sequence_gap", "count"), {"count": pl.Series([None], dtype=pl.Int64)}),
        (rule("duplicate_key", "name", "count"), {"name": [None, "a"], "count": [1, None]}),
        (rule("replayed_file"), {"name": ["a"]}),
        (rule("schema_change"), {"name": ["a"]}),
        (rule("silent_source", "name"), {"name": ["a"]}),
        (rule("parse_errors"), {"name": ["a"]}),
        (rule("volume_anomaly"), {"name": ["a"]}),
    ],
    ids=lambda value: value.check if isinstance(value, CheckRule) else "",
)
def test_what_cannot_be_looked_at_is_not_checked(demand: CheckRule, columns: dict[str, Any]) -> None:
    found = judged(demand, frame(**columns))
    assert found.outcome is Outcome.NOT_CHECKED
    assert found.detail


@pytest.mark.parametrize(
    ("demand", "told"),
    [
        (rule("missing_rate", "ready"), "boolean"),
        (rule("missing_rate", "count", sentinels=["N/A"]), "write numbers"),
        (rule("missing_rate", "name", sentinels=[-999]), "write texts"),
        (rule("complete_rows", "name", unit=Unit.ROWS), "percent"),
        (rule("complete_rows", "nobody"), "nobody"),
        (rule("conditional_required", "price", when="count +"), "when:"),
        (rule("conditional_required", "price", when="nobody > 1"), "nobody"),
        (rule("encoding", "count"), "whole number"),
        (rule("lossy_cast", "ready", to="int"), "boolean"),
        (rule("lossy_cast", "price", to="double"), "loses nothing"),
        (rule("row_count"), "bound"),
        (rule("row_count", unit=Unit.PERCENT, bounds=Bounds(lower=1)), "rows"),
        (rule("latency", "name", bounds=Bounds(upper=1)), "text"),
        (rule("latency", "at"), "bound"),
        (rule("arrival_delay", "at"), "bound"),
        (rule("late_rate", "count", after_secs=1), "whole number"),
        (rule("future_time", field="name"), "text"),
        (rule("out_of_order", "at", key=["nobody"]), "nobody"),
        (rule("sequence_gap", "at"), "timestamp"),
        (rule("sequence_gap", "count", step_secs=60), "whole number"),
        (rule("sequence_gap", "count", key=["nobody"]), "nobody"),
        (rule("segment_coverage", "price", segments=["1"]), "number"),
        (rule("segment_coverage", "name", segments=["a"], unit=Unit.ROWS), "percent"),
        (rule("silent_source", "name", field="count"), "whole number"),
        (rule("duplicate_key", "nobody"), "nobody"),
        (rule("replayed_file", "nobody"), "nobody"),
    ],
    ids=lambda value: value.check if isinstance(value, CheckRule) else "",
)
def test_a_rule_that_cannot_be_followed_is_refused_when_it_is_read(demand: CheckRule, told: str) -> None:
    assert told in check_named(demand.check).problem(demand, KINDS)


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
    recently = {facts.KNOWN_SOURCES: {"a": NOON - 1, "b": NOON - 7200}}
    long_ago = {facts.KNOWN_SOURCES: {"a": NOON - 1, "b": NOON - 7201}}
    assert judged(demand, batch, facts=recently).outcome is Outcome.PASS
    assert judged(demand, batch, facts=long_ago).outcome is Outcome.FAIL
    assert judged(rule("silent_source", "name", windows=3, sources=["a"]), batch).outcome is Outcome.NOT_CHECKED


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
    assert judged(rule("arrival_delay", bounds=Bounds(upper=90), quantile=0.95), batch).outcome is Outcome.FAIL
    assert judged(rule("arrival_delay", bounds=Bounds(upper=0)), frame(at=[0.0], delay=-5.0)).outcome is Outcome.PASS


def test_out_of_order_counts_the_step_between_two_batches() -> None:
    demand = rule("out_of_order", unit=Unit.ROWS)
    check = check_named("out_of_order")
    whole = frame(at=[1.0, 5.0, 2.0, 3.0])
    views = [views_of(check, demand, part) for part in (whole[2:], whole[:2])]
    (view,) = merged_views(views).values()
    assert check.verdict(demand, view).observed == 1.0
    assert all(check.verdict(demand, own).observed == 0.0 for part in views for own in part.values())


def test_duplicate_key_past_the_exact_set_is_an_estimate_with_its_error() -> None:
    check, demand = check_named("duplicate_key"), rule("duplicate_key", "count")
    batch = frame(count=[*range(50_000), *range(5_000)])
    cell = KeySet.by_window(batch, ["count"], limit=1_000)[NOON]
    found = check.verdict(demand, View(NOON, NOON + 3600, batch.height, cells={"keys": cell}))
    assert found.error > 0
    assert abs(found.observed - 100 * 5_000 / 55_000) <= 2 * found.error
    none = KeySet.by_window(frame(count=list(range(50_000))), ["count"], limit=1_000)[NOON]
    assert check.verdict(demand, View(NOON, NOON + 3600, 50_000, cells={"keys": none})).outcome is Outcome.PASS


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
        assert abs(found.observed - missing) <= found.error


def test_only_checks_that_judge_rows_have_a_reason() -> None:
    judging = {"missing_rate", "complete_rows", "conditional_required", "encoding", "lossy_cast", "future_time"}
    for name in judging:
        assert check_named(name).reason is not None
    for name in ("duplicate_key", "out_of_order", "row_count", "late_rate", "schema_match"):
        assert check_named(name).reason is None


def test_the_kinds_of_the_contract_are_enough_for_every_condition() -> None:
    assert KINDS["at"] is Kind.TIMESTAMP
    demand = rule("conditional_required", "price", when="at >= timestamp '2026-03-02T12:00:01Z' and name in ('a', 'b')")
    check = check_named("conditional_required")
    assert isinstance(check, Check)
    assert check.problem(demand, KINDS) == ""
    found = judged(demand, frame(name=["a", "a", "c"], at=[0.0, 1.0, 2.0], price=[None, 1.0, None]))
    assert found.outcome is Outcome.PASS
