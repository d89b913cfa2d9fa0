"""The page of metrics, made from the event catalogue: python -m headrace.cli.metric_page writes docs/guide/metrics.md.

A test compares the page with what this makes, and another with what the processes of a running line expose.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from headrace.cli.event_page import event_kinds
from headrace.observability.endpoint import PROCESSES
from headrace.observability.events import measures_of
from headrace.observability.metrics import OWN_MEASURES, Kind, Measure

PAGE = Path("docs/guide/metrics.md")

_HEAD = """\
# Metrics

Made by `make docs` from the event catalogue; a test holds it against the code and against a running line.

Every process answers on loopback at a port of its own; `HOME/run/telemetry.json` and `headrace status --json` (key
`telemetry`) tell it:

| path | what it gives |
|---|---|
| `/metrics` | all of its metrics as Prometheus reads them, or in the OpenMetrics format where that is asked for |
| `/live` | 200 while the work loop goes round; 503 once it has rested longer than `HEADRACE_LIVE_SECS` |
| `/ready` | 200 while it works and its lag is at most `HEADRACE_READY_LAG`; 503, with the reason, while it starts, \
waits, is halted or stops |

A port is any free one; with `HEADRACE_TELEMETRY_PORT=9400` they are fixed: {ports}. A port that is taken is told in the
log, and a free one is used. The Host header must be a name of this machine, so that no web page can ask.

Where `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`) is set, the same metrics are pushed by
OTLP as well, over `http/protobuf` or, with `OTEL_EXPORTER_OTLP_PROTOCOL=grpc`, gRPC; OpenTelemetry's other variables
hold too. What cannot be pushed is counted, and counters and histograms go with the next push.

Values are told once a batch. A metric has at most 1,000 series a process: what comes with further labels is told under
the labels `other`, and counted. No label holds a file name or a value of the data.

To look at, first rate, errors and duration: `headrace_stage_rows_total`, `headrace_rejected_rows_total`,
`headrace_batch_seconds`, `headrace_file_visible_seconds`; then use, saturation and errors:
`headrace_process_cpu_seconds_total`, `headrace_process_memory_bytes`, `headrace_stage_lag`, `headrace_queue_depth`,
`headrace_process_restarts_total`, `headrace_repeated_batches_total`.
"""
_KINDS = {Kind.COUNTER: "counter", Kind.TOTAL: "counter", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}


def metric_page() -> str:
    """Return the whole page as Markdown."""
    ports = ", ".join(f"{name} {9_400 + place}" for place, name in enumerate(PROCESSES))
    return "\n".join([_HEAD.replace("{ports}", ports), *_tables(catalog().values())])


def catalog() -> dict[str, Measure]:
    """Return every metric of headrace by its name."""
    of_events = (measure for kind in event_kinds().values() for measure in measures_of(kind))
    return {measure.name: measure for measure in sorted((*OWN_MEASURES, *of_events), key=lambda one: one.name)}


def _tables(measures: Iterable[Measure]) -> Iterator[str]:
    every = list(measures)
    for title, kind in (("Gauges", "gauge"), ("Histograms", "histogram"), ("Counters", "counter")):
        yield f"## {title}\n\n| metric | labels | unit | meaning |\n|---|---|---|---|"
        for one in every:
            if _KINDS[one.kind] == kind:
                labels = ", ".join(f"`{label}`" for label in one.labels)
                bounds = f" Buckets: {', '.join(f'{bound:g}' for bound in one.bounds)}." if one.bounds else ""
                yield f"| `{one.name}` | {labels} | `{one.unit}` | {one.about}{bounds} |"
        yield ""


if __name__ == "__main__":
    PAGE.write_text(metric_page(), encoding="utf-8")
