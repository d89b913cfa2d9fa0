"""Every call of Confluent's unmodified Python client is answered as Confluent's registry does, or refused by name."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, ServerConfig
from confluent_kafka.schema_registry.common.schema_registry_client import (
    AssociationCreateOrUpdateRequest,
    ConfigCompatibilityLevel,
)
from confluent_kafka.schema_registry.error import SchemaRegistryError

from headrace.testing.stack import EmbeddedStack

pytestmark = pytest.mark.stack

SUBJECT = "every-call"
ONE = Schema('{"type":"record","name":"EveryCall","fields":[]}', "AVRO")
TWO = Schema('{"type":"record","name":"EveryCall","fields":[{"name":"a","type":"int","default":0}]}', "AVRO")
BROKEN = Schema('{"type":"record","name":"EveryCall","fields":[{"name":"a","type":"string"}]}', "AVRO")
FORWARD = ServerConfig(compatibility=ConfigCompatibilityLevel.FORWARD)
LOCAL = {"clear_caches", "clear_latest_caches", "close", "config", "new_client"}
# Calls that stand in the tests by name; the last two tests are about all of them.
ANSWERED: dict[str, tuple[Callable[[SchemaRegistryClient], Any], Any]] = {
    "register_schema": (lambda client: client.register_schema(SUBJECT, ONE) > 0, True),
    "register_schema_full_response": (lambda client: client.register_schema_full_response(SUBJECT, TWO).version, 2),
    "lookup_schema": (lambda client: client.lookup_schema(SUBJECT, ONE, deleted=True).version, 1),
    "get_schema": (lambda client: client.get_schema(_id(client), SUBJECT).schema_str, TWO.schema_str),
    "get_schema_by_guid": (lambda client: client.get_schema_by_guid(_guid(client)).schema_str, TWO.schema_str),
    "get_schema_types": (lambda client: client.get_schema_types(), ["AVRO"]),
    "get_schema_versions": (
        lambda client: [
            (one.subject, one.version) for one in client.get_schema_versions(_id(client), SUBJECT, limit=5)
        ],
        [(SUBJECT, 2)],
    ),
    "get_subjects_by_schema_id": (
        lambda client: client.get_subjects_by_schema_id(_id(client), SUBJECT, True, 0, 9),
        [SUBJECT],
    ),
    "get_subjects": (lambda client: client.get_subjects(SUBJECT, offset=0, limit=1), [SUBJECT]),
    "get_versions": (lambda client: client.get_versions(SUBJECT, offset=1, limit=1), [2]),
    "get_version": (lambda client: client.get_version(SUBJECT, 1).schema.schema_str, ONE.schema_str),
    "get_latest_version": (lambda client: client.get_latest_version(SUBJECT).version, 2),
    "get_referenced_by": (lambda client: client.get_referenced_by(SUBJECT, "latest", 0, 5), []),
    "get_contexts": (lambda client: client.get_contexts(limit=3), ["."]),
    "get_compatibility": (lambda client: client.get_compatibility(), "BACKWARD"),
    "set_compatibility": (lambda client: client.set_compatibility(SUBJECT, "FULL"), {"compatibility": "FULL"}),
    "get_config": (lambda client: client.get_config(SUBJECT).compatibility_level, "FULL"),
    "set_config": (lambda client: client.set_config(SUBJECT, FORWARD), {"compatibility": "FORWARD"}),
    "delete_config": (lambda client: client.delete_config(SUBJECT).compatibility_level, "FORWARD"),
    "test_compatibility": (lambda client: client.test_compatibility(SUBJECT, BROKEN, verbose=True), False),
    "test_compatibility_all_versions": (lambda client: client.test_compatibility_all_versions(SUBJECT, TWO), True),
    "update_mode": (lambda client: client.update_mode(SUBJECT, "READONLY"), "READONLY"),
    "get_mode": (lambda client: client.get_mode(SUBJECT), "READONLY"),
    "delete_mode": (lambda client: client.delete_mode(SUBJECT), "READONLY"),
    "update_global_mode": (lambda client: client.update_global_mode("READWRITE"), "READWRITE"),
    "get_global_mode": (lambda client: client.get_global_mode(), "READWRITE"),
    "delete_version": (lambda client: client.delete_version(SUBJECT, 1), 1),
    "delete_subject": (lambda client: client.delete_subject(SUBJECT), [2]),
}
REFUSED: dict[str, tuple[Callable[[SchemaRegistryClient], Any], tuple[int, int]]] = {
    "get_latest_with_metadata": (
        lambda client: client.get_latest_with_metadata(SUBJECT, {"owner": "me"}),
        (422, 42201),
    ),
    "create_association": (
        lambda client: client.create_association(AssociationCreateOrUpdateRequest("topic", "here", "id", "topic", [])),
        (404, 404),
    ),
    "delete_associations": (lambda client: client.delete_associations("id"), (404, 404)),
    "get_associations_by_resource_name": (
        lambda client: client.get_associations_by_resource_name("topic", "here"),
        (404, 404),
    ),
    "normalize": (lambda client: client.register_schema(SUBJECT, Schema('"int"', "AVRO"), True), (422, 42201)),
    "format": (lambda client: client.get_version(SUBJECT, 1, fmt="resolved"), (422, 42201)),
    "json": (lambda client: client.register_schema(SUBJECT, Schema("{}", "JSON")), (422, 42201)),
    "import": (lambda client: client.update_global_mode("IMPORT"), (422, 42205)),
    "group": (lambda client: client.set_config(SUBJECT, ServerConfig(compatibility_group="x")), (422, 42205)),
}


def _id(client: SchemaRegistryClient) -> int:
    return int(client.get_latest_version(SUBJECT).schema_id or 0)


def _guid(client: SchemaRegistryClient) -> str:
    return str(client.get_latest_version(SUBJECT).guid)


@pytest.fixture
def client(stack: EmbeddedStack) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": stack.settings.registry_address()}) as found:
        yield found


def test_every_call_of_the_client_is_known_here() -> None:
    """A new version of the client may bring new ones: then they are answered or refused, and stand here."""
    calls = {name for name, _ in inspect.getmembers(SchemaRegistryClient) if not name.startswith("_")}
    assert calls - LOCAL == ANSWERED.keys() | (REFUSED.keys() & calls)


def test_calls_are_answered_one_after_another(client: SchemaRegistryClient) -> None:
    for name, (call, expected) in ANSWERED.items():
        client.clear_caches()  # type: ignore[no-untyped-call]
        found = call(client)
        assert (
            found == expected or expected in vars(found).values() if name == "set_compatibility" else found == expected
        )
    assert client.delete_version(SUBJECT, 2, permanent=True) == 2
    assert client.delete_subject(SUBJECT, permanent=True) == [1]


@pytest.mark.parametrize("name", REFUSED)
def test_call_for_what_is_not_there_is_refused_by_code(client: SchemaRegistryClient, name: str) -> None:
    call, expected = REFUSED[name]
    with pytest.raises(SchemaRegistryError) as refused:
        call(client)
    assert (refused.value.http_status_code, refused.value.error_code) == expected
    assert expected[0] == 404 or "not supported" in str(refused.value) or "Invalid schema type" in str(refused.value)
