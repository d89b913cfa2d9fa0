"""A process's telemetry from its start to its end: logs, counters and spans, set up in one place."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from headrace.observability.counter_export import process_metrics
from headrace.observability.export import span_export
from headrace.observability.log_export import exported
from headrace.observability.logs import configure_logs
from headrace.observability.sampling import sampler_of
from headrace.observability.tracing import FileTracer
from headrace.settings import Settings


@dataclass(frozen=True)
class Telemetry:
    """What the work of a process needs of its telemetry; events need nothing, they are emitted anywhere."""

    tracer: FileTracer


@contextmanager
def telemetry(settings: Settings, stage: str, slot: int = 0) -> Iterator[Telemetry]:
    """Set a stage's telemetry up, and deliver what is left of it at the end.

    Nothing of it blocks the work; the end waits for a service that is away two seconds at most. `slot` tells apart
    the processes of one stage: the first has the stage's name, the others name and number.
    """
    process = stage if slot == 0 else f"{stage}-{slot}"
    logs = configure_logs(settings, process, stage)
    sampler = sampler_of(os.environ)
    with (
        process_metrics(settings, process),
        exported(settings, logs, process, stage),
        closing(span_export(settings, stage, sampler)) as export,
    ):
        yield Telemetry(FileTracer(export, sampler))
