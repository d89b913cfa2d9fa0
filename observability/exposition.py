"""Metrics as text for Prometheus, made of what OpenTelemetry's SDK has collected."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, MetricsData, NumberDataPoint, Sum
from opentelemetry.sdk.metrics.export import Metric as Collected
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from headrace.observability.metrics import Kind, Measure


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What was collected at one moment, and every metric that the process knows; prometheus_client asks `collect`."""

    data: MetricsData | None
    known: Iterable[Measure] = field(default=())

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its values. One without a value is there by name; without labels it is 0."""
        families = {measure.name: _family(measure.name, measure.about, _type(measure)) for measure in self.known}
        for collected in _metrics(self.data):
            family = families.get(collected.name) or _family(
                collected.name, collected.description or "", _kind(collected)
            )
            families[collected.name] = family
            for point in collected.data.data_points:
                _add(family, collected.name, point)
        unlabelled = {one.name for one in self.known if one.kind is Kind.COUNTER and not one.labels}
        for name in sorted(families):
            if name in unlabelled and not families[name].samples:
                families[name].add_sample(name, {}, 0.0)
            yield families[name]


def exposition(snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
    """Return (text, its content type) as a scraper's Accept header wants it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(snapshot)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _metrics(data: MetricsData | None) -> Iterator[Collected]:
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            yield from scope.metrics


def _family(name: str, about: str, kind: str) -> Metric:
    return Metric(name.removesuffix("_total") if kind == "counter" else name, about, kind)


def _type(measure: Measure) -> str:
    return "counter" if measure.kind is Kind.TOTAL else measure.kind.value


def _kind(collected: Collected) -> str:
    if isinstance(collected.data, Histogram):
        return "histogram"
    return "counter" if isinstance(collected.data, Sum) else "gauge"


def _add(family: Metric, name: str, point: object) -> None:
    if isinstance(point, NumberDataPoint):
        family.add_sample(name, _labels(point), float(point.value))
    elif isinstance(point, HistogramDataPoint):
        labels, below = _labels(point), 0
        for bound, count in zip((*point.explicit_bounds, math.inf), point.bucket_counts, strict=True):
            below += count
            family.add_sample(f"{name}_bucket", labels | {"le": _shown(bound)}, below)
        family.add_sample(f"{name}_count", labels, point.count)
        family.add_sample(f"{name}_sum", labels, point.sum)


def _shown(bound: float) -> str:
    return "+Inf" if bound == math.inf else repr(bound)


def _labels(point: NumberDataPoint | HistogramDataPoint) -> dict[str, str]:
    return {name: str(value) for name, value in (point.attributes or {}).items()}
