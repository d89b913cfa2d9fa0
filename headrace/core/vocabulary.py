"""The closed sets: states, stages, reasons and severities. Each member is documented in docs/guide/reference.md."""

from enum import StrEnum


class FileState(StrEnum):
    """Where a file stands in the ledger."""

    SEEN = "seen"
    CLAIMED = "claimed"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    BALANCED = "balanced"
    PARTIAL = "partial"
    CHANGED = "changed"
    REJECTED = "rejected"
    SKIPPED = "skipped"


class Stage(StrEnum):
    """Where a row was put aside: the reader could not frame it, or the contract refused it."""

    READ = "read"
    JUDGE = "judge"


class Reason(StrEnum):
    """Why a row or a file was put aside."""

    # a file, before its first frame
    EMPTY_FILE = "empty_file"
    NO_HEADER = "no_header"
    BINARY = "binary"
    WRONG_ENCODING = "wrong_encoding"
    TOO_MANY_COLUMNS = "too_many_columns"
    UNKNOWN_FORMAT = "unknown_format"
    UNREADABLE = "unreadable"
    NOT_A_FILE = "not_a_file"
    BAD_DATASET_NAME = "bad_dataset_name"
    CONTRACT_INVALID = "contract_invalid"
    SCHEMA_INCOMPATIBLE = "schema_incompatible"
    DIGEST_COLLISION = "digest_collision"
    # a file, later
    DUPLICATE_CONTENT = "duplicate_content"
    CHANGED_WHILE_READ = "changed_while_read"
    VANISHED = "vanished"
    # a row at the reader
    TOO_FEW_FIELDS = "too_few_fields"
    TOO_MANY_FIELDS = "too_many_fields"
    TYPE_MISMATCH = "type_mismatch"
    BAD_ENCODING = "bad_encoding"
    NUL_BYTE = "nul_byte"
    BAD_JSON = "bad_json"
    TOO_LARGE = "too_large"
    UNTERMINATED_QUOTE = "unterminated_quote"
    STRAY_QUOTE = "stray_quote"
    UNKNOWN_FIELD = "unknown_field"
    # a row at the judge
    REQUIRED = "required"
    NOT_IN_SET = "not_in_set"
    OUT_OF_RANGE = "out_of_range"
    BAD_LENGTH = "bad_length"
    PATTERN_MISMATCH = "pattern_mismatch"
    ROW_RULE = "row_rule"
    # a message that is not one of ours
    WRONG_MAGIC = "wrong_magic"
    UNKNOWN_SCHEMA = "unknown_schema"
    TRUNCATED = "truncated"
    OVERLONG = "overlong"
    MALFORMED = "malformed"
    FOREIGN = "foreign"


class Severity(StrEnum):
    """How much an alert asks of a person."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """The life of an alert."""

    OPEN = "open"
    STILL = "still"
    RESOLVED = "resolved"
