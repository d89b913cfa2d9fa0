"""Trace context in message headers: W3C is written, W3C and B3 (one header or several) are read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_W3C = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_B3_TRACE, _B3_SPAN = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")
_B3_KEPT = {"1", "d", "true"}
_MOST_STATE = 512


@dataclass(frozen=True)
class RemoteContext:
    """A span of another process: ids in lower-case hex, whether it is sampled, and its vendors' `tracestate`."""

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""


def traceparent(trace: str, span: str, *, sampled: bool = True) -> str:
    """Return the W3C trace context header of a span.

    >>> traceparent("0" * 31 + "1", "0" * 15 + "2")
    '00-00000000000000000000000000000001-0000000000000002-01'
    """
    return f"00-{trace}-{span}-{'01' if sampled else '00'}"


def parse_traceparent(header: str) -> tuple[str, str] | None:
    """Return (trace id, span id) of a W3C header, None if it is not one.

    >>> parse_traceparent("00-00000000000000000000000000000001-0000000000000002-01")
    ('00000000000000000000000000000001', '0000000000000002')
    """
    found = _w3c(header, "")
    return (found.trace_id, found.span_id) if found else None


def read_context(headers: Mapping[str, str]) -> RemoteContext | None:
    """Return the span that a message's headers name; None without a sound one. W3C is taken before B3.

    >>> read_context({"b3": "00000000000000ab-00000000000000cd-0"})
    RemoteContext(trace_id='000000000000000000000000000000ab', span_id='00000000000000cd', sampled=False, state='')
    """
    found = _w3c(headers.get("traceparent", ""), headers.get("tracestate", ""))
    if found is not None:
        return found
    names = {name.lower(): value.lower() for name, value in headers.items()}
    return _b3_single(names.get("b3", "")) or _b3_multi(names)


def _w3c(header: str, state: str) -> RemoteContext | None:
    match = _W3C.fullmatch(header)
    if match is None:
        return None
    version, trace, span, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace, 16) or not int(span, 16):
        return None
    return RemoteContext(trace, span, bool(int(flags, 16) & 1), state[:_MOST_STATE])


def _b3_single(header: str) -> RemoteContext | None:
    trace, _, rest = header.partition("-")
    span, _, rest = rest.partition("-")
    return _b3(trace, span, rest.partition("-")[0])


def _b3_multi(names: Mapping[str, str]) -> RemoteContext | None:
    kept = "d" if names.get("x-b3-flags") == "1" else names.get("x-b3-sampled", "")
    return _b3(names.get("x-b3-traceid", ""), names.get("x-b3-spanid", ""), kept)


def _b3(trace: str, span: str, kept: str) -> RemoteContext | None:
    """Return a B3 context; one whose sampling is still open counts as sampled."""
    if not _B3_TRACE.fullmatch(trace) or not _B3_SPAN.fullmatch(span) or not int(trace, 16) or not int(span, 16):
        return None
    return RemoteContext(trace.zfill(32), span, not kept or kept in _B3_KEPT)
