"""Endpoints that are sent telemetry: one over HTTP, and one over gRPC made of OpenTelemetry's own services.

And what a test needs that lets a process of its own be this one: logging as it was.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@contextmanager
def http_endpoint() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Yield the address of an OTLP endpoint and what it is sent, as (path, body)."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep what came, and say that it is well."""
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", got
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Sent:
    """What an endpoint was sent over gRPC: requests by signal, and the metadata of the last one."""

    traces: list[Any] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    metadata: dict[str, str | bytes] = field(default_factory=dict)


class _Service:
    """One signal's service: it keeps each request and answers that it is well."""

    def __init__(self, requests: list[Any], sent: Sent, answer: type[Any]) -> None:
        self._requests, self._sent, self._answer = requests, sent, answer

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 (the protocol's name)
        """Keep what came."""
        self._requests.append(request)
        self._sent.metadata = dict(context.invocation_metadata())
        return self._answer()


@contextmanager
def grpc_endpoint() -> Iterator[tuple[str, Sent]]:
    """Yield the address of an OTLP endpoint for all three signals, and what it is sent."""
    sent, server = Sent(), grpc.server(ThreadPoolExecutor(2))
    traces = _Service(sent.traces, sent, trace_service_pb2.ExportTraceServiceResponse)
    metrics = _Service(sent.metrics, sent, metrics_service_pb2.ExportMetricsServiceResponse)
    logs = _Service(sent.logs, sent, logs_service_pb2.ExportLogsServiceResponse)
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(traces, server)  # type: ignore[no-untyped-call]
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(metrics, server)  # type: ignore[no-untyped-call]
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(logs, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", sent
    finally:
        server.stop(None).wait()
