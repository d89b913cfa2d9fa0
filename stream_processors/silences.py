"""Whom a person asked not to be told: HOME/silences.yaml, a list of {rule, dataset, until}; `*` stands for all.

A silenced alert is published all the same, with `silenced` true: subscribers leave it out, the record does not.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import yaml

from headrace.observability.events import emit
from headrace.observability.window_events import SilencesUnreadable

ALL = "*"
_KEYS = frozenset({"rule", "dataset", "until", "reason"})
_HINT = "write a list of entries like {rule: missing_mass, dataset: orders, until: 2026-12-01T08:00:00Z}"
_MICROS = 1_000_000


@dataclass(frozen=True)
class Silence:
    """One entry; `until` is in microseconds since 1970."""

    rule: str
    dataset: str
    until: int

    def covers(self, dataset: str, rule: str, at: int) -> bool:
        """Return True if a rule of a dataset is silenced at a moment."""
        return self.rule in {rule, ALL} and self.dataset in {dataset, ALL} and at < self.until


def read_silences(text: str) -> list[Silence]:
    """Return the entries of a file of silences; raises ValueError for what cannot be followed.

    >>> read_silences("[{rule: late, until: 2030-01-01}]")[0].covers("orders", "late", 0)
    True
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if data is None:
        return []
    if not isinstance(data, list):
        raise ValueError("it is not a list")
    return [_silence(number, entry) for number, entry in enumerate(data, 1)]


def _silence(number: int, entry: Any) -> Silence:
    if not isinstance(entry, dict) or "until" not in entry or not entry.keys() <= _KEYS:
        raise ValueError(f"entry {number} is {entry!r}; it takes {', '.join(sorted(_KEYS))}")
    rule, dataset, until = entry.get("rule", ALL), entry.get("dataset", ALL), entry["until"]
    if not isinstance(rule, str) or not isinstance(dataset, str) or not isinstance(until, date):
        raise ValueError(f"entry {number}: rule and dataset are texts, until is a date or a time")
    moment = until if isinstance(until, datetime) else datetime.combine(until, time())
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Silence(rule, dataset, int(moment.timestamp() * _MICROS))


class Silences:
    """The file, read again whenever it has changed. What cannot be followed silences nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._entries: list[Silence] = []

    def covers(self, dataset: str, rule: str, at: int) -> bool:
        """Return True if a person asked not to be told of a rule of a dataset at a moment (microseconds)."""
        return any(entry.covers(dataset, rule, at) for entry in self._entries)

    def refresh(self) -> None:
        """Read the file if it has changed."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._entries = None, []
            return
        seen = (found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        self._seen, self._entries = seen, []
        try:
            self._entries = read_silences(self._path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            emit(SilencesUnreadable(file=str(self._path), cause=str(error), hint=_HINT))
