"""What is told of work as such, for metrics: batches, transactions, queues, and of metrics themselves."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event
from headrace.observability.metrics import SHORT_BOUNDS, Kind, Measure

_STAGE = ("stage",)


@dataclass(frozen=True, kw_only=True)
class BatchDone(Event):
    """A stage has done a batch: its work is committed, stored or published."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "batch done"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("headrace_stage_batches_total", Kind.COUNTER, "Batches that a stage has done.", _STAGE),
        Measure("headrace_stage_rows_total", Kind.COUNTER, "Rows or messages that a stage has done.", _STAGE, "rows"),
        Measure("headrace_stage_bytes_total", Kind.COUNTER, "Bytes of what a stage has done.", _STAGE, "size"),
        Measure(
            "headrace_batch_seconds",
            Kind.HISTOGRAM,
            "How long a stage took for a batch.",
            _STAGE,
            "seconds",
            bounds=SHORT_BOUNDS,
        ),
    )
    rows: int
    size: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TransactionCommitted(Event):
    """A Kafka transaction was committed; seconds count from its begin."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "transaction committed"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure(
            "headrace_transaction_seconds",
            Kind.HISTOGRAM,
            "From the begin of a Kafka transaction to the answer to its commit.",
            _STAGE,
            "seconds",
            bounds=SHORT_BOUNDS,
        ),
    )
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StageTold(Event):
    """A stage told how it stands, as `headrace status` shows it."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "stage told"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure(
            "headrace_stage_lag",
            Kind.GAUGE,
            "Messages still to do (watcher and receipts: files); no value until it is known.",
            _STAGE,
            "lag",
        ),
        Measure(
            "headrace_stage_rows_per_second", Kind.GAUGE, "Rows a second over the last 5 seconds.", _STAGE, "rows_per_s"
        ),
        Measure(
            "headrace_stage_state",
            Kind.GAUGE,
            "1 for the state that the stage is in, 0 for those it was in.",
            ("stage", "state"),
            one_of="state",
        ),
    )
    stage: str
    state: str
    lag: int | None
    rows_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class QueueSeen(Event):
    """How much waits in a queue within a stage."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "queue seen"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure(
            "headrace_queue_depth",
            Kind.GAUGE,
            "What waits in a queue within a stage: rows, records, files or alerts.",
            ("stage", "queue"),
            "depth",
        ),
    )
    queue: str
    depth: int


@dataclass(frozen=True, kw_only=True)
class EndpointMoved(Event):
    """The port for a process's metrics was taken, so a free one is used; HOME/run/telemetry.json tells it."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "port of the metrics endpoint is taken"
    process: str
    wanted: int
    port: int
    cause: str


@dataclass(frozen=True, kw_only=True)
class NoteNotWritten(Event):
    """A small file that tells of the line could not be written (a full disk): status, report, addresses, memory.

    The process goes on; what reads the file sees how things were.
    """

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "note not written"
    note: str
    cause: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class MetricsLost(Event):
    """Metrics could not be sent; counters and histograms go with the next sending, gauges of the moment are lost."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "metrics not sent"
    metric: ClassVar[str] = "headrace_lost_metric_exports_total"
    labels: ClassVar[tuple[str, ...]] = ("exporter",)
    exporter: str
