"""The records of `_schemas`: their bytes, and what the store makes of records of other registries."""

import json

import pytest

from headrace.embedded.registry import records
from headrace.embedded.registry.avro_check import parse_new
from headrace.embedded.registry.records import SchemaVersion
from headrace.embedded.registry.store import RecordRefused, RecordUnreadable, Store
from headrace.testing.registry import MemoryRegistry


def key(kind: str, subject: str | None = "a", **more: object) -> bytes:
    return json.dumps({"keytype": kind, "subject": subject, **more}).encode()


def schema(**value: object) -> bytes:
    return json.dumps({"subject": "a", "version": 1, "id": 3, "schema": '"int"', **value}).encode()


def test_records_are_confluents_byte_for_byte() -> None:
    version = SchemaVersion("ü-value", 1, 7, '"int"')
    assert records.schema_record(version) == (
        '{"keytype":"SCHEMA","subject":"ü-value","version":1,"magic":1}'.encode(),
        '{"subject":"ü-value","version":1,"id":7,"md5":"71JOobkecxc9k4reNsHbMg==","schema":"\\"int\\"","deleted":false}'.encode(),
    )
    assert records.schema_tombstone("a", 2) == (b'{"keytype":"SCHEMA","subject":"a","version":2,"magic":1}', None)
    assert records.config_record("a", "FULL") == (
        b'{"keytype":"CONFIG","subject":"a","magic":0}',
        b'{"subject":"a","compatibilityLevel":"FULL"}',
    )
    assert records.config_record(None, "NONE") == (
        b'{"keytype":"CONFIG","subject":null,"magic":0}',
        b'{"compatibilityLevel":"NONE"}',
    )
    assert records.mode_record(None, "READONLY") == (
        b'{"keytype":"MODE","subject":null,"magic":0}',
        b'{"mode":"READONLY"}',
    )
    assert records.subject_deleted_record("a", 3) == (
        b'{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}',
        b'{"subject":"a","version":3}',
    )
    assert records.highest_id_record(9)[0] == b'{"keytype":"NOOP","magic":0}'


def test_schemas_of_other_registries_are_found_whatever_their_blanks() -> None:
    store = Store()
    store.apply(key("SCHEMA", version=1, magic=0), schema(schema='{ "type" : "int" }', schemaType="AVRO"))
    assert store.ids_of(parse_new('"int"')) == [3]
    assert store.highest_id == 3


def test_schemas_with_references_stay_readable_and_are_not_compared() -> None:
    reference = {"name": "x", "subject": "base", "version": 1}
    base = json.dumps({"subject": "base", "version": 1, "id": 2, "schema": '"int"', "deleted": False}).encode()
    held = [
        (key("SCHEMA", "base", version=1), base),
        (key("SCHEMA", version=1), schema(schema='"x"', references=[reference])),
    ]
    with MemoryRegistry(records=held) as registry:
        assert registry.call("GET", "/schemas/ids/3").body["references"] == [reference]
        assert registry.call("GET", "/subjects/base/versions/1/referencedby").body == [3]
        assert registry.call("DELETE", "/subjects/base").body["error_code"] == 42206
        assert registry.call("DELETE", "/subjects/base/versions/1").body["error_code"] == 42206
        answer = registry.call("POST", "/subjects/a/versions", {"schema": '"int"'})
        assert (answer.body["error_code"], "references" in answer.body["message"]) == (42201, True)


def test_a_schema_of_another_type_is_told_and_never_compatible() -> None:
    held = [(key("SCHEMA", version=1), schema(schema="{}", schemaType="JSON"))]
    with MemoryRegistry(records=held) as registry:
        assert registry.call("GET", "/subjects/a/versions/1").body["schemaType"] == "JSON"
        answer = registry.call("POST", "/subjects/a/versions", {"schema": '"int"'})
        assert "different schema type" in answer.body["message"]


def test_a_mode_that_only_another_registry_sets_is_obeyed() -> None:
    with MemoryRegistry(records=[(key("MODE"), b'{"subject":"a","mode":"IMPORT"}')]) as registry:
        assert registry.call("GET", "/mode/a").body == {"mode": "IMPORT"}
        answer = registry.call("POST", "/subjects/a/versions", {"schema": '"int"'})
        assert answer.body["message"] == "Subject a in context . is not in read-write mode"


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (key("SCHEMA", ":.ctx:a", version=1), schema()),
        (key("CONTEXT", None, tenant="t", context=".ctx"), b"{}"),
        (key("CONFIG"), b'{"compatibilityLevel":"FULL","alias":"b"}'),
        (key("CONFIG"), b'{"compatibilityLevel":"FULL","normalize":true}'),
        (key("ASSOC"), b"{}"),
    ],
)
def test_a_topic_that_needs_more_than_we_can_is_refused(found: bytes, value: bytes) -> None:
    with pytest.raises(RecordRefused):
        Store().apply(found, value)


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (b"\xff", b"{}"),
        (b"5", b"{}"),
        (key("SCHEMA", version="x"), schema()),
        (key("SCHEMA"), schema()),
        (key("SCHEMA", version=1), b"not json"),
        (key("SCHEMA", version=1), b"{}"),
        (key("MODE"), b"{}"),
        (key("DELETE_SUBJECT"), b"[]"),
    ],
)
def test_an_unreadable_record_changes_nothing(found: bytes, value: bytes) -> None:
    store = Store()
    store.apply(key("SCHEMA", version=1), schema())
    with pytest.raises(RecordUnreadable):
        store.apply(found, value)
    assert [one.version for one in store.versions("a")] == [1]


def test_noop_and_clear_subject_records_are_passed_over() -> None:
    store = Store()
    store.apply(b'{"keytype":"NOOP","magic":0}', None)
    store.apply(key("CLEAR_SUBJECT"), b'{"subject":"a"}')
    assert store.subjects(deleted=True) == []
