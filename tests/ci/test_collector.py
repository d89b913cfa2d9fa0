"""A real OpenTelemetry collector with the shipped configuration passes on all that a line and a process tell it."""

import os
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.core.child import wait_until
from headrace.core.guarded import guarded_command
from headrace.embedded.ports import pick_ports
from headrace.observability.events import StageFailed, emit
from headrace.observability.export import span_export
from headrace.observability.log_export import process_logs
from headrace.observability.sampling import sampler_of
from headrace.observability.tracing import FileTracer
from headrace.settings import Settings
from headrace.testing.line import RunningLine
from headrace.testing.logs import kept_logging
from headrace.testing.otlp import Sent, grpc_endpoint

# Needs the program that tests/ci/collector makes, so it is outside `make test`; .ci/run builds it.
pytestmark = [pytest.mark.stack, pytest.mark.collector, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "observability/collector.yaml"
DATASET, FILE = "collected", "0123456789abcdef"
ROWS = 1_000


@dataclass(frozen=True)
class Collector:
    """Where a running collector listens, what it has passed on, and the line that tells it."""

    http: str
    grpc: str
    metrics: str
    sent: Sent
    line: RunningLine

    def spans(self) -> dict[str, Any]:
        """Return the spans that were passed on, by name."""
        scopes = [
            scope for request in list(self.sent.traces) for one in request.resource_spans for scope in one.scope_spans
        ]
        return {span.name: span for scope in scopes for span in scope.spans}

    def lines(self) -> set[str]:
        """Return the events of the log lines that were passed on."""
        scopes = [
            scope for request in list(self.sent.logs) for one in request.resource_logs for scope in one.scope_logs
        ]
        return {record.event_name for scope in scopes for record in scope.log_records}

    def counters(self) -> set[str]:
        """Return the names of the metrics that were passed on to ClickHouse's place."""
        scopes = [
            scope
            for request in list(self.sent.metrics)
            for one in request.resource_metrics
            for scope in one.scope_metrics
        ]
        return {metric.name for scope in scopes for metric in scope.metrics}

    def page(self) -> str:
        """Return what Prometheus would read."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=10) as reply:
            return str(reply.read().decode())


def program() -> str:
    """Return the collector; .ci/run says where it was built."""
    found = os.environ.get("HEADRACE_COLLECTOR", "")
    assert found, "build tests/ci/collector and name it in HEADRACE_COLLECTOR (.ci/run does)"
    return found


def configured(ports: dict[str, int], endpoint: str) -> dict[str, Any]:
    """Return the shipped configuration with this machine's addresses, and Jaeger's place for ClickHouse's as well.

    The ClickHouse exporter speaks the native protocol, which no part of the embedded stack does.
    """
    config: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    protocols, exporters = config["receivers"]["otlp"]["protocols"], config["exporters"]
    for name in ("grpc", "http"):
        protocols[name]["endpoint"] = f"127.0.0.1:{ports[name]}"
    exporters["otlp_grpc/jaeger"]["endpoint"] = endpoint.removeprefix("http://")
    exporters["prometheus"]["endpoint"] = f"127.0.0.1:{ports['metrics']}"
    del exporters["clickhouse"]
    for pipeline in config["service"]["pipelines"].values():
        pipeline["exporters"] = [one.replace("clickhouse", "otlp_grpc/jaeger") for one in pipeline["exporters"]]
    config["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{ports['health']}"
    reader = config["service"]["telemetry"]["metrics"]["readers"][0]
    reader["pull"]["exporter"]["prometheus"] |= {"host": "127.0.0.1", "port": ports["own"]}
    return config


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector between a line and its warehouse."""
    folder = tmp_path_factory.mktemp("collector")
    ports = dict(zip(("grpc", "http", "metrics", "health", "own"), pick_ports().values(), strict=False))
    http = f"http://127.0.0.1:{ports['http']}"
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": http, "OTEL_METRIC_EXPORT_INTERVAL": "1000", "HEADRACE_LEARNERS": "false"}
    with grpc_endpoint() as (endpoint, sent), RunningLine(environment=told) as line:
        path = folder / "collector.yaml"
        path.write_text(yaml.safe_dump(configured(ports, endpoint)))
        command = guarded_command([program(), f"--config={path}"])
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
        try:
            health = f"http://127.0.0.1:{ports['health']}"
            assert wait_until(lambda: answers(health), 60, every_secs=0.2), (folder / "log").read_text()
            yield Collector(http, f"http://127.0.0.1:{ports['grpc']}", f"127.0.0.1:{ports['metrics']}", sent, line)
        finally:
            running.terminate()
            running.wait(20)


def answers(url: str) -> bool:
    """Return whether somebody answers there."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def test_shipped_configuration_is_valid_as_it_stands() -> None:
    command = [program(), "validate", f"--config={SHIPPED}"]
    environment = os.environ | {"CLICKHOUSE_PASSWORD": "secret"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_spans_metrics_and_log_lines_of_a_line_come_through(collector: Collector) -> None:
    rows = "\n".join(f"{row},{row}" for row in range(ROWS))
    collector.line.drop(DATASET, "a.csv", f"a,b\n{rows}\n".encode())
    collector.line.final_receipts(DATASET, 1)
    wanted = {"file", "read", "publish", "judge", "store"}
    assert wait_until(lambda: wanted <= set(collector.spans()), 60, every_secs=0.5), set(collector.spans())

    def counted() -> bool:
        lines = [line for line in collector.page().splitlines() if line.startswith("headrace_judged_rows_total{")]
        return any(f'dataset="{DATASET}"' in line and line.endswith(f" {ROWS}") for line in lines)

    assert wait_until(counted, 60, every_secs=0.5), collector.page()
    assert wait_until(lambda: "file_balanced" in collector.lines(), 60, every_secs=0.5), collector.lines()
    assert collector.counters()


def test_spans_and_log_lines_come_through_over_grpc_too(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.grpc)
    settings, sampler = Settings(home=tmp_path, warehouse_url="http://127.0.0.1:9"), sampler_of(os.environ)
    export = span_export(settings, "watcher", sampler)
    FileTracer(export, sampler).record("over grpc", dataset="orders", file=FILE, start_ns=1, end_ns=5)
    export.close()
    with kept_logging(), process_logs(settings, "grpc"):
        emit(StageFailed(stage="over grpc", error="none", hint=""))
    assert wait_until(lambda: "over grpc" in collector.spans(), 60, every_secs=0.5), set(collector.spans())
    assert wait_until(lambda: "stage_failed" in collector.lines(), 60, every_secs=0.5), collector.lines()
