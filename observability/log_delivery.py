"""How a batch of log lines is sent: as rows of the warehouse's otel_logs, and as OTLP."""

import importlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from headrace import __version__
from headrace.observability.counters import SCOPE
from headrace.observability.log_lines import SEVERITY_NUMBERS, LogLine
from headrace.observability.otlp import GRPC, HTTP, Signal, protocol_of
from headrace.settings import Settings

# Sends a batch; returns why it did not arrive, "" if it did. May block for some seconds; raises nothing.
Delivery = Callable[[Sequence[LogLine]], str]
_CALL_SECS = 10
_INSERT = "INSERT+INTO+headrace.otel_logs+FORMAT+JSONEachRow"
_EXISTS = "EXISTS+TABLE+headrace.otel_logs"
_EXPORTERS = {
    GRPC: "opentelemetry.exporter.otlp.proto.grpc._log_exporter",
    HTTP: "opentelemetry.exporter.otlp.proto.http._log_exporter",
}


class WarehouseLogs:
    """Inserts lines into headrace.otel_logs, laid out as the OpenTelemetry collector's exporter lays it."""

    def __init__(self, settings: Settings, resource: Resource) -> None:
        self._settings = settings
        self._insert, self._exists = (f"{settings.warehouse_address()}/?query={query}" for query in (_INSERT, _EXISTS))
        self._made = False
        self._resource = {name: str(value) for name, value in resource.attributes.items()}

    def __call__(self, lines: Sequence[LogLine]) -> str:
        """Insert a batch, once the sink's first start has made the table: a refused INSERT would cost the warehouse."""
        body = "\n".join(json.dumps(table_row(line, self._resource)) for line in lines).encode()
        try:
            self._made = self._made or self._post(self._exists, b"").strip() == b"1"
            if not self._made:
                return "there is no table headrace.otel_logs yet"
            self._post(self._insert, body)
        except (OSError, ValueError) as error:  # urllib's errors, refused connections and time-outs are all OSError
            return str(error) or repr(error)
        return ""

    def _post(self, url: str, body: bytes) -> bytes:
        user, password = self._settings.warehouse_credentials()
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=_CALL_SECS) as reply:  # noqa: S310
            answer: bytes = reply.read()
        return answer


def table_row(line: LogLine, resource: Mapping[str, str]) -> dict[str, Any]:
    """Return a line as a row of otel_logs."""
    trace, span = line.trace
    return {
        "Timestamp": f"{line.time_ns // 1_000_000_000}.{line.time_ns % 1_000_000_000:09d}",
        "TraceId": trace,
        "SpanId": span,
        "TraceFlags": int(TraceFlags.SAMPLED) if trace else 0,
        "SeverityText": line.level.upper(),
        "SeverityNumber": SEVERITY_NUMBERS.get(line.level, 0),
        "ServiceName": resource.get("service.name", ""),
        "Body": line.message,
        "ResourceAttributes": resource,
        "ScopeName": SCOPE,
        "ScopeVersion": __version__,
        "LogAttributes": {name: str(value) for name, value in attributes_of(line).items()},
        "EventName": line.event,
    }


def attributes_of(line: LogLine) -> dict[str, str | int | float | bool]:
    """Return what a line says, as OpenTelemetry's attributes: the event's fields, and what logs have everywhere."""
    found: dict[str, str | int | float | bool] = {
        name: value if isinstance(value, str | int | float | bool) else json.dumps(value, default=str)
        for name, value in line.fields.items()
        if value is not None
    }
    found |= {"stage": line.stage, "process": line.process, "logger": line.logger}
    found |= {"repeated": line.repeated} if line.repeated else {}
    return found | ({"exception.stacktrace": line.exception} if line.exception else {})


class OtlpLogs:
    """Sends lines by OTLP, as OpenTelemetry's variables say where and how; http/protobuf unless they say grpc."""

    def __init__(self, resource: Resource) -> None:
        self._resource, self._scope = resource, InstrumentationScope(SCOPE, __version__)
        self._exporter: LogRecordExporter | None = None

    def __call__(self, lines: Sequence[LogLine]) -> str:
        """Send a batch."""
        try:
            # Made by the thread that sends: its import costs 0.1 s of CPU, and a stage's start need not wait for it.
            self._exporter = self._exporter or _otlp_exporter()
            result = self._exporter.export([readable(line, self._resource, self._scope) for line in lines])
        except Exception as error:  # whatever the library raises, the lines are lost, counted, and told
            return repr(error)
        return "" if result is LogRecordExportResult.SUCCESS else "the endpoint did not take them"


def _otlp_exporter() -> LogRecordExporter:
    module = importlib.import_module(_EXPORTERS[protocol_of(Signal.LOGS, os.environ)])
    exporter: LogRecordExporter = module.OTLPLogExporter()
    return exporter


def readable(line: LogLine, resource: Resource, scope: InstrumentationScope) -> ReadableLogRecord:
    """Return a line as OpenTelemetry's SDK keeps a log record."""
    trace, span = line.trace
    context = None
    if trace:
        flags = TraceFlags(TraceFlags.SAMPLED)
        about = SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=flags)
        context = set_span_in_context(NonRecordingSpan(about))
    record = LogRecord(
        timestamp=line.time_ns,
        observed_timestamp=time.time_ns(),
        context=context,
        severity_text=line.level.upper(),
        severity_number=SeverityNumber(SEVERITY_NUMBERS.get(line.level, 0)),
        body=line.message,
        attributes=attributes_of(line),
        event_name=line.event or None,
    )
    return ReadableLogRecord(log_record=record, resource=resource, instrumentation_scope=scope)
