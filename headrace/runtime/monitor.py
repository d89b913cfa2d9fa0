"""The process `monitor`: it looks at the line every two seconds and raises alerts about the line itself.

It reads what lies in HOME/run, the disk's room and when folders changed: no service is asked, so it works while Kafka
is away. What is to be told waits in HOME/monitor.json, bounded, and is published once Kafka and the registry answer.
Their clients are loaded only then: a line that is well never needs them.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headrace.core.child import exit_status
from headrace.core.priority import stand_back
from headrace.errors import HeadraceError, Transient
from headrace.observability.events import AlertRaised, StageFailed, StageStarted, StageStopped, StageWaits, emit
from headrace.observability.monitor_events import PlatformAlertsLost
from headrace.observability.notes import write_note
from headrace.observability.status import StageStatus, read_stage, report_path
from headrace.observability.telemetry import telemetry
from headrace.runtime.home import SupervisorReport, read_report, report_file
from headrace.runtime.platform_alerts import OpenAlert, Opened, live
from headrace.runtime.platform_rules import (
    Limits,
    Memory,
    Observation,
    ProcessSeen,
    ProcessTrack,
    StageSeen,
    look,
    overdue,
)
from headrace.settings import Paths, Settings
from headrace.stream_processors.silences import Silences

STAGE = "monitor"
SUPERVISOR = "supervisor"
MOST_PENDING = 1_000
_LOOK_SECS, _SAVE_SECS = 2.0, 30.0
_FIRST_WAIT_SECS, _LONGEST_WAIT_SECS = 1.0, 30.0
_MICROS = 1_000_000


def limits_of(settings: Settings) -> Limits:
    """Return the settings of the rules."""
    return Limits(
        stalled_secs=settings.monitor_stalled_secs,
        lag_messages=settings.monitor_lag_messages,
        lag_secs=settings.monitor_lag_secs,
        restarts=settings.monitor_restarts,
        restart_secs=settings.monitor_restart_secs,
        disk_floor_bytes=settings.monitor_disk_floor_mb * 2**20,
        folder_secs=settings.monitor_folder_secs,
    )


class Arrivals:
    """When a file of each dataset came through last, by the folders of stored files. Not for use from several threads.

    A folder changes as well when a person deletes old files from it: only one that has more files than before counts.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int, float]] = {}

    def look(self, paths: Paths) -> dict[str, float]:
        """Return the times (seconds since 1970); a folder's files are counted when it has changed."""
        for folder in [one for one in paths.done.iterdir() if one.is_dir()] if paths.done.exists() else []:
            changed = folder.stat()
            before, files, at = self._known.get(folder.name, (-1, -1, 0.0))
            if changed.st_mtime_ns != before:
                found = len(os.listdir(folder))
                at = changed.st_mtime if found > files else at
                self._known[folder.name] = changed.st_mtime_ns, found, at
        return {name: at for name, (_, _, at) in self._known.items()}


def observe(
    paths: Paths, at: float, arrivals: Mapping[str, float], checked: frozenset[str] = frozenset()
) -> Observation:
    """Return how the line looks now. Never blocks; what cannot be read is not seen."""
    report = read_report(paths)
    processes = report["processes"] if report else {}
    stages = {
        name: seen for name in processes if name != STAGE and (seen := _stage(paths, name, processes[name]["pid"]))
    }
    if report is not None:
        stages[SUPERVISOR] = StageSeen(report_file(paths).stat().st_mtime_ns, 0, 0)
    return Observation(
        at=at,
        stages=stages,
        processes=_processes(report),
        disk_free=shutil.disk_usage(paths.home).free,
        arrivals=arrivals,
        checked=checked,
    )


def _processes(report: SupervisorReport | None) -> dict[str, ProcessSeen]:
    return {
        name: ProcessSeen(one["state"] == "running", one["state"] == "failed", one["restarts"], one["error"])
        for name, one in (report["processes"] if report else {}).items()
    }


def _stage(paths: Paths, name: str, pid: int) -> StageSeen | None:
    """Return a stage's report if it is of the process that runs now, else None."""
    try:
        told, changed = read_stage(paths, name, pid), report_path(paths, name).stat().st_mtime_ns
    except FileNotFoundError:
        return None
    if told is None:
        return None
    return StageSeen(changed, told["rows"], told["lag"], halted=told["state"] == "halted")


class Monitor:
    """Looks, remembers, and keeps what is to be told until it is published. `look` and `publish` in two threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._paths, self._limits = settings, settings.paths(), limits_of(settings)
        self._silences = Silences(self._paths.silences)
        self._lock = threading.Lock()
        self._memory, self._opened, self._pending = _load(self._paths.monitor)
        self._arrivals = Arrivals()
        self._saved_at = 0.0

    def look(self, at: float) -> None:
        """Look once at a moment (seconds since 1970)."""
        checked = self._checked(at)
        seen = observe(self._paths, at, self._arrivals.look(self._paths), checked)
        self._memory, found = look(self._memory, seen, self._limits, frozenset(self._opened))
        self._opened, told = live(self._opened, found, at, self._settings.monitor_clear_secs)
        self._silences.refresh()
        for alert in told:
            alert["silenced"] = self._silences.covers(alert["dataset"], alert["rule"], alert["raised_at"])
        with self._lock:
            self._pending += told
            self._drop_what_is_too_much()
            if told or at - self._saved_at >= _SAVE_SECS:
                self._save(at)

    def pending(self) -> list[dict[str, Any]]:
        """Return what is not published yet, oldest first."""
        with self._lock:
            return list(self._pending)

    def published(self, alerts: list[dict[str, Any]], at: float) -> None:
        """Forget alerts that are on the topic."""
        done = {alert["alert_id"] for alert in alerts}
        with self._lock:
            self._pending = [alert for alert in self._pending if alert["alert_id"] not in done]
            self._save(at)

    def _drop_what_is_too_much(self) -> None:
        """Keep the newest transitions; those before are lost, counted, and superseded by what is open now."""
        if (count := len(self._pending) - MOST_PENDING) > 0:
            del self._pending[:count]
            emit(PlatformAlertsLost(count=count))

    def _save(self, at: float) -> None:
        state = {
            "processes": {name: asdict(track) for name, track in self._memory.processes.items()},
            "arrivals": self._memory.arrivals,
            "opened": [one.to_json() for one in self._opened.values()],
            "pending": self._pending,
        }
        write_note(self._paths.monitor, json.dumps(state).encode())
        self._saved_at = at

    def _checked(self, at: float) -> frozenset[str]:
        """Return the datasets whose contract has a check of silence: that one speaks, and tells more."""
        late = overdue(self._memory, at, self._limits)
        if not late:
            return frozenset()
        # Loaded only where a folder is late: contracts need half as much memory again as the whole monitor.
        from headrace.runtime.silence_checks import has_silence_check  # noqa: PLC0415

        return frozenset(name for name in late if has_silence_check(self._paths, name))


def _load(path: Path) -> tuple[Memory, Opened, list[dict[str, Any]]]:
    """Return what an earlier monitor left; nothing if there is none, or a disk took a part of it."""
    try:
        state = json.loads(path.read_text())
        processes = {
            name: ProcessTrack(track["restarts"], tuple(track["starts"])) for name, track in state["processes"].items()
        }
        arrivals = {name: tuple(times) for name, times in state["arrivals"].items()}
        opened = [OpenAlert.from_json(one) for one in state["opened"]]
        keyed = {(one.finding.rule.value, one.finding.place): one for one in opened}
        return Memory(processes=processes, arrivals=arrivals), keyed, list(state["pending"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Memory(), {}, []


def publish(settings: Settings, monitor: Monitor, stop: threading.Event) -> None:
    """Put pending alerts on the topic until asked to stop; a service that is away is tried again ever more slowly."""
    wait_secs = _FIRST_WAIT_SECS
    while not stop.wait(wait_secs if monitor.pending() else _FIRST_WAIT_SECS):
        pending = monitor.pending()
        if not pending:
            wait_secs = _FIRST_WAIT_SECS
            continue
        from headrace.runtime.alert_writer import write_alerts  # noqa: PLC0415  as above

        try:
            write_alerts(settings, pending)
        except HeadraceError as error:
            if not isinstance(error, Transient):
                raise
            wait_secs = min(wait_secs * 2, _LONGEST_WAIT_SECS)
            emit(StageWaits(stage=STAGE, cause=str(error), hint=error.hint, retry_secs=wait_secs))
            continue
        wait_secs = _FIRST_WAIT_SECS
        monitor.published(pending, time.time())
        for alert in pending:
            emit(AlertRaised(dataset=alert["dataset"], rule=alert["rule"], severity=alert["severity"], file=""))


def run(settings: Settings, stop: threading.Event) -> None:
    """Look until asked to stop. Raises what the publishing thread cannot go on with."""
    monitor, status = Monitor(settings), StageStatus(settings.paths(), STAGE)
    failed: list[Exception] = []

    def work() -> None:
        try:
            publish(settings, monitor, stop)
        except Exception as error:  # whatever it is, the process must not go on without telling
            failed.append(error)
            stop.set()

    thread = threading.Thread(target=work, name="publish", daemon=True)
    thread.start()
    emit(StageStarted(stage=STAGE))
    status.update()
    while not stop.wait(_LOOK_SECS):
        monitor.look(time.time())
        status.update(lag=len(monitor.pending()))
    thread.join(settings.drain_secs / 2)
    if failed:
        raise failed[0]
    status.update(state="stopped")
    emit(StageStopped(stage=STAGE))


def main() -> None:
    """Run until SIGTERM; exit with 78 on an error that a restart cannot mend."""
    stand_back(1)
    settings, stop = Settings(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with telemetry(settings, STAGE):
        try:
            run(settings, stop)
        except (HeadraceError, OSError) as error:
            hint = error.hint if isinstance(error, HeadraceError) else "headrace doctor looks at home and disk"
            emit(StageFailed(stage=STAGE, error=str(error), hint=hint))
            sys.exit(exit_status(error))


if __name__ == "__main__":
    main()
