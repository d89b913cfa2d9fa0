"""What the quality app tells of windows."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class WindowsClosed(Event):
    """Windows of a dataset were closed or revised, and their verdicts published."""

    text: ClassVar[str] = "windows closed"
    metric: ClassVar[str] = "headrace_closed_windows_total"
    quantity: ClassVar[str] = "windows"
    dataset: str
    windows: int


@dataclass(frozen=True, kw_only=True)
class FindingsTooLate(Event):
    """A learner came to records whose windows are not kept any more: its rules have no verdict there."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "a learner's findings came too late for their windows"
    metric: ClassVar[str] = "headrace_findings_too_late_total"
    quantity: ClassVar[str] = "records"
    dataset: str
    records: int


@dataclass(frozen=True, kw_only=True)
class RowsOutsideWindows(Event):
    """Rows are in no published window: theirs was forgotten long ago, or is too far in the future. They are stored."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "rows outside windows"
    metric: ClassVar[str] = "headrace_rows_outside_windows_total"
    labels: ClassVar[tuple[str, ...]] = ("cause",)
    quantity: ClassVar[str] = "rows"
    dataset: str
    clock: str
    rows: int
    cause: str


@dataclass(frozen=True, kw_only=True)
class EmptyWindowsLeftOut(Event):
    """A silence was so long that only its newest windows were closed; the others were empty too, and say nothing."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "empty windows left out"
    dataset: str
    clock: str
    windows: int


@dataclass(frozen=True, kw_only=True)
class SchemaUnreadable(Event):
    """Records have a schema that is none of ours: how it changed is unknown."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "schema unreadable"
    schema_id: int
    cause: str


@dataclass(frozen=True, kw_only=True)
class FileFactsWait(Event):
    """What is known of files could not be told just now; it is tried again."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "facts of files wait"
    dataset: str
    cause: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class WindowShortened(Event):
    """A window's record was too large for a message: it names the cells that are left out. Its verdicts are whole."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "window record shortened"
    dataset: str
    key: str
    cells: int


@dataclass(frozen=True, kw_only=True)
class SilencesUnreadable(Event):
    """Entries of the file of silences cannot be followed: what they name is told until they are corrected."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "silences unreadable"
    path: str
    cause: str
    hint: str
