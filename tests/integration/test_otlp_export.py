"""Spans and counters by OTLP: what arrives at an endpoint is what OpenTelemetry's own protobuf classes can read."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from headrace.core.child import wait_until
from headrace.core.identity import root_span_id, trace_id
from headrace.observability.conventions import sent
from headrace.observability.counter_export import Counters
from headrace.observability.counters import current_values
from headrace.observability.events import RowsCodedSlowly, StageFailed, emit
from headrace.observability.export import resource_of, span_export
from headrace.observability.log_export import process_logs
from headrace.observability.metric_events import MetricsLost, TransactionCommitted
from headrace.observability.metrics import SHORT_BOUNDS
from headrace.observability.propagation import RemoteContext
from headrace.observability.sampling import sampler_of
from headrace.observability.status import StageStatus
from headrace.observability.tracing import FileTracer, Kind, SpanEvent
from headrace.settings import Settings
from headrace.testing.logs import kept_logging
from headrace.testing.otlp import Sent, grpc_endpoint, http_endpoint

FILE = "0123456789abcdef"


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """What an OTLP endpoint is sent, as (path, body)."""
    with http_endpoint() as (address, got):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        yield got


@pytest.fixture
def grpc_received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """What an OTLP endpoint is sent by gRPC."""
    with grpc_endpoint() as (address, sent_there):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        yield sent_there


def record_file(home: Path) -> str:
    """Export a file's root span, one below it that failed, and a batch that links to it; return the second's id."""
    sampler = sampler_of(os.environ)
    export = span_export(Settings(home=home, warehouse_url="http://127.0.0.1:9"), "watcher", sampler)
    tracer = FileTracer(export, sampler)
    tracer.record("file", dataset="orders", file=FILE, start_ns=1, end_ns=5, root=True, attributes={"headrace.rows": 3})
    child = tracer.record(
        "publish",
        dataset="orders",
        file=FILE,
        start_ns=2,
        end_ns=4,
        kind=Kind.PRODUCER,
        attributes=sent("orders.raw", 0, 3),
        events=[SpanEvent("retried", 3, {"times": 1})],
        state="vendor=1",
        error="transaction_failed",
        message="the broker was away",
    )
    origin = RemoteContext(trace_id("orders", FILE), child, state="vendor=1")
    tracer.record_batch("judge batch", start_ns=4, end_ns=6, links=[origin], attributes={}, kind=Kind.CONSUMER)
    export.close()
    return child


def spans_of(requests: Iterable[ExportTraceServiceRequest]) -> dict[str, Any]:
    scopes = [scope for request in requests for resource in request.resource_spans for scope in resource.scope_spans]
    return {span.name: span for scope in scopes for span in scope.spans}


def check_spans(spans: dict[str, Any], child: str) -> None:
    assert {spans[name].trace_id.hex() for name in ("file", "publish")} == {trace_id("orders", FILE)}
    assert spans["file"].span_id.hex() == spans["publish"].parent_span_id.hex() == root_span_id("orders", FILE)
    publish, batch = spans["publish"], spans["judge batch"]
    assert (publish.span_id.hex(), publish.end_time_unix_nano) == (child, 4)
    assert (publish.kind, publish.trace_state) == (publish.SPAN_KIND_PRODUCER, "vendor=1")
    assert (publish.status.code, publish.status.message) == (publish.status.STATUS_CODE_ERROR, "the broker was away")
    assert [event.name for event in publish.events] == ["retried"]
    told = {attribute.key: attribute.value for attribute in publish.attributes}
    assert told["messaging.destination.name"].string_value == "orders.raw"
    assert told["error.type"].string_value == "transaction_failed"
    assert batch.trace_id.hex() != trace_id("orders", FILE)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in batch.links] == [(trace_id("orders", FILE), child)]


def test_spans_reach_an_otlp_endpoint_by_http(tmp_path: Path, received: list[tuple[str, bytes]]) -> None:
    child = record_file(tmp_path)
    assert {path for path, _ in received} == {"/v1/traces"}
    check_spans(spans_of(ExportTraceServiceRequest.FromString(body) for _, body in received), child)


def test_spans_reach_an_otlp_endpoint_by_grpc_with_its_headers(
    tmp_path: Path, grpc_received: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x")
    child = record_file(tmp_path)
    check_spans(spans_of(grpc_received.traces), child)
    assert grpc_received.metadata["authorization"] == "Bearer x"


def test_protocol_for_traces_goes_before_that_for_all_signals(
    tmp_path: Path, received: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    record_file(tmp_path)
    assert received


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_TRACES_EXPORTER", "none")],
)
def test_nothing_is_sent_where_the_environment_says_so(
    name: str, value: str, tmp_path: Path, received: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    record_file(tmp_path)
    assert not received


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")],
)
def test_signal_that_the_environment_turns_off_is_not_sent_and_the_others_are(
    name: str, value: str, tmp_path: Path, received: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    settings = Settings(home=tmp_path, warehouse_url="http://127.0.0.1:9")
    with kept_logging(), process_logs(settings, "judge"), closing(Counters("judge")):
        emit(TransactionCommitted(seconds=0.2))
        emit(StageFailed(stage="judge", error="there is no disk", hint="none"))
    off = {"OTEL_METRICS_EXPORTER": {"/v1/metrics"}, "OTEL_LOGS_EXPORTER": {"/v1/logs"}}
    assert {path for path, _ in received} == {"/v1/metrics", "/v1/logs"} - off.get(name, {"/v1/metrics", "/v1/logs"})


def test_resource_is_named_by_the_stage_or_by_opentelemetrys_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    own = resource_of("judge").attributes
    assert (own["service.name"], own["headrace.stage"]) == ("headrace-judge", "judge")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "prod")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=live,service.namespace=mine")
    asked = resource_of("judge").attributes
    assert (asked["service.name"], asked["headrace.stage"], asked["service.namespace"]) == ("prod", "judge", "mine")
    assert asked["deployment.environment.name"] == "live"


def test_counters_reach_an_otlp_endpoint_and_the_stages_status_file(
    tmp_path: Path, received: list[tuple[str, bytes]]
) -> None:
    paths = Settings(home=tmp_path).paths()
    with closing(Counters("judge")):
        emit(RowsCodedSlowly(direction="encode", dataset="orders", rows=40))
        emit(RowsCodedSlowly(direction="decode", dataset="orders", rows=2))
        emit(TransactionCommitted(seconds=0.2))
        StageStatus(paths, "judge").update(rows=42, lag=3)
    emit(RowsCodedSlowly(direction="decode", dataset="orders", rows=1_000))
    told = json.loads((paths.run / "stages" / "judge.json").read_text())
    assert told["counters"] == {RowsCodedSlowly.metric: 42}
    [path, body] = received[-1]
    [resource] = ExportMetricsServiceRequest.FromString(body).resource_metrics
    names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert (path, names["service.name"]) == ("/v1/metrics", "headrace-judge")
    metrics = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    counter = metrics[RowsCodedSlowly.metric]
    assert (counter.unit, sorted(point.as_int for point in counter.sum.data_points)) == ("{row}", [2, 40])
    times = metrics["headrace_transaction_seconds"]
    [point] = times.histogram.data_points
    assert (times.unit, point.count, point.sum) == ("s", 1, 0.2)
    assert list(point.explicit_bounds) == list(SHORT_BOUNDS)
    assert [point.as_double for point in metrics["headrace_stage_lag"].gauge.data_points] == [3]
    assert metrics["headrace_process_memory_bytes"].unit == "By"


def test_metrics_go_over_grpc_where_the_environment_says_so(grpc_received: Sent) -> None:
    with closing(Counters("judge")):
        emit(TransactionCommitted(seconds=0.2))
    scopes = [
        scope for one in grpc_received.metrics for resource in one.resource_metrics for scope in resource.scope_metrics
    ]
    names = {metric.name for scope in scopes for metric in scope.metrics}
    assert {"headrace_transaction_seconds", "headrace_process_memory_bytes"} <= names


def test_metrics_that_cannot_be_sent_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_TIMEOUT", "300")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0.2")
    with closing(Counters("judge")):
        emit(TransactionCommitted(seconds=0.2))
        assert wait_until(lambda: current_values().get(MetricsLost.metric, 0) >= 1, 30)
