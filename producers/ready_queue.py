"""Complete files that wait to be claimed by a slot: first come first served in a dataset, datasets in turns."""

import threading
from collections import OrderedDict, deque
from typing import NamedTuple

from headrace.producers.inbox import Oddity
from headrace.producers.ready import FileKey


class ReadyFile(NamedTuple):
    """A complete file in the inbox, and when it was first seen (nanoseconds since 1970)."""

    dataset: str
    name: str
    seen_ns: int

    @property
    def key(self) -> FileKey:
        """Return (dataset, name)."""
        return self.dataset, self.name


class Note(NamedTuple):
    """Something to say in the ledger about what has no digest; without an oddity, that it is said no more."""

    folder: str
    name: str
    oddity: Oddity | None


class ReadyQueue:
    """Thread-safe. A file stays known until `claimed` or `forget`, so that no scan hands it over twice."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, deque[ReadyFile]] = OrderedDict()
        self._known: set[FileKey] = set()
        self._notes: deque[Note] = deque()
        self._changed = threading.Condition()

    def put(self, file: ReadyFile) -> None:
        """Add a complete file; one that is known already is not added again."""
        with self._changed:
            if file.key not in self._known:
                self._known.add(file.key)
                self._files.setdefault(file.dataset, deque()).append(file)
                self._changed.notify_all()

    def put_note(self, note: Note) -> None:
        """Add a note."""
        with self._changed:
            self._notes.append(note)
            self._changed.notify_all()

    def pop(self) -> ReadyFile | None:
        """Return the next file of the dataset whose turn it is, None if none waits."""
        with self._changed:
            for dataset, files in list(self._files.items()):
                if files:
                    self._files.move_to_end(dataset)
                    return files.popleft()
                del self._files[dataset]
            return None

    def pop_notes(self) -> list[Note]:
        """Return the notes that wait."""
        with self._changed:
            notes = list(self._notes)
            self._notes.clear()
            return notes

    def claimed(self, key: FileKey) -> None:
        """Say that a popped file was taken out of the inbox, or could not be."""
        with self._changed:
            self._known.discard(key)

    def waiting(self) -> int:
        """Return how many files wait to be claimed."""
        with self._changed:
            return len(self._known)

    def __contains__(self, key: FileKey) -> bool:
        with self._changed:
            return key in self._known

    def wait(self, timeout: float) -> None:
        """Return when something waits, or after `timeout` seconds."""
        with self._changed:
            if not self._notes and not any(self._files.values()):
                self._changed.wait(timeout)

    def wake(self) -> None:
        """End the waiting of others."""
        with self._changed:
            self._changed.notify_all()
