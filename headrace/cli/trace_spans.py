"""Stored spans, read back from headrace.otel_traces, and given on as OpenTelemetry's exporters take them."""

import base64
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from headrace.errors import ServiceUnreachable, WrongUse
from headrace.observability.export import otlp_exporter, readable
from headrace.observability.otlp import Signal, endpoint_of
from headrace.observability.propagation import RemoteContext
from headrace.observability.tracing import Attributes, Kind, SpanEvent, SpanRecord
from headrace.transport.warehouse import Warehouse

_SPANS = """
SELECT TraceId, SpanId, ParentSpanId, SpanName, ServiceName, toUnixTimestamp64Nano(Timestamp), Duration,
    SpanAttributes, SpanKind, StatusCode, StatusMessage, TraceState, ResourceAttributes, Links.TraceId, Links.SpanId,
    Links.TraceState, Events.Name, arrayMap(at -> toUnixTimestamp64Nano(at), Events.Timestamp), Events.Attributes
FROM headrace.otel_traces WHERE TraceId IN {traces:Array(String)} ORDER BY Timestamp, SpanId
"""
# The table keeps texts; these are numbers for those who read the export.
_NUMBERS = frozenset(
    {
        "headrace.rows",
        "headrace.rejected",
        "headrace.files",
        "headrace.first_row",
        "headrace.last_row",
        "headrace.first_offset",
        "headrace.last_offset",
        "headrace.partition",
        "headrace.stored",
        "headrace.quarantined",
        "messaging.batch.message_count",
        "messaging.kafka.offset",
        "db.operation.batch.size",
        "file.size",
        "process.pid",
    }
)
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


@dataclass(frozen=True)
class Span:
    """One row of otel_traces. Times in nanoseconds."""

    span_id: str
    parent: str
    name: str
    service: str
    start_ns: int
    duration_ns: int
    attributes: Mapping[str, str]
    trace_id: str = ""
    kind: str = "Internal"
    status: str = "Ok"
    message: str = ""
    state: str = ""
    resource: Mapping[str, str] = field(default_factory=dict)
    links: Sequence[RemoteContext] = ()
    events: Sequence[SpanEvent] = ()

    @property
    def end_ns(self) -> int:
        """Return when it ended."""
        return self.start_ns + self.duration_ns

    @property
    def stage(self) -> str:
        """Return which process it is of, whatever service it is told to belong to."""
        return self.resource.get("headrace.stage") or self.service.removeprefix("headrace-")

    def number(self, name: str) -> int | None:
        """Return an attribute of headrace's as a number, None without it."""
        found = self.attributes.get(f"headrace.{name}", "")
        return int(found) if found.removeprefix("-").isdigit() else None


def spans_of(warehouse: Warehouse, traces: Iterable[str]) -> list[Span]:
    """Return the stored spans of traces, the oldest first."""
    return [_span(row) for row in warehouse.rows(_SPANS, {"traces": list(traces)})]


def linked_batches(warehouse: Warehouse, spans: Iterable[Span]) -> list[Span]:
    """Return the spans of batches that these link to: work on several files, in traces of its own."""
    named = {(link.trace_id, link.span_id) for span in spans for link in span.links}
    found = spans_of(warehouse, {trace for trace, _ in named}) if named else []
    return [span for span in found if (span.trace_id, span.span_id) in named]


def _span(row: tuple[Any, ...]) -> Span:
    trace, own, parent, name, service, start, duration, attributes, kind, status, message, state, resource = row[:13]
    links = [RemoteContext(one, span, state=of) for one, span, of in zip(*row[13:16], strict=True)]
    events = [SpanEvent(called, at, told) for called, at, told in zip(*row[16:19], strict=True)]
    return Span(
        span_id=own,
        parent=parent,
        name=name,
        service=service,
        start_ns=start,
        duration_ns=duration,
        attributes=attributes,
        trace_id=trace,
        kind=kind,
        status=status,
        message=message,
        state=state,
        resource=resource,
        links=links,
        events=events,
    )


def otlp_json(spans: Sequence[Span]) -> str:
    """Return spans as one document of OTLP's JSON, which Jaeger and the collector read from files."""
    # Only who exports pays for it.
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # noqa: PLC0415

    told = MessageToDict(encode_spans(_readable(spans)), use_integers_for_enums=True)
    return json.dumps(_hex_ids(told), ensure_ascii=False)


def send(spans: Sequence[Span]) -> None:
    """Send spans to the endpoint that OpenTelemetry's variables name; raises WrongUse if they name none."""
    address = endpoint_of(Signal.TRACES, os.environ)
    if not address:
        hint = "set OTEL_EXPORTER_OTLP_ENDPOINT, e.g. http://127.0.0.1:4318"
        raise WrongUse("--export needs an endpoint", hint=hint)
    exporter = otlp_exporter(os.environ)
    try:
        done = exporter.export(_readable(spans))
    finally:
        exporter.shutdown()
    if done is not SpanExportResult.SUCCESS:
        raise ServiceUnreachable(f"the OTLP endpoint {address} did not take the spans", hint="is a collector there?")


def _readable(spans: Sequence[Span]) -> list[ReadableSpan]:
    return [readable(_record(span), Resource(_typed(span.resource))) for span in spans]


def _record(span: Span) -> SpanRecord:
    return SpanRecord(
        name=span.name,
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        attributes=_typed(span.attributes),
        kind=Kind(span.kind),
        links=span.links,
        events=span.events,
        state=span.state,
        error="error" if span.status == "Error" else "",
        message=span.message,
    )


def _typed(attributes: Mapping[str, str]) -> Attributes:
    return {name: int(value) if name in _NUMBERS else value for name, value in attributes.items()}


def _hex_ids(value: Any) -> Any:
    """Return OTLP's JSON with its ids in hex, as its specification asks; protobuf's own writes base64."""
    if isinstance(value, list):
        return [_hex_ids(one) for one in value]
    if isinstance(value, dict):
        return {name: base64.b64decode(one).hex() if name in _IDS else _hex_ids(one) for name, one in value.items()}
    return value
