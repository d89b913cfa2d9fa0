"""Where spans go: the warehouse's otel_traces table, and an OTLP endpoint when the environment names one.

Each has a bounded queue of its own: recording never blocks, and what cannot be delivered is dropped and counted, never
retried without end.
"""

import os
import threading
from collections.abc import Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from headrace import __version__
from headrace.observability.counters import SCOPE
from headrace.observability.delivery import SpanQueue
from headrace.observability.otlp import GRPC, Signal, endpoint_of, protocol_of
from headrace.observability.sampling import Sampler
from headrace.observability.tracing import SpanRecord
from headrace.observability.warehouse_spans import WarehouseSpans
from headrace.settings import Settings

_CLOSE_SECS = 2.0


class SpanExport:
    """Hands finished spans to every exporter. Call it with a SpanRecord; `close` delivers what is waiting."""

    def __init__(self, stage: str, queues: Sequence[SpanQueue]) -> None:
        self._resource = resource_of(stage)
        self._queues = tuple(queues)

    def __call__(self, record: SpanRecord) -> None:
        """Queue a span. Never blocks and never raises for a full queue: the oldest waiting span gives way."""
        span = readable(record, self._resource)
        for queue in self._queues:
            queue.add(span)

    @property
    def depth(self) -> int:
        """Return how many spans wait in the fullest queue."""
        return max((queue.depth for queue in self._queues), default=0)

    def close(self) -> None:
        """Deliver what is queued, waiting for a service that is away a few seconds at most."""
        # At the same time: one service that is away does not cost the other its spans.
        closing = [threading.Thread(target=queue.close, args=(_CLOSE_SECS,)) for queue in self._queues]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()


def span_export(settings: Settings, stage: str, sampler: Sampler | None = None) -> SpanExport:
    """Return one process's export: to the warehouse, and by OTLP when OpenTelemetry's variables name an endpoint."""
    if sampler and sampler.off:
        return SpanExport(stage, [])
    warehouse = WarehouseSpans(settings)
    queues = [SpanQueue("warehouse", warehouse, cause=lambda: warehouse.cause)]
    if endpoint_of(Signal.TRACES, os.environ):
        queues.append(SpanQueue("otlp", otlp_exporter(os.environ)))
    return SpanExport(stage, queues)


def otlp_exporter(environment: Mapping[str, str]) -> SpanExporter:
    """Return OpenTelemetry's own exporter of the protocol asked for; it reads its endpoint and headers itself."""
    # Each costs 0.1 s of CPU or more, which a stage without an endpoint saves at every start.
    if protocol_of(Signal.TRACES, environment) == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans  # noqa: PLC0415

        return GrpcSpans()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans  # noqa: PLC0415

    return HttpSpans()


def resource_of(stage: str) -> Resource:
    """Return what OpenTelemetry is told about this process; OTEL_RESOURCE_ATTRIBUTES adds to it.

    OTEL_SERVICE_NAME makes one service of all processes; `headrace.stage` tells them apart then.
    """
    asked = Resource.create()
    own: dict[str, str | int] = {
        "service.name": f"headrace-{stage}",
        "service.namespace": "headrace",
        "service.version": __version__,
        "headrace.stage": stage,
        "process.pid": os.getpid(),
    }
    if str(asked.attributes.get("service.name", "")).startswith("unknown_service"):
        return Resource(own).merge(asked).merge(Resource({"service.name": own["service.name"]}))
    return Resource(own).merge(asked)


def readable(record: SpanRecord, resource: Resource) -> ReadableSpan:
    """Return a span as OpenTelemetry's exporters take it."""
    parent = _context(record.trace_id, record.parent_span_id) if record.parent_span_id else None
    links = [Link(_context(link.trace_id, link.span_id, link.state, remote=True)) for link in record.links]
    return ReadableSpan(
        name=record.name,
        context=_context(record.trace_id, record.span_id, record.state),
        parent=parent,
        resource=resource,
        attributes=dict(record.attributes),
        events=[SdkEvent(event.name, dict(event.attributes), event.at_ns) for event in record.events],
        links=links,
        kind=SpanKind[record.kind.name],
        status=Status(StatusCode.ERROR, record.message or None) if record.error else Status(StatusCode.OK),
        instrumentation_scope=InstrumentationScope(SCOPE, __version__),
        start_time=record.start_ns,
        end_time=record.end_ns,
    )


def _context(trace: str, span: str, state: str = "", *, remote: bool = False) -> SpanContext:
    known = TraceState.from_header([state]) if state else None
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace, 16), int(span, 16), is_remote=remote, trace_flags=flags, trace_state=known)
