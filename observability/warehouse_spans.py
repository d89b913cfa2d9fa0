"""Spans as rows of headrace.otel_traces, laid out as the OpenTelemetry collector's exporter lays them."""

import json
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from headrace import __version__
from headrace.observability.counters import SCOPE
from headrace.settings import Settings

_DELIVERY_SECS, _ANSWER_SECS = 30.0, 10.0


class WarehouseSpans(SpanExporter):
    """Inserts spans; `cause` is why the last batch was not stored."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.warehouse_address() + "/?query=INSERT+INTO+headrace.otel_traces+FORMAT+JSONEachRow"
        self._settings = settings
        self._stopped = threading.Event()
        self.cause = ""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Insert a batch, retrying for half a minute: the table is made by the sink's first start."""
        body = "\n".join(json.dumps(table_row(span)) for span in spans).encode()
        deadline = time.monotonic() + _DELIVERY_SECS
        while True:
            try:
                self._post(body)
            except OSError as error:  # urllib's errors, refused connections and time-outs are all OSError
                self.cause = str(error)
                if self._stopped.is_set() or time.monotonic() > deadline:
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
        with urllib.request.urlopen(request, timeout=_ANSWER_SECS) as reply:  # noqa: S310
            reply.read()


def table_row(span: ReadableSpan) -> dict[str, Any]:
    """Return a span as the table's columns; arrays of events and links have one member for each."""
    context, start, end = span.context, span.start_time or 0, span.end_time or 0
    row = {
        "Timestamp": _moment(start),
        "TraceId": f"{context.trace_id:032x}",
        "SpanId": f"{context.span_id:016x}",
        "ParentSpanId": f"{span.parent.span_id:016x}" if span.parent else "",
        "TraceState": context.trace_state.to_header(),
        "SpanName": span.name,
        "SpanKind": span.kind.name.capitalize(),
        "ServiceName": str(span.resource.attributes.get("service.name", "")),
        "ResourceAttributes": _texts(span.resource.attributes),
        "ScopeName": SCOPE,
        "ScopeVersion": __version__,
        "SpanAttributes": _texts(span.attributes or {}),
        "Duration": end - start,
        "StatusCode": span.status.status_code.name.capitalize(),
        "StatusMessage": span.status.description or "",
    }
    if span.events:
        row["Events.Timestamp"] = [_moment(event.timestamp) for event in span.events]
        row["Events.Name"] = [event.name for event in span.events]
        row["Events.Attributes"] = [_texts(event.attributes or {}) for event in span.events]
    if span.links:
        row["Links.TraceId"] = [f"{link.context.trace_id:032x}" for link in span.links]
        row["Links.SpanId"] = [f"{link.context.span_id:016x}" for link in span.links]
        row["Links.TraceState"] = [link.context.trace_state.to_header() for link in span.links]
        row["Links.Attributes"] = [_texts(link.attributes or {}) for link in span.links]
    return row


def _moment(nanoseconds: int) -> str:
    return f"{nanoseconds // 1_000_000_000}.{nanoseconds % 1_000_000_000:09d}"


def _texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in attributes.items()}
