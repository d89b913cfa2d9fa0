"""Spans of a file's way through the line. Trace and root span ids follow from the data, so every process knows them."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headrace.core.identity import root_span_id, trace_id


@dataclass(frozen=True)
class SpanRecord:
    """One finished span. Times are nanoseconds since 1970; ids are lower-case hex; parent "" makes it the root."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)


SpanSink = Callable[[SpanRecord], None]


def traceparent(trace: str, span: str) -> str:
    """Return the W3C trace context header of a span.

    >>> traceparent("0" * 31 + "1", "0" * 15 + "2")
    '00-00000000000000000000000000000001-0000000000000002-01'
    """
    return f"00-{trace}-{span}-01"


def parse_traceparent(header: str) -> tuple[str, str] | None:
    """Return (trace id, span id) of a W3C header, None if it is not one.

    >>> parse_traceparent("00-00000000000000000000000000000001-0000000000000002-01")
    ('00000000000000000000000000000001', '0000000000000002')
    """
    parts = header.split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None
    return parts[1], parts[2]


def new_span_id() -> str:
    """Return a fresh span id."""
    return secrets.token_hex(8)


class FileTracer:
    """Makes spans of one stage. The root span (`root=True`) has the id that the file's digest gives."""

    def __init__(self, export: SpanSink) -> None:
        self._export = export

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
        attributes: Mapping[str, str | int | float | bool] | None = None,
    ) -> str:
        """Record a finished span and return its id; without a parent it hangs under the file's root. Never blocks."""
        root_id = root_span_id(dataset, file)
        own = root_id if root else span_id or new_span_id()
        parent = "" if root else parent_span_id or root_id
        known = {"headrace.dataset": dataset, "headrace.file": file}
        self._export(
            SpanRecord(name, trace_id(dataset, file), own, parent, start_ns, end_ns, known | dict(attributes or {}))
        )
        return own
