"""A learner's findings in windows: verdicts wait for it, once each, and a kill between any entries adds none."""

import random
from typing import Any

import pytest

from headrace.core.vocabulary import AlertState
from headrace.schemas.check_rules import Bounds, CheckRule, Unit, WindowSpec
from headrace.stream_processors import window_closing
from headrace.stream_processors.checks.learned import LEARNED
from headrace.stream_processors.window_late import REVISE_SECS
from headrace.stream_processors.window_law import Law, Laws
from headrace.testing.window_line import BASE, HOUR, MICROS, NOW, Line

SHARE = CheckRule(
    "odd", "anomaly_share", (), {"learner": "watcher"}, Bounds(upper=5.0), Unit.PERCENT, description="few are odd"
)
MISSING = CheckRule("missing", "null_rate", ("mass",), bounds=Bounds(upper=10.0), unit=Unit.PERCENT)
RULES = (MISSING, SHARE)
LAWS: Laws = {("orders", "1"): Law("1", WindowSpec("at", HOUR, HOUR), RULES, ("mass",))}


def window(hour: int, rows: int, clock: str = "event", failed: int = 0) -> dict[str, Any]:
    found = {"clock": clock, "start": BASE + hour * HOUR, "rows": rows, "rejected": 0, "cells": {}, "fields": {}}
    return found | {"counts": {"missing": {"failed": failed}}}


def judged(*windows: dict[str, Any]) -> dict[str, Any]:
    named = {"dataset": "orders", "file": "f" * 16, "name": "", "stage": "judge", "contract_version": "1"}
    return named | {"rows": 0, "windows": list(windows)}


def learned(*hours: tuple[int, int, int]) -> dict[str, Any]:
    """Return what a learner tells of (hour, records, anomalous ones)."""
    windows = [_found("event", BASE + hour * HOUR, seen, odd) for hour, seen, odd in hours]
    whole = _found("arrival", 0, sum(seen for _, seen, _ in hours), sum(odd for *_, odd in hours))
    return judged(*windows, whole) | {"stage": LEARNED}


def _found(clock: str, start: int, seen: int, odd: int) -> dict[str, Any]:
    counts = {"seen": seen, "scored": seen, "scored_weight": 1_000 * seen}
    counts |= {"anomalous": odd, "anomalous_weight": 1_000 * odd} if odd else {}
    own = {"clock": clock, "start": start, "rows": 0, "rejected": 0, "cells": {}, "fields": {}}
    return own | {"counts": {"learner:watcher": counts}}


def outcomes(line: Line, hour: int, rule: str = "odd") -> list[str]:
    """Return what was said of a rule in each telling of a window of event time, in order."""
    start = (BASE + hour * HOUR) * MICROS
    told = [record for (clock, _, _), record in line.records.items() if clock == "event" and record["start"] == start]
    return [one["outcome"] for record in told for one in record["verdicts"] if one["rule"] == rule]


def events(line: Line, rule: str = "odd") -> list[tuple[str, int]]:
    found = [one for one in line.alerts.values() if one["rule"] == rule and one["clock"] == "event"]
    return [(one["state"], (one["window_start"] // MICROS - BASE) // HOUR) for one in found]


def test_findings_that_come_before_the_window_closes_are_in_its_first_telling() -> None:
    line = Line(LAWS)
    line.feed(1, judged(window(0, 1_000)))
    line.feed(2, learned((0, 1_000, 200)))
    line.feed(3, judged(window(9, 10)))
    assert outcomes(line, 0) == ["fail"]
    assert events(line) == [(AlertState.OPEN, 0)]
    assert line.told() == [(0, 0, 1_000)]


def test_a_window_waits_for_nobody_and_is_told_again_once_its_learner_is_through() -> None:
    line = Line(LAWS)
    line.feed(1, judged(window(0, 1_000, failed=500), window(9, 10)))
    assert (outcomes(line, 0), outcomes(line, 0, "missing")) == (["not_checked"], ["fail"])
    assert (events(line), events(line, "missing")) == ([], [(AlertState.OPEN, 0)])
    line.feed(2, learned((0, 400, 200)))
    assert outcomes(line, 0) == ["not_checked"], "half of its records say nothing of the window"
    line.feed(3, learned((0, 600, 0)))
    assert outcomes(line, 0) == ["not_checked", "fail"]
    assert events(line) == [(AlertState.OPEN, 0)]
    assert events(line, "missing") == [(AlertState.OPEN, 0)], "the other rules are not stepped again"
    (again,) = [one for (_, _, revision), one in line.records.items() if revision == 1]
    assert again["score"] < 75.0, "the anomalies count in the score"


def test_late_rows_make_the_verdict_wait_again_but_step_no_alert_twice() -> None:
    line = Line(LAWS)
    line.feed(1, judged(window(0, 100), window(9, 10)))
    line.feed(2, learned((0, 100, 50)))
    line.feed(3, judged(window(0, 20)))
    line.feed(3 + REVISE_SECS, judged(window(8, 1)))
    line.feed(30, learned((0, 20, 0)))
    assert outcomes(line, 0) == ["not_checked", "fail", "not_checked", "fail"]
    assert events(line) == [(AlertState.OPEN, 0)]


def test_learner_that_is_through_before_late_rows_are_told_is_in_the_same_revision() -> None:
    line = Line(LAWS)
    line.feed(1, judged(window(0, 100), window(9, 10)))
    line.feed(2, learned((0, 100, 50)))
    line.feed(3, judged(window(0, 20)))
    line.feed(4, learned((0, 20, 0)))
    assert outcomes(line, 0) == ["not_checked", "fail"]
    line.feed(3 + REVISE_SECS, judged(window(8, 1)))
    assert outcomes(line, 0) == ["not_checked", "fail", "fail"]
    assert line.told()[-1] == (0, 2, 120)
    assert events(line) == [(AlertState.OPEN, 0)]


def test_an_alert_resolves_after_windows_that_its_learner_finds_sound() -> None:
    line = Line(LAWS)
    line.feed(1, judged(*(window(hour, 100) for hour in range(5)), window(9, 10)))
    line.feed(2, learned((0, 100, 90), (1, 100, 0)))
    line.feed(3, learned((2, 100, 0), (3, 50, 0)))
    assert events(line) == [(AlertState.OPEN, 0), (AlertState.RESOLVED, 2)]


def test_what_a_learner_told_is_in_the_window_of_arrival_of_that_time() -> None:
    line = Line(LAWS)
    hour = (NOW - BASE) // HOUR
    line.feed(1, judged(window(0, 100), window(hour, 100, "arrival")))
    line.feed(2, learned((0, 100, 50)))
    line.feed(2 * HOUR, judged(window(1, 5)))
    (record,) = [one for (clock, _, _), one in line.records.items() if clock == "arrival"]
    (verdict,) = [one for one in record["verdicts"] if one["rule"] == "odd"]
    assert (verdict["outcome"], verdict["observed"]) == ("fail", 50.0)
    assert [one["clock"] for one in line.alerts.values() if one["rule"] == "odd"] == ["arrival"]


def test_a_learner_moves_no_clock_and_opens_no_window() -> None:
    line = Line(LAWS)
    line.feed(1, judged(window(0, 100)))
    line.feed(2, learned((50, 100, 100)))
    assert not line.records
    assert line.plans[-1].unlearned == 100
    assert not [key for key in line.table if f"/{BASE + 50 * HOUR}/" in key]


def test_few_records_of_which_one_is_anomalous_are_no_finding() -> None:
    line = Line(LAWS)
    line.feed(1, judged(window(0, 10), window(9, 10)))
    line.feed(2, learned((0, 10, 1)))
    assert outcomes(line, 0)[-1] == "pass", "10 % of ten records is within what chance brings to a share of 5 %"


def test_windows_that_wait_are_kept_within_bounds_and_those_given_up_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_closing, "WAITING_BYTES", 1_000)
    monkeypatch.setattr(window_closing, "KEPT_BYTES", 1)
    line = Line(LAWS)
    line.feed(1, judged(*(window(hour, 100) for hour in range(60)), window(90, 10)))
    line.feed(2, learned(*((hour, 100, 0) for hour in range(60))))
    kept = [hour for hour in range(60) if outcomes(line, hour) == ["not_checked", "pass"]]
    assert 0 < len(kept) < 60
    assert kept == list(range(60 - len(kept), 60)), "the oldest are given up"
    assert line.plans[-1].unlearned == 100 * (60 - len(kept))


def deltas(seed: int) -> list[dict[str, Any]]:
    """Return what a line and its learner tell, the learner behind by some windows."""
    chance, found, behind = random.Random(seed), [], []
    for hour in range(12):
        rows = chance.randint(20, 60)
        found.append(judged(window(hour, rows, failed=chance.choice([0, rows])), window(240 + hour, rows, "arrival")))
        cut, odd = chance.randint(0, rows), chance.choice([0, 0, 1])
        behind += [learned((hour, cut, odd * cut)), learned((hour, rows - cut, odd * (rows - cut)))]
        if chance.random() < 0.3:
            found.append(judged(window(max(0, hour - 3), 5)))
            behind.append(learned((max(0, hour - 3), 5, 0)))
        while behind and chance.random() < 0.6:
            found.append(behind.pop(0))
    return [*found, *behind]


@pytest.mark.parametrize("seed", range(6))
def test_a_kill_between_any_two_entries_gives_the_same_tellings_and_the_same_state(seed: int) -> None:
    chance, calm, killed = random.Random(seed), Line(LAWS), Line(LAWS)
    for offset, value in enumerate(deltas(seed)):
        calm.feed(offset, value)
        for _ in range(chance.randint(0, 2)):
            killed.feed(offset, value, entries=chance.randint(0, 12))
        killed.feed(offset, value)
    assert killed.records == calm.records
    assert killed.alerts == calm.alerts
    kept = [{key: value for key, value in line.table.items() if key[0] in "ahlkuc"} for line in (killed, calm)]
    assert kept[0] == kept[1]
    assert calm.table["l/orders/event"] == b"{}", "nothing waits in the end"
    assert all(outcomes(calm, hour)[-1] in {"pass", "fail"} for hour in range(9))
