"""How a file ends: published, skipped, changed or rejected; what the ledger says of it, and where the file then goes.

The ledger entry is committed first and names the place where the file will be; the move follows, and is done again at
the next start if a kill came between them. A file that somebody deleted in between is in `unmoved`, until the entry is
the slot's again and can say so.
"""

import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from headrace.core.clock import Clock, utc_now
from headrace.core.files import write_atomically
from headrace.core.identity import file_id
from headrace.core.vocabulary import FileState, Reason
from headrace.observability.events import emit
from headrace.observability.file_events import FileEnded, FileVanished, PlaceAwaited, ReaderFailed
from headrace.producers.claim import ClaimedFile, digest_file
from headrace.producers.ledger import Known
from headrace.producers.messages import Messages
from headrace.producers.outgoing import Outgoing
from headrace.producers.places import done_name, give_back, move, rejected_path, relative
from headrace.producers.plan import Plan
from headrace.schemas.ledger import FileEntry, entry_key, receipt
from headrace.settings import Paths

_RETRY_SECS = 2.0


class Endings:
    """Makes the last entry of a file and moves the file. `released` is told the key of each file that has ended."""

    def __init__(
        self,
        paths: Paths,
        messages: Messages,
        *,
        released: Callable[[str], None],
        settled: Callable[[Path, ClaimedFile], None],
        clock: Clock = utc_now,
    ) -> None:
        self._paths = paths
        self._messages = messages
        self._released = released
        self._settled = settled
        self._clock = clock
        # Places in rejected/ that an entry names whose file is not there yet.
        self._promised: set[Path] = set()
        # (key, entry) of files that were gone when they were to be moved; their keys are not released yet.
        self.unmoved: deque[tuple[str, FileEntry]] = deque()
        # What is still to be done for files that the system did not let us put in their place: no room, no permission.
        self._unplaced: list[Callable[[], None]] = []
        self._retry_at = 0.0

    def retry(self) -> None:
        """Try again to put files in their places. Called by the sending thread, which `committed` runs in too."""
        if self._unplaced and time.monotonic() >= self._retry_at:
            waiting, self._unplaced = self._unplaced, []
            while waiting:
                try:
                    waiting[0]()
                except OSError:
                    self._unplaced += waiting
                    self._retry_at = time.monotonic() + _RETRY_SECS
                    return
                waiting.pop(0)

    def _place(self, entry: FileEntry, place: Callable[[], None]) -> None:
        """Put a file in its place, later if the system does not let us now: that holds up no other file."""
        try:
            place()
        except OSError as error:
            emit(
                PlaceAwaited(dataset=entry.dataset, name=entry.name, file=entry.file, path=entry.path, cause=str(error))
            )
            self._unplaced.append(place)
            self._retry_at = time.monotonic() + _RETRY_SECS

    def done_path(self, entry: FileEntry) -> str:
        """Return where a published file goes, relative to the home."""
        return relative(self._paths, self._done(entry.dataset, entry.sha256, entry.name))

    def finish(self, entry: FileEntry, claimed: ClaimedFile) -> None:
        """Move a file whose last frame was committed to done/."""
        self._ended(entry)
        if entry.path:
            self._place(entry, lambda: self._move(entry_key(entry.dataset, entry.sha256), entry, claimed))
        else:
            self._released(entry_key(entry.dataset, entry.sha256))

    def move_finished(self, claimed: ClaimedFile, known: Known) -> bool:
        """Move a file that was published before a kill; False if it is in done/ already, so that this one is a copy."""
        target = self._done(claimed.dataset, claimed.sha256, known.name)
        if target.exists():
            return False
        if move(claimed.path, target):
            self._settled(target, claimed)
        else:
            emit(FileVanished(dataset=claimed.dataset, name=claimed.name, file=file_id(claimed.sha256)))
        return True

    def skipped(self, entry: FileEntry, known: Known, claimed: ClaimedFile) -> Outgoing:
        """Return the end of a file whose bytes were published before."""
        entry = entry.with_changes(
            state=FileState.SKIPPED,
            reason=Reason.DUPLICATE_CONTENT.value,
            detail=f'the same bytes came before as "{known.name}"; nothing was published again',
            first_name=known.name,
            path=self.done_path(entry),
        )
        # The name in work/ is unique, and the same after a kill.
        key = entry_key(entry.dataset, entry.sha256, claimed.path.name.partition("-")[0])

        def committed() -> None:
            self._ended(entry)
            self._place(entry, lambda: self._move(key, entry, claimed))

        return Outgoing(key=key, entry=entry, committed=committed)

    def rejected(self, entry: FileEntry, reason: Reason, detail: str, claimed: ClaimedFile) -> Outgoing:
        """Return the end of a file of which nothing could be published; quality learns of it by a delta."""
        target = rejected_path(self._paths, entry.dataset, entry.sha256, entry.name, promised=self._promised)
        self._promised.add(target)
        entry = entry.with_changes(
            state=FileState.REJECTED,
            reason=reason.value,
            detail=detail,
            path=relative(self._paths, target),
            updated_at=self._clock(),
        )
        collided = reason is Reason.DIGEST_COLLISION
        # The id in `_file` belongs to the other file: what is said under it would be said of that one.
        key = entry_key(entry.dataset, entry.sha256, "collision" if collided else "")
        delta = None if collided else self._messages.delta(entry, (), ended=True)

        def place() -> None:
            target.parent.mkdir(parents=True, exist_ok=True)
            note = json.dumps(receipt(entry), indent=2, ensure_ascii=False) + "\n"
            write_atomically(target.with_name(f"{target.name}.reason.json"), note.encode())
            self._move(key, entry, claimed)
            self._promised.discard(target)

        def committed() -> None:
            self._ended(entry)
            self._place(entry, place)

        return Outgoing(key=key, entry=entry, delta=delta, committed=committed)

    def changed(self, entry: FileEntry, plan: Plan, claimed: ClaimedFile) -> Outgoing:
        """Return the end of a file that was written to while it was read; it goes back into the inbox."""
        entry = self._changed(entry, Reason.CHANGED_WHILE_READ, "it was written to while it was read").with_changes(
            path=relative(self._paths, self._paths.inbox / entry.dataset / entry.name)
        )
        key = entry_key(entry.dataset, entry.sha256)
        delta = self._messages.delta(entry, (), tolerance=plan.tolerance, owner=plan.owner, ended=True)

        def place() -> None:
            if give_back(claimed.path, self._paths.inbox / claimed.dataset, claimed.name) is None:
                self._not_moved(key, entry)
            else:
                self._released(key)

        def committed() -> None:
            self._ended(entry)
            self._place(entry, place)

        return Outgoing(key=key, entry=entry, delta=delta, committed=committed)

    def superseded(self, entry: FileEntry) -> Outgoing:
        """Return the end of a file that holds other bytes than when the killed process read it."""
        return self._given_up(self._changed(entry, Reason.CHANGED_WHILE_READ, "it was written to after a kill"))

    def lost(self, entry: FileEntry) -> Outgoing:
        """Return the end of a file that was begun and is no longer in work/."""
        gone = self._changed(entry, Reason.VANISHED, f"{entry.path} is gone; drop the file again to go on")
        return self._given_up(gone.with_changes(path=""))

    def without_file(self, key: str, entry: FileEntry) -> Outgoing:
        """Return what the ledger is to say of an `unmoved` file, which is nowhere in the home any more."""
        entry = deleted(entry).with_changes(updated_at=self._clock())
        released = entry_key(entry.dataset, entry.sha256)
        return Outgoing(key=key, entry=entry, committed=lambda: self._released(released))

    def give_back(self, claimed: ClaimedFile) -> None:
        """Put a file back into the inbox, where it waits until nobody writes to it any more."""
        if give_back(claimed.path, self._paths.inbox / claimed.dataset, claimed.name) is None:
            emit(FileVanished(dataset=claimed.dataset, name=claimed.name, file=file_id(claimed.sha256)))
        self._released(entry_key(claimed.dataset, claimed.sha256))

    def _given_up(self, entry: FileEntry) -> Outgoing:
        delta = self._messages.delta(entry, (), ended=True)
        return Outgoing(
            key=entry_key(entry.dataset, entry.sha256),
            entry=entry,
            delta=delta,
            committed=lambda: self._ended(entry),
        )

    def _changed(self, entry: FileEntry, reason: Reason, what: str) -> FileEntry:
        detail = f"{what}; its first {entry.rows_published} rows stand under this digest"
        return entry.with_changes(
            state=FileState.CHANGED,
            reason=reason.value,
            detail=detail,
            published_at=self._clock(),
            updated_at=self._clock(),
        )

    def _done(self, dataset: str, sha256: str, name: str) -> Path:
        folder = self._paths.done / dataset
        target = folder / done_name(sha256, name)
        if target.exists() and digest_file(target) != sha256:
            return folder / f"{sha256}-{secrets.token_hex(4)}"
        return target

    def _move(self, key: str, entry: FileEntry, claimed: ClaimedFile) -> None:
        target = self._paths.home / entry.path
        if move(claimed.path, target):
            self._settled(target, claimed)
            self._released(entry_key(entry.dataset, entry.sha256))
        else:
            self._not_moved(key, entry)

    def _not_moved(self, key: str, entry: FileEntry) -> None:
        emit(FileVanished(dataset=entry.dataset, name=entry.name, file=entry.file))
        self.unmoved.append((key, entry))

    def _ended(self, entry: FileEntry) -> None:
        emit(
            FileEnded(
                dataset=entry.dataset,
                name=entry.name,
                file=entry.file,
                state=entry.state.value,
                reason=entry.reason,
                rows=entry.rows_published,
                unreadable=entry.rows_unreadable,
            )
        )


def reader_failed(entry: FileEntry, row: int, cause: str) -> None:
    """Tell that a reader raised an error of its own, and at which row."""
    emit(
        ReaderFailed(format=entry.format, dataset=entry.dataset, name=entry.name, file=entry.file, row=row, error=cause)
    )


def deleted(entry: FileEntry) -> FileEntry:
    """Return the last entry of a file that somebody deleted from work/: its rows stand, and it has no place any more.

    Why the file was refused, skipped or changed stays its reason.
    """
    place = Path(entry.path).parts[0]
    gone = f"somebody deleted it from work/ before it was moved to {place}/, so the home has no copy of it"
    if entry.rows_published:
        gone += f"; its {entry.rows_published:,} rows are published"
    weightier = entry.reason not in {"", Reason.NEW_COLUMNS}
    return entry.with_changes(
        path="",
        reason=entry.reason if weightier else Reason.VANISHED.value,
        detail="; ".join(part for part in (entry.detail, gone) if part),
    )
