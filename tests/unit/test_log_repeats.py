"""Lines that repeat are written once and then counted; nothing is lost without a word."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.observability.counter_export import Counters
from headrace.observability.counters import current_values
from headrace.observability.events import BatchRepeated, emit
from headrace.observability.log_events import LinesRepeated
from headrace.observability.log_lines import LogLine
from headrace.observability.logs import configure_logs
from headrace.observability.repeats import Repeats
from headrace.settings import Settings
from headrace.testing.logs import kept_logging


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    with kept_logging() as root:
        yield root


def line(level: str = "warning", event: str = "stage_waits", labels: tuple[str, ...] = (), **fields: Any) -> LogLine:
    return LogLine(0, level, "sink", "sink", "headrace", event, "words", fields, labels)


def told(lines: list[LogLine]) -> list[tuple[object, int]]:
    return [(one.fields.get("cause"), one.repeated) for one in lines]


def test_repeat_within_the_window_is_counted_and_told_with_the_last_ones_words_when_it_ends() -> None:
    repeats = Repeats(10)
    assert told(repeats.admit(line(cause="a"), 0)) == [("a", 0)]
    assert repeats.admit(line(cause="b"), 1) == []
    assert repeats.admit(line(cause="c"), 9.9) == []
    assert told(repeats.admit(line(cause="d"), 10)) == [("c", 2), ("d", 0)]
    assert told(repeats.close()) == []


def test_line_that_did_not_repeat_is_not_told_twice() -> None:
    repeats = Repeats(10)
    repeats.admit(line(cause="a"), 0)
    assert repeats.ended(11) == []
    assert not repeats.pending()


def test_labels_and_what_it_is_about_tell_lines_apart() -> None:
    repeats = Repeats(10)
    for one in (
        line(labels=("user",), user="ann", file="f"),
        line(labels=("user",), user="bob", file="f"),
        line(labels=("user",), user="bob", file="g"),
        line(labels=("user",), user="bob", file="g", event="other"),
    ):
        assert repeats.admit(one, 0) == [one]
    assert repeats.admit(line(labels=("user",), user="bob", file="g", rows=7), 0) == []


def test_errors_are_left_out_only_if_they_say_the_very_same() -> None:
    repeats = Repeats(10)
    for cause in ("a", "b"):
        assert told(repeats.admit(line("error", cause=cause), 0)) == [(cause, 0)]
    assert repeats.admit(line("error", cause="a"), 1) == []
    assert told(repeats.close()) == [("a", 1)]


def test_so_many_kinds_of_lines_that_memory_would_grow_are_taken_as_one_kind() -> None:
    repeats = Repeats(10, most_kinds=3)
    written = [one for number in range(100) for one in repeats.admit(line(name=str(number)), 0)]
    assert len(written) == 4
    assert told(repeats.close()) == [(None, 96)]


@given(st.lists(st.tuples(st.sampled_from(["debug", "warning", "error"]), st.sampled_from("abc"), st.floats(0, 9))))
def test_every_line_is_written_or_counted_in_one_that_is(steps: list[tuple[str, str, float]]) -> None:
    repeats, now, written = Repeats(10), 0.0, []
    for level, name, pause in steps:
        now += pause
        written += repeats.admit(line(level, name=name), now)
    written += repeats.close()
    for level in ("debug", "warning", "error"):
        mine = [one for one in written if one.level == level]
        assert sum(one.repeated or 1 for one in mine) == sum(1 for step in steps if step[0] == level)


def test_what_is_left_out_is_counted_and_events_still_count_each(tmp_path: Path, root_logger: logging.Logger) -> None:
    logs, counters = configure_logs(Settings(home=tmp_path), "sink"), Counters("sink")
    for number in range(50):
        emit(BatchRepeated(stage="sink", cause=f"no {number}"))
    root_logger.removeHandler(logs)
    logs.close()
    found = current_values()
    assert (found[BatchRepeated.metric], found[LinesRepeated.metric]) == (50, 49)
    counters.close()
    lines = [json.loads(text) for text in (tmp_path / "logs" / "sink.log").read_text().splitlines()]
    assert [(one["cause"], one.get("repeated")) for one in lines] == [("no 0", None), ("no 49", 49)]
