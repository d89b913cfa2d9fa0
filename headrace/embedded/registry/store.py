"""What the registry knows: the records of the topic, applied one after another."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.embedded.registry.avro_check import AvroSchema, parse_stored
from headrace.embedded.registry.avro_model import SchemaInvalid
from headrace.embedded.registry.records import AVRO, FOREIGN_ATTRIBUTES, SchemaVersion

_HARMLESS_CONFIG = {"normalize": (False,), "validateNewSchemas": (True,), "compatibilityPolicy": ("STRICT",)}
_CONFIG_ATTRIBUTES = frozenset(
    {
        "alias",
        "aliasForDeks",
        "normalize",
        "validateFields",
        "validateNewSchemas",
        "validateRules",
        "compatibilityPolicy",
        "compatibilityGroup",
        "defaultMetadata",
        "overrideMetadata",
        "defaultRuleSet",
        "overrideRuleSet",
    }
)


class RecordRefused(Exception):
    """A record that asks for something this registry cannot do, so that serving the topic would be wrong."""


class RecordUnreadable(Exception):
    """A record that no registry can read. It is skipped and told, as Confluent's registry does."""


def unsupported_config(config: Mapping[str, Any]) -> str:
    """Return the first attribute of a config that would change behaviour and is not supported, or "".

    >>> unsupported_config({"compatibilityLevel": "FULL", "normalize": False})
    ''
    """
    for name in sorted(_CONFIG_ATTRIBUTES & config.keys()):
        value = config[name]
        if value not in (None, "", False, {}, []) and value not in _HARMLESS_CONFIG.get(name, ()):
            return name
        if name == "validateNewSchemas" and value is False:
            return name
    return ""


class Store:
    """Subjects, versions, ids, levels and modes. One thread applies records; any thread may ask. Never blocks long."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._versions: dict[str, dict[int, SchemaVersion]] = {}
        self._places: dict[int, dict[tuple[str, int], SchemaVersion]] = defaultdict(dict)
        self._ids: dict[str, set[int]] = defaultdict(set)
        self._levels: dict[str | None, str] = {}
        self._modes: dict[str | None, str] = {}
        self.highest_id = 0

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take one record of the topic in; raises RecordUnreadable or RecordRefused and changes nothing then."""
        found = _document(key, "key")
        if not isinstance(found, dict):
            raise RecordUnreadable("the key is not a JSON object")
        kind, subject = found.get("keytype"), found.get("subject")
        content = None if value is None else _document(value, "value")
        if isinstance(subject, str) and subject.startswith(":.") and kind != "CLEAR_SUBJECT":
            raise RecordRefused(f'subject "{subject}" belongs to a context; contexts are not supported')
        with self._lock:
            try:
                self._apply(kind, subject, found, content)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise RecordUnreadable(f"{kind}: {type(error).__name__} {error}") from error

    def _apply(self, kind: Any, subject: Any, key: dict[str, Any], content: Any) -> None:
        match kind:
            case "SCHEMA":
                self._apply_schema(str(subject), int(key["version"]), content)
            case "CONFIG":
                self._apply_config(subject, content)
            case "MODE":
                _set(self._modes, subject, None if content is None else str(content["mode"]))
            case "DELETE_SUBJECT":
                self._apply_subject_deleted(str(subject), content)
            case "NOOP":
                self.highest_id = max(self.highest_id, int((content or {}).get("maxId", 0)))
            case "CLEAR_SUBJECT":
                return
            case _:
                raise RecordRefused(f'records of type "{kind}" are not supported')

    def _apply_schema(self, subject: str, version: int, content: Any) -> None:
        if content is None:
            self._remove(subject, version)
            return
        foreign = {name: content[name] for name in FOREIGN_ATTRIBUTES if content.get(name)}
        if foreign.get("schemaType") == AVRO:
            del foreign["schemaType"]
        deleted = bool(content.get("deleted", False))
        found = SchemaVersion(subject, version, int(content["id"]), str(content["schema"]), deleted, foreign)
        self._remove(subject, version)
        self._versions.setdefault(subject, {})[version] = found
        self._places[found.id][subject, version] = found
        self._ids[_identity(found)].add(found.id)
        self.highest_id = max(self.highest_id, found.id)

    def _apply_config(self, subject: Any, content: Any) -> None:
        if content is not None and (name := unsupported_config(content)):
            raise RecordRefused(f'config "{name}" of subject {subject} is not supported')
        level = None if content is None else content.get("compatibilityLevel")
        _set(self._levels, subject, None if level is None else str(level))

    def _apply_subject_deleted(self, subject: str, content: Any) -> None:
        last = -1 if content is None else int(content["version"])
        for version, found in list(self._versions.get(subject, {}).items()):
            if version <= last and not found.deleted:
                gone = SchemaVersion(subject, version, found.id, found.text, deleted=True, foreign=found.foreign)
                self._versions[subject][version] = gone
                self._places[found.id][subject, version] = gone

    def _remove(self, subject: str, version: int) -> None:
        found = self._versions.get(subject, {}).pop(version, None)
        if found is None:
            return
        if not self._versions[subject]:
            del self._versions[subject]
        self._places[found.id].pop((subject, version))
        if not self._places[found.id]:
            del self._places[found.id]
            self._ids[_identity(found)].discard(found.id)

    def subjects(self, *, deleted: bool = False, only_deleted: bool = False) -> list[str]:
        """Return subject names in order: those with a live version, with `deleted` all, or only those without one."""
        with self._lock:
            alive = {name: any(not found.deleted for found in held.values()) for name, held in self._versions.items()}
        if only_deleted:
            return sorted(name for name, lives in alive.items() if not lives)
        return sorted(name for name, lives in alive.items() if lives or deleted)

    def has_subject(self, subject: str, *, deleted: bool = False) -> bool:
        """Return whether a subject has a version (with `deleted` also a soft-deleted one)."""
        return bool(self.versions(subject, deleted=deleted))

    def versions(self, subject: str, *, deleted: bool = False) -> list[SchemaVersion]:
        """Return a subject's versions in order; [] if there is none."""
        with self._lock:
            held = list(self._versions.get(subject, {}).values())
        return sorted((found for found in held if deleted or not found.deleted), key=lambda found: found.version)

    def by_id(self, schema_id: int) -> list[SchemaVersion]:
        """Return every version that has this id, soft-deleted ones too; [] if the id is unknown."""
        with self._lock:
            held = list(self._places.get(schema_id, {}).values())
        return sorted(held, key=lambda found: (found.subject, found.version))

    def ids_of(self, schema: AvroSchema) -> list[int]:
        """Return the ids under which a schema is known, oldest first: one, unless another registry imported more."""
        with self._lock:
            return sorted(self._ids.get(schema.text, ()))

    def level(self, subject: str | None) -> str | None:
        """Return the compatibility level set for exactly this subject (None: globally), None if there is none."""
        with self._lock:
            return self._levels.get(subject)

    def mode(self, subject: str | None) -> str | None:
        """Return the mode set for exactly this subject (None: globally), None if there is none."""
        with self._lock:
            return self._modes.get(subject)

    def all_versions(self) -> Iterable[SchemaVersion]:
        """Return every version of every subject, soft-deleted ones too, in order."""
        for subject in self.subjects(deleted=True):
            yield from self.versions(subject, deleted=True)


def _identity(version: SchemaVersion) -> str:
    """Return what makes two schemas the same: the canonical text, whatever other registries made of the blanks."""
    if version.foreign:
        return version.guid
    try:
        return parse_stored(version.text).text
    except SchemaInvalid:
        return version.text


def _document(content: bytes, part: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RecordUnreadable(f"the {part} is not JSON: {error}") from error


def _set(held: dict[str | None, str], subject: str | None, value: str | None) -> None:
    if value is None:
        held.pop(subject, None)
    else:
        held[subject] = value
