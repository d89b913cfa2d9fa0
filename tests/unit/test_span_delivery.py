"""Spans that cannot be delivered: nothing waits for them, the queue has an end, and each is counted."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from headrace.observability.delivery import SpanQueue
from headrace.observability.export import readable, resource_of, span_export
from headrace.observability.trace_events import SpansLost
from headrace.observability.tracing import FileTracer, SpanRecord
from headrace.settings import Settings

SPAN = readable(SpanRecord("read", "a" * 32, "b" * 16, "", 1, 2), resource_of("test"))
FILE = "0123456789abcdef"
Lost = list[SpansLost]


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Lost:
    """What is told to be lost."""
    found: Lost = []
    monkeypatch.setattr("headrace.observability.delivery.emit", found.append)
    return found


class Gate(SpanExporter):
    """An exporter that answers when it is let."""

    def __init__(self) -> None:
        self.open, self.taking = threading.Event(), threading.Event()
        self.taken: list[int] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taking.set()
        self.open.wait(30)
        self.taken.append(len(spans))
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to leave."""


class Raises(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise ValueError("no")

    def shutdown(self) -> None:
        """Nothing to leave."""


@contextmanager
def endpoint(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port that takes connections, and does `answer` with them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_ones: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                open_ones.append(connection)
                answer(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for connection in open_ones:
            connection.close()
        thread.join()


def total(lost: Lost, exporter: str) -> int:
    return sum(event.count for event in lost if event.exporter == exporter)


def test_full_queue_drops_the_oldest_and_counts_them(lost: Lost) -> None:
    gate = Gate()
    queue = SpanQueue("otlp", gate, most=1_000, delay_secs=0.01)
    queue.add(SPAN)
    assert gate.taking.wait(30)
    for _ in range(1_250):
        queue.add(SPAN)
    assert queue.depth == 1_000
    gate.open.set()
    queue.close(30)
    assert sum(gate.taken) == 1_001
    assert {event.cause for event in lost} == {"the queue is full"}
    assert total(lost, "otlp") == 250


def test_exporter_that_raises_loses_its_batch_and_not_the_thread(lost: Lost) -> None:
    queue = SpanQueue("otlp", Raises(), delay_secs=0.01)
    for _ in range(3):
        queue.add(SPAN)
    queue.close(30)
    assert total(lost, "otlp") == 3
    assert "ValueError: no" in lost[0].cause


def test_close_gives_up_what_hangs_and_counts_it_once(lost: Lost) -> None:
    gate = Gate()
    queue = SpanQueue("otlp", gate, delay_secs=0.01)
    queue.add(SPAN)
    assert gate.taking.wait(30)
    for _ in range(700):
        queue.add(SPAN)
    queue.close(0.1)
    assert total(lost, "otlp") == 701
    gate.open.set()
    queue.close(30)
    assert total(lost, "otlp") == 701


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("alive", [False, True], ids=["dead", "hanging"])
def test_endpoint_that_does_not_answer_costs_the_spans_and_no_time(
    protocol: str, alive: bool, lost: Lost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(lambda _connection: None) as port:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port if alive else 9}")
        export = span_export(Settings(home=tmp_path, warehouse_url="http://127.0.0.1:9"), "watcher")
        tracer = FileTracer(export)
        for _ in range(600):
            tracer.record("read", dataset="orders", file=FILE, start_ns=1, end_ns=2)
        started = time.monotonic()
        export.close()
        waited = time.monotonic() - started
    # Far below the 10 seconds of one delivery: the limit is there to fail where the close waits for it.
    assert waited < 8
    assert (total(lost, "otlp"), total(lost, "warehouse")) == (600, 600)
