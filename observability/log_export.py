"""Where log lines go besides HOME/logs: the warehouse's otel_logs table, and an OTLP endpoint when one is named.

An exporter has a queue of its own that is bounded, and a thread that sends; writing a line never waits for it. What
cannot be delivered is dropped and counted. What that thread logs itself is never exported: it would go on for ever.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from headrace.observability.events import emit
from headrace.observability.export import resource_of
from headrace.observability.log_delivery import Delivery, OtlpLogs, WarehouseLogs
from headrace.observability.log_events import LogsLost
from headrace.observability.log_lines import LogLine
from headrace.observability.logs import Logs, configure_logs
from headrace.observability.otlp import Signal, endpoint_of
from headrace.observability.pace import LINES_LONGEST_SECS, LINES_QUIET_SECS, Pace
from headrace.settings import Settings

_QUEUE = 10_000
_BATCH = 1_000
_DELIVERY_SECS = 30.0
_FIRST_WAIT_SECS, _MOST_WAIT_SECS = 0.5, 5.0
_CLOSE_SECS = 2.0
_OWN_LIBRARIES = ("opentelemetry", "urllib3", "requests", "grpc")


class LogExport:
    """An outlet that sends lines away in batches. `close` makes one more attempt, for two seconds at most."""

    level = logging.INFO

    def __init__(
        self, name: str, deliver: Delivery, *, queue: int = _QUEUE, delay_secs: float = LINES_QUIET_SECS
    ) -> None:
        self._name, self._deliver = name, deliver
        self._pace = Pace(delay_secs, LINES_LONGEST_SECS)
        self._waiting: deque[LogLine] = deque()
        self._most, self._dropped, self._sending = queue, 0, 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"logs to {name}", daemon=True)
        self._thread.start()

    def write(self, line: LogLine) -> None:
        """Queue a line; the oldest waiting one gives way if there is no room. Never blocks."""
        if threading.current_thread() is self._thread or line.logger.split(".")[0] in _OWN_LIBRARIES:
            return
        with self._lock:
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(line)
            full = len(self._waiting) >= _BATCH
        self._pace.added(full=full)

    def close(self) -> None:
        """Deliver what is waiting, and count what cannot be."""
        self._closing.set()
        self._pace.close()
        self._thread.join(_CLOSE_SECS)
        with self._lock:
            left, self._waiting = len(self._waiting) + self._sending, deque()
        if self._thread.is_alive() and left:
            self._lose(left, "the process ends")

    def _run(self) -> None:
        while self._pace.wait():
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while batch := self._next():
            cause = self._send(batch)
            if cause:
                self._lose(len(batch), cause)
            if cause and self._closing.is_set():
                with self._lock:
                    left, self._waiting = len(self._waiting), deque()
                if left:
                    self._lose(left, cause)
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._lose(dropped, f"more than {self._most} lines were waiting")

    def _next(self) -> list[LogLine]:
        with self._lock:
            self._sending = min(_BATCH, len(self._waiting))
            return [self._waiting.popleft() for _ in range(self._sending)]

    def _send(self, batch: Sequence[LogLine]) -> str:
        """Try for half a minute (the table is made by the sink's first start); return why it did not go, or ""."""
        wait, spent = _FIRST_WAIT_SECS, 0.0
        while True:
            cause = self._deliver(batch)
            if not cause or self._closing.is_set() or spent >= _DELIVERY_SECS:
                return cause
            self._closing.wait(wait)
            spent, wait = spent + wait, min(_MOST_WAIT_SECS, wait * 2)

    def _lose(self, lines: int, cause: str) -> None:
        emit(LogsLost(exporter=self._name, count=lines, cause=cause))


@contextmanager
def exported(settings: Settings, logs: Logs, process: str, stage: str) -> Iterator[None]:
    """Export a process's lines within the block: to the warehouse, and by OTLP if the environment names an endpoint.

    The embedded warehouse's own lines do not go to itself: one that says that an insert failed would cause the next.
    """
    resource = resource_of(stage)
    deliveries: dict[str, Delivery] = {}
    if process != "warehouse":
        deliveries["warehouse"] = WarehouseLogs(settings, resource)
    if endpoint_of(Signal.LOGS, os.environ):
        deliveries["otlp"] = OtlpLogs(resource)
    exports = [LogExport(name, deliver) for name, deliver in deliveries.items()]
    for export in exports:
        logs.attach(export)
    try:
        yield
    finally:
        for export in exports:
            logs.detach(export)
        closing_now = [threading.Thread(target=export.close) for export in exports]
        for thread in closing_now:
            thread.start()
        for thread in closing_now:
            thread.join()


@contextmanager
def process_logs(settings: Settings, process: str) -> Iterator[None]:
    """Set up the logs of a process that is no stage: a service, the supervisor. Nothing of it blocks the work."""
    with closing(configure_logs(settings, process)) as logs, exported(settings, logs, process, process):
        yield
