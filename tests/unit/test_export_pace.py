"""When spans and log lines are sent: soon where little comes, together where much does, at once at the end."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from headrace.core.child import wait_until
from headrace.observability.delivery import BATCH_SPANS, SpanQueue
from headrace.observability.export import readable, resource_of
from headrace.observability.log_export import LogExport
from headrace.observability.log_lines import LogLine
from headrace.observability.pace import Pace
from headrace.observability.tracing import SpanRecord

HOUR = 3_600.0
SPAN = readable(SpanRecord("read", "a" * 32, "b" * 16, "", 1, 2), resource_of("test"))
LINE = LogLine(1, "info", "sink", "sink", "headrace", "stage_started", "stage started")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Kept(SpanExporter):
    """An exporter that keeps the sizes of what it was given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.sizes.append(len(spans))
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to leave."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Iterator[Pace]:
    made = Pace(2.5, 10.0, monotonic=clock)
    yield made
    made.close()


def test_delivery_is_due_once_nothing_was_added_for_a_while(clock: Clock, pace: Pace) -> None:
    pace.added()
    clock.now = 2.0
    assert pace.left() == 0.5
    pace.added()
    assert pace.left() == 2.5
    clock.now = 4.5
    assert pace.left() == 0
    assert pace.wait()


def test_delivery_is_due_in_time_however_much_is_added(clock: Clock, pace: Pace) -> None:
    for second in range(10):
        clock.now = second
        pace.added()
    assert pace.left() == 1.0
    clock.now = 10.0
    pace.added()
    assert pace.wait()


def test_the_longest_time_counts_anew_after_a_delivery(clock: Clock, pace: Pace) -> None:
    pace.added(full=True)
    assert pace.wait()
    clock.now = 100.0
    pace.added()
    assert pace.left() == 2.5


def test_full_queue_and_closed_one_are_due_at_once(pace: Pace) -> None:
    pace.added(full=True)
    assert pace.wait()
    pace.close()
    assert [pace.wait(), pace.wait()] == [False, False]


def test_what_comes_before_the_end_goes_in_one_delivery_and_none_is_left_behind() -> None:
    exporter = Kept()
    queue = SpanQueue("otlp", exporter, delay_secs=HOUR)
    for _ in range(300):
        queue.add(SPAN)
    queue.close(30)
    assert exporter.sizes == [300]


def test_a_whole_batch_of_spans_does_not_wait() -> None:
    exporter = Kept()
    queue = SpanQueue("otlp", exporter, delay_secs=HOUR)
    for _ in range(BATCH_SPANS):
        queue.add(SPAN)
    assert wait_until(lambda: sum(exporter.sizes) == BATCH_SPANS, 30)
    queue.close(30)


def test_lines_that_wait_go_together_at_the_end() -> None:
    sizes: list[int] = []

    def deliver(lines: Sequence[LogLine]) -> str:
        sizes.append(len(lines))
        return ""

    with closing(LogExport("test", deliver, delay_secs=HOUR)) as export:
        for _ in range(300):
            export.write(LINE)
    assert sizes == [300]
