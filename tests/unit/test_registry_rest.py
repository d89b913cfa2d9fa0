"""Every path of the registry's REST interface: statuses, codes and texts as Confluent's clients know them."""

from collections.abc import Iterator
from typing import Any

import pytest

from headrace.embedded.registry.endpoints import ENDPOINTS
from headrace.embedded.registry.requests import BODY_BYTES
from headrace.errors import ServiceUnreachable
from headrace.testing.registry import JSON_TYPE, MemoryRegistry

LONG = '{"type":"record","name":"A","fields":[{"name":"x","type":"long"}]}'
LONG_SPACED = '{ "fields": [ {"type": {"type": "long"}, "name": "x"} ], "name": "A", "type": "record" }'
WIDER = '{"type":"record","name":"A","fields":[{"name":"x","type":"long"},{"name":"y","type":"int","default":0}]}'
STRING = '{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}'
OTHER = '{"type":"record","name":"B","fields":[]}'


@pytest.fixture
def registry() -> Iterator[MemoryRegistry]:
    with MemoryRegistry() as found:
        yield found


def test_register_answers_id_and_version_and_the_same_again_for_the_same_schema(registry: MemoryRegistry) -> None:
    first, again = registry.register("a", LONG), registry.register("a", LONG_SPACED)
    assert (first.status, first.body["id"], first.body["version"], first.body["schema"]) == (200, 1, 1, LONG)
    assert again.body == first.body
    assert len(registry.log.records) == 1


def test_the_same_schema_has_one_id_in_every_subject(registry: MemoryRegistry) -> None:
    assert registry.register("a.raw-value", LONG).body["id"] == registry.register("a.valid-value", LONG).body["id"]
    assert registry.register("b", OTHER).body["id"] == 2


def test_a_changed_schema_is_a_new_version_with_a_new_id(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    assert registry.register("a", WIDER).body | {"guid": "", "schema": ""} == {
        "id": 2,
        "version": 2,
        "guid": "",
        "schema": "",
    }
    assert registry.call("GET", "/subjects/a/versions").body == [1, 2]


def test_versions_are_told_whole(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    whole = registry.call("GET", "/subjects/a/versions/1").body
    assert whole == {"subject": "a", "version": 1, "id": 1, "guid": whole["guid"], "schema": LONG}
    for path in ("latest", "-1", "%201", "LATEST"):
        assert registry.call("GET", f"/subjects/a/versions/{path}").body == whole
    assert registry.call("GET", "/subjects/a/versions/1/schema").body == {
        "type": "record",
        "name": "A",
        "fields": [{"name": "x", "type": "long"}],
    }
    assert registry.call("GET", "/subjects/a/versions/1/referencedby").body == []
    assert registry.call("GET", "/subjects/a/metadata?deleted=False").body == whole
    assert registry.call("POST", "/subjects/a?normalize=False&deleted=False", {"schema": LONG_SPACED}).body == whole


def test_ids_are_told_with_their_places(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    registry.register("b", LONG)
    guid = registry.call("GET", "/schemas/ids/1").body["guid"]
    assert registry.call("GET", "/schemas/ids/1?fetchMaxId=true").body == {"guid": guid, "schema": LONG, "maxId": 1}
    assert registry.call("GET", "/schemas/ids/1?subject=b").body["subject"] == "b"
    assert registry.call("GET", "/schemas/ids/1/subjects").body == ["a", "b"]
    assert registry.call("GET", "/schemas/ids/1/versions?offset=1&limit=1").body == [{"subject": "b", "version": 1}]
    assert registry.call("GET", "/schemas/ids/1/schema").body["name"] == "A"
    assert registry.call("GET", f"/schemas/guids/{guid}").body == {"guid": guid, "schema": LONG}
    assert registry.call("GET", f"/schemas/guids/{guid}/ids").body == [{"context": ".", "id": 1}]
    assert registry.call("GET", "/schemas/types").body == ["AVRO"]
    assert [one["subject"] for one in registry.call("GET", "/schemas?latestOnly=true").body] == ["a", "b"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/subjects/no/versions", (404, 40401, "Subject 'no' not found.")),
        ("GET", "/subjects/no/versions/1", (404, 40401, "Subject 'no' not found.")),
        ("GET", "/subjects/a/versions/7", (404, 40402, "Version 7 not found.")),
        ("GET", "/schemas/ids/99", (404, 40403, "Schema 99 not found")),
        ("GET", "/schemas/ids/99/schema", (404, 40403, "Schema 99 not found")),
        ("GET", "/schemas/ids/99/subjects", (404, 40403, "Schema not found")),
        ("GET", "/schemas/ids/99/versions", (404, 40403, "Schema not found")),
        ("GET", "/schemas/guids/x", (404, 40403, "Schema x not found")),
        ("DELETE", "/subjects/no", (404, 40401, "Subject 'no' not found.")),
        (
            "DELETE",
            "/subjects/a?permanent=true",
            (404, 40405, "Subject 'a' was not deleted first before being permanently deleted"),
        ),
        (
            "DELETE",
            "/subjects/a/versions/1?permanent=true",
            (404, 40407, "Subject 'a' Version 1 was not deleted first before being permanently deleted"),
        ),
        ("DELETE", "/subjects/a/versions/7", (404, 40402, "Version 7 not found.")),
        (
            "GET",
            "/config/a",
            (404, 40408, "Subject 'a' does not have subject-level compatibility configured"),
        ),
        ("DELETE", "/config/a", (404, 40401, "Subject 'a' not found.")),
        ("GET", "/mode/a", (404, 40409, "Subject 'a' does not have subject-level mode configured")),
        ("DELETE", "/mode/a", (404, 40401, "Subject 'a' not found.")),
        *(
            (
                "GET",
                f"/subjects/a/versions/{given}",
                (
                    422,
                    42202,
                    f"The specified version '{given}' is not a valid version id."
                    ' Allowed values are between [1, 2^31-1] and the string "latest"',
                ),
            )
            for given in ("0", "-2", "earliest", "1.5", "2147483648", "١")
        ),
        ("GET", "/subjects/%07/versions", (422, 42208, "The specified subject '\x07' is not a valid.")),
        ("GET", "/subjects/__GLOBAL/versions", (422, 42208, "The specified subject '__GLOBAL' is not a valid.")),
        ("GET", "/schemas/ids/x", (404, 404, "HTTP 404 Not Found")),
        ("GET", "/subjects?limit=x", (404, 404, "HTTP 404 Not Found")),
        ("GET", "/no/such/path", (404, 404, "HTTP 404 Not Found")),
        ("GET", "/subjects//versions", (404, 404, "HTTP 404 Not Found")),
        ("GET", "/associations/subjects/a", (404, 404, "HTTP 404 Not Found")),
        ("PUT", "/subjects", (405, 405, "HTTP 405 Method Not Allowed")),
        ("GET", "/subjects/%ff/versions", (400, 400, "HTTP 400 Bad Request")),
    ],
)
def test_a_mistake_gets_confluents_status_code_and_text(
    registry: MemoryRegistry, method: str, path: str, expected: tuple[int, int, str]
) -> None:
    registry.register("a", LONG)
    assert registry.call(method, path).error == expected


def test_lookup_tells_an_unknown_schema_from_an_unknown_subject(registry: MemoryRegistry) -> None:
    registry.register("a", LONG)
    assert registry.call("POST", "/subjects/a", {"schema": OTHER}).error == (404, 40403, "Schema not found")
    assert registry.call("POST", "/subjects/b", {"schema": LONG}).error == (404, 40401, "Subject 'b' not found.")
    assert registry.call("POST", "/subjects/a", {"schema": "{"}).body["error_code"] == 42201


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"schema": "not avro"}, 422, 42201),
        ({"schema": ""}, 422, 42201),
        ({}, 422, 42201),
        ({"schema": LONG, "schemaType": "JSON"}, 422, 42201),
        ({"schema": LONG, "schemaType": "PROTOBUF"}, 422, 42201),
        ({"schema": LONG, "references": [{"name": "x", "subject": "y", "version": 1}]}, 422, 42201),
        ({"schema": LONG, "metadata": {"properties": {"a": "b"}}}, 422, 42201),
        ({"schema": LONG, "ruleSet": {"domainRules": []}}, 422, 42210),
        ({"schema": LONG, "schemaTagsToAdd": [{}]}, 422, 42201),
        ({"schema": LONG, "id": 5}, 422, 42205),
        ({"schema": LONG, "version": 3}, 422, 42201),
        ({"schema": {"type": "long"}}, 400, 400),
        ({"schema": LONG, "id": "x"}, 400, 400),
        ([LONG], 400, 400),
        (b"{", 400, 400),
        (b"", 400, 400),
        (b"\xff", 400, 400),
        (b'{"schema": "\\ud800"}', 422, 42201),
        (b"[" * 100_000, 400, 400),
        (b'{"schema": "' + b"x" * BODY_BYTES + b'"}', 413, 413),
    ],
)
def test_a_registration_that_cannot_be_done_is_refused_and_writes_nothing(
    registry: MemoryRegistry, body: Any, status: int, code: int
) -> None:
    answer = registry.call("POST", "/subjects/a/versions", body)
    assert (answer.status, answer.body["error_code"]) == (status, code)
    assert registry.log.records == []


@pytest.mark.parametrize("harmless", ["normalize=False", "format=", "unknown=1", "deleted=False"])
def test_parameters_that_change_nothing_are_accepted(registry: MemoryRegistry, harmless: str) -> None:
    assert registry.call("POST", f"/subjects/a/versions?{harmless}", {"schema": LONG}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/subjects/a/versions?normalize=true",
        "/subjects/a/versions?force=true",
        "/subjects/a/versions?format=resolved",
        "/subjects/:.ctx:a/versions",
        "/contexts/.ctx/subjects/a/versions",
        "/subjects/a/versions/1/tags",
    ],
)
def test_what_only_confluent_can_do_is_refused_by_name(registry: MemoryRegistry, path: str) -> None:
    answer = registry.call("POST", path, {"schema": LONG})
    assert answer.status == 422
    assert "not supported by this registry" in answer.body["message"]


def test_the_default_context_may_be_spelled_out(registry: MemoryRegistry) -> None:
    registry.register(":.:a", LONG)
    assert registry.call("GET", "/subjects").body == ["a"]
    assert registry.call("GET", "/contexts/./subjects").body == ["a"]
    assert registry.call("GET", "/contexts?offset=0&limit=-1").body == ["."]


def test_subjects_are_listed_by_page_prefix_and_state(registry: MemoryRegistry) -> None:
    for name in ("c", "a", "b", "ab"):
        registry.register(name, LONG)
    registry.call("DELETE", "/subjects/b")
    assert registry.call("GET", "/subjects").body == ["a", "ab", "c"]
    assert registry.call("GET", "/subjects?deleted=True").body == ["a", "ab", "b", "c"]
    assert registry.call("GET", "/subjects?deletedOnly=true").body == ["b"]
    assert registry.call("GET", "/subjects?deleted_only=True&deleted=True").body == ["b"]
    assert registry.call("GET", "/subjects?subjectPrefix=a&offset=0&limit=-1").body == ["a", "ab"]
    assert registry.call("GET", "/subjects?subjectPrefix=:*:&offset=1&limit=1").body == ["ab"]
    assert registry.call("GET", "/subjects?offset=9").body == []
    assert registry.call("GET", "/subjects?subjectPrefix=:.x:").body["error_code"] == 42208


def test_names_with_slashes_and_signs_travel_percent_encoded(registry: MemoryRegistry) -> None:
    registry.register("a%2Fb%20%C3%BC%3Fx%25", LONG)
    assert registry.call("GET", "/subjects").body == ["a/b ü?x%"]
    assert registry.call("GET", "/subjects/a%2Fb%20%C3%BC%3Fx%25/versions/latest").body["subject"] == "a/b ü?x%"


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("*/*", JSON_TYPE),
        ("application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json", JSON_TYPE),
        ("application/json", "application/json"),
        ("application/json;q=0.5, application/vnd.schemaregistry+json", "application/vnd.schemaregistry+json"),
        ("text/html, application/*;q=0.1", JSON_TYPE),
    ],
)
def test_the_media_type_is_the_callers_choice(registry: MemoryRegistry, accept: str, told: str) -> None:
    answer = registry.call("GET", "/subjects", headers=[("host", "localhost"), ("accept", accept)])
    assert (answer.status, answer.headers["content-type"]) == (200, told)
    assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"


def test_other_media_types_are_refused(registry: MemoryRegistry) -> None:
    host = ("host", "localhost")
    assert registry.call("GET", "/", headers=[host, ("accept", "text/html")]).error[:2] == (406, 406)
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        answer = registry.call("POST", "/subjects/a/versions", {"schema": LONG}, [host, ("content-type", kind)])
        assert answer.error == (415, 415, "HTTP 415 Unsupported Media Type")


def test_the_root_answers_an_empty_object(registry: MemoryRegistry) -> None:
    assert registry.call("GET", "/").body == {}
    assert registry.call("POST", "/").body == {}


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (TimeoutError(), (500, 50002, "Register operation timed out")),
        (ServiceUnreachable("gone"), (500, 50001, "Register schema operation failed while writing to the Kafka store")),
    ],
)
def test_a_kafka_that_does_not_answer_is_told_as_the_servers_fault(
    registry: MemoryRegistry, failure: Exception, expected: tuple[int, int, str]
) -> None:
    registry.log.failure = failure
    assert registry.register("a", LONG).error == expected
    registry.log.failure = None
    assert registry.register("a", LONG).body["id"] == 1


def test_every_path_of_the_table_answers_json_to_every_method(registry: MemoryRegistry) -> None:
    assert len(ENDPOINTS) >= 24
    for path in ENDPOINTS:
        filled = path.format(subject="a", version="latest", id="1", guid="g")
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
            answer = registry.call(method, f"/{filled}", {"schema": LONG})
            assert answer.status < 500
            assert answer.status == 200 or set(answer.body) == {"error_code", "message"}
