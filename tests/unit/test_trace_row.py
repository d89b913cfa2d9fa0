"""One row's way: which spans it was in, and what is told of it; spans as OTLP's JSON."""

import json
from datetime import UTC, datetime, timedelta

from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from headrace.cli.trace_row import Place, RowWay, spans_of_row
from headrace.cli.trace_spans import Span, otlp_json
from headrace.core.identity import root_span_id
from headrace.core.vocabulary import FileState
from headrace.observability.propagation import RemoteContext
from headrace.observability.tracing import SpanEvent
from headrace.schemas.ledger import FileEntry, new_entry

AT = datetime(2026, 1, 1, tzinfo=UTC)
NS = int(AT.timestamp()) * 1_000_000_000
SECOND = 1_000_000_000


def entry() -> FileEntry:
    return new_entry(
        dataset="orders",
        name="a.csv",
        state=FileState.BALANCED,
        sha256="ab" * 32,
        path="x",
        bytes=1,
        modified_at=AT,
        claimed_at=AT + timedelta(seconds=1),
        balanced_at=AT + timedelta(seconds=9),
        updated_at=AT + timedelta(seconds=9),
    )


def span(name: str, own: str, parent: str = "", at: int = 0, status: str = "Ok", **attributes: int | str) -> Span:
    told = {f"headrace.{key}": str(value) for key, value in attributes.items()}
    return Span(own, parent, name, "headrace-x", NS + at * SECOND, SECOND, told, "c" * 32, status=status)


FILE = [
    span("file", "root", at=1),
    span("publish", "p1", "root", 2, first_row=0, last_row=9),
    span("publish", "p2", "root", 4, first_row=10, last_row=19),
    span("judge", "j1", "p1", 5, first_row=0, last_row=19),
    span("store", "s1", "j1", 6, topic="orders.valid", partition=0, first_offset=0, last_offset=14),
    span("store", "s2", "j1", 7, topic="orders.valid", partition=0, first_offset=15, last_offset=30),
    span("store", "s3", "j1", 7, topic="orders.valid", partition=1, first_offset=0, last_offset=30),
    span("learn", "l1", "j1", 8, first_row=0, last_row=11),
    span("learn", "l2", "j1", 8, first_row=12, last_row=19),
]


def test_row_is_in_the_spans_of_its_rows_and_of_its_offset() -> None:
    place = Place("orders", "orders.valid", 0, 15, NS)
    found = spans_of_row(FILE, 12, place)
    assert [one.span_id for one in found] == ["root", "p2", "j1", "s2", "l2"]


def test_span_whose_parent_was_of_other_rows_hangs_under_the_one_before_it() -> None:
    found = {one.span_id: one.parent for one in spans_of_row(FILE, 12, None)}
    assert found["j1"] == "p2"


def test_alerts_of_the_file_are_not_the_rows_unless_it_is_a_sample_of_theirs() -> None:
    alerts = [span("alert", "a1", "root", 8, alert="x"), span("alert", "a2", "root", 8, alert="y")]
    assert [one.span_id for one in spans_of_row(alerts, 3, None, {"y"})] == ["a2"]
    assert spans_of_row(alerts, 3, None) == []


def test_hops_are_told_with_the_time_between_them() -> None:
    place = Place("orders", "orders.valid", 0, 15, NS + 6 * SECOND)
    spans = spans_of_row(FILE, 12, place)
    way = RowWay(entry(), 12, place, spans, predicted_at=[("predicted", NS + 10 * SECOND)])
    assert [(name, (at - NS) // SECOND) for name, at in way.hops()] == [
        ("closed", 0),
        ("claimed", 1),
        ("published", 5),
        ("judged", 6),
        ("stored", 8),
        ("proved", 9),
        ("predicted", 10),
    ]
    lines = list(way.lines())
    assert lines[0] == "row 12: in headrace.orders, from orders.valid partition 0 offset 15"
    assert "judged     00:00:06.000000  +1.000 s" in lines


def test_row_without_spans_is_followed_by_what_the_tables_and_the_ledger_hold() -> None:
    judged = RowWay(entry(), 3, Place("orders", "orders.valid", 0, 3, NS + 2 * SECOND), [])
    assert [name for name, _ in judged.hops()] == ["closed", "claimed", "judged", "proved"]
    aside = RowWay(entry(), 3, Place("quarantine", "orders.quarantine", 0, 3, NS + 2 * SECOND), [])
    assert [name for name, _ in aside.hops()] == ["closed", "claimed", "put aside", "proved"]


def test_row_that_the_reader_put_aside_came_to_no_judge() -> None:
    place = Place("quarantine", "orders.quarantine", 0, 3, NS + 2 * SECOND, "read")
    spans = [
        span("judge", "j1", "p1", 5, first_row=0, last_row=9),
        span("publish", "p1", at=1, first_row=0, last_row=9),
    ]
    assert [one.name for one in spans_of_row(spans, 3, place)] == ["publish"]
    hops = dict(RowWay(entry(), 3, place, spans_of_row(spans, 3, place)).hops())
    assert "judged" not in hops
    assert hops["put aside"] == NS + 2 * SECOND


def test_row_that_a_file_has_not_is_said_with_the_rows_that_it_has() -> None:
    whole = entry().with_changes(state=FileState.BALANCED, rows_published=5, balanced=True)
    assert next(iter(RowWay(whole, 9, None, []).lines())) == "row 9: the file has 5 rows, counted from 0"
    assert "(yet)" in next(iter(RowWay(entry(), 9, None, []).lines()))


def test_span_of_a_row_is_the_same_each_time_and_below_the_files_root() -> None:
    ways = [RowWay(entry(), row, None, []) for row in (3, 3, 4)]
    own = [way.span().span_id for way in ways]
    assert own[0] == own[1] != own[2]
    assert ways[0].span().parent == root_span_id("orders", entry().file)


def test_failed_attempt_does_not_count_as_the_hop() -> None:
    spans = [span("judge", "j1", at=2, status="Error", first_row=0, last_row=1)]
    assert "judged" not in dict(RowWay(entry(), 1, None, spans).hops())


def test_json_has_hex_ids_numbers_links_and_events() -> None:
    told = Span(
        span_id="b" * 16,
        parent="a" * 16,
        name="judge",
        service="headrace-judge",
        start_ns=NS,
        duration_ns=5,
        attributes={"headrace.rows": "3", "messaging.destination.partition.id": "0"},
        trace_id="c" * 32,
        kind="Consumer",
        status="Error",
        message="no",
        resource={"service.name": "headrace-judge", "process.pid": "7"},
        links=[RemoteContext("d" * 32, "e" * 16)],
        events=[SpanEvent("retried", NS)],
    )
    (resource,) = json.loads(otlp_json([told]))["resourceSpans"]
    (found,) = resource["scopeSpans"][0]["spans"]
    assert (found["traceId"], found["spanId"], found["parentSpanId"]) == ("c" * 32, "b" * 16, "a" * 16)
    assert (found["kind"], found["status"]) == (ProtoSpan.SPAN_KIND_CONSUMER, {"code": 2, "message": "no"})
    assert [(link["traceId"], link["spanId"]) for link in found["links"]] == [("d" * 32, "e" * 16)]
    assert [event["name"] for event in found["events"]] == ["retried"]
    values = {one["key"]: one["value"] for one in found["attributes"]}
    assert values["headrace.rows"] == {"intValue": "3"}
    assert values["messaging.destination.partition.id"] == {"stringValue": "0"}
    assert {"key": "process.pid", "value": {"intValue": "7"}} in resource["resource"]["attributes"]
