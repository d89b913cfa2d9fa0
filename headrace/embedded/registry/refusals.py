"""What the registry answers instead of a result: Confluent's statuses, codes and texts, word for word."""

from typing import Literal


class Refusal(Exception):
    """An answer other than 200: HTTP status, Confluent's error code, and the text that its clients show."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def http_refusal(status: int, phrase: str) -> Refusal:
    """Return what the HTTP layer itself refuses: the code is the status, as Jersey does it."""
    return Refusal(status, status, f"HTTP {status} {phrase}")


def no_such_path() -> Refusal:
    """Return the answer for a path, id or number that is none."""
    return http_refusal(404, "Not Found")


def no_such_subject(subject: str) -> Refusal:
    """Return 40401."""
    return Refusal(404, 40401, f"Subject '{subject}' not found.")


def no_such_version(version: int) -> Refusal:
    """Return 40402."""
    return Refusal(404, 40402, f"Version {version} not found.")


def no_such_schema(identity: int | str | None = None) -> Refusal:
    """Return 40403."""
    return Refusal(404, 40403, "Schema not found" if identity is None else f"Schema {identity} not found")


def subject_is_deleted(subject: str) -> Refusal:
    """Return 40404: the second soft delete."""
    return Refusal(404, 40404, f"Subject '{subject}' was soft deleted.Set permanent=true to delete permanently")


def subject_is_not_deleted(subject: str) -> Refusal:
    """Return 40405: the hard delete before the soft one."""
    return Refusal(404, 40405, f"Subject '{subject}' was not deleted first before being permanently deleted")


def version_is_deleted(subject: str, version: int) -> Refusal:
    """Return 40406."""
    what = f"Subject '{subject}' Version {version}"
    return Refusal(404, 40406, f"{what} was soft deleted.Set permanent=true to delete permanently")


def version_is_not_deleted(subject: str, version: int) -> Refusal:
    """Return 40407."""
    what = f"Subject '{subject}' Version {version}"
    return Refusal(404, 40407, f"{what} was not deleted first before being permanently deleted")


def no_subject_config(subject: str) -> Refusal:
    """Return 40408."""
    return Refusal(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def no_subject_mode(subject: str) -> Refusal:
    """Return 40409."""
    return Refusal(404, 40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible(subject: str, messages: list[str], code: Literal[409, 40901]) -> Refusal:
    """Return 409: the schema breaks the subject's compatibility level."""
    what = f'Schema being registered is incompatible with an earlier schema for subject "{subject}"'
    return Refusal(409, code, f"{what}, details: [{', '.join(messages)}]")


def invalid_schema(detail: str) -> Refusal:
    """Return 42201."""
    return Refusal(422, 42201, detail)


def invalid_version(version: str) -> Refusal:
    """Return 42202."""
    limits = 'Allowed values are between [1, 2^31-1] and the string "latest"'
    return Refusal(422, 42202, f"The specified version '{version}' is not a valid version id. {limits}")


def invalid_level() -> Refusal:
    """Return 42203."""
    levels = "none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    return Refusal(422, 42203, f"Invalid compatibility level. Valid values are {levels}")


def invalid_mode() -> Refusal:
    """Return 42204."""
    return Refusal(422, 42204, "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.")


def not_permitted(detail: str) -> Refusal:
    """Return 42205."""
    return Refusal(422, 42205, detail)


def read_only(subject: str | None) -> Refusal:
    """Return 42205 for a write while the mode forbids it."""
    return not_permitted(f"Subject {_java_null(subject)} in context . is in read-only mode")


def not_read_write(subject: str) -> Refusal:
    """Return 42205 for a registration in a mode that only Confluent's own registry can set."""
    return not_permitted(f"Subject {subject} in context . is not in read-write mode")


def not_importing(subject: str) -> Refusal:
    """Return 42205 for a registration that brings its own id."""
    return not_permitted(f"Subject {subject} in context . is not in import mode")


def referenced(subject: str, version: int) -> Refusal:
    """Return 42206: another schema refers to this version."""
    key = f"{{magic=1,keytype=SCHEMA,subject={subject},version={version}}}"
    return Refusal(422, 42206, f"One or more references exist to the schema {key}.")


def invalid_subject(subject: str, why: str = "") -> Refusal:
    """Return 42208."""
    return Refusal(422, 42208, f"The specified subject '{subject}' is not a valid.{why and ' '}{why}")


def too_large(detail: str) -> Refusal:
    """Return 42209."""
    return Refusal(422, 42209, detail)


def rules_not_supported() -> Refusal:
    """Return 42210."""
    return Refusal(422, 42210, "Rule sets are not supported by this registry")


def not_supported(what: str) -> Refusal:
    """Return 42201 for what Confluent's registry can do and this one cannot: never ignored, always said."""
    return invalid_schema(f"{what} not supported by this registry")


def store_failed(detail: str) -> Refusal:
    """Return 50001: Kafka did not take the record."""
    return Refusal(500, 50001, detail)


def store_timed_out(detail: str) -> Refusal:
    """Return 50002: Kafka did not answer in time; what happened is known after the next request."""
    return Refusal(500, 50002, detail)


def _java_null(subject: str | None) -> str:
    return "null" if subject is None else subject
