"""A whole line under load that is stopped by Ctrl-C or loses its supervisor: nothing runs on, and nothing is lost."""

import json
import signal
from pathlib import Path

import psutil
import pytest

from headrace.core.child import wait_until
from headrace.runtime.home import is_held, read_report
from headrace.runtime.plan import make_plan, stop_order
from headrace.runtime.status import stack_status
from headrace.testing.flood import Flood, make_flood
from headrace.testing.line import RunningLine

pytestmark = pytest.mark.stack
FILES, LIMIT_SECS = 48, 60.0


@pytest.mark.timeout(300)
def test_ctrl_c_under_load_drains_in_order_without_a_kill_and_the_next_start_goes_on(tmp_path: Path) -> None:
    flood = make_flood("interrupted", files=FILES, rows=8_000, seed=11)
    with RunningLine(tmp_path) as line:
        pour(line, flood)
        family = family_of(line)
        assert line.stop(signal.SIGINT) == 0, line.output()
        printed = line.output()
        assert "the line is stopped" in printed
        assert "process killed at stop" not in texts(tmp_path)
        assert alive(family) == []
        assert not is_held(line.settings.paths())
        stopped = [text.split()[0] for text in printed.splitlines() if " stopped (" in text]
        assert stopped == [spec.name for spec in stop_order(make_plan(line.settings))]
        assert len(waiting(line, flood)) > 0, "everything had come in already: there was no load"
    with RunningLine(tmp_path) as again:
        assert_whole(again, flood)


@pytest.mark.timeout(300)
def test_killed_supervisor_of_a_whole_line_leaves_no_process_and_the_next_start_goes_on(tmp_path: Path) -> None:
    flood = make_flood("orphaned", files=FILES, rows=8_000, seed=12)
    with RunningLine(tmp_path) as line:
        pour(line, flood)
        family = family_of(line)
        report = read_report(line.settings.paths())
        assert report is not None
        assert {entry["pid"] for entry in report["processes"].values()} <= {process.pid for process in family}
        assert len(report["processes"]) >= 9
        assert line.stop(signal.SIGKILL) == -signal.SIGKILL
        assert wait_until(lambda: alive(family) == [], LIMIT_SECS), alive(family)
        assert len(waiting(line, flood)) > 0, "everything had come in already: there was no load"
    with RunningLine(tmp_path) as again:
        assert_whole(again, flood)


def pour(line: RunningLine, flood: Flood) -> None:
    """Drop all files and return as soon as rows are on their way."""
    contracts = line.settings.paths().contracts
    contracts.mkdir(exist_ok=True)
    (contracts / f"{flood.dataset}.odcs.yaml").write_text(flood.contract())
    for name, content in flood.files:
        line.drop(flood.dataset, name, content)
    assert wait_until(lambda: stack_status(line.settings)["stages"]["watcher"]["rows"] > 0, LIMIT_SECS)


def waiting(line: RunningLine, flood: Flood) -> list[Path]:
    """Return the files that are not published yet."""
    paths = line.settings.paths()
    folders = (paths.inbox / flood.dataset, paths.work / flood.dataset)
    return [file for folder in folders if folder.exists() for file in folder.iterdir() if not file.name.startswith(".")]


def family_of(line: RunningLine) -> list[psutil.Process]:
    """Return every process of the line below its supervisor, whatever started it."""
    report = read_report(line.settings.paths())
    assert report is not None
    return psutil.Process(report["pid"]).children(recursive=True)


def alive(family: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def texts(home: Path) -> set[str]:
    """Return the log texts of the supervisor."""
    return {json.loads(line)["message"] for line in (home / "logs" / "supervisor.log").read_text().splitlines()}


def assert_whole(line: RunningLine, flood: Flood) -> None:
    """Every file of the flood has a balanced receipt, and the tables hold the rows that its oracle tells, once."""
    receipts = line.final_receipts(flood.dataset, len(flood.files), limit_secs=120)
    assert {receipt["state"] for receipt in receipts} == {"balanced"}
    assert rows_of(line, flood.dataset) == sorted(flood.stored)
    assert rows_of(line, "quarantine") == sorted(flood.quarantined)


def rows_of(line: RunningLine, table: str) -> list[tuple[str, int]]:
    found = line.column(f"SELECT _file, _row FROM headrace.{table} ORDER BY _file, _row")
    return [(file, int(row)) for file, row in (text.split("\t") for text in found)]
