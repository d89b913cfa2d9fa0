"""What closed windows leave behind: their revisions, histories, references and alert lives, all of it bounded."""

from typing import Any

import polars as pl

from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.system import frame_system
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import Outcome, Verdict
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.sketches.seen import LastSeen
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top
from headrace.stream_processors.steps.alert_life import Life
from headrace.stream_processors.steps.closed_windows import (
    ClosedWindow,
    PieceName,
    history_of,
    pack_piece,
    unpack_piece,
    with_range,
    within,
)
from headrace.stream_processors.steps.score import Judged
from headrace.stream_processors.steps.verdicts import Evaluated
from headrace.stream_processors.steps.window_alerts import Lived, Lives, Teller, step_window
from headrace.stream_processors.steps.window_known import (
    MOST_CONTENTS,
    carried_facts,
    labels_to_read,
    learned,
    reference_part,
    reference_view,
    stale_labels,
)
from headrace.stream_processors.steps.window_record import Closed
from headrace.stream_processors.steps.window_state import Part, WindowState

HOUR = 3600
RULE = CheckRule("missing", "null_rate", ("mass",), bounds=Bounds(upper=2.0), unit=Unit.PERCENT)


def test_piece_of_closed_windows_survives_its_bytes_and_gives_the_history_before_a_window() -> None:
    windows = [ClosedWindow(number * HOUR, 7, 0, 10, {"missing": float(number)}) for number in range(5)]
    piece = unpack_piece(pack_piece({one.start: one for one in windows}))
    assert piece[HOUR] == windows[1]
    assert history_of([piece], 3 * HOUR) == {"missing": [(0, 0.0), (HOUR, 1.0), (2 * HOUR, 2.0)]}
    assert PieceName.of(40 * HOUR, HOUR).holds(32 * HOUR)


def test_ranges_of_forgotten_windows_stay_few_and_never_lose_one() -> None:
    ranges: list[list[int]] = []
    for number in range(0, 400, 3):
        ranges = with_range(ranges, number * HOUR, (number + 1) * HOUR, most=10)
        assert len(ranges) <= 10
    assert all(within(ranges, number * HOUR) for number in range(0, 400, 3))


def evaluated(outcome: Outcome, failures: dict[str, str] | None = None) -> Evaluated:
    verdict = Verdict(outcome, 5.0, 0.1, Bounds(upper=2.0), 100, 5, "5 of 100 have no mass (5 %)")
    return Evaluated((Judged(RULE, verdict),), {"missing": "at most 2 % of mass may be missing"}, failures or {})


def closed(number: int) -> Closed:
    return Closed("orders", "event", number * HOUR, (number + 1) * HOUR, 0, 1_000_000 * number, "1")


def lived_through(windows: list[Evaluated]) -> list[dict[str, Any]]:
    lives: Lives = {}
    life, told = Life(still_every=2), []
    for number, found in enumerate(windows):
        before = lives
        lives, alerts = step_window(lives, closed(number), WindowState([Part(1, rows=100)]), found, life, Teller())
        again, repeated = step_window(lives, closed(number), WindowState(), found, life, Teller())
        assert (again, repeated) == (lives, []), "a window that was stepped was stepped again"
        kept = {name: Lived.from_json(lived.to_json()) for name, lived in lives.items()}
        assert kept == lives != before
        told += alerts
    return told


def test_alert_of_a_rule_opens_goes_on_and_is_resolved_once_each() -> None:
    fail, passing = evaluated(Outcome.FAIL), evaluated(Outcome.PASS)
    alerts = lived_through([passing, fail, fail, fail, passing, passing, passing])
    assert [(alert["state"], alert["window_start"] // 1_000_000 // HOUR) for alert in alerts] == [
        ("open", 1),
        ("still", 3),
        ("resolved", 5),
    ]
    assert len({alert["alert_id"] for alert in alerts}) == 3
    assert len({alert["subject"] for alert in alerts}) == 1
    assert {alert["opened_at"] for alert in alerts} == {1_000_000}
    first = alerts[0]
    assert (first["observed"], first["bound"], first["unit"], first["field"]) == (5.0, 2.0, "percent", "mass")
    assert first["message"] == "orders: 5 of 100 have no mass (5 %); demanded: at most 2 % of mass may be missing"
    for alert in alerts:
        frame_system("alert", 1, alert)


def test_check_that_could_not_run_is_an_alert_of_its_own_until_it_runs_again() -> None:
    broken = evaluated(Outcome.NOT_CHECKED, {"missing": "ValueError: x"})
    passing = evaluated(Outcome.PASS)
    alerts = lived_through([passing, broken, passing, passing])
    assert [(alert["rule"], alert["state"], alert["severity"]) for alert in alerts] == [
        ("check_failed", "open", "critical"),
        ("check_failed", "resolved", "critical"),
    ]
    assert "could not be checked: ValueError: x" in alerts[0]["message"]


def test_open_alert_of_a_rule_that_the_contract_no_longer_has_is_resolved() -> None:
    state = WindowState()
    lives, _ = step_window({}, closed(1), state, evaluated(Outcome.FAIL), Life(), Teller())
    after, alerts = step_window(lives, closed(2), state, Evaluated((), {}, {}), Life(), Teller())
    assert (after, [alert["state"] for alert in alerts]) == ({}, ["resolved"])


def test_silenced_rule_is_told_as_silenced() -> None:
    silent = Teller(silenced=lambda rule: rule == "missing")
    _, (alert,) = step_window({}, closed(1), WindowState(), evaluated(Outcome.FAIL), Life(), silent)
    assert alert["silenced"]


def test_earlier_windows_leave_their_sources_schemas_and_contents_bounded() -> None:
    rules = [
        CheckRule("silent", "silent_source", ("who",)),
        CheckRule("schemas", "schema_change"),
        CheckRule("replayed", "replayed_file"),
    ]
    files = {f"{number:x} {part}": number for number in range(MOST_CONTENTS + 10) for part in ("rows", "low", "high")}
    cells = {
        "silent": {"seen": pack_cell(LastSeen({"a": 5, "b": 9}))},
        "schemas": {"schemas": pack_cell(Tally({"3": 10}))},
        "replayed": {"files": pack_cell(Tally(files))},
    }
    carried = learned({}, rules, WindowState([Part(1, cells=cells)]))
    later = {"silent": {"seen": pack_cell(LastSeen({"b": 7, "c": 1}))}}
    found = carried_facts(rules, learned(carried, rules, WindowState([Part(2, cells=later)])), 9)
    assert found["silent"] == {facts.KNOWN_SOURCES: {"a": 5, "b": 8, "c": 1}}
    assert found["schemas"] == {facts.KNOWN_SCHEMAS: {3}}
    assert len(found["replayed"][facts.KNOWN_CONTENT]) == MOST_CONTENTS


def test_reference_holds_what_its_rule_reads_and_days_beyond_all_references_are_stale() -> None:
    rule = CheckRule("missing", "null_rate", ("who",))
    top = {"top": pack_cell(Top.of(pl.Series(["a", "b"])))}
    part = Part(1, rows=2, counts={"missing": {"failed": 1}, "other": {"failed": 1}}, fields={"who": top, "x": top})
    kept = reference_part(WindowState([part]), {"missing": (rule, "trailing:P7D")})
    assert (dict(kept.counts), dict(kept.fields)) == ({"missing": {"failed": 1}}, {})
    view = reference_view(rule, [kept, kept], 0, HOUR)
    assert view is not None
    assert (view.rows, view.counts) == (4, {"failed": 2})
    assert reference_view(rule, [], 0, HOUR) is None
    assert labels_to_read("hour_of_week", 25 * HOUR, HOUR) == ["w25"]
    assert stale_labels(["t1", "t90", "w3"], 100 * 86_400) == ["t1"]
