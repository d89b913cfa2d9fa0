"""The registry on the real Kafka with Confluent's unmodified client, and with what curl sends."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from headrace.errors import WrongUse
from headrace.schemas.topics import TopicSpec
from headrace.testing.registry import ask
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import Topics
from headrace.transport.schema_log import SchemaLog

pytestmark = pytest.mark.stack

ORDER = (
    '{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},'
    '{"name":"note","type":["null","string"],"default":null}]}'
)
ORDER_WIDER = ORDER[:-2] + ',{"name":"price","type":["null","double"],"default":null}]}'
ORDER_BROKEN = '{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}'


@pytest.fixture
def client(stack: EmbeddedStack) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": stack.settings.registry_address()}) as found:
        yield found


def avro(text: str) -> Schema:
    return Schema(text, "AVRO")


def test_confluents_client_registers_and_finds_schemas(client: SchemaRegistryClient) -> None:
    subject = "registry client/1-value"
    only_here = avro(ORDER.replace("Order", "OnlyHere"))
    first = client.register_schema(subject, only_here)
    assert client.register_schema(subject, only_here) == first
    second = client.register_schema(subject, avro(ORDER_WIDER.replace("Order", "OnlyHere")))
    assert client.get_schema(second).schema_str == ORDER_WIDER.replace("Order", "OnlyHere")
    assert subject in client.get_subjects(subject_prefix="registry client")
    assert client.get_versions(subject) == [1, 2]
    assert client.get_latest_version(subject).schema_id == second
    assert client.get_version(subject, 1).schema_id == first
    assert client.lookup_schema(subject, only_here).version == 1
    assert {one.subject for one in client.get_schema_versions(first)} == {subject}
    assert client.get_subjects_by_schema_id(first) == [subject]
    assert client.get_schema_types() == ["AVRO"]
    assert client.get_contexts() == ["."]
    guid = client.get_version(subject, 1).guid or ""
    assert client.get_schema_by_guid(guid).schema_str == only_here.schema_str
    assert client.get_referenced_by(subject, 1) == []


def test_confluents_client_sets_levels_and_modes(client: SchemaRegistryClient) -> None:
    subject = "registry-client-2"
    client.register_schema(subject, avro(ORDER))
    assert client.get_compatibility() == "BACKWARD"
    client.set_compatibility(subject, "FULL_TRANSITIVE")
    assert client.get_compatibility(subject) == "FULL_TRANSITIVE"
    assert client.get_config(subject).compatibility_level == "FULL_TRANSITIVE"
    assert client.test_compatibility(subject, avro(ORDER_WIDER)) is True
    assert client.test_compatibility(subject, avro(ORDER_BROKEN)) is False
    assert client.test_compatibility_all_versions(subject, avro(ORDER_BROKEN)) is False
    client.delete_config(subject)
    assert client.update_mode(subject, "READONLY") == "READONLY"
    client.clear_caches()  # type: ignore[no-untyped-call]
    assert client.register_schema(subject, avro(ORDER)) == client.get_latest_version(subject).schema_id
    with pytest.raises(SchemaRegistryError, match="read-only mode") as refused:
        client.register_schema(subject, avro(ORDER_WIDER))
    assert (refused.value.http_status_code, refused.value.error_code) == (422, 42205)
    assert client.delete_mode(subject) == "READONLY"
    assert client.get_global_mode() == "READWRITE"


def test_confluents_client_deletes_softly_and_for_good(client: SchemaRegistryClient) -> None:
    subject = "registry-client-3"
    schema_id = client.register_schema(subject, avro(ORDER_WIDER.replace("Order", "Gone")))
    assert client.delete_version(subject, 1) == 1
    assert client.get_versions(subject, deleted=True) == [1]
    assert client.delete_version(subject, 1, permanent=True) == 1
    client.clear_caches()  # type: ignore[no-untyped-call]
    with pytest.raises(SchemaRegistryError) as unknown:
        client.get_schema(schema_id)
    assert (unknown.value.http_status_code, unknown.value.error_code) == (404, 40403)
    client.register_schema(subject, avro(ORDER))
    assert client.delete_subject(subject) == [1]
    assert client.delete_subject(subject, permanent=True) == [1]
    assert subject not in client.get_subjects(deleted=True)


def test_an_incompatible_schema_is_told_to_confluents_client(client: SchemaRegistryClient) -> None:
    client.register_schema("registry-client-4", avro(ORDER))
    with pytest.raises(SchemaRegistryError, match="TYPE_MISMATCH") as refused:
        client.register_schema("registry-client-4", avro(ORDER_BROKEN))
    assert (refused.value.http_status_code, refused.value.error_code) == (409, 409)


def test_confluents_serializers_carry_a_record_through(client: SchemaRegistryClient) -> None:
    context = SerializationContext("registry-orders", MessageField.VALUE)
    order = {"id": 7, "note": "ünï"}
    message = AvroSerializer(client, ORDER)(order, context)
    assert message is not None
    assert message[0] == 0
    latest = client.get_latest_version("registry-orders-value")
    assert int.from_bytes(message[1:5]) == latest.schema_id
    assert AvroDeserializer(client)(message, context) == order
    wider = AvroDeserializer(client, ORDER_WIDER)(message, context)
    assert wider == {**order, "price": None}


def test_what_curl_sends_is_understood(stack: EmbeddedStack) -> None:
    address = stack.settings.registry_address()
    body = {"schema": ORDER}
    registered = ask(address, "POST", "/subjects/registry-curl/versions", body, {"Content-Type": "application/json"})
    assert registered.status == 200
    found = ask(address, "GET", f"/schemas/ids/{registered.body['id']}")
    assert (found.body["schema"], found.headers["content-type"]) == (ORDER, "application/vnd.schemaregistry.v1+json")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(address, "POST", "/subjects/registry-curl/versions", body, form).status == 415
    assert ask(address, "GET", "/nowhere").error == (404, 404, "HTTP 404 Not Found")
    assert ask(address, "GET", "/subjects", headers={"Host": "evil.example"}).status == 403
    assert ask(address, "GET", "/subjects", headers={"Origin": "http://evil.example"}).status == 403


def test_many_writers_at_once_get_one_id_a_schema(stack: EmbeddedStack) -> None:
    address = stack.settings.registry_address()
    texts = [ORDER.replace("Order", f"Race{number}") for number in range(6)]

    def register(place: int) -> tuple[str, int]:
        text = texts[place % len(texts)]
        answer = ask(address, "POST", f"/subjects/registry-race-{place // 6}-{place % 6}/versions", {"schema": text})
        return text, answer.body["id"]

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(register, range(48)))
    assert len(found) == len({schema_id for _, schema_id in found}) == len(texts)


def schema_records(stack: EmbeddedStack) -> list[tuple[bytes, bytes | None]]:
    """Every record that is on `_schemas` now, read with a consumer of its own."""
    settings: dict[str, Any] = {
        **stack.settings.kafka_client(),
        "group.id": "registry-test",
        "enable.partition.eof": True,
    }
    consumer = Consumer(settings)
    consumer.assign([TopicPartition("_schemas", 0, 0)])
    found: list[tuple[bytes, bytes | None]] = []
    try:
        while (message := consumer.poll(20)) is not None and message.error() is None:
            found.append((message.key() or b"", message.value()))
    finally:
        consumer.close()
    return found


def test_the_topic_holds_confluents_records(stack: EmbeddedStack, client: SchemaRegistryClient) -> None:
    subject = "registry-records"
    schema_id = client.register_schema(subject, avro('{"type": "record", "name": "Told", "fields": []}'))
    client.set_compatibility(subject, "NONE")
    client.delete_subject(subject)
    client.delete_subject(subject, permanent=True)
    ours = [(key, value) for key, value in schema_records(stack) if b'"registry-records"' in key]
    schema_key = b'{"keytype":"SCHEMA","subject":"registry-records","version":1,"magic":1}'
    config_key = b'{"keytype":"CONFIG","subject":"registry-records","magic":0}'
    assert ours == [
        (
            schema_key,
            b'{"subject":"registry-records","version":1,"id":%d,"md5":"M8ttocOQJ0EjVBokC/Ae6A==",'
            b'"schema":"{\\"type\\":\\"record\\",\\"name\\":\\"Told\\",\\"fields\\":[]}","deleted":false}' % schema_id,
        ),
        (config_key, b'{"subject":"registry-records","compatibilityLevel":"NONE"}'),
        (
            b'{"keytype":"DELETE_SUBJECT","subject":"registry-records","magic":0}',
            b'{"subject":"registry-records","version":1}',
        ),
        (schema_key, None),
        (config_key, None),
    ]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (TopicSpec("registry-test-deleting", cleanup="delete"), 'cleanup.policy "delete"'),
        (TopicSpec("registry-test-wide", cleanup="compact", partitions=2), "2 partitions"),
    ],
)
def test_a_topic_that_would_lose_schemas_is_refused(stack: EmbeddedStack, spec: TopicSpec, reason: str) -> None:
    client = stack.settings.kafka_client()
    Topics(client).ensure([spec])
    log = SchemaLog(client, spec.name, lambda _key, _value, _offset: None)
    with pytest.raises(WrongUse, match=reason):
        log.open()
    log.close()


def test_the_registry_answers_with_little_memory(stack: EmbeddedStack) -> None:
    status = Path(f"/proc/{stack.children['registry'].pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    assert json.loads(resident.split()[1]) * 1024 < 90 * 2**20
