"""The process `watcher`: python -m headrace.producers.app. Files dropped in the inbox are in Kafka, exactly once."""

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.core.child import exit_status
from headrace.core.collector import relax_collector
from headrace.errors import AlreadyRunning, HeadraceError
from headrace.observability.events import StageFailed, StageStarted, StageStopped, emit
from headrace.observability.metric_events import QueueSeen
from headrace.observability.status import StageStatus
from headrace.observability.telemetry import telemetry
from headrace.observability.tracing import FileTracer
from headrace.producers.file_events import FileEvents
from headrace.producers.ready_queue import ReadyQueue
from headrace.producers.slot import STAGE, IngestSlot, slot_of
from headrace.producers.watcher import Watcher
from headrace.settings import Paths, Settings

_STEP_SECS = 0.25


@contextmanager
def locked(paths: Paths) -> Iterator[None]:
    """Hold HOME/run/watcher.lock, which the kernel frees with the process; raises AlreadyRunning if it is held."""
    paths.run.mkdir(parents=True, exist_ok=True)
    with (paths.run / "watcher.lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f'home "{paths.home}": another watcher is at work'
            raise AlreadyRunning(message, hint="stop it, or choose another HEADRACE_HOME") from error
        os.truncate(stream.fileno(), 0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


class WatcherApp:
    """The watcher with its slots. `run` returns when `stop` was called and everything at hand is committed."""

    def __init__(self, settings: Settings, tracer: FileTracer) -> None:
        self._settings = settings
        self._status = StageStatus(settings.paths(), STAGE)
        self._stopping = threading.Event()
        self._rows = 0
        self._rows_lock = threading.Lock()
        self._watcher = Watcher(
            settings.paths(),
            self._queue_of,
            stable_secs=settings.stable_secs,
            rescan_secs=settings.rescan_secs,
        )
        self._slots = [
            IngestSlot(
                settings,
                slot,
                tracer,
                settled=self._watcher.settled,
                oddity_found=self._watcher.oddity_found,
                rows_done=self._count,
                over=self._watcher.wake,
            )
            for slot in range(settings.ingest_slots)
        ]

    def stop(self) -> None:
        """Finish the frames at hand and leave. Safe in a signal handler."""
        self._stopping.set()
        self._watcher.wake()

    def run(self) -> None:
        """Watch until stopped; raises what a slot could not go on with."""
        paths = self._settings.paths()
        paths.inbox.mkdir(parents=True, exist_ok=True)
        events = FileEvents(paths.inbox, self._watcher.closed, self._watcher.folder_came)
        events.start()
        for slot in self._slots:
            slot.start()
        emit(StageStarted(stage=STAGE))
        try:
            while not self._stopping.is_set() and all(slot.failure is None for slot in self._slots):
                waited = self._watcher.waits_for_inbox
                self._watcher.step(_STEP_SECS)
                if waited and not self._watcher.waits_for_inbox:
                    # A folder that could not be read could not be watched either.
                    events.stop()
                    events.start()
                self._report("waiting" if self._watcher.waits_for_inbox else "running")
        finally:
            events.stop()
            for slot in self._slots:
                slot.stop()
            for slot in self._slots:
                slot.join(self._settings.drain_secs)
            self._report("stopping")
        for slot in self._slots:
            if slot.failure is not None:
                raise slot.failure
        emit(StageStopped(stage=STAGE))

    def _queue_of(self, dataset: str) -> ReadyQueue:
        return self._slots[slot_of(dataset, len(self._slots))].ready

    def _count(self, rows: int) -> None:
        with self._rows_lock:
            self._rows += rows

    def _report(self, state: str) -> None:
        with self._rows_lock:
            rows, self._rows = self._rows, 0
        waiting = sum(slot.ready.waiting() for slot in self._slots)
        emit(QueueSeen(queue="ready_files", depth=waiting))
        self._status.update(rows=rows, lag=waiting, state=state)


def run(settings: Settings, tracer: FileTracer) -> None:
    """Run the watcher of a home until SIGTERM or SIGINT."""
    with locked(settings.paths()):
        app = WatcherApp(settings, tracer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: app.stop())
        app.run()


def main() -> None:
    """Run the process `watcher`; exit with 78 on an error that a restart cannot mend."""
    settings = Settings()
    relax_collector()
    with telemetry(settings, STAGE) as told:
        try:
            run(settings, told.tracer)
        except HeadraceError as error:
            emit(StageFailed(stage=STAGE, error=str(error), hint=error.hint))
            sys.exit(exit_status(error))


if __name__ == "__main__":
    main()
