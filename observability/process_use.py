"""What a process takes of the machine: memory, CPU time and open files, read when somebody asks."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil

from headrace.observability.counters import tell
from headrace.observability.metrics import CPU, DISK, MEMORY, OPEN_FILES


def watch_process(name: str, pid: int | None = None) -> None:
    """Let the metrics of this process tell what another one takes, or itself; it may be gone when it is looked at."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    labels = {"stage": name}
    for measure, look in ((MEMORY, _memory), (OPEN_FILES, _open_files), (CPU, _cpu_seconds)):
        tell(measure, functools.partial(_looked, look, process), labels)


def watch_disk(home: Path) -> None:
    """Let the metrics of this process tell how much room is left where the home is."""
    tell(DISK, lambda: float(shutil.disk_usage(home).free), {})


def _looked(look: Callable[[psutil.Process], float], process: psutil.Process) -> float | None:
    try:
        return look(process)
    except psutil.Error:
        return None


def _memory(process: psutil.Process) -> float:
    return float(process.memory_info().rss)


def _open_files(process: psutil.Process) -> float:
    return float(process.num_fds())


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
