"""Log lines in the warehouse and by OTLP: laid out as the collector's exporter does it, with traces, without secrets.

Source of the layout: open-telemetry/opentelemetry-collector-contrib, exporter/clickhouseexporter, sqltemplates
(logs_table.sql of commit 169e3b3e0562); EventName and the three columns of items are those of 2026.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from pydantic import SecretStr

from headrace.core.child import wait_until
from headrace.core.identity import root_span_id, trace_id
from headrace.observability.events import StageFailed, emit
from headrace.observability.file_events import FileEnded, ReaderFailed
from headrace.observability.log_export import process_logs
from headrace.settings import Settings
from headrace.sinks.ddl import apply_ddl
from headrace.testing.logs import kept_logging
from headrace.testing.otlp import grpc_endpoint, http_endpoint
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import ask
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack

ATTRIBUTES = "Map(LowCardinality(String), String)"
STORED = {
    "Timestamp": "DateTime64(9)",
    "TimestampTime": "DateTime",
    "TraceId": "String",
    "SpanId": "String",
    "TraceFlags": "UInt8",
    "SeverityText": "LowCardinality(String)",
    "SeverityNumber": "UInt8",
    "ServiceName": "LowCardinality(String)",
    "Body": "String",
    "ResourceSchemaUrl": "LowCardinality(String)",
    "ResourceAttributes": ATTRIBUTES,
    "ScopeSchemaUrl": "LowCardinality(String)",
    "ScopeName": "String",
    "ScopeVersion": "LowCardinality(String)",
    "ScopeAttributes": ATTRIBUTES,
    "LogAttributes": ATTRIBUTES,
    "EventName": "String",
}
PROCESS = "logtest"
FILE, SECRET, PERSON = "fedcba9876543210", "planted-s3cret", "Ann Lee"
TRACE = trace_id("logged", FILE)
SAID = f"Code: 6. DB::Exception: Cannot parse string '{PERSON}' as Int64 with {SECRET}"


@pytest.fixture(scope="module")
def received() -> Iterator[list[tuple[str, bytes]]]:
    """What an OTLP endpoint is sent, as (path, body)."""
    with http_endpoint() as (address, got), pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{address}/v1/logs")
        yield got


@pytest.fixture(scope="module")
def logged(stack: EmbeddedStack, received: list[tuple[str, bytes]]) -> Settings:
    """A stack to which a process has logged: about a file, with an error that holds a secret and a person's name."""
    with Warehouse(stack.settings) as own:
        apply_ddl(own)
    settings = stack.settings.model_copy(update={"kafka_sasl_password": SecretStr(SECRET)})
    with kept_logging(), process_logs(settings, PROCESS):
        own_words = {"dataset": "logged", "name": "l.csv", "file": FILE}
        emit(FileEnded(**own_words, state="published", reason="", rows=3, unreadable=0))
        emit(ReaderFailed(**own_words, format="csv", row=2, error=SAID))
        emit(StageFailed(stage=PROCESS, error=SAID, hint="none"))
        logging.getLogger("library").debug("not exported")
    return settings


def told(settings: Settings, query: str) -> list[list[str]]:
    found = ask(settings, query)
    assert found.status == 200, found.text
    return [line.split("\t") for line in found.text.splitlines()]


def test_columns_have_the_exporters_names_and_types_and_lines_go_after_thirty_days(logged: Settings) -> None:
    ours = "database = 'headrace' AND `table` = 'otel_logs'"
    found = told(logged, f"SELECT name, type, default_kind FROM system.columns WHERE {ours}")
    assert {name: kind for name, kind, default in found if default != "ALIAS"} == STORED
    computed = {"ResourceAttributeItems", "ScopeAttributeItems", "LogAttributeItems"}
    assert {name for name, _, default in found if default == "ALIAS"} == computed
    [[made]] = told(logged, "SELECT create_table_query FROM system.tables WHERE name = 'otel_logs'")
    assert "TTL TimestampTime + toIntervalDay(30)" in made
    indexes = told(logged, f"SELECT name FROM system.data_skipping_indices WHERE {ours}")
    assert {name for [name] in indexes} >= {"idx_trace_id", "idx_body", "idx_log_attr_key", "idx_log_attr_value"}


def test_lines_are_in_the_warehouse_with_trace_level_event_and_fields(logged: Settings) -> None:
    mine = "FROM headrace.otel_logs WHERE ServiceName = 'headrace-logtest'"
    assert wait_until(lambda: told(logged, f"SELECT count() {mine}") == [["3"]], 30)
    assert told(
        logged,
        f"SELECT EventName, Body, SeverityText, SeverityNumber, SpanId {mine} AND TraceId = '{TRACE}' ORDER BY 4",
    ) == [
        ["file_ended", "file ended", "INFO", "9", root_span_id("logged", FILE)],
        ["reader_failed", "reader failed", "ERROR", "17", root_span_id("logged", FILE)],
    ]
    for condition in (
        "has(LogAttributeItems, 'name=l.csv') AND LogAttributes['rows'] = '3'",
        "hasToken(Body, 'ended') AND TimestampTime > now() - 3600",
        "EventName = 'stage_failed' AND TraceId = '' AND has(LogAttributeItems, 'stage=logtest')",
    ):
        assert told(logged, f"SELECT count() {mine} AND {condition}") == [["1"]], condition


def test_official_classes_read_what_an_otlp_endpoint_is_sent(
    logged: Settings, received: list[tuple[str, bytes]]
) -> None:
    records: dict[str, Any] = {}
    for path, body in received:
        assert path == "/v1/logs"
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            assert names["service.name"] == f"headrace-{PROCESS}"
            records |= {one.event_name: one for scope in resource.scope_logs for one in scope.log_records}
    assert set(records) == {"file_ended", "reader_failed", "stage_failed"}
    ended = records["file_ended"]
    assert (ended.trace_id.hex(), ended.span_id.hex()) == (TRACE, root_span_id("logged", FILE))
    assert (ended.severity_number, ended.severity_text, ended.body.string_value) == (9, "INFO", "file ended")
    attributes = {one.key: one.value for one in ended.attributes}
    assert (attributes["rows"].int_value, attributes["name"].string_value) == (3, "l.csv")


def test_secret_and_value_of_a_row_in_an_error_are_in_no_log_anywhere(
    logged: Settings, received: list[tuple[str, bytes]]
) -> None:
    file = (logged.paths().logs / "logtest.log").read_text()
    sent = b"".join(body for _, body in received)
    rows = ask(logged, "SELECT * FROM headrace.otel_logs WHERE ServiceName = 'headrace-logtest' FORMAT JSONEachRow")
    for where in (file, sent.decode("utf-8", "replace"), rows.text):
        assert "Cannot parse string *** as Int64 with ***" in where
        assert SECRET not in where
        assert PERSON not in where


def test_lines_go_over_grpc_where_the_environment_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with grpc_endpoint() as (address, sent):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc")
        with kept_logging(), process_logs(Settings(home=tmp_path, warehouse_url="http://127.0.0.1:9"), PROCESS):
            emit(StageFailed(stage=PROCESS, error="there is no disk", hint="none"))
    scopes = [scope for one in sent.logs for resource in one.resource_logs for scope in resource.scope_logs]
    told = {one.event_name: one for scope in scopes for one in scope.log_records}
    assert told["stage_failed"].body.string_value == "stage failed"
