"""The map of ClickHouse's errors to HTTP statuses, whole, and what of a request is followed, refused or passed over."""

from pathlib import Path

import pytest

from headrace.embedded.warehouse.faults import STATUSES, Fault
from headrace.embedded.warehouse.requests import PASSED_OVER, WIRE_SETTINGS, read_query, refuse_unsupported

ROOT = Path(__file__).parents[2]

# src/Server/HTTP/exceptionCodeToHTTPStatus.cpp of ClickHouse 26; every other code of 0 to 1199 is 500.
CLICKHOUSE = {
    400: {6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676},
    401: {194},
    403: {192, 193, 497, 512, 516},
    404: {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511},
    408: {159},
    411: {381},
    413: {229},
    415: {779},
    501: {48},
    503: {76, 209, 439},
}


def test_every_code_has_the_status_of_clickhouses_own_map() -> None:
    expected = {code: status for status, codes in CLICKHOUSE.items() for code in codes}
    assert sum(len(codes) for codes in STATUSES.values()) == len(expected)
    for code in range(1200):
        assert Fault(code, "x").status == expected.get(code, 500), code


@pytest.mark.parametrize(
    ("name", "code"),
    [("READONLY", 164), ("TOO_MANY_SIMULTANEOUS_QUERIES", 202), ("SESSION_NOT_FOUND", 372), ("SESSION_IS_LOCKED", 373)],
)
def test_codes_that_look_like_a_status_of_their_own_are_500_as_on_a_server(name: str, code: int) -> None:
    fault = Fault(code, "x")
    assert (fault.name, fault.status) == (name, 500)


def test_what_is_passed_over_is_documented() -> None:
    page = (ROOT / "docs/guide/services.md").read_text()
    assert len(PASSED_OVER) >= 9
    for name, reason in PASSED_OVER.items():
        assert f"| `{name}` | {reason} |" in page
    for name in WIRE_SETTINGS:
        assert name in page


@pytest.mark.parametrize("name", sorted(PASSED_OVER))
def test_what_is_passed_over_never_reaches_the_engine(name: str) -> None:
    query = read_query("POST", "/", f"{name}=1&query=SELECT+1".encode(), [])
    refuse_unsupported(query)
    assert (query.settings, query.options) == ((), {"query": "SELECT 1"})


@pytest.mark.parametrize(
    ("url", "headers", "named", "expected"),
    [
        (b"", [], "", "TabSeparated"),
        (b"default_format=XML", [], "", "XML"),
        (b"default_format=XML", [], "CSV", "CSV"),
        (b"default_format=XML", [(b"X-ClickHouse-Format", b"JSON")], "", "JSON"),
        (b"", [(b"X-ClickHouse-Format", b"JSON")], "CSV", "JSON"),
        (b"http_x_clickhouse_format_overrides_output_format=1", [(b"X-ClickHouse-Format", b"JSON")], "CSV", "JSON"),
        (b"http_x_clickhouse_format_overrides_output_format=0", [(b"X-ClickHouse-Format", b"JSON")], "CSV", "CSV"),
        (b"http_x_clickhouse_format_overrides_output_format=0", [(b"X-ClickHouse-Format", b"JSON")], "", "JSON"),
        (
            b"http_x_clickhouse_format_overrides_output_format=False&default_format=XML",
            [(b"X-ClickHouse-Format", b"JSON")],
            "",
            "JSON",
        ),
    ],
)
def test_format_follows_clickhouses_order_of_wishes(
    url: bytes, headers: list[tuple[bytes, bytes]], named: str, expected: str
) -> None:
    assert read_query("POST", "/", url, headers).formats(named, "TabSeparated")[0] == expected


@pytest.mark.parametrize("name", ["wait_end_of_query", "http_wait_end_of_query"])
def test_client_may_wait_for_the_end_by_either_name(name: str) -> None:
    assert read_query("POST", "/", f"{name}=1".encode(), []).whole_answer_first
    assert not read_query("POST", "/", f"{name}=0".encode(), []).whole_answer_first


@pytest.mark.parametrize(
    ("url", "headers", "code", "status"),
    [
        (b"http_write_exception_in_output_format=1", [], 48, 501),
        (b"", [(b"X-ClickHouse-SSL-Certificate-Auth", b"on")], 516, 403),
        (b"role=x", [], 48, 501),
        (b"compress=1", [], 48, 501),
        (b"decompress=1", [], 48, 501),
        (b"client_protocol_version=54454", [], 48, 501),
        (b"param_a=%ff", [], 36, 400),
        (b"param_%ff=a", [], 36, 400),
        (b"max_threads=%ff", [], 36, 400),
        (b"database=%ff", [], 36, 400),
    ],
)
def test_what_would_change_an_answer_and_is_not_there_is_refused(
    url: bytes, headers: list[tuple[bytes, bytes]], code: int, status: int
) -> None:
    with pytest.raises(Fault) as caught:
        refuse_unsupported(read_query("POST", "/", url, headers))
    assert (caught.value.code, caught.value.status) == (code, status)


def test_what_is_switched_off_is_not_refused() -> None:
    off = b"compress=0&decompress=0&http_write_exception_in_output_format=0"
    refuse_unsupported(read_query("POST", "/", off, [(b"X-ClickHouse-SSL-Certificate-Auth", b"off")]))
