"""A line of a log: what every line has, what a person sees, and where lines go in a process."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.core.identity import root_span_id, trace_id
from headrace.observability.events import BatchRepeated, RowsJudged, StageFailed, emit
from headrace.observability.file_events import FileEnded, FileVanished
from headrace.observability.log_export import process_logs
from headrace.observability.log_lines import KEYS, as_text
from headrace.observability.logs import configure_logs
from headrace.settings import Settings
from headrace.testing.logs import kept_logging

FILE = "0123456789abcdef"
AWAY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Give pytest its own handlers back."""
    with kept_logging():
        yield


def written(home: Path, process: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "logs" / f"{process}.log").read_text().splitlines()]


def ended(**changes: Any) -> FileEnded:
    told: dict[str, Any] = {"dataset": "orders", "name": "o.csv", "file": FILE, "state": "published", "reason": ""}
    return FileEnded(**told | {"rows": 3, "unreadable": 0} | changes)


def test_line_of_a_file_has_its_trace_the_events_name_and_the_stage(tmp_path: Path) -> None:
    with process_logs(Settings(home=tmp_path, warehouse_url=AWAY), "watcher"):
        emit(ended())
        emit(FileVanished(dataset="orders", name="gone.csv"))
    first, second, *_ = written(tmp_path, "watcher")
    assert first["trace_id"] == trace_id("orders", FILE)
    assert first["span_id"] == root_span_id("orders", FILE)
    told = ("file_ended", 9, "info", "watcher", "orders", FILE)
    assert tuple(first[name] for name in ("event", "severity_number", "level", "stage", "dataset", "file")) == told
    assert set(first) <= KEYS | {"name", "state", "reason", "rows", "unreadable"}
    assert (second["event"], second["severity_number"]) == ("file_vanished", 13)
    assert "trace_id" not in second


def test_processes_of_one_stage_keep_their_own_logs_and_say_which_stage_it_is(tmp_path: Path) -> None:
    configure_logs(Settings(home=tmp_path), "judge-1", "judge")
    emit(ended())
    [line] = written(tmp_path, "judge-1")
    assert (line["process"], line["stage"]) == ("judge-1", "judge")


def test_level_of_the_settings_says_what_is_written(tmp_path: Path) -> None:
    judged = RowsJudged(dataset="orders", file=FILE, rows=7, rejected=0)
    configure_logs(Settings(home=tmp_path), "judge")
    emit(judged)
    assert written(tmp_path, "judge") == []
    configure_logs(Settings(home=tmp_path, log_level="debug"), "judge")
    emit(judged)
    assert [(line["event"], line["severity_number"]) for line in written(tmp_path, "judge")] == [("rows_judged", 5)]


def test_error_that_nobody_foresaw_has_its_traceback_in_one_line(tmp_path: Path) -> None:
    configure_logs(Settings(home=tmp_path), "judge")
    try:
        raise ValueError("seven")
    except ValueError:
        logging.getLogger("library").exception("it broke")
    [line] = written(tmp_path, "judge")
    assert (line["event"], line["logger"], line["message"]) == ("", "library", "it broke")
    assert line["exception"].endswith("ValueError: seven")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_colour", "shown"), [("", "\x1b[31merror\x1b[0m"), ("1", "error")])
def test_person_at_a_terminal_sees_text_in_colour_if_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_colour: str, shown: str
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setenv("TERM", "xterm")
    configure_logs(Settings(home=tmp_path), "sink")
    emit(StageFailed(stage="sink", error="disk full", hint="free room"))
    said = sys.stderr.getvalue()  # type: ignore[union-attr]
    assert said[12:] == f' {shown} sink       stage failed  error="disk full" hint="free room"\n'


def test_standard_error_that_is_no_terminal_has_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    configure_logs(Settings(home=tmp_path), "sink")
    emit(BatchRepeated(stage="sink", cause="away"))
    assert json.loads(sys.stderr.getvalue())["cause"] == "away"  # type: ignore[union-attr]


def test_text_of_a_line_cannot_move_the_cursor_of_a_terminal() -> None:
    line = {"time": "2026-01-02T03:04:05.678+00:00", "level": "info", "message": "a\x1b[2J", "name": "b\rc"}
    assert as_text(line, colour=False) == "03:04:05.678 info             a\\x1b[2J  name=b\\rc"
