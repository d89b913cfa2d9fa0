"""Every endpoint that lists does it by pages, and every feature that is not there is refused by its name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.embedded.registry.records import Record
from headrace.testing.registry import MemoryRegistry

INT = '"int"'
RECORDS = [f'{{"type":"record","name":"R{number}","fields":[]}}' for number in range(4)]


def referring(subject: str, schema_id: int, *, deleted: bool = False) -> Record:
    """A record of a schema that refers to base, version 1: only another registry writes such."""
    key = {"keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1}
    value = {"subject": subject, "version": 1, "id": schema_id, "schema": RECORDS[0], "deleted": deleted}
    references = [{"name": "x", "subject": "base", "version": 1}]
    return json.dumps(key).encode(), json.dumps(value | {"references": references}).encode()


@pytest.fixture(scope="module")
def registry() -> Iterator[MemoryRegistry]:
    """Five of everything that is listed, where that is possible; the last of each is deleted softly."""
    held = [referring(f"ref-{number}", 100 + number, deleted=number == 4) for number in range(5)]
    with MemoryRegistry(records=held) as found:
        found.register("base", INT)
        for number in range(5):
            found.register(f"s-{number}", INT)
        found.call("DELETE", "/subjects/s-4")
        found.call("PUT", "/config/many", {"compatibility": "NONE"})
        for text in (*RECORDS, INT):
            found.register("many", text)
        found.call("DELETE", "/subjects/many/versions/5")
        yield found


LISTS: list[tuple[str, list[Any], list[Any]]] = [
    ("/subjects?subjectPrefix=s-", ["s-0", "s-1", "s-2", "s-3"], ["s-4"]),
    ("/subjects/many/versions?x=1", [1, 2, 3, 4], [5]),
    ("/schemas?subjectPrefix=s-", ["s-0", "s-1", "s-2", "s-3"], ["s-4"]),
    ("/schemas/ids/105/subjects?x=1", ["base", "s-0", "s-1", "s-2", "s-3"], ["s-4"]),
    ("/schemas/ids/105/versions?x=1", ["base", "s-0", "s-1", "s-2", "s-3"], ["s-4"]),
    ("/subjects/base/versions/1/referencedby?x=1", [100, 101, 102, 103], [104]),
]


def listed(registry: MemoryRegistry, path: str) -> list[Any]:
    """What a list holds, wholes by their subjects."""
    found = registry.call("GET", path)
    assert found.status == 200, found.body
    return [one["subject"] if isinstance(one, dict) else one for one in found.body]


@pytest.mark.parametrize(("path", "alive", "deleted"), LISTS, ids=[path for path, _, _ in LISTS])
def test_list_is_given_by_pages_and_with_what_is_deleted_when_asked(
    registry: MemoryRegistry, path: str, alive: list[Any], deleted: list[Any]
) -> None:
    assert listed(registry, path) == alive
    assert [one for one in listed(registry, f"{path}&deleted=true") if one in alive + deleted] == alive + deleted
    assert listed(registry, f"{path}&limit=2") == alive[:2]
    assert listed(registry, f"{path}&offset=1&limit=2") == alive[1:3]
    assert listed(registry, f"{path}&offset=2") == alive[2:]
    assert listed(registry, f"{path}&offset={len(alive)}&limit=5") == []
    for whole in ("offset=0&limit=-1", "limit=0", "offset=-3", "limit=2147483647", "offset=&limit="):
        assert listed(registry, f"{path}&{whole}") == alive, whole
    for number in ("limit=x", "offset=1.5", "limit=99999999999"):
        assert registry.call("GET", f"{path}&{number}").error == (404, 404, "HTTP 404 Not Found")


def test_contexts_are_given_by_pages_too(registry: MemoryRegistry) -> None:
    assert registry.call("GET", "/contexts").body == ["."]
    assert registry.call("GET", "/contexts?offset=1").body == []
    assert registry.call("GET", "/contexts?limit=1&contextPrefix=.").body == ["."]
    assert registry.call("GET", "/contexts?contextPrefix=x").body == []


def test_whole_schemas_come_a_thousand_at_most() -> None:
    with MemoryRegistry() as registry:
        for number in range(1_005):
            registry.store.apply(*_plain(f"m-{number:04}"))
        assert len(registry.call("GET", "/schemas").body) == 1_000
        assert len(registry.call("GET", "/schemas?limit=5000").body) == 1_000
        assert len(registry.call("GET", "/schemas?offset=1000").body) == 5
        assert len(registry.call("GET", "/subjects").body) == 1_005


def _plain(subject: str) -> Record:
    key = {"keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1}
    value = {"subject": subject, "version": 1, "id": 1, "schema": INT, "deleted": False}
    return json.dumps(key).encode(), json.dumps(value).encode()


def test_a_reference_that_is_deleted_holds_nothing_against_a_soft_delete_but_against_a_hard_one() -> None:
    with MemoryRegistry(records=[referring("ref", 100, deleted=True)]) as registry:
        registry.register("base", INT)
        assert registry.call("DELETE", "/subjects/base/versions/1").body == 1
        assert registry.call("DELETE", "/subjects/base/versions/1?permanent=true").body["error_code"] == 42206
        assert registry.call("DELETE", "/subjects/base?permanent=true").body["error_code"] == 42206


REFUSED = [
    ("POST", "/subjects/base/versions?normalize=true", "normalize=true is"),
    ("POST", "/subjects/base?normalize=True", "normalize=true is"),
    ("POST", "/compatibility/subjects/base/versions/latest?normalize=true", "normalize=true is"),
    ("POST", "/subjects/base/versions?force=true", "force=true is"),
    ("PUT", "/mode/base?force=true", "force=true is"),
    ("GET", "/schemas?aliases=true", "aliases=true is"),
    ("DELETE", "/mode/base?recursive=true", "recursive=true is"),
    ("DELETE", "/mode?recursive=True", "recursive=true is"),
    ("POST", "/subjects/base/versions?format=resolved", "Schema formats are"),
    ("POST", "/subjects/base?format=resolved", "Schema formats are"),
    ("GET", "/schemas/ids/105?format=serialized", "Schema formats are"),
    ("GET", "/subjects/base/versions/1?format=resolved", "Schema formats are"),
    ("GET", "/subjects/base/metadata?format=resolved", "Schema formats are"),
    ("GET", "/schemas/ids/105?findTags=PII", "Tags are"),
    ("GET", "/subjects/base/versions/1?findTags=PII", "Tags are"),
    ("POST", "/subjects/base/versions/1/tags", "Tags are"),
    ("GET", "/schemas?ruleType=ENCRYPT", "Rule types are"),
    ("GET", "/subjects/base/metadata?key=owner&value=me", "Metadata is"),
    ("GET", "/subjects/base/metadata?key=", "Metadata is"),
]


@pytest.mark.parametrize(("method", "path", "named"), REFUSED, ids=[f"{method} {path}" for method, path, _ in REFUSED])
def test_feature_that_is_not_there_is_refused_by_name_and_changes_nothing(
    registry: MemoryRegistry, method: str, path: str, named: str
) -> None:
    before = len(registry.log.records)
    body = {"mode": "READONLY"} if "mode" in path else {"schema": INT}
    answer = registry.call(method, path, body)
    assert answer.error == (422, 42201, f"{named} not supported by this registry")
    assert len(registry.log.records) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/schemas?aliases=false&ruleType=&findTags="),
        ("GET", "/schemas/ids/105?format=&findTags="),
        ("DELETE", "/mode?recursive=false"),
        ("PUT", "/mode/base?force=False"),
        ("GET", "/subjects/base/metadata"),
        ("GET", "/schemas/ids/105?referenceFormat=guid&reference_format=guid"),
    ],
)
def test_feature_that_is_switched_off_is_not_refused(registry: MemoryRegistry, method: str, path: str) -> None:
    assert registry.call(method, path, {"mode": "READWRITE"} if "mode" in path else None).status == 200


@pytest.mark.parametrize(
    "field", ["schemaTagsToAdd", "schemaTagsToRemove", "propagateSchemaTags", "metadata", "references"]
)
def test_feature_that_the_body_asks_for_is_refused_by_name(registry: MemoryRegistry, field: str) -> None:
    for path in ("/subjects/base/versions", "/subjects/base", "/compatibility/subjects/base/versions/latest"):
        answer = registry.call("POST", path, {"schema": INT, field: [{"a": "b"}]})
        assert answer.error[:2] == (422, 42201)
        assert answer.body["message"].endswith("not supported by this registry")
        assert registry.call("POST", path, {"schema": INT, field: None}).status == 200


def test_metadata_without_a_key_is_the_newest_version(registry: MemoryRegistry) -> None:
    assert registry.call("GET", "/subjects/many/metadata").body["version"] == 4
    assert registry.call("GET", "/subjects/many/metadata?deleted=true").body["version"] == 5
    assert registry.call("GET", "/subjects/nobody/metadata").error == (404, 40401, "Subject 'nobody' not found.")
