"""Spans by OTLP: what arrives at an endpoint is what OpenTelemetry's own protobuf classes can read."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from headrace.core.identity import root_span_id, trace_id
from headrace.observability.export import span_export
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


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_spans_reach_an_otlp_endpoint_with_the_ids_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    try:
        export = span_export(Settings(home=tmp_path, warehouse_url="http://127.0.0.1:9"), "watcher")
        tracer, file = FileTracer(export), "0123456789abcdef"
        tracer.record(
            "file", dataset="orders", file=file, start_ns=1, end_ns=5, root=True, attributes={"headrace.rows": 3}
        )
        child = tracer.record("read", dataset="orders", file=file, start_ns=2, end_ns=4)
        export.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    spans: dict[str, Any] = {}
    for path, body in Receiver.bodies:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert {span.trace_id.hex() for span in spans.values()} == {trace_id("orders", file)}
    assert spans["file"].span_id.hex() == spans["read"].parent_span_id.hex() == root_span_id("orders", file)
    assert (spans["read"].span_id.hex(), spans["read"].end_time_unix_nano) == (child, 4)
