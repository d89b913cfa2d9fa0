"""What deletes, levels and modes do to the registry, over its REST interface."""

from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import ServiceUnreachable
from headrace.testing.registry import MemoryRegistry

LONG = '{"type":"record","name":"A","fields":[{"name":"x","type":"long"}]}'
WIDER = '{"type":"record","name":"A","fields":[{"name":"x","type":"long"},{"name":"y","type":"int","default":0}]}'
STRING = '{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}'
OTHER = '{"type":"record","name":"B","fields":[]}'


@pytest.fixture
def registry() -> Iterator[MemoryRegistry]:
    with MemoryRegistry() as found:
        yield found


def test_soft_delete_hides_a_version_and_keeps_its_id_and_number(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    registry.register("a", WIDER)
    assert registry.call("DELETE", "/subjects/a/versions/1").body == 1
    assert registry.call("GET", "/subjects/a/versions").body == [2]
    assert registry.call("GET", "/subjects/a/versions?deleted=true").body == [1, 2]
    assert registry.call("GET", "/subjects/a/versions?deletedOnly=true").body == [1]
    assert registry.call("GET", "/subjects/a/versions?deletedAsNegative=true").body == [-1, 2]
    assert registry.call("GET", "/subjects/a/versions/1").body["error_code"] == 40402
    assert registry.call("GET", "/subjects/a/versions/1?deleted=true").body["deleted"] is True
    assert registry.call("GET", "/schemas/ids/1").status == 200
    assert registry.call("GET", "/schemas/ids/1/subjects").body == []
    assert registry.call("DELETE", "/subjects/a/versions/1").error == (
        404,
        40406,
        "Subject 'a' Version 1 was soft deleted.Set permanent=true to delete permanently",
    )


def test_hard_delete_forgets_a_version_and_its_id(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    registry.call("DELETE", "/subjects/a/versions/latest")
    assert registry.call("DELETE", "/subjects/a/versions/1?permanent=true").body == 1
    assert registry.call("GET", "/schemas/ids/1").body["error_code"] == 40403
    assert registry.call("GET", "/subjects?deleted=true").body == []


def test_an_id_is_never_given_twice_even_after_a_hard_delete_and_compaction(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    registry.call("DELETE", "/subjects/a")
    registry.call("DELETE", "/subjects/a?permanent=true")
    with MemoryRegistry(records=registry.log.compacted()) as later:
        assert later.register("b", OTHER).body["id"] == 2


def test_subjects_are_deleted_softly_first(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    registry.register("a", WIDER)
    registry.call("PUT", "/config/a", {"compatibility": "NONE"})
    registry.call("PUT", "/mode/a", {"mode": "READWRITE"})
    assert registry.call("DELETE", "/subjects/a").body == [1, 2]
    assert registry.call("DELETE", "/subjects/a").error == (
        404,
        40404,
        "Subject 'a' was soft deleted.Set permanent=true to delete permanently",
    )
    assert registry.call("DELETE", "/subjects/a?permanent=true").body == [1, 2]
    assert registry.call("DELETE", "/subjects/a?permanent=true").body["error_code"] == 40401
    assert registry.call("GET", "/config/a").body["error_code"] == 40408
    assert registry.call("GET", "/mode/a").body["error_code"] == 40409


def test_a_schema_registered_again_after_a_soft_delete_keeps_its_id_under_a_new_number(
    registry: MemoryRegistry,
) -> None:
    registry.register("a", LONG)
    registry.call("DELETE", "/subjects/a")
    again = registry.register("a", LONG).body
    assert (again["id"], again["version"]) == (1, 2)
    assert registry.call("GET", "/subjects/a/versions?deleted=true").body == [2]


@pytest.mark.parametrize("name", ["none", "BACKWARD", "Full_Transitive"])
def test_levels_are_set_told_and_deleted(registry: MemoryRegistry, name: str) -> None:
    assert registry.call("GET", "/config").body == {"compatibilityLevel": "BACKWARD"}
    for path in ("/config", "/config/a"):
        assert registry.call("PUT", path, {"compatibility": name}).body == {"compatibility": name.upper()}
        assert registry.call("GET", path).body == {"compatibilityLevel": name.upper()}
    assert registry.call("GET", "/config/b?defaultToGlobal=true").body == {"compatibilityLevel": name.upper()}
    for path in ("/config", "/config/a"):
        assert registry.call("DELETE", path).body == {"compatibilityLevel": name.upper()}
    assert registry.call("GET", "/config").body == {"compatibilityLevel": "BACKWARD"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"compatibility": "SIDEWAYS"}, 42203),
        ({"compatibility": 5}, 42203),
        ({}, 42203),
        ({"compatibility": "FULL", "alias": "b"}, 42205),
        ({"compatibility": "FULL", "normalize": True}, 42205),
        ({"compatibility": "FULL", "validateNewSchemas": False}, 42205),
        ({"compatibility": "FULL", "compatibilityGroup": "major"}, 42205),
    ],
)
def test_a_config_that_cannot_be_followed_is_refused(registry: MemoryRegistry, body: Any, code: int) -> None:
    answer = registry.call("PUT", "/config/a", body)
    assert (answer.status, answer.body["error_code"]) == (422, code)
    assert registry.log.records == []


def test_the_text_for_a_wrong_level_and_mode_is_confluents(registry: MemoryRegistry) -> None:
    assert registry.call("PUT", "/config", {"compatibility": "x"}).body["message"] == (
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, "
        "forward_transitive, and full_transitive"
    )
    assert registry.call("PUT", "/mode", {"mode": "x"}).error == (
        422,
        42204,
        "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.",
    )


def test_an_incompatible_schema_gets_409_and_confluents_messages(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    assert registry.register("a", STRING).error == (
        409,
        409,
        'Schema being registered is incompatible with an earlier schema for subject "a", details: '
        "[{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does "
        "not match with the old schema', additionalInfo:'reader type: STRING not compatible with writer type: LONG'}, "
        f"{{oldSchemaVersion: 1}}, {{oldSchema: '{LONG}'}}, {{validateFields: 'false', compatibility: 'BACKWARD'}}]",
    )


def test_the_code_of_an_incompatible_schema_can_be_confluent_8s(registry: MemoryRegistry) -> None:
    registry.service._incompatible_code = 40901
    registry.register("a", LONG)
    assert registry.register("a", STRING).error[:2] == (409, 40901)


def test_compatibility_is_checked_without_registering(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    check = "/compatibility/subjects/a/versions"
    assert registry.call("POST", f"{check}/latest?verbose=False", {"schema": WIDER}).body == {"is_compatible": True}
    assert registry.call("POST", f"{check}/1", {"schema": STRING}).body == {"is_compatible": False}
    told = registry.call("POST", f"{check}?verbose=true", {"schema": STRING}).body
    assert told["is_compatible"] is False
    assert len(told["messages"]) == 4
    assert registry.call("POST", f"{check}?verbose=true", {"schema": LONG}).body["messages"] == []
    assert registry.call("POST", f"{check}/9", {"schema": LONG}).error == (404, 40402, "Version 9 not found.")
    assert registry.call("POST", f"{check}/0", {"schema": LONG}).body["error_code"] == 42202
    assert registry.call("POST", f"{check}/latest", {"schema": "x"}).body["error_code"] == 42201
    assert registry.call("POST", f"{check}/latest?verbose=true", {"schema": "x"}).body["is_compatible"] is False
    assert len(registry.log.records) == 1


def test_everything_is_compatible_with_an_unknown_subject_but_not_with_its_versions(registry: MemoryRegistry) -> None:
    check = "/compatibility/subjects/no/versions"
    assert registry.call("POST", check, {"schema": LONG}).body == {"is_compatible": True}
    assert registry.call("POST", f"{check}/latest", {"schema": LONG}).body == {"is_compatible": True}
    assert registry.call("POST", f"{check}/1", {"schema": LONG}).body["error_code"] == 40402


def test_a_read_only_subject_refuses_every_write_and_still_answers(registry: MemoryRegistry) -> None:
    known = registry.register("a", LONG).body
    assert registry.call("PUT", "/mode/a?force=False", {"mode": "readonly"}).body == {"mode": "READONLY"}
    refused = (422, 42205, "Subject a in context . is in read-only mode")
    assert registry.register("a", WIDER).error == refused
    assert registry.register("a", LONG).body == known
    assert registry.register("a", "not avro").body["error_code"] == 42201
    assert registry.call("DELETE", "/subjects/a").error == refused
    assert registry.call("DELETE", "/subjects/a/versions/1").error == refused
    assert registry.call("PUT", "/config/a", {"compatibility": "FULL"}).error == refused
    assert registry.call("GET", "/subjects/a/versions/1").status == 200
    assert registry.call("DELETE", "/mode/a").body == {"mode": "READONLY"}
    assert registry.register("a", WIDER).status == 200


def test_the_global_mode_holds_where_a_subject_has_none(registry: MemoryRegistry) -> None:
    registry.call("PUT", "/mode/open", {"mode": "READWRITE"})
    registry.call("PUT", "/mode", {"mode": "READONLY"})
    assert registry.call("GET", "/mode").body == {"mode": "READONLY"}
    assert registry.call("GET", "/mode/a?defaultToGlobal=true").body == {"mode": "READONLY"}
    assert registry.register("a", LONG).body["error_code"] == 42205
    assert registry.register("open", LONG).status == 200
    assert registry.call("DELETE", "/mode").body == {"mode": "READONLY"}
    assert registry.register("a", LONG).status == 200


def test_a_schema_that_is_there_is_registered_again_in_every_mode_and_without_kafka(registry: MemoryRegistry) -> None:
    """Serializers register at their start: neither a read-only registry nor a broker that is away may stop them."""
    known = registry.register("a", LONG).body
    registry.call("PUT", "/mode", {"mode": "READONLY"})
    assert registry.register("a", LONG).body == known
    assert registry.register("b", LONG).error[:2] == (422, 42205)
    registry.log.failure = ServiceUnreachable("gone")
    assert registry.register("a", LONG).body == known
    registry.log.failure = None
    registry.call("PUT", "/mode", {"mode": "READWRITE"})
    registry.call("DELETE", "/subjects/a")
    registry.call("PUT", "/mode", {"mode": "READONLY"})
    assert registry.register("a", LONG).error[:2] == (422, 42205)


@pytest.mark.parametrize("mode", ["IMPORT", "FORWARD", "READONLY_OVERRIDE"])
def test_modes_of_replication_are_refused_by_name(registry: MemoryRegistry, mode: str) -> None:
    answer = registry.call("PUT", "/mode/a", {"mode": mode})
    assert answer.error[:2] == (422, 42205)
    assert f"Mode {mode} is not supported" in answer.body["message"]
