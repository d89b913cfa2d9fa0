"""The running broker has the settings that the promises stand on: the broker itself is asked, not our file."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from headrace.embedded import kafka
from headrace.schemas.topics import MAX_MESSAGE_BYTES, SYSTEM_TOPICS, WEEK_MS, TopicSpec, dataset_topics
from headrace.settings import LOOPBACK, Settings
from headrace.testing.stack import EmbeddedStack
from headrace.transport.follow import read_topic
from headrace.transport.kafka import Topics

pytestmark = pytest.mark.stack

LIMIT_SECS = 30.0
FOREVER_MINUTES = 2**31 - 1


def described(stack: EmbeddedStack, kind: Any, name: str) -> dict[str, str]:
    """What the broker says of one resource."""
    settings: dict[str, Any] = dict(stack.settings.kafka_client())
    resource = ConfigResource(kind, name)
    admin = AdminClient(settings)  # it must outlive the answer
    found = admin.describe_configs([resource], request_timeout=LIMIT_SECS)[resource].result(LIMIT_SECS)
    return {entry: value.value for entry, value in found.items()}


@pytest.fixture(scope="module")
def broker(stack: EmbeddedStack) -> Mapping[str, str]:
    """The running broker's settings."""
    return described(stack, ResourceType.BROKER, "1")


def test_broker_listens_on_loopback_only(stack: EmbeddedStack, broker: Mapping[str, str]) -> None:
    listeners = broker["listeners"].split(",") + broker["advertised.listeners"].split(",")
    assert len(listeners) >= 3
    assert {listener.partition("://")[2].rpartition(":")[0] for listener in listeners} == {LOOPBACK}
    process = psutil.Process(stack.children["kafka"].pid)
    family = [process, *process.children(recursive=True)]
    bound = [
        one.laddr
        for member in family
        for one in member.net_connections(kind="inet")
        if one.status == psutil.CONN_LISTEN and one.laddr.port
    ]
    ports = {stack.settings.kafka_port, stack.settings.kafka_controller_port}
    assert ports <= {address.port for address in bound}
    assert {address.ip.removeprefix("::ffff:") for address in bound} == {LOOPBACK}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("auto.create.topics.enable", "false"),
        ("offsets.retention.minutes", str(FOREVER_MINUTES)),
        ("message.max.bytes", str(MAX_MESSAGE_BYTES)),
        ("replica.fetch.max.bytes", str(2 * MAX_MESSAGE_BYTES)),
        ("group.initial.rebalance.delay.ms", "0"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
        ("broker.session.timeout.ms", "30000"),
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "4"),
    ],
)
def test_broker_runs_with_the_setting(broker: Mapping[str, str], setting: str, value: str) -> None:
    assert broker[setting] == value


@pytest.mark.parametrize("spec", SYSTEM_TOPICS, ids=[spec.name for spec in SYSTEM_TOPICS])
def test_system_topic_is_kept_as_its_spec_says(stack: EmbeddedStack, spec: TopicSpec) -> None:
    found = described(stack, ResourceType.TOPIC, spec.name)
    assert {name: found[name] for name in spec.config()} == spec.config()
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert found["max.message.bytes"] == str(MAX_MESSAGE_BYTES)
    assert Topics(stack.settings.kafka_client()).partitions()[spec.name] == spec.partitions


def test_topics_that_are_a_memory_are_compacted_and_those_that_are_a_history_are_kept_for_ever() -> None:
    compacted = {spec.name for spec in SYSTEM_TOPICS if spec.cleanup == "compact"}
    assert {"files.ledger", "sink.blocks", "system.contracts"} <= compacted
    assert {name for name in compacted if name.endswith("-changelog")} == {
        "headrace-quality-files-changelog",
        "headrace-quality-windows-changelog",
    }
    histories = {spec.name for spec in SYSTEM_TOPICS if spec.cleanup == "delete" and spec.retention_ms == -1}
    assert histories == {"quality.alerts", "quality.windows", "quality.advice", "ml.metrics"}


def test_registrys_topic_is_compacted_in_one_partition(stack: EmbeddedStack) -> None:
    assert described(stack, ResourceType.TOPIC, "_schemas")["cleanup.policy"] == "compact"
    assert Topics(stack.settings.kafka_client()).partitions()["_schemas"] == 1


def test_positions_of_groups_are_compacted_and_never_expire(stack: EmbeddedStack, broker: Mapping[str, str]) -> None:
    settings: dict[str, Any] = {**stack.settings.kafka_client(), "transactional.id": f"kafka-settings-{uuid4()}"}
    producer = Producer(settings)
    producer.init_transactions(LIMIT_SECS)  # makes the transactions' own topic, if nobody did
    assert described(stack, ResourceType.TOPIC, "__transaction_state")["cleanup.policy"] == "compact"
    assert broker["offsets.retention.minutes"] == str(FOREVER_MINUTES)


def test_dataset_topics_are_deleted_by_age_and_by_the_bytes_of_the_setting(stack: EmbeddedStack) -> None:
    name = f"kept_{uuid4().hex[:8]}"
    specs = dataset_topics(name, partitions=2, retention_bytes=10_000_000)
    Topics(stack.settings.kafka_client()).ensure(specs)
    assert {spec.name for spec in specs} == {f"{name}.raw", f"{name}.valid", f"{name}.quarantine"}
    for spec in specs:
        found = described(stack, ResourceType.TOPIC, spec.name)
        told = {entry: found[entry] for entry in ("cleanup.policy", "retention.ms", "retention.bytes")}
        assert told == {"cleanup.policy": "delete", "retention.ms": str(WEEK_MS), "retention.bytes": "10000000"}


def test_unknown_topic_is_not_made_by_writing_or_reading_it(stack: EmbeddedStack) -> None:
    name = f"mistyped.{uuid4().hex[:8]}"
    quick = {"message.timeout.ms": 10_000, "topic.metadata.propagation.max.ms": 0}
    settings: dict[str, Any] = {**stack.settings.kafka_client(), **quick}
    outcomes: list[KafkaError | None] = []
    producer = Producer(settings)
    producer.produce(name, b"x", on_delivery=lambda error, _message: outcomes.append(error))
    assert producer.flush(LIMIT_SECS) == 0
    assert [error is not None and error.code() for error in outcomes] == [KafkaError.UNKNOWN_TOPIC_OR_PART]
    assert name not in Topics(stack.settings.kafka_client()).partitions()


def test_time_of_a_message_is_the_brokers_whatever_its_producer_says(stack: EmbeddedStack) -> None:
    name = f"timed_{uuid4().hex[:8]}"
    Topics(stack.settings.kafka_client()).ensure(dataset_topics(name))
    settings: dict[str, Any] = dict(stack.settings.kafka_client())
    producer = Producer(settings)
    for told in (1, 4_102_444_800_000):
        producer.produce(f"{name}.raw", b"x", timestamp=told)
    assert producer.flush(LIMIT_SECS) == 0
    started_ms = psutil.Process(stack.children["kafka"].pid).create_time() * 1_000
    times = [message.published_at_ms for message in read_topic(stack.settings.kafka_client(), f"{name}.raw")]
    assert len(times) == 2
    assert all(started_ms < found < 4_102_444_800_000 for found in times)


@pytest.mark.parametrize("service", ["registry", "warehouse"])
def test_http_service_listens_on_loopback_only(stack: EmbeddedStack, service: str) -> None:
    port = getattr(stack.settings, f"{service}_port")
    process = psutil.Process(stack.children[service].pid)
    family = [process, *process.children(recursive=True)]
    bound = {
        (one.laddr.ip, one.laddr.port)
        for member in family
        for one in member.net_connections(kind="inet")
        if one.status == psutil.CONN_LISTEN
    }
    assert {address for address, _ in bound} == {LOOPBACK}
    assert (LOOPBACK, port) in bound  # besides it, the one of its metrics
    addresses = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None)} - {LOOPBACK, "::1"}
    for address in addresses:
        with pytest.raises(OSError, match=r"refused|unreachable|timed out|Cannot assign"):
            socket.create_connection((str(address), port), 2).close()


def test_folder_is_formatted_whatever_its_id_begins_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uuid.uuid4", lambda: UUID(bytes=b"\xfb" * 16))
    kafka.prepare(Settings(home=tmp_path))
    assert "cluster.id=-_v7" in (tmp_path / "kafka" / "data" / "meta.properties").read_text()
