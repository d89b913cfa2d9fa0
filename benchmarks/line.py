"""The whole line under load, as a user starts it: headrace up, files into the inbox, rows counted in ClickHouse."""

import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from headrace.observability.status import read_stage
from headrace.testing.line import RunningLine, wait_for

WITHOUT_LEARNERS, WITH_LEARNERS = {"HEADRACE_LEARNERS": "false"}, {"HEADRACE_LEARNERS": "true"}
"""Settings of a line. A learner goes on for minutes with what a flow left, and takes from whatever is measured then."""
_LIMIT_SECS = 600.0
_LOOK_SECS = 0.3
_LAST_ROWS = 100_000
_IDLE_SHARE, _IDLE_LOOKS = 0.35, 3


def rows_in(line: RunningLine, dataset: str) -> int:
    """Return how many rows of a dataset are stored or in quarantine."""
    stored = f"(SELECT count() FROM headrace.{dataset})"
    quarantined = f"(SELECT count() FROM headrace.quarantine WHERE dataset = '{dataset}')"
    return int(line.value(f"SELECT {stored} + {quarantined}") or 0)


def wait_for_value(line: RunningLine, query: str, value: str) -> None:
    """Wait until a query answers `value`."""
    wait_for(lambda: line.value(query) == value, _LIMIT_SECS, lambda: query, 0.02)


def wait_for_rows(line: RunningLine, dataset: str, rows: int) -> None:
    """Wait until a dataset has that many rows in the tables.

    Each look is work for the warehouse: while the sink still stores, its status file says how much is to come, and the
    tables are not asked before all but a batch of it is stored.
    """
    stored_before, missing = _stored(line), rows - rows_in(line, dataset)

    def there() -> bool:
        return _stored(line) - stored_before >= missing - _LAST_ROWS and rows_in(line, dataset) >= rows

    wait_for(there, _LIMIT_SECS, lambda: f"{rows} rows of {dataset}", _LOOK_SECS)


def _stored(line: RunningLine) -> int:
    """Return how many rows the sink has stored since it began."""
    told = read_stage(line.settings.paths(), "sink")
    return told["rows"] if told else 0


class StageSpeeds:
    """Watches the stages' status files, and says how fast each was between its first and its last row."""

    def __init__(self, line: RunningLine) -> None:
        self._folder = line.settings.paths().run / "stages"
        self._seen: dict[str, list[tuple[float, int]]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(0.1):
            for path in self._folder.glob("*.json"):
                rows = json.loads(path.read_bytes())["rows"]
                marks = self._seen.setdefault(path.stem, [(path.stat().st_mtime, rows)])
                if rows != marks[-1][1]:
                    marks.append((path.stat().st_mtime, rows))

    def stop(self) -> dict[str, int]:
        """Return rows a second by stage; status files change at most twice a second, so short runs are coarse."""
        self._stopped.set()
        self._thread.join()
        speeds = {}
        for stage, marks in self._seen.items():
            (start, before), (end, after) = marks[0 if len(marks) < 3 else 1], marks[-1]
            if end > start:
                speeds[stage] = round((after - before) / (end - start))
        return speeds


def usage(line: RunningLine) -> dict[str, dict[str, float]]:
    """Return CPU seconds so far and peak memory in MB of every process of the line."""
    status = line.status()
    found = {}
    for name, part in {**status["services"], **status["stages"]}.items():
        if part["pid"]:
            times = psutil.Process(part["pid"]).cpu_times()
            found[name] = {"cpu_s": times.user + times.system, "peak_mb": _peak_mb(part["pid"])}
    return found


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def settle(line: RunningLine) -> None:
    """Wait until nothing is left to do: three seconds in which all processes together took a third of a core.

    What one file leaves (windows that close, alerts, learners that catch up) would else be counted with the next.
    """
    looks: deque[float] = deque(maxlen=_IDLE_LOOKS + 1)

    def rests() -> bool:
        looks.append(_cpu_s(line))
        return len(looks) > _IDLE_LOOKS and all(after - before < _IDLE_SHARE for before, after in pairwise(looks))

    wait_for(rests, _LIMIT_SECS, lambda: f"the line is still busy: {line.headrace('status').stdout}", 1.0)


def _cpu_s(line: RunningLine) -> float:
    return sum(part["cpu_s"] for part in usage(line).values())


def throughput(line: RunningLine, files: Sequence[Path]) -> dict[str, Any]:
    """Warm the line up with the first file, and return the figures of the others."""
    cold = warm_up(line, files[0])
    return {"cold_rows_per_s": cold} | timed(line, files[1:])


def warm_up(line: RunningLine, file: Path) -> int:
    """Bring a file in, wait until nothing of it is left to do, and return its rows a second.

    The line is then as it is when it has run for a while; the naive version and the floor run on the same services.
    """
    started = time.time()
    line.drop("flights", file.name, file.read_bytes())
    wait_for_rows(line, "flights", _count(file))
    speed = round(_count(file) / (time.time() - started))
    settle(line)
    return speed


def timed(line: RunningLine, files: Sequence[Path]) -> dict[str, Any]:
    """Drop big files and return speeds, CPU seconds a million rows and peak memory until all their rows are stored."""
    there, total = rows_in(line, "flights"), sum(map(_count, files))
    before, speeds, started = usage(line), StageSpeeds(line), time.time()
    for path in files:
        line.drop("flights", path.name, path.read_bytes())
    wait_for_rows(line, "flights", there + total)
    seconds = time.time() - started
    after = usage(line)
    cpu = {name: round((part["cpu_s"] - before[name]["cpu_s"]) * 1e6 / total, 2) for name, part in after.items()}
    return {
        "rows": total,
        "seconds": round(seconds, 2),
        "rows_per_s": round(total / seconds),
        "stage_rows_per_s": speeds.stop(),
        "cpu_s_per_million_rows": cpu,
        "peak_mb": {name: round(part["peak_mb"]) for name, part in after.items()},
    }


def _count(path: Path) -> int:
    return path.read_bytes().count(b"\n") - 1


def latency(line: RunningLine, files: int = 100) -> dict[str, float]:
    """Drop small files one after another and return the seconds from file closed to row visible: p50 and p99."""
    header = b"number,note\n"
    line.drop("small", "first.csv", header + b"0,first\n")
    wait_for_value(line, "SELECT count() FROM headrace.small", "1")
    seconds = []
    for number in range(1, files + 1):
        line.drop("small", f"{number}.csv", header + f"{number},note\n".encode())
        closed = time.time()
        wait_for_value(line, f"SELECT count() FROM headrace.small WHERE number = {number}", "1")
        seconds.append(time.time() - closed)
    seconds.sort()
    return {"p50_s": round(seconds[len(seconds) // 2], 3), "p99_s": round(seconds[int(len(seconds) * 0.99) - 1], 3)}
