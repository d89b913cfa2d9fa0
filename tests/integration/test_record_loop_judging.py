"""The judge against real Kafka and a real registry: what goes where, and what never stops it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from headrace.core.child import wait_until
from headrace.core.identity import root_span_id, stable_slot, trace_id
from headrace.observability.propagation import traceparent
from headrace.observability.tracing import FileTracer, Kind, SpanRecord
from headrace.schemas.codec import decode, encode, polars_schema
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import ContractStore, contract_path
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_system, schema_id_of
from headrace.schemas.topics import (
    PROFILES,
    QUALITY_PARTITIONS,
    SYSTEM_TOPICS,
    data_topic,
    dataset_topics,
    value_subject,
)
from headrace.stream_processors.record_loop import RecordLoop
from headrace.stream_processors.sketches.registry import unpack_cell
from headrace.stream_processors.sketches.tally import Tally
from headrace.testing.deltas import readable_deltas
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import Headers, Topics, TransactionalWriter

pytestmark = pytest.mark.stack
LIMIT_SECS = 90.0

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: urn:test:{dataset}
name: {dataset}
version: {version}
status: active
schema:
  - name: {dataset}
    logicalType: object
    customProperties: [{{property: window, value: P1D}}]
    properties:
      - name: item
        logicalType: string
        required: true
      - name: price
        logicalType: number
        logicalTypeOptions:
          minimum: {minimum}
"""


@dataclass
class Line:
    """A dataset's topics with what a watcher would have put there."""

    stack: EmbeddedStack
    dataset: str

    def __post_init__(self) -> None:
        settings = self.stack.settings
        self.client = settings.kafka_client()
        self.registry = Registry(settings)
        self.store = ContractStore(settings, self.client, self.registry)
        Topics(self.client).ensure((*SYSTEM_TOPICS, *dataset_topics(self.dataset)))
        self.contract = self.law("1.0.0", minimum=0)
        self.schema = self.contract.record_schema
        for stage in ("raw", "valid"):
            self.id = self.registry.register(value_subject(self.topic(stage)), self.schema.text())
        self._writer = TransactionalWriter(self.client, f"headrace-ingest-test-{self.dataset}")

    def close(self) -> None:
        self.store.close()
        self.registry.close()

    def topic(self, stage: str) -> str:
        return data_topic(self.dataset, stage)

    def law(self, version: str, *, minimum: float) -> Contract:
        text = CONTRACT.format(dataset=self.dataset, version=version, minimum=minimum)
        contract = parse_contract(text)
        path = contract_path(self.stack.settings.paths(), self.dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.store.record(contract)
        return contract

    def messages(self, file: str | None, *rows: tuple[str | None, float | None], first: int = 0) -> list[bytes]:
        columns = {
            "item": [item for item, _ in rows],
            "price": [price for _, price in rows],
            "_file": [file] * len(rows),
            "_row": range(first, first + len(rows)),
        }
        return encode(pl.DataFrame(columns, schema=polars_schema(self.schema)), self.schema, self.id)

    def headers(self, file: str, contract: Contract | None = None) -> Headers:
        return [
            ("traceparent", traceparent(trace_id(self.dataset, file), "a" * 16).encode()),
            ("contract", (contract or self.contract).version.encode()),
        ]

    def publish(self, *parts: tuple[Sequence[bytes], Headers | None]) -> None:
        self._writer.begin()
        for values, headers in parts:
            self._writer.write(self.topic("raw"), values, partition=0, headers=headers)
        self._writer.commit()

    def read(self, topic: str, partition: int = 0) -> list[Any]:
        consumer = Consumer(
            {
                **self.client,
                "group.id": "test",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            }
        )
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        found: list[Any] = []
        try:
            while (message := consumer.poll(10.0)) is not None:  # an empty one is false
                if message.error() is not None:
                    break
                found.append(message)
        finally:
            consumer.close()
        return found

    def valid(self) -> list[bytes]:
        return [message.value() for message in self.read(self.topic("valid"))]

    def quarantined(self) -> list[dict[str, Any]]:
        return [read_system("quarantined_row", message.value()) for message in self.read(self.topic("quarantine"))]

    def deltas(self) -> list[dict[str, Any]]:
        """Return the dataset's deltas. The topic is shared; a commit is seen in each partition at its own moment."""
        deltas: list[dict[str, Any]] = []

        def came() -> bool:
            found = self.read(PROFILES, stable_slot(self.dataset, QUALITY_PARTITIONS))
            mine = [message.value() for message in found if message.key() == self.dataset.encode()]
            deltas[:] = readable_deltas(mine)
            return bool(deltas)

        assert wait_until(came, LIMIT_SECS)
        return deltas

    def wait_for(self, *, valid: int = 0, quarantined: int = 0) -> None:
        assert wait_until(lambda: len(self.valid()) >= valid and len(self.quarantined()) >= quarantined, LIMIT_SECS)


@contextmanager
def judging(stack: EmbeddedStack, spans: list[SpanRecord] | None = None) -> Iterator[None]:
    stop = threading.Event()
    sink = [] if spans is None else spans
    loop = RecordLoop(stack.settings, 0, FileTracer(sink.append), stop)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            loop.run()
        except BaseException as error:  # shown by the test that started it
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LIMIT_SECS)
        loop.close()
        assert not thread.is_alive()
        assert not failures


@pytest.fixture
def line(stack: EmbeddedStack, request: pytest.FixtureRequest) -> Iterator[Line]:
    name = "".join(part[0] for part in request.node.name.split("_")) + f"_{stable_slot(request.node.name, 10**6)}"
    made = Line(stack, name)
    yield made
    made.close()


FILE, OTHER = "f" * 16, "0" * 16


def test_valid_bytes_go_on_unchanged_with_headers_of_their_own(line: Line) -> None:
    values = line.messages(FILE, ("a", 1.5), ("ü", None), ("c", 0.0))
    line.publish((values, line.headers(FILE)))
    spans: list[SpanRecord] = []
    with judging(line.stack, spans):
        line.wait_for(valid=3)
    found = line.read(line.topic("valid"))
    assert [message.value() for message in found] == values
    (span,) = [span for span in spans if span.trace_id == trace_id(line.dataset, FILE)]
    assert (span.name, span.parent_span_id, span.attributes["headrace.rows"]) == ("judge", "a" * 16, 3)
    for message in found:
        assert dict(message.headers()) == {
            "traceparent": traceparent(trace_id(line.dataset, FILE), span.span_id).encode(),
            "contract": line.contract.version.encode(),
        }


def test_batch_of_several_files_is_one_span_that_links_to_those_that_published_them(line: Line) -> None:
    one, other = line.messages(FILE, ("a", 1.5)), line.messages(OTHER, ("b", 1.0), ("c", -1.0))
    line.publish((one, line.headers(FILE)), (other, line.headers(OTHER)))
    spans: list[SpanRecord] = []
    with judging(line.stack, spans):
        line.wait_for(valid=2, quarantined=1)
    traces = [trace_id(line.dataset, file) for file in (FILE, OTHER)]
    # The stack is shared: what other tests published and nobody judged may be in the batch too.
    batches = [span for span in spans if span.name == "judge batch"]
    (batch,) = [span for span in batches if {link.trace_id for link in span.links} & set(traces)]
    ours = [(link.trace_id, link.span_id) for link in batch.links if link.trace_id in traces]
    assert ours == [(trace, "a" * 16) for trace in traces]
    assert (batch.kind, int(str(batch.attributes["messaging.batch.message_count"])) >= 3) == (Kind.CONSUMER, True)
    files = {span.trace_id: span for span in spans if span.trace_id in traces}
    for span in files.values():
        assert [(link.trace_id, link.span_id) for link in span.links] == [(batch.trace_id, batch.span_id)]
        assert span.attributes["messaging.destination.name"] == line.topic("raw")
    assert [span.attributes["messaging.kafka.offset"] for span in files.values()] == [0, 1]
    rows = [files[traces[1]].attributes[f"headrace.{name}"] for name in ("first_row", "last_row", "last_offset")]
    assert rows == [0, 1, 2]


@pytest.mark.parametrize(
    "headers",
    [
        [("b3", f"{'c' * 32}-{'d' * 16}-1".encode())],
        [("X-B3-TraceId", b"c" * 32), ("X-B3-SpanId", b"d" * 16), ("X-B3-Sampled", b"1")],
        [("traceparent", f"00-{'c' * 32}-{'d' * 16}-01".encode()), ("tracestate", b"vendor=1")],
    ],
)
def test_context_of_a_foreign_producer_is_linked_and_its_state_passed_on(line: Line, headers: Headers) -> None:
    line.publish((line.messages(FILE, ("a", 1.5)), [*headers, ("contract", line.contract.version.encode())]))
    spans: list[SpanRecord] = []
    with judging(line.stack, spans):
        line.wait_for(valid=1)
    (span,) = [span for span in spans if span.trace_id == trace_id(line.dataset, FILE)]
    assert span.parent_span_id == root_span_id(line.dataset, FILE)
    foreign, *of_batch = [(link.trace_id, link.span_id) for link in span.links]
    assert foreign == ("c" * 32, "d" * 16)
    assert of_batch == [(one.trace_id, one.span_id) for one in spans if one.name == "judge batch"][: len(of_batch)]
    given, (message,) = dict(headers).get("tracestate"), line.read(line.topic("valid"))
    assert (dict(message.headers()).get("tracestate"), span.state.encode()) == (given, given or b"")


def test_trace_that_its_producer_did_not_keep_is_not_recorded_and_stays_so(line: Line) -> None:
    header = traceparent(trace_id(line.dataset, FILE), "a" * 16, sampled=False).encode()
    line.publish((line.messages(FILE, ("a", 1.5)), [("traceparent", header), *line.headers(FILE)[1:]]))
    spans: list[SpanRecord] = []
    with judging(line.stack, spans):
        line.wait_for(valid=1)
    assert trace_id(line.dataset, FILE) not in {span.trace_id for span in spans}
    (message,) = line.read(line.topic("valid"))
    assert dict(message.headers())["traceparent"].endswith(b"-00")


def test_rejected_rows_carry_every_reason_and_their_bytes(line: Line) -> None:
    values = line.messages(FILE, ("a", 1.5), (None, -2.0), ("c", -1.0), first=10)
    line.publish((values, line.headers(FILE)))
    with judging(line.stack):
        line.wait_for(valid=1, quarantined=2)
    assert line.valid() == values[:1]
    both, price = line.quarantined()
    assert [(row["_file"], row["_row"], row["stage"]) for row in (both, price)] == [
        (FILE, 11, "judge"),
        (FILE, 12, "judge"),
    ]
    assert [(reason["code"], reason["field"]) for reason in both["reasons"]] == [
        ("required", "item"),
        ("out_of_range", "price"),
    ]
    assert [reason["code"] for reason in price["reasons"]] == ["out_of_range"]
    assert both["record"] == values[1]
    assert (both["source_topic"], both["source_partition"], both["source_offset"]) == (line.topic("raw"), 0, 1)
    assert (both["schema_id"], both["contract_version"]) == (line.id, line.contract.version)
    assert both["trace_id"] == trace_id(line.dataset, FILE)
    (delta,) = line.deltas()
    assert (delta["file"], delta["stage"], delta["rows"], delta["rejected"]) == (FILE, "judge", 3, 2)
    assert delta["reasons"] == {"required": 1, "out_of_range": 2}
    assert [(column["name"], column["rows"], column["nulls"]) for column in delta["columns"]] == [
        ("item", 3, 1),
        ("price", 3, 0),
    ]
    (window,) = delta["windows"]
    (message, *_) = line.read(line.topic("raw"))
    assert (window["clock"], window["rows"], window["rejected"]) == ("arrival", 3, 2)
    assert window["start"] == message.timestamp()[1] // 86_400_000 * 86_400
    assert unpack_cell(window["fields"]["item"]["counts"]) == Tally({"rows": 3, "nulls": 1})


def test_interleaved_files_are_each_judged_by_their_own_contract(line: Line) -> None:
    strict = line.law("2.0.0", minimum=100)
    lax_rows = line.messages(FILE, ("a", 1.0), ("b", 2.0))
    strict_rows = line.messages(OTHER, ("c", 1.0), ("d", 200.0))
    line.publish(
        (lax_rows[:1], line.headers(FILE)),
        (strict_rows[:1], line.headers(OTHER, strict)),
        (lax_rows[1:], line.headers(FILE)),
        (strict_rows[1:], line.headers(OTHER, strict)),
    )
    with judging(line.stack):
        line.wait_for(valid=3, quarantined=1)
    assert sorted(line.valid()) == sorted([*lax_rows, strict_rows[1]])
    (row,) = line.quarantined()
    assert (row["_file"], row["_row"], row["contract_version"]) == (OTHER, 0, strict.version)
    assert sum(delta["rows"] for delta in line.deltas()) == 4


def test_foreign_messages_are_put_aside_and_stop_nothing(line: Line) -> None:
    good = line.messages(FILE, ("a", 1.0), ("b", 2.0))
    foreign_schema = line.registry.register("orders-value", '{"type":"record","name":"x","fields":[]}')
    unknown = (2**31 - 5).to_bytes(4)
    strange = {
        b"": "wrong_magic",
        b'{"item": "a"}': "wrong_magic",
        b"\0\0": "truncated",
        b"\0" + unknown + b"abc": "unknown_schema",
        b"\0" + foreign_schema.to_bytes(4): "foreign",
        good[0][:-1]: "truncated",
        good[0] + b"x": "overlong",
        good[0].replace(b"\x02a", b"\x02\xff"): "bad_encoding",
        good[0][:5] + b"\x07" + good[0][6:]: "malformed",
        line.messages(None, ("c", 1.0))[0]: "foreign",
    }
    line.publish((good[:1], line.headers(FILE)), (list(strange), None), (good[1:], line.headers(FILE)))
    with judging(line.stack):
        line.wait_for(valid=2, quarantined=len(strange))
    assert line.valid() == good
    rows = line.quarantined()
    assert {row["record"]: row["reasons"][0]["code"] for row in rows} == strange
    assert sorted((row["_row"], row["source_offset"]) for row in rows) == [(at, at) for at in range(1, 11)]
    assert {(row["_file"], row["stage"], row["source_topic"]) for row in rows} == {("", "judge", line.topic("raw"))}


def test_a_tombstone_is_a_foreign_message(line: Line) -> None:
    line.publish(([None], None), (line.messages(FILE, ("a", 1.0)), line.headers(FILE)))  # type: ignore[list-item]
    with judging(line.stack):
        line.wait_for(valid=1, quarantined=1)
    assert line.quarantined()[0]["reasons"][0]["code"] == "wrong_magic"


def test_records_without_headers_are_judged_by_the_contract_in_force(line: Line) -> None:
    strict = line.law("2.0.0", minimum=100)
    values = line.messages(FILE, ("a", 1.0), ("b", 100.0))
    line.publish((values, None))
    with judging(line.stack):
        line.wait_for(valid=1, quarantined=1)
    assert line.valid() == values[1:]
    assert line.quarantined()[0]["contract_version"] == strict.version


def test_a_contract_that_was_never_recorded_makes_records_foreign_that_still_count_as_the_files(line: Line) -> None:
    values = line.messages(FILE, ("a", 1.0), ("b", 1.0), first=7)
    line.publish((values, [("contract", b"9.9.9+00000000")]))
    with judging(line.stack):
        line.wait_for(quarantined=2)
    rows = line.quarantined()
    assert [row["reasons"][0]["code"] for row in rows] == ["foreign", "foreign"]
    assert [(row["_file"], row["_row"], row["source_offset"]) for row in rows] == [(FILE, 7, 0), (FILE, 8, 1)]
    assert {row["trace_id"] for row in rows} == {trace_id(line.dataset, FILE)}


def test_a_topic_that_is_made_later_is_found(stack: EmbeddedStack) -> None:
    with judging(stack):
        first = Line(stack, "made_while_running")
        first.publish((first.messages(FILE, ("a", 1.0)), first.headers(FILE)))
        first.wait_for(valid=1)
        values = first.messages(OTHER, ("b", 1.0))
        first.publish((values, first.headers(OTHER)))
        first.wait_for(valid=2)
        first.close()
    assert decode(first.valid(), first.schema)["_file"].to_list() == [FILE, OTHER]
    assert {schema_id_of(value) for value in first.valid()} == {first.id}


def test_a_raw_topic_of_somebody_else_stops_nobody(line: Line) -> None:
    Topics(line.client).ensure(dataset_topics("somebody_elses")[:1])
    writer = TransactionalWriter(line.client, "somebody-else")
    writer.begin()
    writer.write("somebody_elses.raw", [b"hello"], partition=0)
    writer.commit()
    values = line.messages(FILE, ("a", 1.0))
    line.publish((values, line.headers(FILE)))
    with judging(line.stack):
        line.wait_for(valid=1)
        assert wait_until(lambda: "somebody_elses.quarantine" in Topics(line.client).partitions(), LIMIT_SECS)
        assert wait_until(lambda: len(line.read("somebody_elses.quarantine")) == 1, LIMIT_SECS)
