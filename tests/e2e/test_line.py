"""The line as a user meets it: a file never seen before is queryable, with a balanced receipt, an alert and a trace."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from headrace.core.child import wait_until
from headrace.core.guarded import guarded_command
from headrace.testing.guide import alert_consumer, lines_of
from headrace.testing.line import HEADRACE, RunningLine

pytestmark = pytest.mark.stack
CITIES = """City Name,Inhabitants,Founded,Capital
Bern,134794,1191-01-01,true
Zürich,421878,,false
"La Chaux
de Fonds",37472,,false
"""


def test_csv_never_seen_before_ends_with_a_balanced_receipt_and_a_queryable_table(
    line: RunningLine, tmp_path: Path
) -> None:
    file = tmp_path / "cities.csv"
    file.write_text(CITIES, encoding="utf-8")
    done = line.process("drop", str(file), "--dataset", "cities", "--wait", "--json")
    receipt = json.loads(done.stdout)
    assert (receipt["state"], receipt["rows_read"], receipt["rows_stored"]) == ("balanced", 3, 3)
    printed = line.process(
        "sql", "SELECT city_name, inhabitants FROM headrace.cities ORDER BY inhabitants DESC LIMIT 1"
    )
    assert "Zürich" in printed.stdout
    assert (line.settings.paths().contracts / "cities.odcs.yaml").exists()


def test_drop_that_waits_exits_with_1_if_a_file_is_refused_and_still_stores_the_others(
    line: RunningLine, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("id,name\n1,Ann\n")
    bad.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10)
    done = line.headrace("drop", str(bad), str(good), "--dataset", "refusals", "--wait", check=False)
    assert done.returncode == 1, done.stdout
    assert "refusals/bad.csv  rejected: binary" in done.stdout
    assert "refusals/good.csv  balanced: 1 rows read = 1 stored + 0 quarantined" in done.stdout
    again = line.headrace("drop", str(bad), "--dataset", "refusals", "--wait", "--json", check=False)
    assert (again.returncode, json.loads(again.stdout)["state"]) == (1, "rejected")
    assert line.value("SELECT name FROM headrace.refusals") == "Ann"


def test_ndjson_with_nested_and_missing_keys_is_queryable(line: RunningLine, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"id": 1, "who": {"name": "Ada"}, "ok": true}\n{"id": 2, "at": "2026-01-02T03:04:05Z"}\n')
    receipt = json.loads(line.headrace("drop", str(file), "--dataset", "events", "--wait", "--json").stdout)
    assert receipt["state"] == "balanced"
    assert line.value("SELECT toTypeName(at) LIKE '%DateTime64(6, %' FROM headrace.events LIMIT 1") == "1"
    assert json.loads(line.value("SELECT who FROM headrace.events WHERE id = 1")) == {"name": "Ada"}


def test_confluents_own_deserializer_reads_the_records(line: RunningLine, tmp_path: Path) -> None:
    file = tmp_path / "fruit.csv"
    file.write_text("name,grams\napple,150\npear,170\n")
    line.headrace("drop", str(file), "--dataset", "fruit", "--wait")
    with SchemaRegistryClient({"url": line.settings.registry_address()}) as registry:
        found = records_of(line, "fruit.valid", 2, AvroDeserializer(registry))
    assert [(record["name"], record["grams"], record["_row"]) for record in found] == [
        ("apple", 150, 0),
        ("pear", 170, 1),
    ]


def records_of(line: RunningLine, topic: str, count: int, deserialize: AvroDeserializer) -> list[Any]:
    config = {"group.id": f"test-{topic}", "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
    consumer = Consumer(line.settings.kafka_client() | config)
    consumer.subscribe([topic])
    found: list[Any] = []
    try:
        while len(found) < count:
            message: Any = consumer.poll(20.0)
            assert message is not None, f"{len(found)} of {count} records"
            assert message.error() is None
            found.append(deserialize(message.value(), SerializationContext(topic, MessageField.VALUE)))
            headers = dict(message.headers() or [])
            assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceparent"])
    finally:
        consumer.close()
    return found


def test_one_trace_leads_from_the_file_to_the_table(line: RunningLine, tmp_path: Path) -> None:
    file = tmp_path / "traced.csv"
    file.write_text("a,b\n1,2\n3,4\n")
    receipt = json.loads(line.headrace("drop", str(file), "--dataset", "traced", "--wait", "--json").stdout)
    trace = line.value("SELECT DISTINCT _trace FROM headrace.traced")
    assert trace == receipt["trace_id"]
    wanted = {"file", "ready", "read", "publish", "judge", "store"}
    query = f"SELECT DISTINCT SpanName FROM headrace.otel_traces WHERE TraceId = '{trace}'"
    assert wait_until(lambda: wanted <= set(line.column(query)), 20), line.column(query)
    orphans = (
        f"SELECT count() FROM headrace.otel_traces WHERE TraceId = '{trace}' AND ParentSpanId != '' AND ParentSpanId "
        f"NOT IN (SELECT SpanId FROM headrace.otel_traces WHERE TraceId = '{trace}')"
    )
    assert line.value(orphans) == "0"
    printed = line.headrace("trace", "traced.csv:1").stdout
    assert all(name in printed for name in wanted)
    assert "row 1: in headrace.traced, from traced.valid partition 0 offset" in printed
    assert re.search(r"judged +[\d:.]+  \+\d+\.\d{3} s", printed), printed
    assert f"row 1: line 3, bytes 8-11 of done/traced/{receipt['sha256'][:12]}-traced.csv" in printed


def test_trace_of_a_row_is_exported_as_otlp_json(line: RunningLine, tmp_path: Path) -> None:
    file = tmp_path / "exported.csv"
    file.write_text("a,b\n1,2\n3,4\n")
    receipt = json.loads(line.headrace("drop", str(file), "--dataset", "exported", "--wait", "--json").stdout)

    def spans() -> dict[str, Any]:
        told = json.loads(line.process("trace", "exported.csv:1", "--json").stdout)
        scopes = [scope for resource in told["resourceSpans"] for scope in resource["scopeSpans"]]
        return {span["name"]: span for scope in scopes for span in scope["spans"]}

    wanted = {"file", "read", "publish", "judge", "store", "receipt", "row"}
    assert wait_until(lambda: wanted <= set(spans()), 30, every_secs=0.5), spans()
    found = spans()
    assert {span["traceId"] for span in found.values()} == {receipt["trace_id"]}
    assert found["row"]["parentSpanId"] == found["file"]["spanId"]
    assert [event["name"] for event in found["row"]["events"]][:3] == ["closed", "claimed", "read"]
    kinds = {name: found[name].get("kind") for name in ("publish", "judge", "store")}
    assert kinds == {"publish": 4, "judge": 5, "store": 3}
    stored = {one["key"]: one["value"] for one in found["store"]["attributes"]}
    assert stored["db.collection.name"] == {"stringValue": "exported"}
    assert stored["headrace.last_offset"]["intValue"] == "1"
    refused = line.headrace("trace", "exported.csv", "--export", check=False)
    assert refused.returncode != 0
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in refused.stdout + refused.stderr


def test_alert_leads_to_the_trace_of_its_file(line: RunningLine, tmp_path: Path) -> None:
    file = tmp_path / "alerted.csv"
    file.write_text("a,b\n1,2\n" + "3\n" * 5)
    receipt = json.loads(line.headrace("drop", str(file), "--dataset", "alerted", "--wait", "--json").stdout)
    query = "SELECT alert_id FROM headrace.alerts WHERE dataset = 'alerted' LIMIT 1"
    assert wait_until(lambda: bool(line.value(query)), 30)
    printed = line.headrace("trace", "alert", line.value(query)).stdout
    assert receipt["trace_id"] in printed
    assert f"alert {line.value(query)}: " in printed


def test_damaged_file_raises_an_alert_that_any_consumer_can_read(line: RunningLine, tmp_path: Path) -> None:
    file = tmp_path / "damaged.csv"
    file.write_text("a,b\n1,2\n" + "3\n" * 5 + '4,"never closed')
    with followed_alerts(line, tmp_path / "followed", "damaged") as told:
        line.headrace("drop", str(file), "--dataset", "damaged", "--wait")
        # The advisor tells an alert once more, with rows to look at.
        assert wait_until(lambda: len(told()) >= 2, 30), told()
        assert {json.loads(text)["file_name"] for text in told()} == {"damaged.csv"}

    def seen() -> list[str]:
        return line.headrace("alerts", "--json", "--dataset", "damaged").stdout.splitlines()

    assert wait_until(lambda: len({json.loads(text)["alert_id"] for text in seen()}) == 2, 20, every_secs=0.5)
    alerts = [json.loads(text) for text in seen()]
    assert {alert["rule"] for alert in alerts} == {"file_partial", "rejected_share"}
    assert all(alert["file_name"] == "damaged.csv" and alert["hint"] for alert in alerts)
    # The guide's own program, with Confluent's client as it is.
    texts = {f"{alert['severity']} {alert['message']} {alert['hint']}" for alert in alerts}
    lines_of(alert_consumer(line.settings), lambda printed: texts <= set(printed), 60)


@contextmanager
def followed_alerts(line: RunningLine, output: Path, dataset: str) -> Iterator[Callable[[], list[str]]]:
    """Run `headrace alerts --follow` meanwhile, and give what it has printed so far; it does not end by itself."""
    command = guarded_command([*HEADRACE, "alerts", "--follow", "--json", "--dataset", dataset])
    with output.open("wb") as stream:
        following = subprocess.Popen(command, env=line.environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        yield lambda: output.read_text().splitlines()
        assert following.poll() is None
    finally:
        following.terminate()
        following.wait(30)


def test_what_a_person_sees_of_quarantined_rows_is_their_fields_or_their_line(line: RunningLine) -> None:
    contract = line.settings.paths().contracts / "shown.odcs.yaml"
    line.drop("shown", "before.csv", b"id,name\n1,Ann\n")
    line.final_receipts("shown", 1)
    kind = "        physicalType: long\n"
    contract.write_text(contract.read_text().replace(kind, f"{kind}        logicalTypeOptions: {{maximum: 9}}\n", 1))
    line.drop("shown", "after.csv", b'id,name\n10,"Zo\xc3\xab B"\nseven,Lee\n')
    line.final_receipts("shown", 2)
    shown = line.headrace("quarantine", "show", "shown").stdout
    assert '  id=10 name="Zoë B"\n' in shown
    assert "  seven,Lee\n" in shown
    listed = json.loads(line.headrace("quarantine", "list", "shown", "--json").stdout)
    assert {(row["name"], row["stage"]) for row in listed} == {("after.csv", "judge"), ("after.csv", "read")}


def test_refused_sql_is_short(line: RunningLine) -> None:
    refused = line.process("sql", "SELCT 1", check=False)
    assert refused.returncode == 1
    assert "Code: 62" in refused.stderr
    assert "position 1" in refused.stderr
    assert "Expected one of" not in refused.stderr


def test_curl_like_get_answers_and_cannot_write(line: RunningLine) -> None:
    assert line.value("SELECT 1 + 1") == "2"
    query = urllib.parse.quote("CREATE TABLE headrace.mine (a Int8) ENGINE = Memory")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{line.settings.warehouse_address()}/?query={query}", timeout=10)
    with refused.value as answer:
        assert answer.code == 500, "ClickHouse's own status of READONLY"
        assert b"Code: " in answer.read()


def test_status_shows_every_service_and_stage_with_its_memory(line: RunningLine) -> None:
    status = line.status()
    assert set(status["services"]) >= {"kafka", "registry", "warehouse"}
    assert set(status["stages"]) >= {"watcher", "judge", "sink", "receipts", "quality"}
    for part in (status["services"] | status["stages"]).values():
        assert part["state"] == "running"
        assert part["memory_bytes"] > 0


def test_second_up_on_the_same_home_is_refused_in_one_line(line: RunningLine) -> None:
    again = line.process("up", "--detach", "--ports", "auto", check=False)
    assert again.returncode == 1
    assert "already runs" in again.stderr
    assert len(again.stderr.strip().splitlines()) <= 2


def test_wrong_dataset_name_is_refused_before_anything_is_copied(line: RunningLine, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")
    done = line.headrace("drop", str(file), "--dataset", "../escape", check=False)
    assert done.returncode == 2
    assert "dataset" in done.stderr
