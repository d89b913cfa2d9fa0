"""Spans of a file's way through the line. Trace and root span ids follow from the data, so every process knows them."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from headrace.core.identity import root_span_id, trace_id
from headrace.observability.propagation import RemoteContext
from headrace.observability.sampling import Sampler

Attributes = Mapping[str, str | int | float | bool]
_MOST_LINKS = 128


class Kind(Enum):
    """OpenTelemetry's kinds of spans, by their names in the table otel_traces."""

    INTERNAL = "Internal"
    PRODUCER = "Producer"
    CONSUMER = "Consumer"
    CLIENT = "Client"


@dataclass(frozen=True)
class SpanEvent:
    """Something that happened within a span."""

    name: str
    at_ns: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class SpanRecord:
    """One finished span. Times are nanoseconds since 1970; ids are lower-case hex; parent "" makes it the root.

    `error` is the class of what failed (`error.type`), "" for work that was done.
    """

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    start_ns: int
    end_ns: int
    attributes: Attributes = field(default_factory=dict)
    kind: Kind = Kind.INTERNAL
    links: Sequence[RemoteContext] = ()
    events: Sequence[SpanEvent] = ()
    state: str = ""
    error: str = ""
    message: str = ""


SpanSink = Callable[[SpanRecord], None]


def new_span_id() -> str:
    """Return a fresh span id."""
    return secrets.token_hex(8)


class FileTracer:
    """Makes spans of one stage. The root span (`root=True`) has the id that the file's digest gives."""

    def __init__(self, export: SpanSink, sampler: Sampler | None = None) -> None:
        self._export = export
        self.sampler = sampler or Sampler()

    def record(
        self,
        name: str,
        *,
        dataset: str,
        file: str,
        start_ns: int,
        end_ns: int,
        span_id: str = "",
        parent_span_id: str = "",
        root: bool = False,
        attributes: Attributes | None = None,
        kind: Kind = Kind.INTERNAL,
        links: Sequence[RemoteContext] = (),
        events: Sequence[SpanEvent] = (),
        state: str = "",
        error: str = "",
        message: str = "",
        sampled: bool | None = None,
    ) -> str:
        """Record a finished span and return its id; without a parent it hangs under the file's root. Never blocks.

        `sampled` is the flag of the span before it, None if nothing is known of it; a trace that is not kept costs a
        comparison.
        """
        trace, root_id = trace_id(dataset, file), root_span_id(dataset, file)
        own = root_id if root else span_id or new_span_id()
        if not self.sampler.keeps(trace, sampled):
            return own
        parent = "" if root else parent_span_id or root_id
        known = {"headrace.dataset": dataset, "headrace.file": file} | _told(attributes or {}, error)
        done = (error, message)
        self._export(
            SpanRecord(
                name, trace, own, parent, start_ns, end_ns, known, kind, tuple(links), tuple(events), state, *done
            )
        )
        return own

    def record_batch(
        self,
        name: str,
        *,
        start_ns: int,
        end_ns: int,
        links: Sequence[RemoteContext],
        attributes: Attributes,
        kind: Kind,
        error: str = "",
        message: str = "",
    ) -> RemoteContext | None:
        """Record work on several files at once, in a trace of its own that links to theirs; return its context.

        It is kept if one of the linked traces is, and has at most 128 links, as OpenTelemetry bounds them; None if it
        is not kept.
        """
        kept = [link for link in links if self.sampler.keeps(link.trace_id, link.sampled)]
        if not kept:
            return None
        own = RemoteContext(secrets.token_hex(16), new_span_id())
        self._export(
            SpanRecord(
                name=name,
                trace_id=own.trace_id,
                span_id=own.span_id,
                parent_span_id="",
                start_ns=start_ns,
                end_ns=end_ns,
                attributes={"headrace.files": len(links)} | _told(attributes, error),
                kind=kind,
                links=tuple(kept[:_MOST_LINKS]),
                error=error,
                message=message,
            )
        )
        return own


def _told(attributes: Attributes, error: str) -> dict[str, str | int | float | bool]:
    return dict(attributes) | ({"error.type": error} if error else {})
