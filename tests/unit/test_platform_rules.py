"""When the platform finds something wrong with itself, and the life of the alert of it; the clock is a number here."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.runtime.platform_alerts import STILL_SECS, OpenAlert, Opened, live
from headrace.runtime.platform_rules import (
    Finding,
    Limits,
    Memory,
    Observation,
    PlatformRule,
    ProcessSeen,
    StageSeen,
    look,
    without_marks,
)
from headrace.runtime.silence_checks import has_silence_check
from headrace.schemas.system import frame_system, read_system
from headrace.settings import Settings

LIMITS = Limits(
    stalled_secs=60,
    lag_messages=1_000,
    lag_secs=120,
    restarts=3,
    restart_secs=600,
    disk_floor_bytes=10**9,
    folder_secs=900,
)
STEP, CLEAR_SECS = 5.0, 30.0
STAGES = ("watcher", "judge", "sink", "receipts")


class Line:
    """A line that a test moves: `run` looks every five seconds and changes what the test says."""

    def __init__(self) -> None:
        self.at, self.memory, self.opened = 1_000_000.0, Memory(), dict[tuple[str, str], OpenAlert]()
        self.stages = {name: StageSeen(0, 0, 0) for name in STAGES}
        self.processes = {name: ProcessSeen(True, False, 0, "") for name in STAGES}
        self.disk, self.arrivals, self.checked = 5 * 10**9, dict[str, float](), frozenset[str]()
        self.told: list[dict[str, Any]] = []

    def run(self, secs: float, *, silent: tuple[str, ...] = (), **rows: int) -> list[tuple[str, str, str]]:
        """Let time pass; stages report unless they are silent, and do rows. Return rule, place and state told."""
        before = len(self.told)
        end = self.at + secs
        while self.at < end:
            self.at += STEP
            for name, seen in self.stages.items():
                if name not in silent:
                    self.stages[name] = replace(seen, told=seen.told + 1, rows=seen.rows + rows.get(name, 0))
            seen_now = Observation(self.at, self.stages, self.processes, self.disk, self.arrivals, self.checked)
            self.memory, found = look(self.memory, seen_now, LIMITS, frozenset(self.opened))
            self.opened, told = live(self.opened, found, self.at, CLEAR_SECS)
            self.told += told
        return [(one["rule"], place_of(one), one["state"]) for one in self.told[before:]]

    def lag(self, name: str, lag: int, *, halted: bool = False) -> None:
        self.stages[name] = replace(self.stages[name], lag=lag, halted=halted)


def place_of(alert: dict[str, Any]) -> str:
    return str(alert["dataset"] or alert["message"].split(" ", maxsplit=1)[0])


@pytest.fixture
def line() -> Line:
    """A line that is well."""
    made = Line()
    assert made.run(600, watcher=5, judge=5, sink=5) == []
    return made


def test_idle_line_and_busy_line_have_no_alert(line: Line) -> None:
    assert line.run(3_600) == []
    line.lag("judge", 900_000)
    assert line.run(3_600, watcher=100, judge=100, sink=100) == []


def test_stage_with_rows_waiting_and_no_progress_is_stalled_and_resolved_when_it_goes_on(line: Line) -> None:
    line.lag("judge", 7)
    assert line.run(55) == []
    assert line.run(10) == [("stage_stalled", "judge", "open")]
    assert line.run(600) == []
    line.lag("judge", 0)
    assert line.run(CLEAR_SECS - STEP, judge=1) == []
    assert line.run(2 * STEP) == [("stage_stalled", "judge", "resolved")]


def test_stopped_stage_is_stalled_if_rows_come_for_it_and_silent_if_none_do(line: Line) -> None:
    assert line.run(70, silent=("judge",), watcher=3) == [("stage_stalled", "judge", "open")]
    assert "has not reported" in line.told[-1]["message"]
    other = Line()
    other.run(20)
    assert other.run(70, silent=("judge",)) == [("stage_silent", "judge", "open")]


def test_stages_behind_one_that_stands_still_are_not_alerts_of_their_own(line: Line) -> None:
    for name in ("sink", "receipts"):
        line.lag(name, 3)
    assert line.run(600) == [("sink_failing", "sink", "open")]


def test_stage_behind_one_that_goes_on_again_has_its_own_time_from_then(line: Line) -> None:
    line.lag("receipts", 3)
    assert line.run(300, silent=("judge",), watcher=3) == [("stage_stalled", "judge", "open")]
    assert line.run(55, judge=3) == [("stage_stalled", "judge", "resolved")]
    assert line.run(10) == [("stage_stalled", "receipts", "open")]


def test_halted_partition_is_a_failing_sink_even_while_others_move(line: Line) -> None:
    line.lag("sink", 3, halted=True)
    assert line.run(70) == [("sink_failing", "sink", "open")]
    assert "halted" in line.told[-1]["message"]


def test_process_that_is_down_is_not_silent(line: Line) -> None:
    line.processes["judge"] = ProcessSeen(False, False, 0, "")
    line.lag("judge", 3)
    line.lag("sink", 3)
    assert line.run(600, silent=("judge",)) == []


def test_three_restarts_within_the_time_are_a_crash_loop_and_three_in_more_time_are_none(line: Line) -> None:
    for count in (1, 2):
        line.processes["sink"] = ProcessSeen(True, False, count, "boom")
        assert line.run(250) == []
    line.processes["sink"] = ProcessSeen(True, False, 3, "boom")
    assert line.run(STEP) == [("crash_loop", "sink", "open")]
    assert line.told[-1]["observed"] == 3
    assert line.run(700) == [("crash_loop", "sink", "resolved")]
    for count in (4, 5, 6, 7):
        line.processes["sink"] = ProcessSeen(True, False, count, "boom")
        assert line.run(350) == []


def test_process_that_no_restart_mends_is_told_at_once(line: Line) -> None:
    line.processes["sink"] = ProcessSeen(False, True, 0, "fenced")
    assert line.run(STEP) == [("crash_loop", "sink", "open")]
    assert "fenced" in line.told[-1]["message"]


def test_restarts_before_the_first_look_are_not_counted() -> None:
    line = Line()
    line.processes["sink"] = ProcessSeen(True, False, 9, "boom")
    assert line.run(60) == []


def test_disk_floor_opens_below_it_and_is_resolved_only_well_above(line: Line) -> None:
    line.disk = 10**9 - 1
    assert line.run(STEP) == [("disk_floor", "the", "open")]
    line.disk = 10**9 + 1
    assert line.run(120) == []
    line.disk = 2 * 10**9
    assert line.run(120) == [("disk_floor", "the", "resolved")]


def test_lag_that_grows_over_the_whole_time_is_told_and_one_that_stands_is_not(line: Line) -> None:
    line.lag("judge", 50_000)
    assert line.run(600, judge=1) == []
    found = []
    for _ in range(60):
        line.lag("judge", line.stages["judge"].lag + 1_000)
        found += line.run(STEP, judge=1)
    assert found == [("lag_growing", "judge", "open")]
    line.lag("judge", 999)
    assert line.run(60, judge=1) == [("lag_growing", "judge", "resolved")]


def test_small_lag_that_grows_is_none(line: Line) -> None:
    for _ in range(60):
        line.lag("judge", line.stages["judge"].lag + 10)
        assert line.run(STEP, judge=1) == []


def test_folder_whose_files_came_regularly_is_silent_after_three_times_its_longest_gap(line: Line) -> None:
    for _ in range(8):
        line.run(600)
        line.arrivals["tills"] = line.at
        line.run(STEP)
    assert line.run(1_790) == []
    assert line.run(30) == [("folder_silent", "tills", "open")]
    line.arrivals["tills"] = line.at
    assert line.run(60) == [("folder_silent", "tills", "resolved")]


def test_folder_that_a_check_of_its_contract_watches_is_left_to_that(line: Line) -> None:
    line.checked = frozenset({"tills"})
    for _ in range(8):
        line.run(600)
        line.arrivals["tills"] = line.at
        line.run(STEP)
    assert line.run(20_000) == []


def test_folder_without_a_rhythm_is_never_silent(line: Line) -> None:
    for gap in (10, 4_000, 10, 10, 900, 10, 10):
        line.run(gap)
        line.arrivals["odd"] = line.at
        line.run(STEP)
    assert line.run(50_000) == []


def test_long_pause_of_the_machine_is_no_stall(line: Line) -> None:
    line.lag("judge", 5)
    line.run(30)
    line.at += 7_200
    assert line.run(50) == []


def test_open_alert_is_told_again_hourly_with_its_subject_and_a_new_id(line: Line) -> None:
    line.lag("judge", 7)
    line.run(STILL_SECS + 120)
    told = [one for one in line.told if one["rule"] == PlatformRule.STAGE_STALLED]
    assert [one["state"] for one in told] == ["open", "still"]
    assert told[0]["subject"] == told[1]["subject"]
    assert told[0]["alert_id"] != told[1]["alert_id"]
    assert told[0]["opened_at"] == told[1]["opened_at"]


def test_same_observations_give_the_same_ids(line: Line) -> None:
    def ids() -> list[str]:
        one = Line()
        one.lag("sink", 7)
        one.run(STILL_SECS + 120)
        return [alert["alert_id"] for alert in one.told]

    assert len(ids()) == 2
    assert ids() == ids()


def test_what_outlives_the_process_gives_no_second_opening(line: Line) -> None:
    line.lag("sink", 7)
    line.run(120)
    stored = json.loads(json.dumps([one.to_json() for one in line.opened.values()]))
    opened: Opened = {(one.finding.rule.value, one.finding.place): one for one in map(OpenAlert.from_json, stored)}
    assert opened == line.opened
    line.opened, line.memory = opened, without_marks(line.memory)
    assert line.run(20) == []


def test_alert_of_the_platform_is_an_alert_of_the_schema_with_its_class(line: Line) -> None:
    line.disk = 0
    line.run(STEP)
    read = read_system("alert", frame_system("alert", 7, line.told[-1]))
    assert (read["class"], read["dataset"], read["state"]) == ("platform", "", "open")


def test_finding_names_its_rule() -> None:
    finding = Finding(PlatformRule.DISK_FLOOR, "", "critical", 1, 2, "bytes", "m", "h")  # type: ignore[arg-type]
    opened, told = live({}, [finding], 5.0, CLEAR_SECS)
    assert [one["rule"] for one in told] == ["disk_floor"]
    assert list(opened) == [("disk_floor", "")]


def test_checks_that_warn_of_silence_are_those_above_info(tmp_path: Path) -> None:
    paths = Settings(home=tmp_path).paths()
    paths.contracts.mkdir()
    for dataset, quality in (
        ("warned", "[{id: some, metric: rowCount, mustBeGreaterOrEqualTo: 1, severity: error}]"),
        ("guessed", "[{id: some, metric: rowCount, mustBeGreaterOrEqualTo: 1, severity: info}]"),
        ("unwatched", "[]"),
    ):
        (paths.contracts / f"{dataset}.odcs.yaml").write_text(
            f"{{apiVersion: v3.1.0, kind: DataContract, id: {dataset}, version: 1.0.0, status: active, schema: "
            f"[{{name: {dataset}, quality: {quality}, properties: [{{name: id, logicalType: integer}}]}}]}}"
        )
    datasets = ("warned", "guessed", "unwatched", "missing")
    assert [name for name in datasets if has_silence_check(paths, name)] == ["warned"]
