"""Notes: what the ledger says of things in the inbox that are no readable file of a dataset."""

from datetime import UTC, datetime

from headrace.core.clock import utc_now
from headrace.core.files import printable
from headrace.core.vocabulary import WAITING_REASONS, FileState, Reason
from headrace.producers.outgoing import Outgoing
from headrace.producers.ready_queue import Note
from headrace.schemas.ledger import new_entry, note_key


def note_message(note: Note, noted: tuple[str, str] | None) -> Outgoing | None:
    """Return the ledger message of a note, None if the ledger says the same already."""
    key = note_key(note.folder, note.name)
    reason, detail = (note.oddity.reason.value, note.oddity.detail) if note.oddity else ("", "")
    if noted == (reason, detail) or (noted is None and note.oddity is None):
        return None
    # What can be put right where it lies is only seen; what must be moved or renamed is refused.
    waits = not reason or reason in WAITING_REASONS
    entry = new_entry(
        dataset=printable(note.folder) or ("" if reason == Reason.NO_DATASET else printable(note.name)),
        sha256="",
        name=printable(note.name),
        path="/".join(part for part in ("inbox", printable(note.folder), printable(note.name)) if part),
        bytes=0,
        modified_at=datetime.fromtimestamp(0, UTC),
        state=FileState.SEEN if waits else FileState.REJECTED,
        reason=reason,
        detail=detail,
        updated_at=utc_now(),
    )
    return Outgoing(key=key, entry=entry)
