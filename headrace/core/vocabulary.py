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
    NO_ROOM = "no_room"
    NOT_PROVED = "not_proved"
    NOT_A_FILE = "not_a_file"
    BAD_DATASET_NAME = "bad_dataset_name"
    NO_DATASET = "no_dataset"
    CONTRACT_INVALID = "contract_invalid"
    SCHEMA_INCOMPATIBLE = "schema_incompatible"
    DIGEST_COLLISION = "digest_collision"
    READER_FAILED = "reader_failed"
    # a file, later
    PREFIX_MISMATCH = "prefix_mismatch"
    DUPLICATE_CONTENT = "duplicate_content"
    CHANGED_WHILE_READ = "changed_while_read"
    VANISHED = "vanished"
    NEW_COLUMNS = "new_columns"
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
    NOT_A_MULTIPLE = "not_a_multiple"
    ROW_RULE = "row_rule"
    LATE = "late"
    UNKNOWN_REFERENCE = "unknown_reference"
    PERSONAL_DATA = "personal_data"
    # a message that is not one of ours
    WRONG_MAGIC = "wrong_magic"
    UNKNOWN_SCHEMA = "unknown_schema"
    TRUNCATED = "truncated"
    OVERLONG = "overlong"
    MALFORMED = "malformed"
    FOREIGN = "foreign"


# Reasons of files, as against those of rows: docs/guide/files.md has a line on each, and a test says so.
FILE_REASONS = frozenset(list(Reason)[: list(Reason).index(Reason.TOO_FEW_FIELDS)])
# What these tell of waits where it is and is tried again; nobody has to move it.
WAITING_REASONS = frozenset({Reason.UNREADABLE, Reason.NO_ROOM, Reason.NOT_PROVED})


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


# What each member means, for docs/guide/reference.md; a test finds the ones without.
MEANINGS: dict[StrEnum, str] = {
    FileState.SEEN: "Found in the inbox; it cannot be taken yet, the reason says why.",
    FileState.CLAIMED: "Moved to work/, hashed, its contract and schema settled.",
    FileState.PUBLISHING: "Some of its frames are committed to Kafka; a restart goes on at next_row.",
    FileState.PUBLISHED: "All its rows are committed to Kafka.",
    FileState.BALANCED: "Every row was counted in the table or in quarantine: the receipt is proved.",
    FileState.PARTIAL: "Damaged: from some byte on it could not be framed; that rest is one quarantined entry.",
    FileState.CHANGED: "Somebody wrote to it while it was read; its new bytes come in as a new file.",
    FileState.REJECTED: "Not taken in at all; it lies in rejected/ with its reason.",
    FileState.SKIPPED: "The same bytes came in before; first_name says under which name.",
    Stage.READ: "The reader could not frame or parse the row.",
    Stage.JUDGE: "The contract, or the decoder of messages, refused the row.",
    Reason.EMPTY_FILE: "The file has no bytes.",
    Reason.NO_HEADER: "The first line names no columns.",
    Reason.BINARY: "The file is no text, or another format than its name says.",
    Reason.WRONG_ENCODING: "The file is in an encoding that is not read.",
    Reason.TOO_MANY_COLUMNS: "The header has more columns than a dataset may have.",
    Reason.UNKNOWN_FORMAT: "No reader knows the file's name or content.",
    Reason.UNREADABLE: "The file or folder cannot be opened; it waits in the inbox until its permissions change.",
    Reason.NO_ROOM: "The disk of the home is full; the file waits in the inbox and is tried again.",
    Reason.NOT_PROVED: "Its first rows are not proved stored yet; it waits in the inbox and goes on once they are.",
    Reason.NOT_A_FILE: "A folder in a dataset's folder, or a link, pipe, socket or device: never followed.",
    Reason.BAD_DATASET_NAME: "The folder's name cannot be a dataset.",
    Reason.NO_DATASET: "The file lies in the inbox itself, where it waits until it is moved into a dataset's folder.",
    Reason.CONTRACT_INVALID: "The dataset's contract cannot be followed as it is written.",
    Reason.SCHEMA_INCOMPATIBLE: "The file's or the contract's types contradict the registered schema.",
    Reason.DIGEST_COLLISION: "Another file of the dataset has the same first 16 digits of its SHA-256.",
    Reason.READER_FAILED: "The reader broke down at the file, or at some row of it; the detail says where and how.",
    Reason.PREFIX_MISMATCH: "It was to go on, and its first bytes are not those whose rows were published before.",
    Reason.DUPLICATE_CONTENT: "The same bytes came in before.",
    Reason.CHANGED_WHILE_READ: "Size, time or content changed after the file was claimed.",
    Reason.VANISHED: "Somebody deleted the file from work/; the detail says how many of its rows stand.",
    Reason.NEW_COLUMNS: "All is taken in; some columns the contract does not know, so no rule judged them.",
    Reason.TOO_FEW_FIELDS: "Fewer fields than the header has.",
    Reason.TOO_MANY_FIELDS: "More fields than the header has.",
    Reason.TYPE_MISMATCH: "A value is not of its field's type.",
    Reason.BAD_ENCODING: "The row has bytes that are not UTF-8.",
    Reason.NUL_BYTE: "The row has a NUL byte.",
    Reason.BAD_JSON: "The line is not one JSON object.",
    Reason.TOO_LARGE: "The record has more than 1 MiB.",
    Reason.UNTERMINATED_QUOTE: "A quote is opened and never closed.",
    Reason.STRAY_QUOTE: "A quote stands where none may be.",
    Reason.UNKNOWN_FIELD: "A JSON key that the schema does not have.",
    Reason.REQUIRED: "A required value is missing.",
    Reason.NOT_IN_SET: "The value is not one of those the contract lists.",
    Reason.OUT_OF_RANGE: "The value is below the minimum or above the maximum.",
    Reason.BAD_LENGTH: "The text is shorter or longer than the contract allows.",
    Reason.PATTERN_MISMATCH: "The text does not match the contract's pattern.",
    Reason.NOT_A_MULTIPLE: "The number is not a multiple of the contract's step.",
    Reason.ROW_RULE: "A rule over several columns does not hold.",
    Reason.LATE: "The record came longer after its event than is allowed.",
    Reason.UNKNOWN_REFERENCE: "The record names a key that the dataset it refers to does not have.",
    Reason.PERSONAL_DATA: "A field that is not tagged for it holds personal data.",
    Reason.WRONG_MAGIC: "The message does not begin with byte 0 and a schema id.",
    Reason.UNKNOWN_SCHEMA: "The registry does not know the message's schema id.",
    Reason.TRUNCATED: "The message ends before its record does.",
    Reason.OVERLONG: "The message goes on after its record has ended.",
    Reason.MALFORMED: "The message's body is not an encoding of its schema.",
    Reason.FOREIGN: "The message is not a record of a file.",
    Severity.INFO: "Worth knowing.",
    Severity.WARNING: "Look at it today.",
    Severity.CRITICAL: "Data is missing or wrong now.",
    AlertState.OPEN: "New.",
    AlertState.STILL: "Seen again.",
    AlertState.RESOLVED: "No longer seen.",
}
