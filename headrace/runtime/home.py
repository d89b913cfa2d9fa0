"""One supervisor a home: the lock, what it wrote about itself, and what a killed one left behind."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import psutil

from headrace.core.child import wait_until
from headrace.core.files import try_lock
from headrace.errors import AlreadyRunning, ServiceUnreachable
from headrace.observability.notes import write_note
from headrace.settings import Paths

_LEFTOVER_SECS = 5.0
_LOOK_SECS = 0.3


class ProcessReport(TypedDict):
    """One process as its supervisor sees it. `error` is the last line of the one that died last, "" if none did."""

    kind: str
    state: str
    pid: int
    created_at: float
    restarts: int
    error: str


class SupervisorReport(TypedDict):
    """HOME/run/supervisor.json. `phase` is starting, running or draining."""

    pid: int
    created_at: float
    phase: str
    processes: dict[str, ProcessReport]


def lock_file(paths: Paths) -> Path:
    """Return the file whose lock a supervisor holds; it has the pid in it."""
    return paths.run / "lock"


def report_file(paths: Paths) -> Path:
    """Return the file that the supervisor writes at each change."""
    return paths.run / "supervisor.json"


@contextlib.contextmanager
def locked_home(paths: Paths) -> Iterator[None]:
    """Hold the home for this process; AlreadyRunning names who has it. The kernel lets go when the process dies."""
    paths.run.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock_file(paths), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # `headrace status` holds the lock for the moment of its look, so one refusal is not yet an answer.
        if not wait_until(lambda: try_lock(descriptor), _LOOK_SECS):
            holder = os.read(descriptor, 32).decode() or "unknown"
            raise AlreadyRunning(
                f"headrace already runs on {paths.home} (pid {holder})",
                hint="headrace status shows it, headrace down stops it",
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def is_held(paths: Paths) -> bool:
    """Return whether a supervisor holds the home now."""
    try:
        with locked_for_a_moment(paths):
            return False
    except BlockingIOError:
        return True


@contextlib.contextmanager
def locked_for_a_moment(paths: Paths) -> Iterator[None]:
    """Hold the lock without a trace, to look; BlockingIOError if a supervisor has it. A missing file is not made."""
    try:
        descriptor = os.open(lock_file(paths), os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def write_report(paths: Paths, report: SupervisorReport) -> bool:
    """Replace HOME/run/supervisor.json, and return whether the disk had room for it."""
    return write_note(report_file(paths), json.dumps(report).encode())


def read_report(paths: Paths) -> SupervisorReport | None:
    """Return what the supervisor last wrote, None if there is nothing."""
    try:
        report: SupervisorReport = json.loads(report_file(paths).read_text())
    except FileNotFoundError:
        return None
    return report


def process_of(pid: int, created_at: float) -> psutil.Process | None:
    """Return the live process, None if it is gone or its number now belongs to another."""
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - created_at) < 1.0 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except psutil.NoSuchProcess:
        pass
    return None


def bury_leftovers(paths: Paths) -> int:
    """Make sure that nothing of a killed supervisor runs on; return how many processes there were. Hold the lock.

    On Linux the kernel has killed them, and this only waits for their end; elsewhere it kills them itself.
    """
    report = read_report(paths)
    found = []
    for entry in report["processes"].values() if report else ():
        process = process_of(entry["pid"], entry["created_at"]) if entry["pid"] else None
        if process is not None:
            found.append(process)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    _gone, alive = psutil.wait_procs(found, timeout=_LEFTOVER_SECS)
    if alive:
        pids = ", ".join(str(process.pid) for process in alive)
        raise ServiceUnreachable(f"processes of an earlier start do not end: {pids}", hint=f"kill -9 {pids}")
    report_file(paths).unlink(missing_ok=True)
    return len(found)


def wait_until_released(paths: Paths, limit_secs: float) -> bool:
    """Return True once no supervisor holds the home, False if one still does after `limit_secs`."""
    return wait_until(lambda: not is_held(paths), limit_secs, every_secs=0.1)
