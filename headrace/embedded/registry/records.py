"""The records of the `_schemas` topic, byte for byte as Confluent's registry writes them (keys in its order)."""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOPIC = "_schemas"
AVRO = "AVRO"
# What Confluent's registry may store beside the text; never written here, but kept and shown when the topic has it.
FOREIGN_ATTRIBUTES = ("schemaType", "references", "metadata", "ruleSet")

Record = tuple[bytes, bytes | None]


@dataclass(frozen=True)
class SchemaVersion:
    """One version of a subject. `foreign` holds attributes that only Confluent's own registry writes."""

    subject: str
    version: int
    id: int
    text: str
    deleted: bool = False
    foreign: Mapping[str, Any] = field(default_factory=dict)

    @property
    def schema_type(self) -> str:
        """Return AVRO, or what else the topic says."""
        return str(self.foreign.get("schemaType", AVRO))

    @property
    def fingerprint(self) -> bytes:
        """Return what makes two schemas the same: the MD5 of the text, and of foreign attributes if there are any."""
        digest = hashlib.md5(self.text.encode(), usedforsecurity=False)
        if self.foreign:
            digest.update(json.dumps(self.foreign, sort_keys=True).encode())
        return digest.digest()

    @property
    def guid(self) -> str:
        """Return the fingerprint as Confluent's guid.

        >>> SchemaVersion("s", 1, 1, '"string"').guid
        '095d71cf-1255-6b9d-5e33-0ad575b3df5d'
        """
        return str(uuid.UUID(bytes=self.fingerprint))


def schema_record(version: SchemaVersion) -> Record:
    """Return the record of a version."""
    value: dict[str, Any] = {
        "subject": version.subject,
        "version": version.version,
        "id": version.id,
        "md5": base64.b64encode(version.fingerprint).decode(),
        **{name: version.foreign[name] for name in FOREIGN_ATTRIBUTES if name in version.foreign},
        "schema": version.text,
        "deleted": version.deleted,
    }
    return schema_key(version.subject, version.version), _json(value)


def schema_tombstone(subject: str, version: int) -> Record:
    """Return the record that deletes a version for good."""
    return schema_key(subject, version), None


def schema_key(subject: str, version: int) -> bytes:
    """Return a version's key.

    >>> schema_key("a-value", 1)
    b'{"keytype":"SCHEMA","subject":"a-value","version":1,"magic":1}'
    """
    return _json({"keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1})


def config_record(subject: str | None, level: str | None) -> Record:
    """Return the record of a compatibility level; subject None is the global one, level None deletes it."""
    value = {"subject": subject, "compatibilityLevel": level}
    return _subject_key("CONFIG", subject), None if level is None else _json(_without_none(value))


def mode_record(subject: str | None, mode: str | None) -> Record:
    """Return the record of a mode; subject None is the global one, mode None deletes it."""
    value = {"subject": subject, "mode": mode}
    return _subject_key("MODE", subject), None if mode is None else _json(_without_none(value))


def subject_deleted_record(subject: str, version: int) -> Record:
    """Return the record that marks every version of a subject up to `version` as deleted."""
    return _subject_key("DELETE_SUBJECT", subject), _json({"subject": subject, "version": version})


def highest_id_record(highest_id: int) -> Record:
    """Return a NOOP that carries the highest id ever given.

    Confluent's registry skips NOOP values; without it an id could be given twice after its only record was deleted for
    good and compacted away, and readers of old messages would decode them with the wrong schema.
    """
    return _json({"keytype": "NOOP", "magic": 0}), _json({"maxId": highest_id})


def _subject_key(kind: str, subject: str | None) -> bytes:
    return _json({"keytype": kind, "subject": subject, "magic": 0})


def _without_none(value: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if part is not None}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
