"""What the sinks and the reconciler tell."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event
from headrace.observability.metrics import LONG_BOUNDS, SHORT_BOUNDS, Kind, Measure


@dataclass(frozen=True, kw_only=True)
class BlockStored(Event):
    """A block of messages is a part of its table."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "block stored"
    metric: ClassVar[str] = "headrace_stored_rows_total"
    labels: ClassVar[tuple[str, ...]] = ("table",)
    quantity: ClassVar[str] = "rows"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure(
            "headrace_insert_seconds",
            Kind.HISTOGRAM,
            "How long the warehouse took to store a block, waits for it included.",
            ("table",),
            "seconds",
            bounds=SHORT_BOUNDS,
        ),
    )
    table: str
    token: str
    rows: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RangeRepeated(Event):
    """A new owner of a partition inserts the last intended range again; stored already, it changes nothing."""

    text: ClassVar[str] = "intended range inserted again"
    metric: ClassVar[str] = "headrace_repeated_ranges_total"
    token: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class PartitionHalted(Event):
    """A partition cannot be stored further until a person acts; the others go on, and it is tried again by itself."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "partition halted"
    metric: ClassVar[str] = "headrace_halted_partitions_total"
    labels: ClassVar[tuple[str, ...]] = ("code",)
    place: str
    code: str
    cause: str
    hint: str
    retry_secs: float


@dataclass(frozen=True, kw_only=True)
class StoreAwaited(Event):
    """The warehouse does not take data; the sink waits, and what it has not stored stays in Kafka."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "warehouse awaited"
    metric: ClassVar[str] = "headrace_warehouse_waits_total"
    cause: str
    retry_secs: float


@dataclass(frozen=True, kw_only=True)
class TableWidened(Event):
    """A dataset's table was made, or has new columns."""

    text: ClassVar[str] = "table widened"
    table: str
    columns: str


@dataclass(frozen=True, kw_only=True)
class DdlApplied(Event):
    """A numbered DDL file was applied to the warehouse."""

    text: ClassVar[str] = "ddl applied"
    name: str


@dataclass(frozen=True, kw_only=True)
class FileBalanced(Event):
    """Every row of a file is accounted for: stored or in quarantine, none twice."""

    text: ClassVar[str] = "file balanced"
    metric: ClassVar[str] = "headrace_balanced_files_total"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure(
            "headrace_file_visible_seconds",
            Kind.HISTOGRAM,
            "From the close of a file to the proof that all its rows are in the tables.",
            ("dataset",),
            "visible_secs",
            bounds=LONG_BOUNDS,
        ),
    )
    dataset: str
    file: str
    visible_secs: float
    rows_stored: int
    rows_quarantined: int


@dataclass(frozen=True, kw_only=True)
class FileContradicted(Event):
    """The tables hold more rows of a file than were published, or one twice or in both. Promise 1 is broken: act."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "file contradicted"
    metric: ClassVar[str] = "headrace_contradicted_files_total"
    dataset: str
    file: str
    rows_published: int
    rows_stored: int
    rows_quarantined: int
    distinct_stored: int
    distinct_quarantined: int
    in_both: int
