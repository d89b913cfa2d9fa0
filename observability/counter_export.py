"""Where counters go: their current values into the stage's status file, and an OTLP endpoint when one is named."""

import os

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader, PeriodicExportingMetricReader, Sum

from headrace import __version__
from headrace.observability.counters import SCOPE, Keeper, keep, release
from headrace.observability.export import resource_of

OTLP_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
_CLOSE_MS = 2_000


class Counters:
    """The counters of this process, from the making of this to its `close`. Sending happens beside the work."""

    def __init__(self, stage: str) -> None:
        self._here = InMemoryMetricReader()
        readers: list[MetricReader] = [self._here]
        if any(os.environ.get(name) for name in OTLP_VARIABLES):
            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        self._provider = MeterProvider(readers, resource=resource_of(stage), shutdown_on_exit=False)
        self._keeper = Keeper(self._provider.get_meter(SCOPE, __version__), self.values)
        keep(self._keeper)

    def values(self) -> dict[str, int]:
        """Return each counter's value, its labels added up; counters that never grew are not there."""
        found: dict[str, int] = {}
        data = self._here.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                if isinstance(metric.data, Sum):
                    found[metric.name] = int(sum(point.value for point in metric.data.data_points))
        return found

    def close(self) -> None:
        """Send the last values, waiting for an endpoint that is away two seconds at most."""
        release(self._keeper)
        self._provider.shutdown(_CLOSE_MS)
