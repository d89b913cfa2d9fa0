"""A bounded queue of spans before one exporter: adding never blocks, and every span that is not delivered is counted.

OpenTelemetry's own batch processor drops what its full queue has no room for without counting it where anybody could
see, and its shutdown waits for a delivery that hangs.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from headrace.observability.events import emit
from headrace.observability.pace import SPANS_LONGEST_SECS, SPANS_QUIET_SECS, Pace
from headrace.observability.trace_events import SpansLost

QUEUE_SPANS, BATCH_SPANS = 20_000, 512
_FULL = "the queue is full"
_LOGGER = logging.getLogger("headrace.delivery")


class SpanQueue:
    """Hands spans to one exporter from a thread of its own. `name` is what its losses are counted under."""

    def __init__(
        self,
        name: str,
        exporter: SpanExporter,
        *,
        most: int = QUEUE_SPANS,
        delay_secs: float = SPANS_QUIET_SECS,
        cause: Callable[[], str] = lambda: "the endpoint did not take them",
    ) -> None:
        self._name, self._exporter, self._cause = name, exporter, cause
        self._most, self._pace = most, Pace(delay_secs, SPANS_LONGEST_SECS)
        self._waiting: deque[ReadableSpan] = deque()
        self._lock = threading.Lock()
        self._overflow = self._sending = 0
        self._thread = threading.Thread(target=self._work, name=f"spans-{name}", daemon=True)
        self._thread.start()

    def add(self, span: ReadableSpan) -> None:
        """Queue a span. Never blocks: where the queue is full, the oldest waiting span gives way and is counted."""
        with self._lock:
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self._overflow += 1
            self._waiting.append(span)
        self._pace.added(full=len(self._waiting) >= BATCH_SPANS)

    @property
    def depth(self) -> int:
        """Return the number of spans that wait."""
        return len(self._waiting)

    def close(self, timeout_secs: float) -> None:
        """Deliver what is waiting; what is not delivered in time is counted as lost, and nobody waits for it."""
        self._pace.close()
        deadline = time.monotonic() + timeout_secs
        self._thread.join(timeout_secs)
        if self._thread.is_alive():
            giving_up = threading.Thread(target=self._exporter.shutdown, daemon=True)
            giving_up.start()
            giving_up.join(0.5)
            self._thread.join(max(0.5, deadline - time.monotonic()))
        else:
            self._exporter.shutdown()
        with self._lock:
            lost, self._sending = self._sending + len(self._waiting), 0
            self._waiting.clear()
        self._tell_overflow()
        self._tell(lost, "the process ended before they were delivered")

    def _work(self) -> None:
        while self._pace.wait():
            self._deliver()
        self._deliver()

    def _deliver(self) -> None:
        while self._waiting:
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(BATCH_SPANS, len(self._waiting)))]
                self._sending = len(batch)
            failed = self._failure_of(batch)
            with self._lock:
                # The close may have given this batch up, and counted it.
                lost, self._sending = (self._sending if failed else 0), 0
            self._tell(lost, failed)
            self._tell_overflow()
        self._tell_overflow()

    def _failure_of(self, batch: list[ReadableSpan]) -> str:
        """Deliver a batch; return "" or why it was not delivered."""
        try:
            done = self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception as error:  # an exporter is another's code: whatever it raises must not end the thread
            _LOGGER.debug("the exporter %s failed", self._name, exc_info=True)
            return f"{type(error).__name__}: {error}"
        return "" if done else self._cause()

    def _tell_overflow(self) -> None:
        with self._lock:
            lost, self._overflow = self._overflow, 0
        self._tell(lost, _FULL)

    def _tell(self, lost: int, cause: str) -> None:
        if lost:
            emit(SpansLost(exporter=self._name, count=lost, cause=cause))
