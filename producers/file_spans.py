"""The spans of a file that is read: `file` (the root), `ready`, `read` and `publish`."""

import time
from dataclasses import dataclass

from headrace.core.vocabulary import FileState
from headrace.errors import HeadraceError
from headrace.observability.conventions import file_named, row_range, sent
from headrace.observability.propagation import traceparent
from headrace.observability.tracing import Attributes, FileTracer, Kind, new_span_id
from headrace.schemas.ledger import FileEntry
from headrace.schemas.topics import RAW, data_topic

# What became of these files is somebody's to look at.
_FAILED = {FileState.REJECTED}


@dataclass(frozen=True)
class Published:
    """A `publish` span that is not over: its id stands in the headers of its messages."""

    span: str
    started_ns: int
    rows: int
    first_row: int
    partition: int

    @staticmethod
    def begin(entry: FileEntry, rows: int, unreadable: int, partition: int) -> "Published":
        """Return the span of a frame; `entry` is that of the file after it."""
        return Published(new_span_id(), time.time_ns(), rows, entry.next_row - rows - unreadable, partition)


@dataclass(frozen=True)
class FileSpans:
    """Records them. Never blocks."""

    tracer: FileTracer

    def header(self, entry: FileEntry, span: str) -> str:
        """Return the trace context for a file's messages."""
        return traceparent(entry.trace_id, span, sampled=self.tracer.sampler.keeps(entry.trace_id))

    def ready(self, entry: FileEntry, seen_ns: int) -> None:
        """Tell that a file is claimed and may be read; it was seen at `seen_ns`."""
        self._record("ready", entry, seen_ns, _named(entry))

    def read(self, entry: FileEntry, started_ns: int, rows: int, unreadable: int) -> None:
        """Tell that a frame was read and encoded."""
        first = entry.next_row - rows - unreadable
        self._record("read", entry, started_ns, _named(entry) | _rows(first, entry.next_row - 1, rows))

    def published(self, entry: FileEntry, frame: Published, error: HeadraceError | None = None) -> None:
        """Tell that a frame is committed, or that it failed."""
        told = sent(data_topic(entry.dataset, RAW), frame.partition, frame.rows)
        told |= {"headrace.name": entry.name, "headrace.state": entry.state.value}
        told |= _rows(frame.first_row, entry.next_row - 1, frame.rows)
        self.tracer.record(
            "publish",
            dataset=entry.dataset,
            file=entry.file,
            start_ns=frame.started_ns,
            end_ns=time.time_ns(),
            span_id="" if error else frame.span,
            attributes=told,
            kind=Kind.PRODUCER,
            error=error.code if error else "",
            message=str(error) if error else "",
        )

    def file(self, entry: FileEntry, seen_ns: int) -> None:
        """Tell that a file is done with: the root of its trace."""
        failed = entry.state in _FAILED
        self.tracer.record(
            "file",
            dataset=entry.dataset,
            file=entry.file,
            start_ns=seen_ns,
            end_ns=time.time_ns(),
            root=True,
            attributes=_named(entry) | {"headrace.rows": entry.rows_published},
            error=(entry.reason or entry.state.value) if failed else "",
            message=entry.detail if failed else "",
        )

    def _record(self, name: str, entry: FileEntry, start_ns: int, attributes: Attributes) -> None:
        self.tracer.record(
            name,
            dataset=entry.dataset,
            file=entry.file,
            start_ns=start_ns,
            end_ns=time.time_ns(),
            attributes=attributes,
        )


def _named(entry: FileEntry) -> dict[str, str | int | float | bool]:
    known = file_named(entry.name, entry.path, entry.bytes)
    return known | {"headrace.name": entry.name, "headrace.state": entry.state.value}


def _rows(first: int, last: int, rows: int) -> dict[str, str | int | float | bool]:
    told = row_range(first, last) if last >= first else {}
    return told | {"headrace.rows": rows}
