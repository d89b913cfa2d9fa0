"""File quality: deltas merge in any order, and a complete file raises the alerts it calls for, once."""

import random
from typing import Any

import pytest

from headrace.stream_processors.file_alerts import FileAlerts
from headrace.stream_processors.steps.file_quality import FileQuality, alerts_of, merge_delta


def judged(rows: int, rejected: int = 0) -> dict[str, Any]:
    reasons = {"required": rejected} if rejected else {}
    return {"dataset": "orders", "file": "f" * 16, "stage": "judge", "rows": rows, "rejected": rejected} | {
        "reasons": reasons,
        "rules": {},
        "contract_version": "1.0.0+00000000",
        "file_rows": None,
    }


def ended(file_rows: int, unreadable: int = 0, state: str = "published", tolerance: float = 0.1) -> dict[str, Any]:
    delta = judged(unreadable, unreadable) | {
        "stage": "read",
        "reasons": {"bad_json": unreadable} if unreadable else {},
    }
    return delta | {
        "file_rows": file_rows,
        "file_state": state,
        "file_reason": "unterminated_quote" if state == "partial" else "",
        "tolerance": tolerance,
        "owner": "sales",
        "name": "orders.csv",
    }


def test_deltas_give_the_same_state_in_any_order() -> None:
    deltas = [judged(10), judged(5, 2), judged(7, 1), ended(25, unreadable=3)]
    states = set()
    for seed in range(20):
        random.Random(seed).shuffle(deltas)
        state = FileQuality()
        for delta in deltas:
            state = merge_delta(state, delta)
        states.add(str(state))
    assert len(states) == 1
    assert state.complete


def test_file_is_not_complete_before_every_row_was_judged() -> None:
    state = merge_delta(merge_delta(FileQuality(), judged(9)), ended(10))
    assert not state.complete
    assert merge_delta(state, judged(1)).complete


@pytest.mark.parametrize(("rejected", "rules"), [(0, []), (1, []), (2, ["rejected_share"])])
def test_alert_is_raised_only_above_the_tolerance(rejected: int, rules: list[str]) -> None:
    state = merge_delta(merge_delta(FileQuality(), judged(10, rejected)), ended(10))
    assert [alert["rule"] for alert in alerts_of("orders", "f" * 16, state, 0)] == rules


def test_alert_names_file_share_bound_owner_and_reason() -> None:
    state = merge_delta(merge_delta(FileQuality(), judged(10, 5)), ended(10))
    (alert,) = alerts_of("orders", "f" * 16, state, 1)
    assert (alert["observed"], alert["bound"], alert["rows_at_risk"]) == (0.5, 0.1, 5)
    assert alert["owner"] == "sales"
    assert "required (5)" in alert["message"]
    assert alert["file_name"] == "orders.csv"


@pytest.mark.parametrize(
    ("state", "rule"), [("rejected", "file_rejected"), ("partial", "file_partial"), ("changed", "file_changed")]
)
def test_damaged_file_raises_an_alert_of_its_own(state: str, rule: str) -> None:
    quality = merge_delta(FileQuality(), ended(0, state=state))
    assert [alert["rule"] for alert in alerts_of("orders", "f" * 16, quality, 0)] == [rule]


def refused(file_rows: int = 0) -> dict[str, Any]:
    said = {"file_reason": "empty_file", "file_detail": "the file has no bytes", "file_path": "rejected/orders/a.csv"}
    return ended(file_rows, state="rejected") | said


def test_alert_of_a_refused_file_says_why_and_where_the_file_is_now() -> None:
    (alert,) = alerts_of("orders", "f" * 16, merge_delta(FileQuality(), refused()), 0)
    assert alert["message"] == 'orders: file "orders.csv" was refused (empty_file: the file has no bytes)'
    assert "the file is now rejected/orders/a.csv in the home" in alert["hint"]
    assert "quarantine" not in alert["hint"]


def test_alert_of_a_refused_file_whose_first_rows_stand_says_so() -> None:
    quality = merge_delta(merge_delta(FileQuality(), judged(1_000)), refused(1_000))
    (alert,) = alerts_of("orders", "f" * 16, quality, 0)
    assert alert["hint"].startswith("its first 1,000 rows were published before and stand; the file is now rejected/")


@pytest.mark.parametrize("deltas", [[judged(10, 5), ended(10)], [ended(1, unreadable=1, state="partial")]])
def test_alerts_of_rows_point_to_quarantine(deltas: list[dict[str, Any]]) -> None:
    quality = FileQuality()
    for delta in deltas:
        quality = merge_delta(quality, delta)
    assert all("headrace quarantine" in alert["hint"] for alert in alerts_of("orders", "f" * 16, quality, 0))


def feed(alerts: FileAlerts, offset: int, delta: dict[str, Any]) -> list[str]:
    merged = alerts.merge(0, offset, 0, delta)
    if merged is None:
        return []
    alerts.keep(merged)
    return [alert["alert_id"] for alert in merged.alerts]


def test_delta_that_comes_twice_is_counted_once() -> None:
    table: dict[str, Any] = {}
    alerts = FileAlerts(table)
    feed(alerts, 3, judged(5, 5))
    feed(alerts, 3, judged(5, 5))
    (entry,) = table.values()
    assert entry["quality"]["judged"] == 5


def test_restored_table_goes_on_where_it_was_and_ignores_what_it_has() -> None:
    table: dict[str, Any] = {}
    before = FileAlerts(table)
    feed(before, 1, judged(5, 5))
    after = FileAlerts(table)
    after.recover()
    assert feed(after, 1, judged(5, 5)) == []
    assert len(feed(after, 4, ended(5))) == 1
    assert feed(after, 4, ended(5)) == []


def test_finished_files_leave_one_entry_a_partition() -> None:
    table: dict[str, Any] = {}
    alerts = FileAlerts(table)
    for number in range(10):
        feed(alerts, 2 * number, judged(5) | {"file": f"{number:016x}"})
        feed(alerts, 2 * number + 1, ended(5) | {"file": f"{number:016x}"})
    assert len(table) == 1


def test_kill_between_alert_and_table_raises_the_same_alert_again() -> None:
    table: dict[str, Any] = {}
    alerts = FileAlerts(table)
    feed(alerts, 1, judged(5, 5))
    lost = alerts.merge(0, 2, 0, ended(5))
    again = FileAlerts(table)
    again.recover()
    repeated = again.merge(0, 2, 0, ended(5))
    assert lost is not None
    assert repeated is not None
    assert lost.alerts == repeated.alerts


def other(number: int, delta: dict[str, Any]) -> dict[str, Any]:
    return delta | {"file": f"{number:016x}"}


def files_of(table: dict[str, Any]) -> list[str]:
    """Return the entries of files, without those of names under which an alert is open."""
    return [key for key in table if not key.startswith("?/")]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("state", ["changed", "rejected"])
def test_file_that_ended_early_and_whose_bytes_return_is_judged_as_a_whole(state: str, restarted: bool) -> None:
    table: dict[str, Any] = {}
    alerts = FileAlerts(table)
    feed(alerts, 1, judged(10, 4))
    assert feed(alerts, 2, ended(10, state=state))
    for number in range(3):
        feed(alerts, 10 + number, other(number, ended(0)))
    if restarted:
        alerts = FileAlerts(table)
        alerts.recover()
    assert feed(alerts, 20, judged(5, 2)) == []
    feed(alerts, 21, other(9, ended(0)))
    merged = alerts.merge(0, 22, 0, ended(15))
    assert merged is not None
    (alert,) = merged.alerts
    assert (alert["rule"], alert["rows"], alert["rows_at_risk"]) == ("rejected_share", 15, 6)
    alerts.keep(merged)
    assert len(files_of(table)) == 1


def test_changed_file_of_which_nothing_was_counted_is_not_kept_and_may_come_again() -> None:
    table: dict[str, Any] = {}
    alerts = FileAlerts(table)
    feed(alerts, 1, ended(0, state="changed"))
    feed(alerts, 2, judged(5, 5))
    feed(alerts, 3, other(1, ended(0)))
    assert len(feed(alerts, 4, ended(5))) == 1
    assert len(files_of(table)) == 1


class RestoringTable(dict[str, Any]):
    """A table as Faust gives it to the recovery: it must not be changed."""

    def pop(self, *_arguments: Any) -> Any:
        raise TypeError


def test_kill_before_the_older_entry_was_dropped_does_not_hinder_the_recovery() -> None:
    done: list[dict[str, Any]] = [{"offset": offset, "partition": 0, "done": True, "quality": {}} for offset in (1, 2)]
    FileAlerts(RestoringTable({"orders/a": done[0], "orders/b": done[1]})).recover()
    table = {"orders/a": done[0], "orders/b": done[1]}
    alerts = FileAlerts(table)
    alerts.recover()
    feed(alerts, 3, judged(1))
    assert set(table) == {"orders/b", f"orders/{'f' * 16}"}


def told(alerts: FileAlerts, offset: int, delta: dict[str, Any]) -> list[dict[str, Any]]:
    """Feed a file's only delta besides its rows and return its alerts."""
    feed(alerts, offset, judged(10, delta.pop("bad", 0)) | {"file": delta["file"]})
    merged = alerts.merge(0, offset + 1, 1_000 * offset, delta)
    assert merged is not None
    alerts.keep(merged)
    return merged.alerts


def states(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(alert["rule"], alert["state"]) for alert in found]


@pytest.mark.parametrize("restarted", [False, True])
def test_mended_file_of_the_same_name_resolves_what_the_first_one_opened(restarted: bool) -> None:
    table: dict[str, Any] = {}
    alerts = FileAlerts(table)
    first = told(alerts, 1, other(1, ended(10)) | {"bad": 5})
    if restarted:
        alerts = FileAlerts(table)
        alerts.recover()
    again = told(alerts, 10, other(2, ended(10)) | {"bad": 4})
    good = told(alerts, 20, other(3, ended(10)))
    assert [states(found) for found in (first, again, good)] == [
        [("rejected_share", "open")],
        [("rejected_share", "still")],
        [("rejected_share", "resolved")],
    ]
    assert len({alert["subject"] for found in (first, again, good) for alert in found}) == 1
    assert len({alert["alert_id"] for found in (first, again, good) for alert in found}) == 3
    assert {alert["opened_at"] for found in (first, again, good) for alert in found} == {1_000}
    assert good[0]["severity"] == again[0]["severity"]
    assert told(alerts, 30, other(4, ended(10))) == []
    assert [key for key in table if key.startswith("?")] == []


def test_file_of_another_name_resolves_nothing() -> None:
    alerts = FileAlerts({})
    told(alerts, 1, other(1, ended(10)) | {"bad": 5})
    assert told(alerts, 10, other(2, ended(10)) | {"name": "other.csv"}) == []


def test_refused_file_of_the_same_name_resolves_nothing_and_opens_its_own() -> None:
    alerts = FileAlerts({})
    told(alerts, 1, other(1, ended(10)) | {"bad": 5})
    assert states(told(alerts, 10, other(2, ended(10, state="rejected")))) == [("file_rejected", "open")]
    assert states(told(alerts, 20, other(3, ended(10)))) == [
        ("file_rejected", "resolved"),
        ("rejected_share", "resolved"),
    ]


def test_bytes_that_return_and_come_whole_resolve_their_alert() -> None:
    alerts = FileAlerts({})
    assert states(told(alerts, 1, ended(10, state="changed"))) == [("file_changed", "open")]
    feed(alerts, 20, judged(5))
    merged = alerts.merge(0, 22, 0, ended(15))
    assert merged is not None
    assert states(merged.alerts) == [("file_changed", "resolved")]


def test_kill_between_what_is_open_and_the_file_brings_the_same_alerts_again() -> None:
    table: dict[str, Any] = {}
    alerts = FileAlerts(table)
    feed(alerts, 1, judged(10, 5))
    lost = alerts.merge(0, 2, 7, ended(10))
    assert lost is not None
    assert lost.opened
    table[lost.name_key] = lost.opened
    again = FileAlerts(table)
    again.recover()
    repeated = again.merge(0, 2, 7, ended(10))
    assert repeated is not None
    assert repeated.alerts == lost.alerts


def test_alert_of_a_file_that_somebody_silenced_by_name_says_so() -> None:
    asked: list[tuple[str, str, int]] = []

    def silenced(dataset: str, rule: str, at: int) -> bool:
        asked.append((dataset, rule, at))
        return True

    (alert,) = told(FileAlerts({}, silenced), 1, ended(10) | {"bad": 5})
    assert (alert["silenced"], asked) == (True, [("orders", "rejected_share", 1_000)])
