"""What the watcher tells of files and of the inbox."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class FileClaimed(Event):
    """A complete file was taken out of the inbox."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "file claimed"
    dataset: str
    name: str
    size: int


@dataclass(frozen=True, kw_only=True)
class FileResumed(Event):
    """A file goes on at the row where a killed process stood."""

    text: ClassVar[str] = "file resumed"
    metric: ClassVar[str] = "headrace_resumed_files_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset",)
    dataset: str
    name: str
    file: str = ""
    row: int


@dataclass(frozen=True, kw_only=True)
class FileEnded(Event):
    """The last transaction of a file was committed: state says how it ended."""

    text: ClassVar[str] = "file ended"
    metric: ClassVar[str] = "headrace_files_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset", "state")
    dataset: str
    name: str
    file: str
    state: str
    reason: str
    rows: int
    unreadable: int


@dataclass(frozen=True, kw_only=True)
class FileVanished(Event):
    """A file was gone before it was claimed, or before it was moved to its last place; what was published stands."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "file vanished"
    metric: ClassVar[str] = "headrace_vanished_files_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset",)
    dataset: str
    name: str
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class FileChanged(Event):
    """A file was written to after it was claimed; its new bytes come in as a new file."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "file changed after its claim"
    metric: ClassVar[str] = "headrace_changed_files_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset",)
    dataset: str
    name: str
    file: str = ""
    rows: int


@dataclass(frozen=True, kw_only=True)
class OddityFound(Event):
    """Something in the inbox is no readable file of a dataset; it is told once, and left where it is."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "not a file of a dataset"
    metric: ClassVar[str] = "headrace_oddities_total"
    labels: ClassVar[tuple[str, ...]] = ("reason",)
    folder: str
    name: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class PlaceAwaited(Event):
    """A file that has ended cannot be put where its entry says (no room, no permission); it is tried again."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "file waits for its place"
    metric: ClassVar[str] = "headrace_awaited_places_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset",)
    dataset: str
    name: str
    file: str = ""
    path: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class PartitionsKept(Event):
    """A contract asks for fewer partitions than the dataset's topics have; none is taken away, and all stay in use."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "partitions are only ever raised"
    metric: ClassVar[str] = "headrace_kept_partitions_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset",)
    dataset: str
    asked: int
    kept: int


@dataclass(frozen=True, kw_only=True)
class ReaderFailed(Event):
    """A reader raised an error of its own; the file ends there, and the line goes on."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "reader failed"
    metric: ClassVar[str] = "headrace_failed_readers_total"
    labels: ClassVar[tuple[str, ...]] = ("format",)
    format: str
    dataset: str
    name: str
    file: str = ""
    row: int
    error: str


@dataclass(frozen=True, kw_only=True)
class WatchingByScan(Event):
    """The system gives no file events, so that new files are found by scans alone: later, but none is missed."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "no file events, watching by scans"
    error: str
