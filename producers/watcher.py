"""Watches the inbox: finds files, waits until they are complete, and hands them to the slot of their dataset.

A scan of the whole inbox is the truth; file events only make it faster, since they can be lost.
"""

import os
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headrace.core.identity import dataset_name_problem, file_id
from headrace.core.vocabulary import WAITING_REASONS
from headrace.observability.events import StageWaits, emit
from headrace.observability.file_events import FileChanged, FileVanished, OddityFound
from headrace.producers.claim import ClaimedFile, digest_file
from headrace.producers.inbox import Oddity, list_datasets, list_names, look
from headrace.producers.places import give_back
from headrace.producers.ready import FileKey, ReadyTracker, Signature
from headrace.producers.ready_queue import Note, ReadyFile, ReadyQueue
from headrace.producers.slot import STAGE
from headrace.settings import Paths

# A scan may take this share of the time at most, however many files lie there.
_SCAN_SHARE = 0.2
_RETRY_SECS = 30.0
_LOOKS_AFTER_DONE = 2


@dataclass(frozen=True)
class _Told:
    """An oddity that was told and how the file looked; when that changes, or some time later, it is tried again."""

    oddity: Oddity
    looked: tuple[int, ...]
    retry_at: float


@dataclass(frozen=True)
class _Settled:
    """A file that was moved to done/ or elsewhere, and how often to look whether somebody still writes to it."""

    path: Path
    dataset: str
    name: str
    sha256: str
    signature: Signature
    looks: int


class Watcher:
    """The folder's side of the line; all of it runs in one thread, but for the calls that only leave a message."""

    def __init__(
        self,
        paths: Paths,
        queue_of: Callable[[str], ReadyQueue],
        *,
        stable_secs: float,
        rescan_secs: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = paths
        self._queue_of = queue_of
        self._rescan_secs = rescan_secs
        self._monotonic = monotonic
        self._tracker = ReadyTracker(stable_secs)
        self._first_seen: dict[FileKey, int] = {}
        self._told: dict[FileKey, _Told] = {}
        self._settled: list[_Settled] = []
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._rescan_at = monotonic()
        self._inbox_waits = ""
        self._tell_inbox_at = 0.0

    @property
    def waits_for_inbox(self) -> bool:
        """Whether the inbox itself could not be read at the last scan."""
        return self._inbox_waits != ""

    # What other threads call: each only leaves a message for `step`.

    def closed(self, dataset: str, name: str) -> None:
        """A file was closed or moved in."""
        self._calls.put(lambda: self._look((dataset, name), closed=True))

    def folder_came(self) -> None:
        """A folder was made or moved in: files may be in it already."""
        self._calls.put(self._hasten)

    def oddity_found(self, oddity: Oddity) -> None:
        """A file could not be claimed."""
        self._calls.put(lambda: self._tell(oddity))

    def settled(self, path: Path, claimed: ClaimedFile) -> None:
        """A file was moved to its last place; the next two scans look whether it still changes."""
        found = _Settled(path, claimed.dataset, claimed.name, claimed.sha256, claimed.signature, _LOOKS_AFTER_DONE)
        self._calls.put(lambda: self._settled.append(found))

    def wake(self) -> None:
        """End the waiting of `step`."""
        self._calls.put(lambda: None)

    # What the watching thread does.

    def step(self, longest_secs: float) -> None:
        """Wait for a message, a file that may be complete, or the next scan, at most `longest_secs`; work it off."""
        now = self._monotonic()
        due = [now + longest_secs, self._rescan_at]
        if (next_due := self._tracker.next_due()) is not None:
            due.append(next_due)
        try:
            self._calls.get(timeout=max(0.0, min(due) - now))()
            while True:
                self._calls.get_nowait()()
        except queue.Empty:
            pass
        now = self._monotonic()
        for key in self._tracker.due(now):
            self._look(key)
        if now >= self._rescan_at:
            self.rescan()

    def rescan(self) -> None:
        """Look at everything in the inbox, and once more at what has just been moved to done/."""
        started = self._monotonic()
        listed = self._list()
        if listed is None:
            self._rescan_at = self._monotonic() + self._rescan_secs
            return
        datasets, odd = listed
        present: set[FileKey] = {(oddity.folder, oddity.name) for oddity in odd}
        for oddity in odd:
            self._tell(oddity)
        for dataset in datasets:
            present |= self._scan(dataset)
        for key in self._tracker.waiting():
            if key not in present:
                self._gone(key)
        for key in [key for key in self._told if key not in present]:
            self._forget_told(key)
        self._look_at_settled()
        took = self._monotonic() - started
        self._rescan_at = self._monotonic() + max(self._rescan_secs, took / _SCAN_SHARE)

    def _list(self) -> tuple[list[str], list[Oddity]] | None:
        """Return what lies in the inbox; None, and told, while it cannot be read: nothing is taken for gone then."""
        try:
            self._paths.inbox.mkdir(parents=True, exist_ok=True)
            listed = list_datasets(self._paths.inbox)
        except OSError as error:
            cause, now = f"inbox/ cannot be read: {error.strerror}", self._monotonic()
            if cause != self._inbox_waits or now >= self._tell_inbox_at:
                hint = "inbox/ must be a folder that the pipeline's user may read, write and enter; its files wait"
                emit(StageWaits(stage=STAGE, cause=cause, hint=hint, retry_secs=self._rescan_secs))
                self._tell_inbox_at = now + _RETRY_SECS
            self._inbox_waits = cause
            return None
        self._inbox_waits = ""
        return listed

    def _scan(self, dataset: str) -> set[FileKey]:
        """Look at what lies in a dataset's folder; return all that is there, as far as that can be known."""
        names = list_names(self._paths.inbox, dataset)
        if isinstance(names, Oddity):
            self._tell(names)
            # What was seen in it before is not gone: nobody can tell.
            seen = {*self._tracker.waiting(), *self._told}
            return {("", dataset), *(key for key in seen if key[0] == dataset)}
        waiting = self._queue_of(dataset)
        found = {(dataset, name) for name in names}
        for key in sorted(found):
            if key not in waiting:
                self._look(key)
        return found

    def _hasten(self) -> None:
        self._rescan_at = self._monotonic()

    def _look(self, key: FileKey, *, closed: bool = False) -> None:
        dataset, name = key
        if dataset_name_problem(dataset) or key in self._queue_of(dataset) or self._still_odd(key):
            return
        found = look(self._paths.inbox / dataset, name)
        if found is None:
            self._gone(key)
        elif isinstance(found, Oddity):
            self._tell(found)
        else:
            self._first_seen.setdefault(key, time.time_ns())
            if self._tracker.look(key, found, now=self._monotonic(), closed=closed):
                self._queue_of(dataset).put(ReadyFile(dataset, name, self._first_seen.pop(key)))

    def _gone(self, key: FileKey) -> None:
        self._first_seen.pop(key, None)
        if self._tracker.forget(key):
            emit(FileVanished(dataset=key[0], name=key[1]))

    def _tell(self, oddity: Oddity) -> None:
        key = (oddity.folder, oddity.name)
        before = self._told.get(key)
        self._tracker.forget(key)
        looked = self._looked(key)
        self._told[key] = _Told(oddity, looked, self._monotonic() + _RETRY_SECS)
        if before is not None and before.oddity == oddity:
            return
        emit(OddityFound(folder=oddity.folder, name=oddity.name, reason=oddity.reason.value, detail=oddity.detail))
        self._note(key, oddity)

    def _still_odd(self, key: FileKey) -> bool:
        told = self._told.get(key)
        if told is None or told.oddity.reason not in WAITING_REASONS:
            return False
        return told.looked == self._looked(key) and self._monotonic() < told.retry_at

    def _forget_told(self, key: FileKey) -> None:
        # It is gone: what had to be done about it was done, so nothing of it is left to tell.
        del self._told[key]
        self._note(key, None)

    def _note(self, key: FileKey, oddity: Oddity | None) -> None:
        self._queue_of(key[0]).put_note(Note(*key, oddity))

    def _looked(self, key: FileKey) -> tuple[int, ...]:
        """Return what changes when somebody gives us the permission that was missing."""
        try:
            found = os.lstat(self._paths.inbox / key[0] / key[1])
        except OSError:
            return ()
        return found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_ctime_ns

    def _look_at_settled(self) -> None:
        settled, self._settled = self._settled, []
        for file in settled:
            try:
                found = os.lstat(file.path)
            except OSError:
                continue
            now = Signature(found.st_ino, found.st_size, found.st_mtime_ns)
            if now != file.signature and digest_file(file.path) != file.sha256:
                emit(FileChanged(dataset=file.dataset, name=file.name, file=file_id(file.sha256), rows=0))
                give_back(file.path, self._paths.inbox / file.dataset, file.name)
            elif file.looks > 1:
                again = _Settled(file.path, file.dataset, file.name, file.sha256, now, file.looks - 1)
                self._settled.append(again)
