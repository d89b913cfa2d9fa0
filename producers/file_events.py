"""File events of the operating system. They only make the watcher faster: what they miss, the next scan finds."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from headrace.observability.events import emit
from headrace.observability.file_events import WatchingByScan

_WANTED: list[type[FileSystemEvent]] = [FileClosedEvent, FileMovedEvent, DirCreatedEvent, DirMovedEvent]


class FileEvents(FileSystemEventHandler):
    """Calls `closed(dataset, name)` when a file was closed by its writer or moved in, `folder_came()` for new folders.

    Calls come from a thread of its own. Where the system has no events to give, that is told once and nothing comes.
    """

    def __init__(self, inbox: Path, closed: Callable[[str, str], None], folder_came: Callable[[], None]) -> None:
        self._inbox = inbox
        self._closed = closed
        self._folder_came = folder_came
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        """Begin to watch."""
        observer = _observer()
        try:
            observer.schedule(self, str(self._inbox), recursive=True, event_filter=_WANTED)
            observer.start()
        except OSError as error:
            # inotify's limits belong to the whole machine; another program may have used them up.
            emit(WatchingByScan(error=str(error)))
            return
        self._observer = observer

    def stop(self) -> None:
        """End watching. Blocks until the thread has left."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass on what may be a complete file or a new folder (called by watchdog)."""
        if event.is_directory:
            self._folder_came()
            return
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        if path.parent.parent == self._inbox:
            self._closed(path.parent.name, path.name)


def _observer() -> BaseObserver:
    if sys.platform != "linux":
        return Observer()
    from watchdog.observers.inotify import InotifyObserver  # noqa: PLC0415  only there
    from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper  # noqa: PLC0415

    # watchdog holds every later event back for half a second after a file was moved away, to pair both ends of a move.
    # Each claim is such a move. Full events tell a file that was moved in from one that was created without the pair.
    InotifyMoveEventGrouper.delay = 0.0
    return InotifyObserver(generate_full_events=True)
