"""Where metrics go: to /metrics, an OTLP endpoint when one is named, and counters into the stage's status file."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)

from headrace import __version__
from headrace.observability.counters import SCOPE, Keeper, Totals, keep, release
from headrace.observability.endpoint import Endpoint
from headrace.observability.events import emit, measures_of_all
from headrace.observability.export import resource_of
from headrace.observability.health import Health, begin, end
from headrace.observability.metric_events import MetricsLost
from headrace.observability.metrics import OWN_MEASURES
from headrace.observability.otlp import GRPC, Signal, endpoint_of, protocol_of
from headrace.observability.process_use import watch_process
from headrace.settings import Settings

_CLOSE_MS = 2_000


class Counters:
    """The metrics of this process, from the making of this to its `close`. Sending happens beside the work."""

    def __init__(self, stage: str) -> None:
        self._here = InMemoryMetricReader()
        readers: list[MetricReader] = [self._here]
        if endpoint_of(Signal.METRICS, os.environ):
            readers.append(PeriodicExportingMetricReader(CountedExporter(_otlp_exporter())))
        self._provider = MeterProvider(readers, resource=resource_of(stage), shutdown_on_exit=False)
        self._keeper = Keeper(self._provider.get_meter(SCOPE, __version__), Totals(), stage)
        keep(self._keeper)
        watch_process(stage)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return (text, content type) for Prometheus: a snapshot, made in the thread of whoever asks."""
        # 0.03 s of CPU and 2 MB, which a process that nobody scrapes saves
        from headrace.observability.exposition import Snapshot, exposition  # noqa: PLC0415

        known = {measure.name: measure for measure in (*OWN_MEASURES, *measures_of_all())}
        return exposition(Snapshot(self._here.get_metrics_data(), known.values()), accept)

    def close(self) -> None:
        """Send the last values, waiting for an endpoint that is away two seconds at most."""
        release(self._keeper)
        self._provider.shutdown(_CLOSE_MS)


@contextmanager
def process_metrics(settings: Settings, process: str, *, loops: bool = True) -> Iterator[None]:
    """Keep and serve the metrics of this process within the block; `loops` says that its work loop tells of itself."""
    health = Health(loops)
    begin(health)
    try:
        with closing(Counters(process)) as counters, closing(Endpoint(settings, process, health, counters.text)):
            yield
    finally:
        end(health)


class CountedExporter(MetricExporter):
    """Sends by another exporter, and tells of what could not be sent."""

    def __init__(self, exporter: MetricExporter) -> None:
        # What the environment prefers is kept where only the exporter's reader looks, which sees this one instead.
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001
        self._exporter = exporter

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **options: Any) -> MetricExportResult:
        """Send; a failure is counted, and the values go with the next sending."""
        result = self._exporter.export(metrics_data, timeout_millis, **options)
        if result is not MetricExportResult.SUCCESS:
            emit(MetricsLost(exporter="otlp"))
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Send what waits."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **options: Any) -> None:
        """Send no more."""
        self._exporter.shutdown(timeout_millis, **options)


def _otlp_exporter() -> MetricExporter:
    """Return the exporter of the protocol that the environment names. Importing it takes 0.1 s of CPU."""
    if protocol_of(Signal.METRICS, os.environ) == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc  # noqa: PLC0415

        return grpc.OTLPMetricExporter()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    return OTLPMetricExporter()
