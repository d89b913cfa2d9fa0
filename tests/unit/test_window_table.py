"""Windows in a table: closed in order, revised by late deltas, and the same after a kill between any two entries."""

import random
from dataclasses import replace
from typing import Any

import pytest

from headrace.schemas.check_rules import Bounds, CheckRule, Unit, WindowSpec
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.steps.alert_life import Life
from headrace.stream_processors.steps.window_known import compared_rules
from headrace.stream_processors.window_late import LATE_BYTES, REVISE_SECS
from headrace.stream_processors.window_law import Law, LawNeeded, Laws
from headrace.stream_processors.window_plan import Source
from headrace.stream_processors.window_table import TICK
from headrace.testing.window_line import BASE, HOUR, MICROS, NOW, Line

RULES = (
    CheckRule("missing", "null_rate", ("mass",), bounds=Bounds(upper=10.0), unit=Unit.PERCENT),
    CheckRule("volume", "volume_anomaly", unit=Unit.ROWS),
    CheckRule("drift", "category_drift", ("who",), {"reference": "trailing:P7D"}),
    CheckRule("schemas", "schema_change"),
)
LAW = Law(
    "1",
    WindowSpec("at", HOUR, HOUR),
    RULES,
    ("mass", "who"),
    life=Life(still_every=3),
    compared=compared_rules(RULES),
)
LAWS: Laws = {("orders", "1"): LAW}
# What does not become smaller when it is kept.
CHANCE = random.Random(1)


def window(hour: int, rows: int = 10, failed: int = 0, clock: str = "event") -> dict[str, Any]:
    cells = {"schemas": {"schemas": pack_cell(Tally({"7": rows}))}}
    fields = {"mass": {"counts": pack_cell(Tally({"rows": rows, "nulls": failed}))}}
    counts = {"missing": {"failed": failed}}
    found = {"clock": clock, "start": BASE + hour * HOUR, "rows": rows, "rejected": failed}
    return found | {"counts": counts, "cells": cells, "fields": fields}


def delta(*windows: dict[str, Any], stage: str = "judge", rows: int = 0) -> dict[str, Any]:
    named = {"dataset": "orders", "file": "f" * 16, "name": "", "stage": stage, "contract_version": "1"}
    return named | {"rows": rows, "windows": list(windows)}


def test_windows_close_in_order_when_the_watermark_passes_their_end() -> None:
    line = Line(LAWS)
    line.feed(1, delta(window(1), window(0), window(2)))
    assert line.told() == [(0, 0, 10)], "the watermark is at hour 1: the greatest start less an hour of lateness"
    line.feed(2, delta(window(1, 5), window(4)))
    assert line.told() == [(0, 0, 10), (1, 0, 15), (2, 0, 10)]


def wait(line: Line) -> None:
    """Let the time pass that late rows wait for a revision."""
    line.feed(line.plans[-1].source.offset + REVISE_SECS, delta(stage=TICK))


def test_late_delta_revises_its_window_and_changes_no_alert() -> None:
    line = Line(LAWS)
    line.feed(1, delta(window(0), window(9)))
    line.feed(2, delta(window(0, 5, failed=5)))
    wait(line)
    assert line.told() == [(0, 0, 10), (0, 1, 15)]
    assert [one["verdicts"][0]["outcome"] for one in line.records.values()] == ["pass", "fail"]
    assert not line.alerts
    line.feed(20, delta(window(0, 1)))
    wait(line)
    assert line.told()[-1] == (0, 2, 16)


def test_late_deltas_of_one_backfill_make_one_revision() -> None:
    line = Line(LAWS)
    line.feed(1, delta(window(0), window(1), window(9)))
    for offset in range(2, 2 + REVISE_SECS):
        line.feed(offset, delta(window(0, 1), window(1, 2)))
        assert line.windows.due(NOW + offset, LAWS) == []
        line.windows = line.restarted()
    assert line.told() == [(0, 0, 10), (1, 0, 10)]
    assert line.windows.due(NOW + 2 + REVISE_SECS, LAWS) == [("orders", "1")]
    wait(line)
    assert line.told()[2:] == [(0, 1, 10 + REVISE_SECS), (1, 1, 10 + 2 * REVISE_SECS)]
    wait(line)
    assert len(line.told()) == 4, "there is nothing more to tell"


def test_window_that_closes_looks_back_on_revised_ones() -> None:
    line = Line(LAWS)
    line.feed(1, delta(window(0), window(2)))
    line.feed(2, delta(window(0, 5)))
    line.feed(3, delta(window(9)))
    assert line.told() == [(0, 0, 10), (0, 1, 15), (2, 0, 10)]


def test_parts_of_windows_that_wait_for_their_revision_are_bounded_and_never_forgotten() -> None:
    line, deltas = Line(LAWS), REVISE_SECS - 1
    line.feed(1, delta(window(0), window(1), window(90)))
    for offset in range(2, 2 + deltas):
        large = {"x": {"0": b"\x01\x01" + CHANCE.randbytes(LATE_BYTES // deltas)}}
        line.feed(offset, delta(*(window(hour) | {"cells": large} for hour in (0, 1))))
        assert not line.plans[-1].too_late
    assert [hour for hour, revision, _ in line.told() if revision == 1] == [0, 1], "16 MiB waited, and not ten seconds"


def test_kill_while_late_rows_wait_or_are_told_changes_nothing() -> None:
    straight, killed = Line(LAWS), Line(LAWS)
    told = [delta(window(0), window(1), window(9)), delta(window(0, 5)), delta(window(1, 7, 7)), delta(window(0, 2))]
    offsets = {offset + 1: value for offset, value in enumerate(told)} | {3 + REVISE_SECS: delta(stage=TICK)}
    for offset, value in offsets.items():
        straight.feed(offset, value)
        for stop in range(len(list(straight.plans[-1].entries()))):
            killed.feed(offset, value, entries=stop)
        killed.feed(offset, value)
    assert straight.told()[2:] == [(0, 1, 17), (1, 1, 17)]
    assert outcome(killed) == outcome(straight)


def test_delta_that_comes_again_changes_nothing() -> None:
    line = Line(LAWS)
    for offset in (1, 2, 2, 1, 3, 3):
        line.feed(offset, delta(window(offset), window(offset + 5)))
    again = Line(LAWS, line.table)
    again.feed(3, delta(window(3)))
    assert not again.plans
    assert len(line.plans) == 3


def test_rows_for_a_window_that_was_forgotten_are_counted_and_published_nowhere() -> None:
    line = Line(LAWS)
    large = window(0)
    large["cells"] = {"schemas": {f"schemas{number}": b"\x01\x01" + CHANCE.randbytes(100_000) for number in range(6)}}
    line.feed(1, delta(large, window(1), window(20)))
    line.feed(2, delta(window(0, 3)))
    assert line.plans[-1].too_late == {"event": 3}
    assert (0, 1, 13) not in line.told()
    assert not [key for key in line.table if key.startswith(f"w/orders/event/{BASE}/")]


def test_window_that_rows_came_for_last_is_kept_although_newer_ones_are_closed() -> None:
    line = Line(LAWS)

    def large(hour: int) -> dict[str, Any]:
        found = window(hour)
        return found | {"cells": {"x": {f"{number}": b"\x01\x01" + CHANCE.randbytes(50_000) for number in range(4)}}}

    line.feed(1, delta(large(40), large(41), large(42), large(43), large(60)))
    line.feed(2, delta(large(3)))
    line.feed(3, delta(window(3, 5)))
    wait(line)
    assert not line.plans[-2].too_late, "an older file's window was forgotten between two of its deltas"
    assert line.told()[-1] == (3, 1, 15)


def test_backfilled_window_that_never_was_is_closed_at_once() -> None:
    line = Line(LAWS)
    line.feed(1, delta(window(50)))
    line.feed(2, delta(window(3)))
    assert line.told() == [(3, 0, 10)]


def test_event_time_of_the_future_closes_nothing() -> None:
    line = Line(LAWS)
    line.feed(1, delta(window(0), window(24 * 365 * 70)))
    assert line.told() == []
    line.feed(2, delta(window(24 * 30)))
    assert (24 * 30, 0, 10) not in line.told()


def test_clock_that_is_fast_closes_its_windows_when_their_time_has_come() -> None:
    line, now = Line(LAWS), (NOW - BASE) // HOUR
    line.feed(1, delta(window(now), window(now + 2), window(24 * 365 * 1000)))
    assert line.told() == []
    line.windows = line.restarted()
    line.feed(3 * HOUR, delta(stage=TICK))
    assert line.told() == [(now, 0, 10)], "the watermark is an hour before the window that has begun by now"


def test_tick_closes_windows_of_arrival_of_a_dataset_that_says_nothing_more() -> None:
    line = Line(LAWS)
    arrived = 10 * 24
    line.feed(1, delta(window(arrived, clock="arrival")))
    line.feed(2, delta(stage="read", rows=4))
    assert not line.records
    now = BASE + (arrived + 1) * HOUR
    assert line.windows.due(now + 29, LAWS) == []
    assert line.windows.due(now + 30, LAWS) == [("orders", "1")]
    line.feed(HOUR + 31, delta(stage=TICK))
    (record,) = line.records.values()
    assert (record["clock"], record["rows"]) == ("arrival", 10)
    assert line.windows.due(now + 90, LAWS) == []


def test_contract_that_is_not_at_hand_is_asked_for_and_one_that_cannot_be_had_fails_closed() -> None:
    line = Line(LAWS)
    with pytest.raises(LawNeeded):
        line.windows.plan(Source(0, 1, 1), delta(window(0)) | {"contract_version": "2"}, LAWS)
    lost = {("orders", "1"): Law("1", problem='contract "1" was never recorded')}
    plan = line.windows.plan(Source(0, 1, (BASE + HOUR) * MICROS), delta(window(0), window(-9)), lost)
    assert plan is not None
    assert plan.windows[0]["not_checked"][0] == 'contract "1" was never recorded'
    assert [alert["rule"] for alert in plan.alerts] == ["check_failed"]


def deltas(seed: int) -> list[dict[str, Any]]:
    """Return deltas that close, revise, fail and recover, with more parts of a window than are kept apart."""
    seeded = random.Random(seed)
    found = []
    for number in range(60):
        hour = number // 5
        late = [window(hour - seeded.randrange(3, 8), 2)] if seeded.random() < 0.2 else []
        failed = 3 if 3 <= hour < 6 else 0
        found.append(delta(window(hour, failed=failed), *late, window(0, 1, clock="arrival")))
    return found


def outcome(line: Line) -> tuple[Any, Any, Any]:
    held = {key: data for key, data in line.table.items() if key[0] in "hakrcp"}
    return line.records, line.alerts, held


@pytest.mark.parametrize("seed", range(3))
def test_kill_between_any_two_entries_changes_no_window_and_no_alert(seed: int) -> None:
    straight, killed, seeded = Line(LAWS), Line(LAWS), random.Random(seed)
    for offset, value in enumerate(deltas(seed)):
        straight.feed(offset, value)
        written = len(list(straight.plans[-1].entries()))
        for stop in sorted({0, 1, seeded.randrange(written), seeded.randrange(written), written - 1}):
            killed.feed(offset, value, entries=stop)
        killed.feed(offset, value)
    assert outcome(killed) == outcome(straight)
    assert {alert["state"] for alert in straight.alerts.values()} == {"open", "resolved"}
    assert max(revision for _, revision, _ in straight.told()) > 0


def test_every_prefix_delivered_twice_gives_the_same_windows() -> None:
    once, twice, values = Line(LAWS), Line(LAWS), deltas(1)[:30]
    for offset, value in enumerate(values):
        once.feed(offset, value)
        twice.windows = twice.restarted()
        for before in range(offset + 1):
            twice.feed(before, values[before])
    assert outcome(twice) == outcome(once)


def test_any_split_of_a_window_into_deltas_gives_the_same_verdicts() -> None:
    whole, parts = Line(LAWS), Line(LAWS)
    whole.feed(40, delta(window(0, 40, 10)))
    for offset in range(20):
        parts.feed(offset, delta(window(0, 2, 1 if offset % 2 else 0)))
    for line in (whole, parts):
        line.feed(50, delta(window(5)))
    assert [one | {"cells": []} for one in parts.records.values()] == [
        one | {"cells": []} for one in whole.records.values()
    ]


def test_table_of_a_long_life_stays_bounded() -> None:
    line = Line(LAWS)
    quick = {("orders", "1"): replace(LAW, rules=RULES[:2], compared={})}
    for hour in range(1200):
        plan = line.windows.plan(Source(0, hour, (BASE + 2000 * HOUR) * MICROS), delta(window(hour)), quick)
        assert plan is not None
        for key, data in plan.entries():
            line.table.pop(key, None) if data is None else line.table.__setitem__(key, data)
        line.windows.keep(plan)
    pieces = [key for key in line.table if key.startswith("h/")]
    assert len(pieces) <= 25
    assert sum(map(len, line.table.values())) < 1_000_000
