"""The ledger as an ingest slot needs it: which bytes are known, and which files to go on with after a kill."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from headrace.core.identity import file_id
from headrace.core.vocabulary import FileState
from headrace.schemas.ledger import (
    OPEN_STATES,
    SETTLED_STATES,
    FileEntry,
    entry_key,
    read_entry,
)
from headrace.schemas.topics import LEDGER
from headrace.transport.kafka import CompactedTopic

_RESUMABLE = OPEN_STATES | {FileState.CHANGED}


class Known(NamedTuple):
    """What is kept of a file that needs no more work: 100,000 of them must stay small."""

    sha256: str
    state: FileState
    name: str


class LedgerView:
    """The slot's own view. It is read once, after the slot's transactions are initialised; then `apply` keeps it up.

    Nobody else writes what it decides by, but for the reconciler's `balanced` of a file that may go on: see Handover.
    """

    def __init__(self, entries: Iterable[tuple[str, FileEntry]] = ()) -> None:
        self._known: dict[str, Known] = {}
        self._resumable: dict[str, FileEntry] = {}
        self._notes: dict[str, tuple[str, str]] = {}
        for key, entry in entries:
            self.apply(key, entry)

    @classmethod
    def read(cls, client: Mapping[str, str]) -> "LedgerView":
        """Return the view of everything committed by now. Blocks; raises ServiceUnreachable."""
        topic = CompactedTopic(client, LEDGER)
        try:
            return cls((key, read_entry(value)) for key, value in topic.refresh_to_end().items())
        finally:
            topic.close()

    def apply(self, key: str, entry: FileEntry) -> None:
        """Take over an entry that was committed."""
        if entry.settled_note:
            self._notes.pop(key, None)
        elif not entry.sha256:
            self._notes[key] = (entry.reason, entry.detail)
        elif key == entry_key(entry.dataset, entry.sha256):
            self._known[f"{entry.dataset}/{entry.file}"] = Known(entry.sha256, entry.state, entry.name)
            self._resumable.pop(key, None)
            # A file may be rejected at its second coming: the rows of the first stand, so their number is kept.
            if entry.state in _RESUMABLE or (entry.state is FileState.REJECTED and entry.next_row):
                self._resumable[key] = entry

    def same_prefix(self, dataset: str, sha256: str) -> Known | None:
        """Return what is known under a file's id: the same bytes, or others whose digest begins alike."""
        return self._known.get(f"{dataset}/{file_id(sha256)}")

    def settled(self, dataset: str, sha256: str) -> Known | None:
        """Return the first file with these bytes if every row of it is in Kafka."""
        known = self.same_prefix(dataset, sha256)
        return known if known and known.sha256 == sha256 and known.state in SETTLED_STATES else None

    def resumable(self, dataset: str, sha256: str) -> FileEntry | None:
        """Return the entry of a file whose rows are in Kafka in part, or not yet."""
        return self._resumable.get(entry_key(dataset, sha256))

    def open_entries(self) -> list[FileEntry]:
        """Return the files that were being worked on."""
        return [entry for entry in self._resumable.values() if entry.state in OPEN_STATES]

    def noted(self, key: str) -> tuple[str, str] | None:
        """Return (reason, detail) of a note in the ledger about something that is no readable file."""
        return self._notes.get(key)


class Handover:
    """Tells when the entry of a changed file, or of one rejected with rows, is the slot's again.

    Not for use from several threads.
    """

    def __init__(self, client: Mapping[str, str]) -> None:
        self._client = client
        self._topic: CompactedTopic | None = None

    def done(self, entry: FileEntry) -> bool:
        """Return False while the reconciler may still write over this entry, the last one that the slot committed.

        May block for as long as another slot's transaction is open; raises ServiceUnreachable.
        """
        if not entry.provable or entry.balanced:
            return True
        if self._topic is None:
            self._topic = CompactedTopic(self._client, LEDGER)
        # To the end: an earlier receipt of the same file must not be taken for the one that is waited for.
        message = self._topic.refresh_to_end().get(entry_key(entry.dataset, entry.sha256))
        return message is not None and read_entry(message).balanced

    def close(self) -> None:
        """Leave the ledger."""
        if self._topic is not None:
            self._topic.close()
            self._topic = None
