"""headrace logs: one order of all processes' lines, filters, files begun anew, torn lines, and following."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.cli.logs import logs, start_of
from headrace.core.child import wait_until
from headrace.core.identity import trace_id
from headrace.errors import WrongUse
from headrace.observability.log_files import Follower, merged_lines

FILE, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME/logs of a home with nothing in it."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def line(second: int, message: str, process: str = "sink", level: str = "info", **fields: Any) -> str:
    time = f"2026-01-02T03:04:{second:02}.000+00:00"
    known = {"time": time, "level": level, "process": process, "stage": process, "event": "e", "message": message}
    return json.dumps(known | fields) + "\n"


def about(second: int, message: str, file: str, name: str, process: str = "watcher") -> str:
    trace = trace_id("orders", file)
    return line(second, message, process, dataset="orders", file=file, name=name, trace_id=trace)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(logs, list(arguments))


def messages(*arguments: str) -> list[str]:
    done = call(*arguments, "--json")
    assert done.exit_code == 0, done
    return [json.loads(text)["message"] for text in done.stdout.splitlines()]


def test_lines_of_all_processes_are_in_the_order_of_time_and_older_files_come_first(folder: Path) -> None:
    (folder / "sink.log.2").write_text(line(1, "a"))
    (folder / "sink.log.1").write_text(line(3, "c"))
    (folder / "sink.log").write_text(line(5, "e"))
    (folder / "watcher.log").write_text(line(2, "b", "watcher") + line(4, "d", "watcher"))
    (folder / "kafka.log").write_text("2026-01-02T03:04:06.000Z WARN Broker: f\n")
    assert messages() == [*"abcde", "Broker: f"]
    assert messages("--level", "warning") == ["Broker: f"]
    assert messages("--stage", "watcher") == ["b", "d"]
    assert messages("--since", "2026-01-02T03:04:04Z") == ["d", "e", "Broker: f"]


def test_what_is_no_json_is_shown_with_the_time_before_it_and_a_torn_line_is_not(folder: Path) -> None:
    torn = line(4, "torn")[:40]
    (folder / "judge.log").write_text(line(1, "a", "judge") + "Traceback of a library\n" + '{"broken": \n' + torn)
    (folder / "judge.out").write_text(line(1, "a", "judge") + "Segmentation fault\n" + "no end of line")
    (folder / "sink.log").write_text(line(2, "b"))
    (folder / "judge.log.draft").write_text("not a log\n")
    found = [(one["message"], one["time"][17:19]) for one in merged_lines(folder)]
    assert sorted(found[:-1]) == [
        ("Segmentation fault", "01"),
        ("Traceback of a library", "01"),
        ("a", "01"),
        ("no end of line", "01"),
        ('{"broken":', "01"),
    ]
    assert found[-1] == ("b", "02")


def test_bytes_that_are_no_text_do_not_end_the_command(folder: Path) -> None:
    (folder / "sink.log").write_bytes(line(1, "a").encode() + b"\xff\xfe\x00 odd\n" + line(2, "b").encode())
    assert [messages()[place] for place in (0, 2)] == ["a", "b"]
    assert "\\x00" in call().stdout


@pytest.mark.parametrize(
    "wanted", ["o.csv", "orders/o.csv", FILE, f"orders/{FILE}", FILE + "0" * 48, trace_id("orders", FILE)]
)
def test_lines_of_one_file_are_found_by_any_of_its_names_in_all_processes(folder: Path, wanted: str) -> None:
    (folder / "watcher.log").write_text(about(1, "mine", FILE, "o.csv") + about(2, "not mine", OTHER, "p.csv"))
    trace = trace_id("orders", FILE)
    later = line(3, "mine too", "receipts", dataset="orders", file=FILE, trace_id=trace)
    (folder / "receipts.log").write_text(later + line(4, "nobody's", "receipts"))
    assert messages("--trace", wanted) == ["mine", "mine too"]


def test_text_for_people_and_json_for_programs(folder: Path) -> None:
    (folder / "sink.log").write_text(line(1, "waits", level="warning", cause="no room"))
    assert call().stdout == '03:04:01.000 warn  sink       waits  cause="no room"\n'
    [found] = [json.loads(text) for text in call("--json").stdout.splitlines()]
    assert (found["fields"], found["severity_number"]) == ({"cause": "no room"}, 13)


def test_nothing_to_show_is_said_and_what_cannot_be_is_wrong_use(folder: Path) -> None:
    assert isinstance(call().exception, WrongUse)
    (folder / "sink.log").write_text(line(1, "a"))
    assert call("--level", "error").stdout == "no such lines\n"
    assert messages("--level", "error") == []
    for arguments, said in (
        (("--stage", "sinc"), "there are sink"),
        (("--trace", "x.csv"), "headrace files"),
        (("--since", "soon"), "write 30s"),
    ):
        problem = call(*arguments).exception
        assert isinstance(problem, WrongUse)
        assert said in problem.hint
    with pytest.raises(WrongUse):
        start_of("99999999999999999d", datetime(2026, 1, 1, tzinfo=UTC))


def test_follower_gives_new_lines_once_whole_and_over_files_begun_anew(folder: Path) -> None:
    log = folder / "sink.log"
    log.write_text(line(1, "old"))
    follower = Follower(folder)
    assert follower.new_lines() == []
    with log.open("a") as stream:
        stream.write(line(2, "a") + line(3, "b")[:20])
    assert [one["message"] for one in follower.new_lines()] == ["a"]
    with log.open("a") as stream:
        stream.write(line(3, "b")[20:] + line(4, "c"))
    # begun anew twice between two looks, and a process that was not there before
    log.rename(folder / "sink.log.2")
    (folder / "sink.log.1").write_text(line(5, "d"))
    log.write_text(line(6, "e"))
    (folder / "judge.log").write_text(line(7, "f", "judge"))
    assert [one["message"] for one in follower.new_lines()] == list("bcdef")
    assert follower.new_lines() == []
    follower.close()


def test_follower_loses_and_doubles_nothing_while_a_process_writes_and_begins_files_anew(folder: Path) -> None:
    script = (
        "import sys, logging; from headrace.observability.logs import *; import headrace.observability.logs as l\n"
        "l._LOG_BYTES, l._KEPT = 20_000, 1_000\n"
        "from headrace.settings import Settings; from headrace.observability.events import *\n"
        "configure_logs(Settings(), 'sink')\n"
        "for n in range(3_000): emit(StageFailed(stage='sink', error=str(n), hint=''))\n"
    )
    follower = Follower(folder)
    found: list[str] = []
    writer = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, env=dict(os.environ))
    while writer.poll() is None:
        found += [one["error"] for one in follower.new_lines() if "error" in one]
    found += [one["error"] for one in follower.new_lines() if "error" in one]
    follower.close()
    assert writer.returncode == 0
    assert len(list(folder.glob("sink.log.*"))) > 10
    assert found == [str(number) for number in range(3_000)]


def test_command_follows_until_it_is_stopped(folder: Path) -> None:
    (folder / "sink.log").write_text(line(1, "old"))
    arguments = [sys.executable, "-m", "headrace.cli", "logs", "--follow", "--stage", "sink"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as follower:
        assert follower.stdout is not None
        lines: list[str] = []
        reading = threading.Thread(target=lambda: lines.extend(follower.stdout))  # type: ignore[arg-type]
        reading.start()

        def heard() -> bool:
            with (folder / "sink.log").open("a") as stream:
                stream.write(line(2, "new"))
            return bool(lines)

        assert wait_until(heard, 60, every_secs=0.3)
        follower.terminate()
        reading.join()
    assert all("new" in text for text in lines)
