"""Reading a request: path, query and body as Confluent's clients send them, what is not supported refused by name."""

import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from headrace.embedded.registry import refusals
from headrace.embedded.registry.records import AVRO
from headrace.embedded.registry.refusals import Refusal
from headrace.embedded.registry.service import LATEST
from headrace.embedded.registry.store import unsupported_config

BODY_BYTES = 2**20
MEDIA_TYPES = ("application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json")
# Confluent's defaults: only whole schemas are bounded.
NO_LIMIT, SCHEMA_LIMIT = 2**31 - 1, 1_000
_TAKEN_TYPES = frozenset({*MEDIA_TYPES, "application/octet-stream"})
_Item = TypeVar("_Item")
_NUMBER = re.compile(r"[+-]?[0-9]{1,10}")
_RESERVED_SUBJECTS = frozenset({"__GLOBAL", "__EMPTY"})
_NO_CONTEXTS = "Contexts are not supported by this registry"
_UNSUPPORTED_BODY = {
    "references": "References are",
    "metadata": "Metadata is",
    "schemaTagsToAdd": "Tags are",
    "schemaTagsToRemove": "Tags are",
    "propagateSchemaTags": "Propagating tags is",
}
_UNSUPPORTED_FLAGS = {
    "normalize": "normalize=true is",
    "force": "force=true is",
    "aliases": "aliases=true is",
    "recursive": "recursive=true is",
}
_UNSUPPORTED_TEXTS = {
    "format": "Schema formats are",
    "findTags": "Tags are",
    "ruleType": "Rule types are",
}


@dataclass(frozen=True)
class SchemaRequest:
    """The body of a registration, lookup or check."""

    text: str
    version: int | None


def segments(request: Request) -> list[str]:
    """Return the path's parts, each percent-decoded by itself: a subject may hold a slash."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    try:
        return [unquote_to_bytes(part).decode() for part in raw.strip(b"/").split(b"/")]
    except UnicodeDecodeError as error:
        raise refusals.http_refusal(400, "Bad Request") from error


def subject_name(given: str) -> str:
    """Return a subject's name, or refuse it: control characters, reserved names, contexts."""
    name = given.removeprefix(":.:")
    if name.startswith((":.", ":*")):
        raise refusals.invalid_subject(given, _NO_CONTEXTS)
    if not name or name in _RESERVED_SUBJECTS or any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in name):
        raise refusals.invalid_subject(given)
    return name


def subject_prefix(request: Request) -> str:
    """Return the prefix that listed subjects must have; `:*:` and `:.:` mean every subject."""
    given = request.query_params.get("subjectPrefix", "")
    prefix = given.removeprefix(":*:").removeprefix(":.:")
    if prefix.startswith((":.", ":*")):
        raise refusals.invalid_subject(given, _NO_CONTEXTS)
    return prefix


def version_number(given: str) -> int:
    """Return a version from the path; LATEST for "latest" and -1."""
    text = given.strip().lower()
    if text == "latest":
        return LATEST
    if not _NUMBER.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
        raise refusals.invalid_version(given)
    number = int(text)
    if number <= 0 and number != LATEST:
        raise refusals.invalid_version(str(number))
    return number


def path_number(given: str) -> int:
    """Return an id from the path; what is no number is no path."""
    if not _NUMBER.fullmatch(given) or not -(2**31) <= int(given) < 2**31:
        raise refusals.no_such_path()
    return int(given)


def flag(request: Request, *names: str) -> bool:
    """Return a boolean of the query, under any of its spellings; only "true" in any case is true."""
    return any(request.query_params.get(name, "").lower() == "true" for name in names)


def page(request: Request, items: list[_Item], most: int = NO_LIMIT) -> list[_Item]:
    """Return the page that `offset` and `limit` ask for; a limit that is not positive or too high means `most`."""
    offset = max(0, path_number(request.query_params.get("offset") or "0"))
    limit = path_number(request.query_params.get("limit") or "-1")
    return items[offset : offset + (limit if 0 < limit <= most else most)]


def refuse_unsupported(request: Request) -> None:
    """Refuse every query parameter that would change the result and is not supported."""
    for name, what in _UNSUPPORTED_FLAGS.items():
        if flag(request, name):
            raise refusals.not_supported(what)
    for name, what in _UNSUPPORTED_TEXTS.items():
        if request.query_params.get(name, "").strip():
            raise refusals.not_supported(what)


def check_content_type(request: Request) -> None:
    """Refuse bodies of other types: also those that a web page could send without asking first."""
    given = request.headers.get("content-type", MEDIA_TYPES[0]).partition(";")[0].strip().lower()
    if given not in _TAKEN_TYPES:
        raise refusals.http_refusal(415, "Unsupported Media Type")


async def json_object(request: Request) -> dict[str, Any]:
    """Return the request's body, at most BODY_BYTES of JSON, as an object."""
    check_content_type(request)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise Refusal(413, 413, f"The request body is larger than {BODY_BYTES} bytes")
    try:
        found = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise Refusal(400, 400, f"The request body is not JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise Refusal(400, 400, "The request body is not a JSON object")
    return found


def schema_request(subject: str, body: dict[str, Any]) -> SchemaRequest:
    """Return what a body asks to register, look up or check; unknown attributes are ignored as Confluent does."""
    for name, what in _UNSUPPORTED_BODY.items():
        if body.get(name):
            raise refusals.not_supported(what)
    if body.get("ruleSet"):
        raise refusals.rules_not_supported()
    kind = body.get("schemaType") or AVRO
    if kind != AVRO:
        raise refusals.invalid_schema(f"Invalid schema type {kind}: this registry takes {AVRO} only")
    text = body.get("schema") or ""
    if not isinstance(text, str):
        raise Refusal(400, 400, "The schema is not a string")
    if _body_number(body, "id", -1) >= 0:
        raise refusals.not_importing(subject)
    version = _body_number(body, "version", 0)
    return SchemaRequest(text, version if version > 0 else None)


def level_request(body: dict[str, Any]) -> object:
    """Return the level that a body asks for; every other attribute of a config is refused unless it is the default."""
    if name := unsupported_config(body):
        raise refusals.not_permitted(f'Config "{name}" is not supported by this registry')
    return body.get("compatibility")


def _body_number(body: dict[str, Any], name: str, default: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(400, 400, f'"{name}" is not a number')
    return value
