"""What each path does: the request's parts go to the service, the service's values become Confluent's JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from headrace.embedded.registry import refusals
from headrace.embedded.registry.records import AVRO, SchemaVersion
from headrace.embedded.registry.refusals import Refusal
from headrace.embedded.registry.requests import (
    SCHEMA_LIMIT,
    SchemaRequest,
    flag,
    level_request,
    page,
    path_number,
    schema_request,
    subject_name,
    subject_prefix,
    version_number,
)
from headrace.embedded.registry.service import RegistryService

INVALID_SCHEMA = 42201


class Text(str):
    """An answer that is JSON already: a schema's own text."""

    __slots__ = ()


@dataclass(frozen=True)
class Call:
    """One request: its query, the named segments of its path, and its body ({} without one)."""

    request: Request
    path: dict[str, str]
    body: dict[str, Any]

    @property
    def subject(self) -> str:
        """Return the subject of the path."""
        return subject_name(self.path["subject"])

    @property
    def version(self) -> int:
        """Return the version of the path."""
        return version_number(self.path["version"])

    @property
    def schema_id(self) -> int:
        """Return the id of the path."""
        return path_number(self.path["id"])

    @property
    def schema(self) -> SchemaRequest:
        """Return what the body says of a schema."""
        return schema_request(self.path["subject"], self.body)

    def flag(self, *names: str) -> bool:
        """Return a boolean of the query."""
        return flag(self.request, *names)


def _whole(found: SchemaVersion) -> dict[str, Any]:
    """Return a version as Confluent tells it; the type is told where it is not AVRO."""
    shown = {"subject": found.subject, "version": found.version, "id": found.id, "guid": found.guid}
    deleted = {"deleted": True} if found.deleted else {}
    return shown | dict(found.foreign) | {"schema": found.text} | deleted


def root(_service: RegistryService, _call: Call) -> Any:
    """GET /."""
    return {}


def types(_service: RegistryService, _call: Call) -> Any:
    """GET /schemas/types."""
    return [AVRO]


def contexts(_service: RegistryService, call: Call) -> Any:
    """GET /contexts: the default one, which is all there is."""
    prefix = call.request.query_params.get("contextPrefix", "")
    return page(call.request, ["."] if ".".startswith(prefix) else [])


def subjects(service: RegistryService, call: Call) -> Any:
    """GET /subjects. Python's client says deleted_only where Confluent says deletedOnly."""
    only = call.flag("deletedOnly", "deleted_only")
    prefix = subject_prefix(call.request)
    found = service.store.subjects(deleted=call.flag("deleted"), only_deleted=only)
    return page(call.request, [name for name in found if name.startswith(prefix)])


def lookup(service: RegistryService, call: Call) -> Any:
    """POST /subjects/{subject}."""
    return _whole(service.lookup(call.subject, call.schema.text, deleted=call.flag("deleted")))


def delete_subject(service: RegistryService, call: Call) -> Any:
    """DELETE /subjects/{subject}."""
    return service.delete_subject(call.subject, permanent=call.flag("permanent"))


def versions(service: RegistryService, call: Call) -> Any:
    """GET /subjects/{subject}/versions."""
    only, negative = call.flag("deletedOnly", "deleted_only"), call.flag("deletedAsNegative")
    deleted = only or call.flag("deleted")
    if not service.store.has_subject(call.subject, deleted=deleted):
        raise refusals.no_such_subject(call.subject)
    found = service.store.versions(call.subject, deleted=deleted or negative)
    if only and not negative:
        found = [one for one in found if one.deleted]
    return page(call.request, [-one.version if negative and one.deleted else one.version for one in found])


def register(service: RegistryService, call: Call) -> Any:
    """POST /subjects/{subject}/versions."""
    found = service.register(call.subject, call.schema.text, version=call.schema.version)
    return {"id": found.id, "version": found.version, "guid": found.guid, "schema": found.text}


def version(service: RegistryService, call: Call) -> Any:
    """GET /subjects/{subject}/versions/{version}."""
    return _whole(service.version(call.subject, call.version, deleted=call.flag("deleted")))


def version_text(service: RegistryService, call: Call) -> Any:
    """GET /subjects/{subject}/versions/{version}/schema."""
    return Text(service.version(call.subject, call.version, deleted=call.flag("deleted")).text)


def referenced_by(service: RegistryService, call: Call) -> Any:
    """GET /subjects/{subject}/versions/{version}/referencedby."""
    found = service.version(call.subject, call.version, deleted=True)
    return page(call.request, service.referenced_by(found.subject, found.version, deleted=call.flag("deleted")))


def delete_version(service: RegistryService, call: Call) -> Any:
    """DELETE /subjects/{subject}/versions/{version}."""
    return service.delete_version(call.subject, call.version, permanent=call.flag("permanent"))


def refuse_tags(_service: RegistryService, _call: Call) -> Any:
    """POST /subjects/{subject}/versions/{version}/tags."""
    raise refusals.not_supported("Tags are")


def with_metadata(service: RegistryService, call: Call) -> Any:
    """GET /subjects/{subject}/metadata: only without a key, since no schema here has metadata."""
    if call.request.query_params.getlist("key"):
        raise refusals.not_supported("Metadata is")
    held = service.store.versions(call.subject, deleted=call.flag("deleted"))
    if not held:
        raise refusals.no_such_subject(call.subject)
    return _whole(held[-1])


def schemas(service: RegistryService, call: Call) -> Any:
    """GET /schemas."""
    prefix, deleted = subject_prefix(call.request), call.flag("deleted")
    found = [
        one for one in service.store.all_versions() if one.subject.startswith(prefix) and (deleted or not one.deleted)
    ]
    if call.flag("latestOnly"):
        found = list({one.subject: one for one in found}.values())
    return [_whole(one) for one in page(call.request, found, SCHEMA_LIMIT)]


def by_id(service: RegistryService, call: Call) -> Any:
    """GET /schemas/ids/{id}."""
    found = service.by_id(call.schema_id)
    subject = call.request.query_params.get("subject")
    one = next((held for held in found if held.subject == subject), found[0])
    place = {"subject": one.subject, "version": one.version} if subject else {}
    highest = {"maxId": service.store.highest_id} if call.flag("fetchMaxId") else {}
    return place | {"guid": one.guid} | dict(one.foreign) | {"schema": one.text} | highest


def text_by_id(service: RegistryService, call: Call) -> Any:
    """GET /schemas/ids/{id}/schema."""
    return Text(service.by_id(call.schema_id)[0].text)


def _places(service: RegistryService, call: Call) -> list[SchemaVersion]:
    try:
        found = service.by_id(call.schema_id)
    except Refusal as error:
        # Confluent names the id in some answers and not in this one.
        raise refusals.no_such_schema() from error
    subject = call.request.query_params.get("subject")
    kept = [one for one in found if call.flag("deleted") or not one.deleted]
    return [one for one in kept if not subject or one.subject == subject]


def subjects_by_id(service: RegistryService, call: Call) -> Any:
    """GET /schemas/ids/{id}/subjects."""
    return page(call.request, list(dict.fromkeys(one.subject for one in _places(service, call))))


def versions_by_id(service: RegistryService, call: Call) -> Any:
    """GET /schemas/ids/{id}/versions."""
    places = _places(service, call)
    return page(call.request, [{"subject": one.subject, "version": one.version} for one in places])


def by_guid(service: RegistryService, call: Call) -> Any:
    """GET /schemas/guids/{guid}."""
    one = _of_guid(service, call)[0]
    return {"guid": one.guid} | dict(one.foreign) | {"schema": one.text}


def ids_by_guid(service: RegistryService, call: Call) -> Any:
    """GET /schemas/guids/{guid}/ids."""
    ids = sorted({one.id for one in _of_guid(service, call)})
    return [{"context": ".", "id": found} for found in ids]


def _of_guid(service: RegistryService, call: Call) -> list[SchemaVersion]:
    wanted = call.path["guid"].lower()
    if found := [one for one in service.store.all_versions() if one.guid == wanted]:
        return found
    raise refusals.no_such_schema(call.path["guid"])


def check(service: RegistryService, call: Call) -> Any:
    """POST /compatibility/subjects/{subject}/versions, with or without a version."""
    verbose = call.flag("verbose")
    number = call.version if "version" in call.path else None
    try:
        messages = service.check(call.subject, call.schema.text, number)
    except Refusal as refusal:
        if not verbose or refusal.code != INVALID_SCHEMA:
            raise
        messages = [refusal.message]
    return {"is_compatible": not messages} | ({"messages": messages} if verbose else {})


def level(service: RegistryService, call: Call) -> Any:
    """GET /config and /config/{subject}."""
    subject = call.subject if call.path else None
    if subject is not None and not call.flag("defaultToGlobal") and service.store.level(subject) is None:
        raise refusals.no_subject_config(subject)
    return {"compatibilityLevel": service.level(subject)}


def set_level(service: RegistryService, call: Call) -> Any:
    """PUT /config and /config/{subject}."""
    return {"compatibility": service.set_level(call.subject if call.path else None, level_request(call.body))}


def delete_level(service: RegistryService, call: Call) -> Any:
    """DELETE /config and /config/{subject}."""
    return {"compatibilityLevel": service.delete_level(call.subject if call.path else None)}


def mode(service: RegistryService, call: Call) -> Any:
    """GET /mode and /mode/{subject}."""
    subject = call.subject if call.path else None
    if subject is not None and not call.flag("defaultToGlobal") and service.store.mode(subject) is None:
        raise refusals.no_subject_mode(subject)
    return {"mode": service.mode(subject)}


def set_mode(service: RegistryService, call: Call) -> Any:
    """PUT /mode and /mode/{subject}."""
    return {"mode": service.set_mode(call.subject if call.path else None, call.body.get("mode"))}


def delete_mode(service: RegistryService, call: Call) -> Any:
    """DELETE /mode and /mode/{subject}."""
    return {"mode": service.delete_mode(call.subject if call.path else None)}


_Methods = dict[str, Callable[[RegistryService, Call], Any]]
_LEVELS: _Methods = {"GET": level, "PUT": set_level, "DELETE": delete_level}
_MODES: _Methods = {"GET": mode, "PUT": set_mode, "DELETE": delete_mode}
ENDPOINTS: dict[str, _Methods] = {
    "": {"GET": root, "POST": root},
    "subjects": {"GET": subjects},
    "subjects/{subject}": {"POST": lookup, "DELETE": delete_subject},
    "subjects/{subject}/metadata": {"GET": with_metadata},
    "subjects/{subject}/versions": {"GET": versions, "POST": register},
    "subjects/{subject}/versions/{version}": {"GET": version, "DELETE": delete_version},
    "subjects/{subject}/versions/{version}/schema": {"GET": version_text},
    "subjects/{subject}/versions/{version}/referencedby": {"GET": referenced_by},
    "subjects/{subject}/versions/{version}/tags": {"POST": refuse_tags},
    "schemas": {"GET": schemas},
    "schemas/types": {"GET": types},
    "schemas/ids/{id}": {"GET": by_id},
    "schemas/ids/{id}/schema": {"GET": text_by_id},
    "schemas/ids/{id}/subjects": {"GET": subjects_by_id},
    "schemas/ids/{id}/versions": {"GET": versions_by_id},
    "schemas/guids/{guid}": {"GET": by_guid},
    "schemas/guids/{guid}/ids": {"GET": ids_by_guid},
    "compatibility/subjects/{subject}/versions": {"POST": check},
    "compatibility/subjects/{subject}/versions/{version}": {"POST": check},
    "config": _LEVELS,
    "config/{subject}": _LEVELS,
    "mode": _MODES,
    "mode/{subject}": _MODES,
    "contexts": {"GET": contexts},
}
