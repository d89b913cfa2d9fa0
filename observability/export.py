"""Where spans go: the warehouse's otel_traces table, and an OTLP endpoint when the environment names one.

Both sit behind OpenTelemetry's batch processor: recording never blocks, the queue is bounded, and what cannot be
delivered is dropped and counted, never retried without end.
"""

import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from headrace import __version__
from headrace.observability.counters import SCOPE
from headrace.observability.events import Event, emit
from headrace.observability.tracing import SpanRecord
from headrace.settings import Settings

_DELIVERY_SECS = 30.0
_CLOSE_SECS = 2.0
_DELAY_MS = 2_500
_QUEUE = 20_000
OTLP_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@dataclass(frozen=True, kw_only=True)
class SpansLost(Event):
    """Spans that an exporter could not deliver in time were dropped."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "spans lost"
    metric: ClassVar[str] = "headrace_lost_spans_total"
    labels: ClassVar[tuple[str, ...]] = ("exporter",)
    quantity: ClassVar[str] = "count"
    exporter: str
    count: int
    cause: str


class SpanExport:
    """Hands finished spans to every exporter. Call it with a SpanRecord; `close` delivers what is waiting."""

    def __init__(self, stage: str, exporters: Sequence[SpanExporter]) -> None:
        self._resource = resource_of(stage)
        self._exporters = tuple(exporters)
        self._processors = [
            BatchSpanProcessor(exporter, max_queue_size=_QUEUE, schedule_delay_millis=_DELAY_MS)
            for exporter in exporters
        ]

    def __call__(self, record: SpanRecord) -> None:
        """Queue a span. Never blocks and never raises for a full queue: the oldest waiting span gives way."""
        span = _readable(record, self._resource)
        for processor in self._processors:
            processor.on_end(span)

    def close(self) -> None:
        """Deliver what is queued, waiting for a service that is away a few seconds at most."""
        # A processor's shutdown waits for the delivery under way before it tells the exporter to give up; each has a
        # thread of its own, so that one service that is away does not cost the other its spans.
        give_up = threading.Timer(_CLOSE_SECS, self._give_up)
        give_up.daemon = True
        give_up.start()
        closing = [threading.Thread(target=processor.shutdown) for processor in self._processors]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        give_up.cancel()

    def _give_up(self) -> None:
        for exporter in self._exporters:
            exporter.shutdown()


def span_export(settings: Settings, stage: str) -> SpanExport:
    """Return one process's export: to the warehouse, and by OTLP when OpenTelemetry's variables name an endpoint."""
    exporters: list[SpanExporter] = [WarehouseSpans(settings)]
    if any(os.environ.get(name) for name in OTLP_VARIABLES):
        exporters.append(OTLPSpanExporter())
    return SpanExport(stage, exporters)


def resource_of(stage: str) -> Resource:
    """Return what OpenTelemetry is told about this process."""
    return Resource.create(
        {"service.name": f"headrace-{stage}", "service.version": __version__, "process.pid": os.getpid()}
    )


class WarehouseSpans(SpanExporter):
    """Inserts spans into headrace.otel_traces, laid out as the OpenTelemetry collector's exporter lays it."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.warehouse_address() + "/?query=INSERT+INTO+headrace.otel_traces+FORMAT+JSONEachRow"
        self._settings = settings
        self._stopped = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Insert a batch, retrying for half a minute: the table is made by the sink's first start."""
        body = "\n".join(json.dumps(_table_row(span)) for span in spans).encode()
        deadline = time.monotonic() + _DELIVERY_SECS
        while True:
            try:
                self._post(body)
            except OSError as error:  # urllib's errors, refused connections and time-outs are all OSError
                if self._stopped.is_set() or time.monotonic() > deadline:
                    emit(SpansLost(exporter="warehouse", count=len(spans), cause=str(error)))
                    return SpanExportResult.FAILURE
                self._stopped.wait(0.5)
            else:
                return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Retry no more."""
        self._stopped.set()

    def _post(self, body: bytes) -> None:
        user, password = self._settings.warehouse_credentials()
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            reply.read()


def _readable(record: SpanRecord, resource: Resource) -> ReadableSpan:
    parent = _context(record.trace_id, record.parent_span_id) if record.parent_span_id else None
    return ReadableSpan(
        name=record.name,
        context=_context(record.trace_id, record.span_id),
        parent=parent,
        resource=resource,
        attributes=dict(record.attributes),
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.OK),
        start_time=record.start_ns,
        end_time=record.end_ns,
    )


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _table_row(span: ReadableSpan) -> dict[str, Any]:
    context, start, end = span.context, span.start_time or 0, span.end_time or 0
    return {
        "Timestamp": f"{start // 1_000_000_000}.{start % 1_000_000_000:09d}",
        "TraceId": f"{context.trace_id:032x}",
        "SpanId": f"{context.span_id:016x}",
        "ParentSpanId": f"{span.parent.span_id:016x}" if span.parent else "",
        "TraceState": "",
        "SpanName": span.name,
        "SpanKind": "Internal",
        "ServiceName": str(span.resource.attributes.get("service.name", "")),
        "ResourceAttributes": {name: str(value) for name, value in span.resource.attributes.items()},
        "ScopeName": SCOPE,
        "ScopeVersion": __version__,
        "SpanAttributes": {name: str(value) for name, value in (span.attributes or {}).items()},
        "Duration": end - start,
        "StatusCode": "Ok",
        "StatusMessage": "",
    }
