"""Spans and counters by OTLP: what arrives at an endpoint is what OpenTelemetry's own protobuf classes can read."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from headrace.core.identity import root_span_id, trace_id
from headrace.observability.counter_export import Counters
from headrace.observability.events import RowsCodedSlowly, emit
from headrace.observability.export import span_export
from headrace.observability.status import StageStatus
from headrace.observability.tracing import FileTracer
from headrace.settings import Settings


class Receiver(BaseHTTPRequestHandler):
    bodies: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).bodies.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """What an OTLP endpoint is sent, as (path, body)."""
    Receiver.bodies.clear()
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield Receiver.bodies
    server.shutdown()
    server.server_close()
    thread.join()


def test_spans_reach_an_otlp_endpoint_with_the_ids_of_the_file(
    tmp_path: Path, received: list[tuple[str, bytes]]
) -> None:
    export = span_export(Settings(home=tmp_path, warehouse_url="http://127.0.0.1:9"), "watcher")
    tracer, file = FileTracer(export), "0123456789abcdef"
    tracer.record("file", dataset="orders", file=file, start_ns=1, end_ns=5, root=True, attributes={"headrace.rows": 3})
    child = tracer.record("read", dataset="orders", file=file, start_ns=2, end_ns=4)
    export.close()
    spans: dict[str, Any] = {}
    for path, body in received:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert {span.trace_id.hex() for span in spans.values()} == {trace_id("orders", file)}
    assert spans["file"].span_id.hex() == spans["read"].parent_span_id.hex() == root_span_id("orders", file)
    assert (spans["read"].span_id.hex(), spans["read"].end_time_unix_nano) == (child, 4)


def test_counters_reach_an_otlp_endpoint_and_the_stages_status_file(
    tmp_path: Path, received: list[tuple[str, bytes]]
) -> None:
    paths = Settings(home=tmp_path).paths()
    with closing(Counters("judge")):
        emit(RowsCodedSlowly(direction="encode", dataset="orders", rows=40))
        emit(RowsCodedSlowly(direction="decode", dataset="orders", rows=2))
        StageStatus(paths, "judge").update(rows=42)
    emit(RowsCodedSlowly(direction="decode", dataset="orders", rows=1_000))
    told = json.loads((paths.run / "stages" / "judge.json").read_text())
    assert told["counters"] == {RowsCodedSlowly.metric: 42}
    [path, body] = received[-1]
    [resource] = ExportMetricsServiceRequest.FromString(body).resource_metrics
    names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert (path, names["service.name"]) == ("/v1/metrics", "headrace-judge")
    [metric] = [metric for scope in resource.scope_metrics for metric in scope.metrics]
    assert metric.name == RowsCodedSlowly.metric
    assert sorted(point.as_int for point in metric.sum.data_points) == [2, 40]
