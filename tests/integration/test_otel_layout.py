"""Our traces table is the one that the OpenTelemetry collector's ClickHouse exporter makes and its dashboards read.

Source: open-telemetry/opentelemetry-collector-contrib, exporter/clickhouseexporter/internal/sqltemplates. The stored
columns are those of commit f92a5763be13 (pull request 34245, August 2024) and still those of commit 2bf6b9e1f8c8 of
autumn 2026, which adds the two columns of items and an index (pull request 50878). There the sort key ends in
Timestamp, the table of times aggregates (`SimpleAggregateFunction(min, DateTime)`), and codecs differ: that is storage.
Names, values and the exporter's own queries stay the same, so tables that are there already are not rewritten for it.
"""

import json
from typing import Any

import pytest

from headrace.observability.delivery import SpanQueue
from headrace.observability.export import SpanExport
from headrace.observability.propagation import RemoteContext
from headrace.observability.tracing import FileTracer, Kind, SpanEvent
from headrace.observability.warehouse_spans import WarehouseSpans
from headrace.settings import Settings
from headrace.sinks.ddl import apply_ddl
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import ask, pipeline_user
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack

ATTRIBUTES = "Map(LowCardinality(String), String)"
STORED = {
    "Timestamp": "DateTime64(9)",
    "TraceId": "String",
    "SpanId": "String",
    "ParentSpanId": "String",
    "TraceState": "String",
    "SpanName": "LowCardinality(String)",
    "SpanKind": "LowCardinality(String)",
    "ServiceName": "LowCardinality(String)",
    "ResourceAttributes": ATTRIBUTES,
    "ScopeName": "String",
    "ScopeVersion": "String",
    "SpanAttributes": ATTRIBUTES,
    "Duration": "UInt64",
    "StatusCode": "LowCardinality(String)",
    "StatusMessage": "String",
    "Events.Timestamp": "Array(DateTime64(9))",
    "Events.Name": "Array(LowCardinality(String))",
    "Events.Attributes": f"Array({ATTRIBUTES})",
    "Links.TraceId": "Array(String)",
    "Links.SpanId": "Array(String)",
    "Links.TraceState": "Array(String)",
    "Links.Attributes": f"Array({ATTRIBUTES})",
}
COMPUTED = {"ResourceAttributeItems": "Array(String)", "SpanAttributeItems": "Array(String)"}
INDEXES = {
    "idx_trace_id": ("TraceId", "bloom_filter"),
    "idx_res_attr_key": ("mapKeys(ResourceAttributes)", "bloom_filter"),
    "idx_res_attr_value": ("mapValues(ResourceAttributes)", "bloom_filter"),
    "idx_span_attr_key": ("mapKeys(SpanAttributes)", "bloom_filter"),
    "idx_span_attr_value": ("mapValues(SpanAttributes)", "bloom_filter"),
    "idx_duration": ("Duration", "minmax"),
    "idx_lower_span_name": ("lower(SpanName)", "tokenbf_v1"),
}
TRACE = "391dae938234560b16bb63f51501cb6f"

ROW: dict[str, Any] = {
    "Timestamp": "2013-01-01 12:00:00.123456789",
    "TraceId": TRACE,
    "SpanId": "0102030405060708",
    "ParentSpanId": "",
    "TraceState": "",
    "SpanName": "GET /Flights",
    "SpanKind": "Server",
    "ServiceName": "layout-test",
    "ResourceAttributes": {"service.name": "layout-test"},
    "ScopeName": "s",
    "ScopeVersion": "1",
    "SpanAttributes": {"peer.service": "telemetrygen-server"},
    "Duration": 2_000_000_000,
    "StatusCode": "Error",
    "StatusMessage": "no",
    "Events.Timestamp": ["2013-01-01 12:00:00.123456789"],
    "Events.Name": ["began"],
    "Events.Attributes": [{"a": "b"}],
    "Links.TraceId": [TRACE],
    "Links.SpanId": ["0807060504030201"],
    "Links.TraceState": [""],
    "Links.Attributes": [{}],
}


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Settings:
    """The running warehouse with every DDL file applied."""
    with Warehouse(stack.settings) as own:
        apply_ddl(own)
    return stack.settings


def told(settings: Settings, query: str) -> list[list[str]]:
    found = ask(settings, query)
    assert found.status == 200, found.text
    return [line.split("\t") for line in found.text.splitlines()]


def columns(settings: Settings, table: str) -> dict[str, tuple[str, str]]:
    query = f"SELECT name, type, default_kind FROM system.columns WHERE database = 'headrace' AND `table` = '{table}'"
    return {name: (kind, default) for name, kind, default in told(settings, query)}


def test_columns_have_the_exporters_names_and_types(warehouse: Settings) -> None:
    found = columns(warehouse, "otel_traces")
    assert {name: kind for name, (kind, default) in found.items() if not default} == STORED
    assert {name: kind for name, (kind, default) in found.items() if default == "ALIAS"} == COMPUTED
    assert len(found) == len(STORED) + len(COMPUTED)


def test_indexes_have_the_exporters_names_and_kinds(warehouse: Settings) -> None:
    ours = "database = 'headrace' AND `table` = 'otel_traces'"
    found = told(warehouse, f"SELECT name, expr, type FROM system.data_skipping_indices WHERE {ours}")
    assert {name: (expression, kind) for name, expression, kind in found} == INDEXES


def test_table_of_times_has_the_exporters_columns(warehouse: Settings) -> None:
    found = columns(warehouse, "otel_traces_trace_id_ts")
    assert {name: kind for name, (kind, _) in found.items()} == {
        "TraceId": "String",
        "Start": "DateTime",
        "End": "DateTime",
    }
    view = "SELECT engine FROM system.tables WHERE database = 'headrace' AND name = 'otel_traces_trace_id_ts_mv'"
    assert told(warehouse, view) == [["MaterializedView"]]


def test_row_of_the_exporter_is_stored_and_found_by_its_own_queries(warehouse: Settings) -> None:
    own: dict[str, Any] = {"headers": pipeline_user(warehouse)}
    assert list(ROW) == list(STORED)
    names = ", ".join(f"`{name}`" for name in STORED)
    data = json.dumps(ROW).encode()
    stored = ask(warehouse, f"INSERT INTO headrace.otel_traces ({names}) FORMAT JSONEachRow", data=data, **own)
    assert stored.status == 200, stored.text
    by_trace = f"""
    WITH '{TRACE}' AS trace_id,
        (SELECT min(Start) FROM headrace.otel_traces_trace_id_ts WHERE TraceId = trace_id) AS start,
        (SELECT max(End) + 1 FROM headrace.otel_traces_trace_id_ts WHERE TraceId = trace_id) AS end
    SELECT SpanName, Duration, Events.Name[1], Links.TraceId[1] FROM headrace.otel_traces
    WHERE TraceId = trace_id AND Timestamp >= start AND Timestamp <= end"""
    assert told(warehouse, by_trace) == [["GET /Flights", "2000000000", "began", TRACE]]
    mine = "FROM headrace.otel_traces WHERE ServiceName = 'layout-test' AND"
    for condition in (
        "has(ResourceAttributeItems, 'service.name=layout-test')",
        "has(SpanAttributeItems, 'peer.service=telemetrygen-server')",
        "SpanAttributes['peer.service'] = 'telemetrygen-server'",
        "hasToken(lower(SpanName), 'flights')",
        "StatusCode = 'Error' AND Duration > 1 * 1e9",
    ):
        assert told(warehouse, f"SELECT count() {mine} {condition}") == [["1"]], condition


def test_span_is_stored_with_its_kind_status_links_and_events(warehouse: Settings) -> None:
    export = SpanExport("layout", [SpanQueue("warehouse", WarehouseSpans(warehouse))])
    origin = RemoteContext("a" * 32, "b" * 16, state="vendor=1")
    FileTracer(export).record(
        "publish",
        dataset="layout",
        file="0123456789abcdef",
        start_ns=1_357_041_600_000_000_001,
        end_ns=1_357_041_600_000_000_005,
        kind=Kind.PRODUCER,
        links=[origin, origin],
        events=[SpanEvent("retried", 1_357_041_600_000_000_003, {"times": 1})],
        state="vendor=1",
        error="transaction_failed",
        message="the broker was away",
    )
    export.close()
    stored = told(
        warehouse,
        "SELECT SpanKind, StatusCode, StatusMessage, TraceState, SpanAttributes['error.type'], Duration "
        "FROM headrace.otel_traces WHERE ServiceName = 'headrace-layout'",
    )
    assert stored == [["Producer", "Error", "the broker was away", "vendor=1", "transaction_failed", "4"]]
    arrays = told(
        warehouse,
        "SELECT Links.TraceId[2], Links.SpanId[2], Links.TraceState[2], Events.Name[1], "
        "toUnixTimestamp64Nano(Events.Timestamp[1]), Events.Attributes[1]['times'] "
        "FROM headrace.otel_traces WHERE ServiceName = 'headrace-layout'",
    )
    assert arrays == [["a" * 32, "b" * 16, "vendor=1", "retried", "1357041600000000003", "1"]]
