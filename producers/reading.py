"""The reading side of an ingest slot: works on several files in turns, one step each, and fills the channel."""

import os
import threading
from collections import deque
from collections.abc import Iterator

from headrace.core.identity import dataset_name_problem, stable_slot
from headrace.producers.file_work import FileWork, Steps
from headrace.producers.inbox import ignored
from headrace.producers.notes import note_message
from headrace.producers.outgoing import Channel
from headrace.producers.ready import FileKey
from headrace.producers.ready_queue import ReadyFile, ReadyQueue
from headrace.schemas.ledger import FileEntry, note_key

# So many files share a turn: a small file waits for one frame of each large one at most.
_AT_ONCE = 16
_IDLE_SECS = 0.5
_BLOCKED_SECS = 0.02


class ReadingThread(threading.Thread):
    """Claims, reads and encodes while the sending thread commits. Ends at a frame's end when told to stop."""

    def __init__(self, work: FileWork, ready: ReadyQueue, channel: Channel, *, slot: int, slots: int) -> None:
        super().__init__(name=f"reading-{slot}", daemon=True)
        self._work = work
        self._ready = ready
        self._channel = channel
        self._slot, self._slots = slot, slots
        self._halt = threading.Event()
        self._turns: deque[Steps] = deque()
        self._popped: set[FileKey] = set()

    def halt(self) -> None:
        """Ask it to end after the step it is at; the channel is closed then."""
        self._halt.set()
        self._ready.wake()

    def run(self) -> None:
        """Work until told to stop; whatever goes wrong is raised in the sending thread."""
        try:
            self._turns.extend(self._left_over())
            while not self._halt.is_set() and self._turn():
                pass
        except BaseException as error:
            self._channel.fail(error)
        finally:
            for steps in self._turns:
                steps.close()
            for key in self._popped:
                # Perhaps still in the inbox: a scan has to find it again.
                self._ready.claimed(key)
            self._channel.close()

    def _turn(self) -> bool:
        """Give every file at work one step; False if nobody takes what comes out."""
        for note in self._ready.pop_notes():
            told = note_message(note, self._work.view.noted(note_key(note.folder, note.name)))
            if told is not None and not self._channel.put(told):
                return False
        for correction in self._work.corrections():
            if not self._channel.put(correction):
                return False
        while len(self._turns) < _AT_ONCE and (file := self._ready.pop()) is not None:
            self._turns.append(self._claimed_steps(file))
        if not self._turns:
            self._ready.wait(_IDLE_SECS)
            return True
        moved = False
        for _file in range(len(self._turns)):
            steps = self._turns.popleft()
            try:
                item = next(steps)
            except StopIteration:
                moved = True
                continue
            self._turns.append(steps)
            if item is not None:
                moved = True
                if not self._channel.put(item):
                    return False
            if self._halt.is_set():
                return False
        if not moved:
            # All wait for a file with the same bytes, which the sending thread is about to commit.
            self._halt.wait(_BLOCKED_SECS)
        return True

    def _claimed_steps(self, file: ReadyFile) -> Steps:
        self._popped.add(file.key)
        for step in self._work.start(file.dataset, file.name, file.seen_ns):
            self._taken(file.key)
            yield step
        self._taken(file.key)

    def _taken(self, key: FileKey) -> None:
        if key in self._popped:
            self._popped.discard(key)
            self._ready.claimed(key)

    def _left_over(self) -> Iterator[Steps]:
        """Give the files that a killed process left in work/, and settle those that it lost."""
        by_path = {entry.path: entry for entry in self._work.view.open_entries() if self._mine(entry.dataset)}
        for dataset, name in self._files_at_work():
            entry = by_path.pop(f"work/{dataset}/{name}", None)
            yield self._work.go_on(dataset, name, entry)
        for entry in by_path.values():
            yield self._lost(entry)

    def _lost(self, entry: FileEntry) -> Steps:
        yield self._work.endings.lost(entry)

    def _files_at_work(self) -> list[tuple[str, str]]:
        root = self._work.paths.work
        if not root.is_dir():
            return []
        with os.scandir(root) as folders:
            datasets = [f.name for f in folders if f.is_dir(follow_symlinks=False) and self._mine(f.name)]
        found = []
        for dataset in datasets:
            with os.scandir(root / dataset) as files:
                found += [(dataset, f.name) for f in files if f.is_file(follow_symlinks=False) and not ignored(f.name)]
        return sorted(found, key=lambda file: file[1])

    def _mine(self, dataset: str) -> bool:
        return not dataset_name_problem(dataset) and stable_slot(dataset, self._slots) == self._slot
