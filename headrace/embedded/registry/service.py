"""What the registry does: Confluent's operations over the store, each write through the log and read back from it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

from headrace.embedded.registry import records, refusals
from headrace.embedded.registry.avro_check import AvroSchema, parse_new, parse_stored
from headrace.embedded.registry.avro_model import SchemaInvalid
from headrace.embedded.registry.compatibility import Earlier, Level, violations
from headrace.embedded.registry.records import AVRO, Record, SchemaVersion
from headrace.embedded.registry.store import Store
from headrace.errors import HeadraceError
from headrace.observability.events import RequestFailed, emit

LATEST = -1
DEFAULT_LEVEL, DEFAULT_MODE = Level.BACKWARD, "READWRITE"
SETTABLE_MODES = frozenset({"READWRITE", "READONLY"})
OTHER_MODES = frozenset({"READONLY_OVERRIDE", "IMPORT", "FORWARD"})
_READ_ONLY = frozenset({"READONLY", "READONLY_OVERRIDE"})
_DIFFERENT_TYPE = "Incompatible because of different schema type"
_LOCK_SECS = 30.0


class SchemaLog(Protocol):
    """The topic that holds the registry's state; `transport.schema_log` is the real one."""

    def sync(self) -> None:
        """Return when everything that is on the topic now has been applied to the store."""

    def write(self, written: Sequence[Record]) -> None:
        """Write records in order; return when all are on the topic for good and applied to the store."""


class RegistryService:
    """The operations. Writes wait for Kafka and for each other; reads answer from memory at once.

    Every answer that is not a result is a Refusal.
    """

    def __init__(self, store: Store, log: SchemaLog, *, incompatible_code: Literal[409, 40901] = 409) -> None:
        self.store = store
        self._log = log
        self._incompatible_code = incompatible_code
        self._writing = threading.Lock()

    def register(self, subject: str, text: str, *, version: int | None = None) -> SchemaVersion:
        """Register a schema under a subject and return its version; the same schema again gives the same version.

        As in Confluent's registry a schema that is there already is found first: in memory, in every mode.
        """
        known = self._known(subject, _parsed(text, parse_stored))
        if known is not None and version is None:
            return known
        self._check_register_mode(subject)
        schema = _parsed(text, parse_new)
        with self._write("Register operation", "Register schema operation failed while writing to the Kafka store"):
            known = self._known(subject, schema)
            if known is not None and version in (None, known.version):
                return known
            self._check_register_mode(subject)
            ids = self.store.ids_of(schema)
            held = self.store.versions(subject, deleted=True)
            found = self._violations(subject, schema, [one for one in held if not one.deleted])
            if found:
                raise refusals.incompatible(subject, found, self._incompatible_code)
            next_version = max((one.version for one in held), default=0) + 1
            if version not in (None, next_version):
                raise refusals.invalid_schema("Version is not one more than previous version")
            new_id = ids[0] if ids else self.store.highest_id + 1
            new = SchemaVersion(subject, next_version, new_id, schema.text)
            # The new version first: a kill in between must not leave the id without a schema.
            revived = [records.schema_tombstone(subject, one.version) for one in held if one.id == new_id]
            self._log.write([records.schema_record(new), *revived])
            return new

    def lookup(self, subject: str, text: str, *, deleted: bool = False) -> SchemaVersion:
        """Return the version of a subject that has exactly this schema."""
        found = self._known(subject, _parsed(text, parse_stored), deleted=deleted)
        if found is not None:
            return found
        held = self.store.has_subject(subject, deleted=deleted)
        raise refusals.no_such_schema() if held else refusals.no_such_subject(subject)

    def version(self, subject: str, version: int, *, deleted: bool = False) -> SchemaVersion:
        """Return one version of a subject; LATEST is the newest that is not deleted."""
        held = self.store.versions(subject, deleted=deleted)
        alive = [one for one in held if not one.deleted]
        found = alive[-1:] if version == LATEST else [one for one in held if one.version == version]
        if found:
            return found[0]
        raise refusals.no_such_version(version) if held else refusals.no_such_subject(subject)

    def by_id(self, schema_id: int) -> list[SchemaVersion]:
        """Return the places where an id is used, soft-deleted ones too: old messages must stay readable."""
        if found := self.store.by_id(schema_id):
            return found
        raise refusals.no_such_schema(schema_id)

    def check(self, subject: str, text: str, version: int | None = None) -> list[str]:
        """Return why a schema would break the subject's level against one version, or against all (None); [] if not."""
        held = self.store.versions(subject)
        if version is not None:
            held = [one for one in held if one.version == version] if version != LATEST else held[-1:]
            if not held and version != LATEST:
                raise refusals.no_such_version(version)
        return self._violations(subject, _parsed(text, parse_new), held)

    def delete_version(self, subject: str, version: int, *, permanent: bool = False) -> int:
        """Delete one version, softly or for good, and return its number."""
        failed = "Delete Schema Version operation failed while writing to the Kafka store"
        with self._write("Delete Schema Version operation", failed):
            found = self._deletable_version(subject, version, permanent=permanent)
            self._check_writable(subject)
            if self.referenced_by(subject, found.version, deleted=permanent):
                raise refusals.referenced(subject, found.version)
            if permanent and not found.deleted:
                raise refusals.version_is_not_deleted(subject, found.version)
            if permanent:
                last = len(self.store.versions(subject, deleted=True)) == 1
                self._log.write(self._gone_for_good([found], subject if last else None))
            else:
                deleted = SchemaVersion(subject, found.version, found.id, found.text, True, found.foreign)
                self._log.write([records.schema_record(deleted)])
            return found.version

    def delete_subject(self, subject: str, *, permanent: bool = False) -> list[int]:
        """Delete every version of a subject, softly or for good, and return their numbers."""
        with self._write("Delete subject operation", f"Error while deleting the subject {subject}"):
            held = self.store.versions(subject, deleted=True)
            if not held:
                raise refusals.no_such_subject(subject)
            chosen = held if permanent else [one for one in held if not one.deleted]
            if not chosen:
                raise refusals.subject_is_deleted(subject)
            self._check_writable(subject)
            for one in chosen:
                if any(other.subject != subject for other in self._referring(subject, one.version, permanent)):
                    raise refusals.referenced(subject, one.version)
            if not permanent:
                self._log.write([records.subject_deleted_record(subject, chosen[-1].version)])
            elif any(not one.deleted for one in chosen):
                raise refusals.subject_is_not_deleted(subject)
            else:
                self._log.write(self._gone_for_good(list(reversed(chosen)), subject))
            return [one.version for one in chosen]

    def referenced_by(self, subject: str, version: int, *, deleted: bool = False) -> list[int]:
        """Return the ids of schemas that refer to a version: only Confluent's own registry writes references."""
        return sorted({one.id for one in self._referring(subject, version, deleted)})

    def level(self, subject: str | None) -> Level:
        """Return the level in force for a subject: its own, else the global one, else BACKWARD."""
        return Level(self.store.level(subject) or self.store.level(None) or DEFAULT_LEVEL)

    def set_level(self, subject: str | None, name: object) -> Level:
        """Set a subject's level or the global one (None)."""
        if not isinstance(name, str) or name.upper() not in Level.__members__:
            raise refusals.invalid_level()
        level = Level(name.upper())
        with self._write("Update compatibility level operation", "Failed to update compatibility level"):
            self._check_writable(subject)
            self._log.write([records.config_record(subject, level)])
        return level

    def delete_level(self, subject: str | None) -> Level:
        """Remove a subject's level, or set the global one back to BACKWARD; return what it was."""
        with self._write("Delete compatibility level operation", "Failed to delete compatibility level"):
            before = self.store.level(subject)
            if before is None and subject is not None:
                raise refusals.no_such_subject(subject)
            self._check_writable(subject)
            self._log.write([records.config_record(subject, None)])
        return Level(before or DEFAULT_LEVEL)

    def mode(self, subject: str | None) -> str:
        """Return the mode in force for a subject: its own, else the global one, else READWRITE."""
        everywhere = self.store.mode(None)
        if everywhere == "READONLY_OVERRIDE":
            return everywhere
        return self.store.mode(subject) or everywhere or DEFAULT_MODE

    def set_mode(self, subject: str | None, name: object) -> str:
        """Set a subject's mode or the global one (None); only READWRITE and READONLY can be set here."""
        mode = name.upper() if isinstance(name, str) else ""
        if mode in OTHER_MODES:
            raise refusals.not_permitted(f"Mode {mode} is not supported by this registry: set READWRITE or READONLY")
        if mode not in SETTABLE_MODES:
            raise refusals.invalid_mode()
        with self._write("Update mode operation", "Failed to update mode"):
            self._log.write([records.mode_record(subject, mode)])
        return mode

    def delete_mode(self, subject: str | None) -> str:
        """Remove a subject's mode, or set the global one back to READWRITE; return what it was."""
        with self._write("Delete mode operation", "Failed to delete mode"):
            before = self.store.mode(subject)
            if before is None and subject is not None:
                raise refusals.no_such_subject(subject)
            self._log.write([records.mode_record(subject, None)])
        return before or DEFAULT_MODE

    def _known(self, subject: str, schema: AvroSchema, *, deleted: bool = False) -> SchemaVersion | None:
        ids = self.store.ids_of(schema)
        found = [one for one in self.store.versions(subject, deleted=deleted) if one.id in ids]
        return found[-1] if found else None

    def _violations(self, subject: str, schema: AvroSchema, held: list[SchemaVersion]) -> list[str]:
        level = self.level(subject)
        compared = held if level.endswith("_TRANSITIVE") else held[-1:]
        if level is not Level.NONE and any(one.schema_type != AVRO for one in compared):
            return [_DIFFERENT_TYPE, f"{{validateFields: 'false', compatibility: '{level}'}}"]
        try:
            earlier = [] if level is Level.NONE else [_earlier(one) for one in compared]
            return violations(level, schema, earlier)
        except SchemaInvalid as error:
            raise refusals.invalid_schema(f"Cannot compare with the versions of '{subject}': {error}") from error

    def _deletable_version(self, subject: str, version: int, *, permanent: bool) -> SchemaVersion:
        found = self.version(subject, version, deleted=True)
        if found.deleted and not permanent:
            raise refusals.version_is_deleted(subject, found.version)
        return found

    def _gone_for_good(self, gone: list[SchemaVersion], emptied: str | None) -> list[Record]:
        written = [records.highest_id_record(self.store.highest_id)]
        written += [records.schema_tombstone(one.subject, one.version) for one in gone]
        if emptied is not None and self.store.mode(emptied) is not None:
            written.append(records.mode_record(emptied, None))
        if emptied is not None and self.store.level(emptied) is not None:
            written.append(records.config_record(emptied, None))
        return written

    def _referring(self, subject: str, version: int, deleted: bool) -> list[SchemaVersion]:
        wanted = (subject, version)
        return [
            one
            for one in self.store.all_versions()
            if (deleted or not one.deleted)
            and any((to.get("subject"), to.get("version")) == wanted for to in one.foreign.get("references", ()))
        ]

    def _check_writable(self, subject: str | None) -> None:
        if self.mode(subject) in _READ_ONLY:
            raise refusals.read_only(subject)

    def _check_register_mode(self, subject: str) -> None:
        self._check_writable(subject)
        if self.mode(subject) != DEFAULT_MODE:
            raise refusals.not_read_write(subject)

    @contextmanager
    def _write(self, operation: str, failed: str) -> Iterator[None]:
        """Let one writer in at a time, with everything that is on the topic applied before it decides."""
        if not self._writing.acquire(timeout=_LOCK_SECS):
            raise refusals.store_timed_out(f"{operation} timed out")
        try:
            self._log.sync()
            yield
        except TimeoutError as error:
            emit(RequestFailed(service="registry", method=operation, cause=str(error)))
            raise refusals.store_timed_out(f"{operation} timed out") from error
        except HeadraceError as error:
            emit(RequestFailed(service="registry", method=operation, cause=str(error)))
            raise refusals.store_failed(failed) from error
        finally:
            self._writing.release()


def _parsed(text: str, parse: Callable[[str], AvroSchema]) -> AvroSchema:
    if not text.strip():
        raise refusals.invalid_schema("Empty schema")
    try:
        return parse(text)
    except SchemaInvalid as error:
        raise refusals.invalid_schema(f"Invalid schema of type {AVRO}, details: {error}") from error


def _earlier(found: SchemaVersion) -> Earlier:
    if found.foreign.get("references"):
        raise SchemaInvalid(f"version {found.version} has references, which this registry does not resolve")
    return Earlier(found.version, parse_stored(found.text))
