"""Alerts of the platform about itself, caused for real on one line: opened once, told everywhere, resolved.

A lag that grows takes half a minute of a stage that is slower than what comes in: `tests/unit/test_platform_rules.py`.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from headrace.runtime.home import read_report
from headrace.testing.line import RunningLine, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
LIMIT_SECS = 90.0
STALLED_SECS = 8
SUPERVISOR = "supervisor"
SETTINGS = {
    "HEADRACE_MONITOR_STALLED_SECS": str(STALLED_SECS),
    "HEADRACE_MONITOR_RESTARTS": "3",
    "HEADRACE_MONITOR_RESTART_SECS": "25",
    "HEADRACE_MONITOR_FOLDER_SECS": "8",
    "HEADRACE_MONITOR_CLEAR_SECS": "5",
    "HEADRACE_LEARNERS": "false",
    "HEADRACE_MONITOR_DISK_FLOOR_MB": "100000000",  # no disk is so large: that alert is open from the start
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A line whose monitor has short times: the rules are those of every line."""
    with RunningLine(tmp_path_factory.mktemp("watched"), SETTINGS) as running:
        running.drop("early", "one.csv", b"id\n1\n")
        running.final_receipts("early", 1)
        yield running


def alerts(line: RunningLine, rule: str, word: str) -> list[dict[str, Any]]:
    """Return what `headrace alerts` says of a rule and a place, oldest first; nothing while Kafka comes back."""
    done = line.headrace("alerts", "--json", check=False)
    found = map(json.loads, done.stdout.splitlines())
    return [one for one in found if one["rule"] == rule and word in one["message"]]


def comes(line: RunningLine, rule: str, word: str, state: str) -> dict[str, Any]:
    """Wait until an alert has come into a state; every transition of it must be there once."""

    def there() -> bool:
        return [one["state"] for one in alerts(line, rule, word)][-1:] == [state]

    wait_for(there, LIMIT_SECS, lambda: f"{rule} {word} {state}: {alerts(line, rule, '')}", 1.0)
    found = alerts(line, rule, word)
    assert len({one["alert_id"] for one in found}) == len(found)
    assert {one["class"] for one in found} == {"platform"}
    return found[-1]


@contextmanager
def stopped(line: RunningLine, name: str) -> Iterator[None]:
    """Stop a service, a stage or the supervisor as kill -STOP does, for the block; it must have started."""
    wait_for(lambda: name == SUPERVISOR or line.ready(name), LIMIT_SECS, lambda: str(line.status()))
    report = read_report(line.settings.paths())
    pid = report["pid"] if report and name == SUPERVISOR else line.pid(name)
    assert pid  # 0 would stop the tests themselves
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_stopped_judge_with_rows_waiting_is_a_stalled_stage_that_is_stored_and_resolved(watched: RunningLine) -> None:
    with stopped(watched, "judge"):
        watched.drop("stalled", "one.csv", b"id\n1\n2\n")
        opened = comes(watched, "stage_stalled", "judge", "open")
        assert opened["observed"] >= STALLED_SECS
    watched.final_receipts("stalled", 1)
    resolved = comes(watched, "stage_stalled", "judge", "resolved")
    assert resolved["subject"] == opened["subject"]
    both = f"'{opened['alert_id']}', '{resolved['alert_id']}'"
    query = f"SELECT state FROM headrace.alerts WHERE class = 'platform' AND alert_id IN ({both})"
    wait_for(lambda: sorted(watched.column(query)) == ["open", "resolved"], LIMIT_SECS, lambda: watched.value(query))


def test_stopped_stage_without_rows_is_a_silent_stage(watched: RunningLine) -> None:
    with stopped(watched, "watcher"):
        comes(watched, "stage_silent", "watcher", "open")
    comes(watched, "stage_silent", "watcher", "resolved")


def test_stopped_supervisor_is_told_by_the_monitor(watched: RunningLine) -> None:
    with stopped(watched, SUPERVISOR):
        comes(watched, "stage_silent", "supervisor", "open")
    comes(watched, "stage_silent", "supervisor", "resolved")


def test_sink_without_a_warehouse_is_a_failing_sink_and_receipts_are_not_told_as_well(watched: RunningLine) -> None:
    before = alerts(watched, "stage_stalled", "receipts")
    with stopped(watched, "warehouse"):
        watched.drop("unstored", "one.csv", b"id\n1\n2\n")
        comes(watched, "sink_failing", "sink", "open")
        assert alerts(watched, "stage_stalled", "receipts") == before
    watched.final_receipts("unstored", 1)
    comes(watched, "sink_failing", "sink", "resolved")
    assert alerts(watched, "stage_stalled", "receipts") == before


def test_process_killed_again_and_again_is_a_crash_loop(watched: RunningLine) -> None:
    killed = {0}
    for _ in range(
        3
    ):  # as soon as it is there: on a busy machine three whole starts take longer than the rule looks back
        wait_for(lambda: watched.pid("receipts") not in killed, LIMIT_SECS, lambda: str(watched.status()))
        killed.add(watched.pid("receipts"))
        watched.kill("receipts")
    opened = comes(watched, "crash_loop", "receipts", "open")
    assert (opened["observed"], opened["bound"]) == (3.0, 3.0)
    comes(watched, "crash_loop", "receipts", "resolved")


def test_folder_whose_files_stay_away_is_silent_until_one_comes(watched: RunningLine) -> None:
    for number in range(7):
        watched.drop("tills", f"{number}.csv", f"id\n{number}\n".encode())
        watched.final_receipts("tills", number + 1)
        time.sleep(1.5)  # the rhythm that is to be seen
    opened = comes(watched, "folder_silent", "tills", "open")
    assert opened["dataset"] == "tills"
    watched.drop("tills", "late.csv", b"id\n99\n")
    comes(watched, "folder_silent", "tills", "resolved")


def test_alert_that_opens_while_kafka_is_away_is_told_when_it_is_back(watched: RunningLine) -> None:
    pending = watched.settings.paths().monitor
    with stopped(watched, "kafka"):
        with stopped(watched, "watcher"):
            wait_for(lambda: "watcher" in pending_places(pending), LIMIT_SECS, pending.read_text)
        wait_for(lambda: "resolved" in pending_states(pending), LIMIT_SECS, pending.read_text)
    comes(watched, "stage_silent", "watcher", "resolved")
    wait_for(lambda: pending_states(pending) == set(), LIMIT_SECS, pending.read_text)


def pending_places(path: Path) -> str:
    return " ".join(one["message"] for one in json.loads(path.read_text())["pending"] if one["rule"] == "stage_silent")


def pending_states(path: Path) -> set[str]:
    return {one["state"] for one in json.loads(path.read_text())["pending"]}


def test_killed_monitor_opens_nothing_a_second_time(watched: RunningLine) -> None:
    with stopped(watched, "watcher"):
        opened = comes(watched, "stage_silent", "watcher", "open")
        before = watched.pid("monitor")
        watched.kill("monitor")
        wait_for(lambda: watched.pid("monitor") not in {0, before}, LIMIT_SECS, lambda: str(watched.status()))
        wait_for(lambda: watched.ready("monitor"), LIMIT_SECS, lambda: str(watched.status()))
    resolved = comes(watched, "stage_silent", "watcher", "resolved")
    assert resolved["opened_at"] == opened["opened_at"]


def test_monitor_that_has_told_alerts_and_read_contracts_stays_small(watched: RunningLine) -> None:
    assert psutil.Process(watched.pid("monitor")).memory_info().rss < 150_000_000


def test_disk_below_the_floor_is_told(watched: RunningLine) -> None:
    assert comes(watched, "disk_floor", "disk", "open")["unit"] == "bytes"
