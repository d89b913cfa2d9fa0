"""headrace demo on a home of its own: it starts the line and stops it, proves its receipts, and can be interrupted."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headrace.core.child import wait_until
from headrace.runtime.home import SupervisorReport, is_held, process_of, read_report
from headrace.testing.line import HEADRACE, RunningLine, wait_for

pytestmark = pytest.mark.stack
# With February's storm, and the small datasets and the damaged file beside them. `make demo` has all twelve.
MONTHS = 2
FILES = MONTHS + 5
DAYS = 31 + 28


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningLine]:
    """A home on which nothing has run; nothing runs on it at the end."""
    home = RunningLine(tmp_path / "home")
    yield home
    home.process("down")


@pytest.mark.timeout(400)
def test_demo_on_a_fresh_home_proves_its_receipts_and_later_ones_recognise_every_file(fresh: RunningLine) -> None:
    quick = ("demo", "--months", str(MONTHS))
    first = fresh.process(*quick, "--ports", "auto")
    assert "the line is up" in first.stdout
    assert "partial: unterminated_quote" in first.stdout
    assert "proved" in first.stdout
    assert "the line is stopped" in first.stdout
    assert_nothing_runs(fresh)
    again = fresh.process(*quick, "--ports", "auto", "--keep")
    assert_recognised(again.stdout)
    assert "the line is stopped" not in again.stdout
    flights = fresh.value("SELECT count() FROM headrace.flights")
    third = fresh.process(*quick)
    assert "A line already runs" in third.stdout
    assert_recognised(third.stdout)
    assert fresh.value("SELECT count() FROM headrace.flights") == flights
    # January's first rows, as the source has them: the oracle is the file, not the line.
    first_flight = "SELECT carrier, flight, origin, dest FROM headrace.flights WHERE _row = 0 AND month = 1 AND day = 1"
    assert set(fresh.value(f"{first_flight} ORDER BY _offset LIMIT 1").splitlines()) == {"UA\t1545\tEWR\tIAH"}
    assert_windows_of_the_months(fresh)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_demo_of_the_whole_year_proves_its_receipts(fresh: RunningLine) -> None:
    done = fresh.process("demo", "--ports", "auto", "--keep")
    assert "flights-2013-12.csv" in done.stdout
    assert "proved" in done.stdout
    assert_windows_of_the_months(fresh, 365)


@pytest.mark.timeout(300)
def test_ctrl_c_in_the_middle_of_the_demo_stops_its_line_and_what_came_in_balances_later(fresh: RunningLine) -> None:
    demo = interruptible(fresh, "demo", "--ports", "auto")
    wait_for(lambda: "flights-2013-01.csv" in told(fresh), 180, lambda: told(fresh))
    report = report_of(fresh)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(120) == 130, told(fresh)
    assert "the line is stopped" in told(fresh)
    assert "proved" not in told(fresh)
    assert_nothing_runs(fresh, report)
    with RunningLine(fresh.home) as line:
        came = [receipt["file"] for receipt in line.receipts()]
        receipts = [receipt for receipt in line.final_receipts("", len(came)) if receipt["balanced"]]
        assert {receipt["dataset"] for receipt in receipts} >= {"weather", "planes", "airports", "airlines", "flights"}
        for receipt in receipts:
            assert receipt["rows_read"] == receipt["rows_stored"] + receipt["rows_quarantined"]
        assert line.value("SELECT count() > 0 FROM headrace.flights") == "1"


@pytest.mark.parametrize("command", [("demo",), ("up", "--detach")], ids=" ".join)
def test_ctrl_c_while_the_line_starts_leaves_no_process(fresh: RunningLine, command: tuple[str, ...]) -> None:
    starting = interruptible(fresh, *command, "--ports", "auto")
    wait_for(lambda: "ready" in told(fresh), 120, lambda: told(fresh))
    report = report_of(fresh)
    starting.send_signal(signal.SIGINT)
    assert starting.wait(120) == 130, told(fresh)
    assert_nothing_runs(fresh, report)


def interruptible(home: RunningLine, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command as a terminal does, with what it prints in a file."""
    home.home.mkdir(exist_ok=True)
    with (home.home / "up.out").open("wb") as output:
        # A session of its own, so that the signal reaches it alone, as Ctrl-C does not reach the daemon.
        return subprocess.Popen(
            [*HEADRACE, *arguments],
            env=home.environment | {"PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def told(home: RunningLine) -> str:
    return home.output()


def report_of(home: RunningLine) -> SupervisorReport:
    report = read_report(home.settings.paths())
    assert report is not None
    return report


def assert_nothing_runs(home: RunningLine, before: SupervisorReport | None = None) -> None:
    """No supervisor holds the home, and no process of the given report lives."""
    paths = home.settings.paths()
    assert not is_held(paths)
    assert read_report(paths) is None
    for entry in before["processes"].values() if before else ():
        assert not entry["pid"] or process_of(entry["pid"], entry["created_at"]) is None
    mine = [process for process in psutil.process_iter(["environ"]) if is_of(process, home)]
    assert mine == []


def is_of(process: psutil.Process, home: RunningLine) -> bool:
    environment = process.info["environ"] or {}
    return environment.get("HEADRACE_HOME") == str(home.home) and process.status() != psutil.STATUS_ZOMBIE


def assert_recognised(printed: str) -> None:
    assert printed.count("skipped: the same bytes are in already") == FILES
    assert "proved" in printed
    assert f"{FILES} of {FILES} files were recognised" in printed
    row = rf"flights +\d+ +{MONTHS + 1} "
    (flights_row,) = [text.split() for text in printed.splitlines() if re.match(row, text)]
    assert flights_row[-2:] == ["-", "-"], "rates are those of this run"


def assert_windows_of_the_months(line: RunningLine, whole_days: int = DAYS) -> None:
    """Every day but the last two is closed with verdicts over the rows that are stored; those two wait for late rows.

    Days are of UTC: the evening's flights of the last whole day are of one day more.
    """
    ours = "headrace.windows WHERE dataset = 'flights' AND clock = 'event'"
    days = f"SELECT count() FROM {ours} AND score IS NOT NULL AND notEmpty(verdicts)"
    assert wait_until(lambda: line.value(days) == str(whole_days - 1), 30), line.value(days)
    # Where the demo's damaged file comes in late, its days are long forgotten: its rows are in its receipt then.
    stored = "SELECT toDate(time_hour) AS day, count() FROM headrace.flights"
    damaged = "SELECT file FROM headrace.alerts WHERE rule = 'file_partial'"
    without, all_of_them = (
        set(line.value(f"{stored} {where} GROUP BY day").splitlines())
        for where in (f"WHERE _file NOT IN ({damaged})", "")
    )
    accepted = set(line.value(f"SELECT toDate(start), rows - rejected FROM {ours}").splitlines())
    assert accepted <= without | all_of_them
    failed = "arrayExists(v -> v.rule = 'cancelled_flights' AND v.outcome = 'fail', verdicts)"
    storm = line.value(f"SELECT toDate(start) FROM {ours} AND {failed}").split()
    assert {"2013-02-08", "2013-02-09"} <= set(storm)
