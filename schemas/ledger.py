"""The ledger: where every file stands, one entry a file on files.ledger, and the receipt that a person gets of it.

An entry has one writer at any time. The owning ingest slot writes it up to published, partial, changed, rejected or
skipped. One that is published, partial or changed, or rejected at a second coming when the rows of the first stand, is
the reconciler's until it writes it as balanced, when the tables hold every row. A changed or rejected one that is
balanced is the slot's again, which may go on with the file if its bytes come back; until then such a file has to wait.
Kafka cannot compare and swap: nothing less keeps an old receipt from covering
the rows of a file that went on. What has no digest (a link, a bad folder, a file nobody may read)
has a note: an entry without a digest under `note_key`. Entries are overwritten and never deleted; a note with no reason
says that what it told of was put right.
"""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypedDict

from headrace.core.identity import file_id, trace_id
from headrace.core.vocabulary import FileState
from headrace.schemas.system import frame_system, read_system

FILE_ENTRY = "file_entry"
# Files of these states are being worked on: after a kill the slot goes on with them.
OPEN_STATES = frozenset({FileState.CLAIMED, FileState.PUBLISHING})
# The rows of files in these states are in Kafka to the last; the reconciler proves that they are in the tables.
PUBLISHED_STATES = frozenset({FileState.PUBLISHED, FileState.BALANCED, FileState.PARTIAL, FileState.CHANGED})
# The same bytes again are a copy of a file in one of these states.
SETTLED_STATES = frozenset({FileState.PUBLISHED, FileState.BALANCED, FileState.PARTIAL})
_NO_DATASET = "_"


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """Where one file stands: the fields of schemas/avro/system/file_entry.avsc, documented there."""

    dataset: str
    sha256: str
    file: str
    name: str
    path: str
    bytes: int
    modified_at: datetime
    state: FileState
    reason: str = ""
    detail: str = ""
    first_name: str = ""
    format: str = ""
    contract_version: str = ""
    schema_id: int | None = None
    partition: int | None = None
    trace_id: str = ""
    rows_read: int = 0
    rows_published: int = 0
    rows_unreadable: int = 0
    next_row: int = 0
    next_byte: int = 0
    prefix_sha256: str = ""
    balanced: bool = False
    rows_stored: int = 0
    rows_quarantined: int = 0
    claimed_at: datetime | None = None
    published_at: datetime | None = None
    balanced_at: datetime | None = None
    updated_at: datetime

    @property
    def settled_note(self) -> bool:
        """Return True for a note that says no more than that all is well: nothing to show."""
        return not self.sha256 and not self.reason

    @property
    def final(self) -> bool:
        """Return True if nothing more will happen to this file by itself: its receipt can be shown."""
        return (
            self.balanced or self.state is FileState.SKIPPED or (self.state is FileState.REJECTED and not self.provable)
        )

    @property
    def provable(self) -> bool:
        """Return True if its rows are in Kafka as far as they will come, so that its receipt can be proved.

        A file whose first rows were published before a kill or a change may be rejected when it is to go on: those
        rows stand, and are proved like any others.
        """
        stands = self.state is FileState.REJECTED and self.rows_published > 0
        return stands or self.state in PUBLISHED_STATES

    def with_changes(self, **changes: Any) -> "FileEntry":
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def entry_key(dataset: str, sha256: str, copy: str = "") -> str:
    """Return the ledger key of a file, or with `copy` that of a further file with the same bytes.

    >>> entry_key("orders", "ab12"), entry_key("orders", "ab12", "7f")
    ('orders/ab12', 'orders/ab12/7f')
    """
    return "/".join(part for part in (dataset, sha256, copy) if part)


def note_key(folder: str, name: str) -> str:
    """Return the key of an entry about something that has no digest: a bad folder, a link, a file nobody may read.

    It is safe whatever the names contain.

    >>> note_key("Bad/../Name", "x")
    '_/207b4b0a5436ae5c'
    """
    digest = hashlib.sha256(os.fsencode(folder) + b"\0" + os.fsencode(name)).hexdigest()
    return f"{_NO_DATASET}/{digest[:16]}"


def new_entry(*, dataset: str, sha256: str, **fields: Any) -> FileEntry:
    """Return an entry whose file id and trace id follow from the dataset and the digest."""
    file = file_id(sha256)
    return FileEntry(
        dataset=dataset, sha256=sha256, file=file, trace_id=trace_id(dataset, file) if file else "", **fields
    )


def frame_entry(entry: FileEntry, schema_id: int) -> bytes:
    """Return an entry as a message of files.ledger."""
    return frame_system(FILE_ENTRY, schema_id, _values(entry))


def read_entry(message: bytes) -> FileEntry:
    """Return the entry in a message of files.ledger.

    >>> from datetime import UTC
    >>> at = datetime(2026, 1, 1, tzinfo=UTC)
    >>> entry = new_entry(dataset="orders", sha256="ab" * 32, name="a.csv", path="work/orders/a.csv", bytes=3,
    ...     modified_at=at, state=FileState.CLAIMED, updated_at=at)
    >>> read_entry(frame_entry(entry, 7)) == entry
    True
    """
    return entry_of(read_system(FILE_ENTRY, message))


def entry_of(values: Mapping[str, Any]) -> FileEntry:
    """Return the entry from its Avro fields."""
    return FileEntry(**{**values, "state": FileState(values["state"])})


class Receipt(TypedDict):
    """What became of one file. The keys are stable."""

    dataset: Annotated[str, "The dataset; empty for what waits in the inbox outside of one."]
    file: Annotated[str, "The file's name."]
    sha256: Annotated[str, "SHA-256 of its bytes; empty where it could not be read."]
    state: Annotated[str, "A file state."]
    rows_read: Annotated[int, "Records after the header, readable or not."]
    rows_published: Annotated[int, "Of these, published: to raw, or to quarantine by the reader."]
    rows_stored: Annotated[int, "Rows in the dataset's table, counted there; 0 before it is balanced."]
    rows_quarantined: Annotated[int, "Rows in headrace.quarantine, counted there; 0 before it is balanced."]
    trace_id: Annotated[str, "Its trace, 32 hex digits."]
    reason: Annotated[str, "A reason, or empty."]
    detail: Annotated[str, "The reason in a sentence, with the next action."]
    balanced: Annotated[bool, "True once rows_published = rows_stored + rows_quarantined."]
    first_name: Annotated[str, "Of a skipped copy: the name under which the same bytes came first."]
    path: Annotated[str, "Where the file is now, relative to the home."]
    bytes: Annotated[int, "Its size."]
    contract_version: Annotated[str, "The contract that judges it."]
    claimed_at: Annotated[str | None, "When it was taken out of the inbox, ISO 8601."]
    published_at: Annotated[str | None, "When its last rows were published."]
    balanced_at: Annotated[str | None, "When its receipt was balanced."]


def receipt(entry: FileEntry) -> Receipt:
    """Return what `headrace drop --wait --json` and `headrace files --json` show of a file."""
    return {
        "dataset": entry.dataset,
        "file": entry.name,
        "sha256": entry.sha256,
        "state": entry.state.value,
        "rows_read": entry.rows_read,
        "rows_published": entry.rows_published,
        "rows_stored": entry.rows_stored,
        "rows_quarantined": entry.rows_quarantined,
        "trace_id": entry.trace_id,
        "reason": entry.reason,
        "detail": entry.detail,
        "balanced": entry.balanced,
        "first_name": entry.first_name,
        "path": entry.path,
        "bytes": entry.bytes,
        "contract_version": entry.contract_version,
        "claimed_at": _shown(entry.claimed_at),
        "published_at": _shown(entry.published_at),
        "balanced_at": _shown(entry.balanced_at),
    }


def _values(entry: FileEntry) -> dict[str, Any]:
    values = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    return values | {"state": entry.state.value}


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
