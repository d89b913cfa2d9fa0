"""The whole line under load, as a user starts it: headrace up, files into the inbox, rows counted in ClickHouse."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from headrace.settings import Settings

_LIMIT_SECS = 600.0
HEADRACE = [sys.executable, "-m", "headrace.cli"]


@dataclass(frozen=True)
class Line:
    """A running line: its settings and the environment its commands need."""

    settings: Settings
    environment: dict[str, str]

    def status(self) -> dict[str, Any]:
        """Return what `headrace status --json` says."""
        done = subprocess.run(
            [*HEADRACE, "status", "--json"], env=self.environment, capture_output=True, text=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def value(self, query: str) -> str:
        """Return what a query answers over ClickHouse's HTTP interface, "" while its table is not there yet."""
        url = f"{self.settings.warehouse_address()}/?query={urllib.parse.quote(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310
                return str(reply.read().decode().strip())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return ""
            raise

    def drop(self, dataset: str, name: str, content: bytes) -> float:
        """Put a file into the inbox in one move and return when that was."""
        folder = self.settings.paths().inbox / dataset
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{name}"
        draft.write_bytes(content)
        draft.rename(folder / name)
        return time.time()

    def rows(self, dataset: str) -> int:
        """Return how many rows of a dataset are stored or in quarantine."""
        quarantined = f"SELECT count() FROM headrace.quarantine WHERE dataset = '{dataset}'"
        counts = [self.value(f"SELECT count() FROM headrace.{dataset}"), self.value(quarantined)]
        return sum(int(count or 0) for count in counts)


@contextmanager
def running_line(home: Path) -> Iterator[Line]:
    """Start a line on free ports in `home`, and stop it."""
    environment = os.environ | {"HEADRACE_HOME": str(home)}
    subprocess.run([*HEADRACE, "up", "--detach", "--ports", "auto"], env=environment, check=True)
    try:
        yield Line(Settings(home=home), environment)
    finally:
        subprocess.run([*HEADRACE, "down"], env=environment, check=True)


def wait_until(condition: Callable[[], bool], what: str, every_secs: float = 0.05) -> None:
    """Wait for a condition with a limit."""
    deadline = time.monotonic() + _LIMIT_SECS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(every_secs)


class StageSpeeds:
    """Watches the stages' status files, and says how fast each was between its first and its last row."""

    def __init__(self, line: Line) -> None:
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


def usage(line: Line) -> dict[str, dict[str, float]]:
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


def throughput(line: Line, files: list[Path]) -> dict[str, Any]:
    """Drop the big files and return speeds, CPU seconds a million rows and peak memory."""
    total = sum(path.read_bytes().count(b"\n") - 1 for path in files)
    line.drop("flights", "warm-up.csv", b"".join(files[0].read_bytes().splitlines(keepends=True)[:2]))
    wait_until(lambda: line.rows("flights") == 1, "the warm-up file")
    before, speeds, started = usage(line), StageSpeeds(line), time.time()
    for path in files:
        line.drop("flights", path.name, path.read_bytes())
    wait_until(lambda: line.rows("flights") == total + 1, f"{total} rows of flights")
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


def latency(line: Line, files: int = 100) -> dict[str, float]:
    """Drop small files one after another and return the seconds from file closed to row visible: p50 and p99."""
    header = b"number,note\n"
    line.drop("small", "first.csv", header + b"0,first\n")
    wait_until(lambda: line.value("SELECT count() FROM headrace.small") == "1", "the first small file", 0.02)
    seconds = []
    for number in range(1, files + 1):
        closed = line.drop("small", f"{number}.csv", header + f"{number},note\n".encode())
        query = f"SELECT count() FROM headrace.small WHERE number = {number}"
        wait_until(lambda query=query: line.value(query) == "1", query, 0.02)  # type: ignore[misc]
        seconds.append(time.time() - closed)
    seconds.sort()
    return {"p50_s": round(seconds[len(seconds) // 2], 3), "p99_s": round(seconds[int(len(seconds) * 0.99) - 1], 3)}
