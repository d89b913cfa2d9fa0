"""What each stage tells about itself: one small file a stage, which `headrace status` and the supervisor read."""

import json
import os
import time
from collections.abc import Callable
from typing import TypedDict

import psutil

from headrace.core.files import write_atomically
from headrace.observability.counters import current_values
from headrace.settings import Paths


class StageReport(TypedDict):
    """One stage as `headrace status --json` shows it. `lag` is in messages not yet read; -1 where it is unknown.

    `counters` are the process's own since its start, by the names of docs/guide/reference.md; zeros are left out.
    """

    state: str
    pid: int
    rows: int
    rows_per_s: float
    lag: int
    memory_bytes: int
    counters: dict[str, int]


class StageStatus:
    """Counts a stage's rows and writes HOME/run/stages/<stage>.json at most every half second."""

    def __init__(self, paths: Paths, stage: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._file = paths.run / "stages" / f"{stage}.json"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._monotonic = monotonic
        self._process = psutil.Process()
        self._written_at = -1.0
        self._marks: list[tuple[float, int]] = [(monotonic(), 0)]
        self._rows = 0
        self._lag = -1
        self._state = "starting"

    def update(self, *, rows: int = 0, lag: int | None = None, state: str = "running") -> None:
        """Add rows done, note lag and state; cheap enough for every batch and every idle poll."""
        self._rows += rows
        self._lag = self._lag if lag is None else lag
        changed, self._state = state != self._state, state
        now = self._monotonic()
        if changed or now - self._written_at >= 0.5:
            self._write(now)

    def _write(self, now: float) -> None:
        self._marks = [*(mark for mark in self._marks if now - mark[0] <= 5.0), (now, self._rows)]
        since, before = self._marks[0]
        report: StageReport = {
            "state": self._state,
            "pid": os.getpid(),
            "rows": self._rows,
            "rows_per_s": round((self._rows - before) / max(now - since, 0.001), 1),
            "lag": self._lag,
            "memory_bytes": self._process.memory_info().rss,
            "counters": current_values(),
        }
        write_atomically(self._file, json.dumps(report).encode())
        self._written_at = now
