"""What each stage tells about itself: one small file a stage, which `headrace status` and the supervisor read."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypedDict

import psutil

from headrace.observability.counters import current_values
from headrace.observability.events import emit
from headrace.observability.health import tell_health
from headrace.observability.metric_events import StageTold
from headrace.observability.notes import write_note
from headrace.settings import Paths


class StageReport(TypedDict):
    """What a stage tells of itself, as `headrace status --json` shows it."""

    state: Annotated[str, "starting, running, waiting, halted, stopping, stopped, restarting or failed."]
    pid: Annotated[int, "Process id; 0: no process."]
    rows: Annotated[int, "Rows done since the process started."]
    rows_per_s: Annotated[float, "Rows a second over the last 5 seconds."]
    lag: Annotated[int, "Messages not read yet (watcher and receipts: files not done yet); -1: not known yet."]
    memory_bytes: Annotated[int, "Resident memory."]
    counters: Annotated[
        dict[str, int], "The process's counters since its start, by name and labels; zeros are left out."
    ]


def report_path(paths: Paths, stage: str) -> Path:
    """Return where a stage tells of itself."""
    return paths.run / "stages" / f"{stage}.json"


def read_stage(paths: Paths, stage: str, pid: int | None = None) -> StageReport | None:
    """Return what a stage told of itself last; None: nothing yet, or not the process `pid` where one is asked for."""
    try:
        told: StageReport = json.loads(report_path(paths, stage).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return told if pid is None or pid == told["pid"] else None


class StageStatus:
    """Counts a stage's rows and writes HOME/run/stages/<stage>.json at most every half second."""

    def __init__(self, paths: Paths, stage: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stage = stage
        self._file = report_path(paths, stage)
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
        tell_health(state, self._lag)
        if changed or now - self._written_at >= 0.5:
            self._write(now)

    def _write(self, now: float) -> None:
        self._marks = [*(mark for mark in self._marks if now - mark[0] <= 5.0), (now, self._rows)]
        since, before = self._marks[0]
        rows_per_s = round((self._rows - before) / max(now - since, 0.001), 1)
        lag = self._lag if self._lag >= 0 else None
        emit(StageTold(stage=self._stage, state=self._state, lag=lag, rows_per_s=rows_per_s))
        report: StageReport = {
            "state": self._state,
            "pid": os.getpid(),
            "rows": self._rows,
            "rows_per_s": rows_per_s,
            "lag": self._lag,
            "memory_bytes": self._process.memory_info().rss,
            "counters": current_values(),
        }
        # It is of this moment, and waiting for the disk took 6 % of a busy judge's time.
        write_note(self._file, json.dumps(report).encode(), durable=False)
        self._written_at = now
