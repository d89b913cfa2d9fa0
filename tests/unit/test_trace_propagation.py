"""Trace context in headers: W3C and B3 are read, what is neither is none."""

import pytest

from headrace.observability.propagation import RemoteContext, read_context, traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HALF = TRACE[16:]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, RemoteContext(TRACE, SPAN)),
        ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, RemoteContext(TRACE, SPAN, sampled=False)),
        ({"traceparent": f"00-{TRACE}-{SPAN}-03"}, RemoteContext(TRACE, SPAN)),
        ({"traceparent": f"01-{TRACE}-{SPAN}-01-later"}, RemoteContext(TRACE, SPAN)),
        (
            {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"},
            RemoteContext(TRACE, SPAN, state="vendor=1"),
        ),
        ({"b3": f"{TRACE}-{SPAN}-1"}, RemoteContext(TRACE, SPAN)),
        ({"b3": f"{TRACE}-{SPAN}-d-{SPAN}"}, RemoteContext(TRACE, SPAN)),
        ({"b3": f"{TRACE}-{SPAN}-0"}, RemoteContext(TRACE, SPAN, sampled=False)),
        ({"b3": f"{TRACE}-{SPAN}"}, RemoteContext(TRACE, SPAN)),
        ({"b3": f"{HALF}-{SPAN}-1"}, RemoteContext("0" * 16 + HALF, SPAN)),
        ({"X-B3-TraceId": TRACE.upper(), "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"}, RemoteContext(TRACE, SPAN)),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "0"}, RemoteContext(TRACE, SPAN, sampled=False)),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-flags": "1"}, RemoteContext(TRACE, SPAN)),
    ],
)
def test_context_is_read_from_headers(headers: dict[str, str], found: RemoteContext) -> None:
    assert read_context(headers) == found


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"b3": "0"},
        {"b3": f"{'0' * 32}-{SPAN}-1"},
        {"x-b3-traceid": TRACE},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{SPAN}-01-more"},
        {"traceparent": f"00-{'g' * 32}-{SPAN}-01"},
        {"traceparent": "00-€-01"},
    ],
)
def test_headers_without_a_sound_context_have_none(headers: dict[str, str]) -> None:
    assert read_context(headers) is None


def test_w3c_is_taken_before_b3() -> None:
    both = {"b3": f"{'a' * 32}-{SPAN}-0", "traceparent": traceparent(TRACE, SPAN)}
    assert read_context(both) == RemoteContext(TRACE, SPAN)


def test_flag_that_is_written_is_the_one_that_is_read() -> None:
    for sampled in (True, False):
        found = read_context({"traceparent": traceparent(TRACE, SPAN, sampled=sampled)})
        assert found is not None
        assert found.sampled is sampled
