"""One process under supervision: waiting, starting, running, restarting, failed, stopped."""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import psutil

from headrace.core.child import EXIT_TERMINAL, Child
from headrace.observability.endpoint import PROCESSES
from headrace.observability.events import ProcessDied, ProcessReady, ProcessStarted, emit
from headrace.observability.metric_events import StageTold
from headrace.observability.process_use import watch_process
from headrace.runtime.backoff import Backoff
from headrace.runtime.home import ProcessReport
from headrace.runtime.plan import ProcessSpec
from headrace.settings import Settings

# A process that is neither ready nor dead after this long is killed and started again. Stages that stand back for
# others get little of a busy machine, and a kill lets them begin anew.
START_LIMIT_SECS: Final = {"service": 60.0, "stage": 180.0}


class ProcessState(StrEnum):
    """Where a supervised process stands. `failed`: it said that a restart cannot help; tried again once a minute."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


class ManagedProcess:
    """Starts, watches and restarts one process. `tick` never blocks for long and is called a few times a second."""

    def __init__(
        self,
        spec: ProcessSpec,
        settings: Settings,
        launch: Callable[[ProcessSpec], Child],
        monotonic: Callable[[], float],
    ) -> None:
        self.spec = spec
        self.state = ProcessState.WAITING
        self.restarts = 0
        self.error = ""
        self.backoff = Backoff()
        self.child: Child | None = None
        self._settings, self._launch, self._monotonic = settings, launch, monotonic
        self._started_at = self._due_at = self._created_at = 0.0

    def tick(self, *, may_start: bool) -> None:
        """Look at the process and do what its state asks for; it is started only if `may_start`."""
        if self.state in {ProcessState.STARTING, ProcessState.RUNNING}:
            self._watch()
        elif self.state is not ProcessState.STOPPED and may_start and self._monotonic() >= self._due_at:
            self._start()

    def _start(self) -> None:
        if self.state is not ProcessState.WAITING:
            self.restarts += 1
        if self.state is ProcessState.FAILED:
            self._tell(ProcessState.RESTARTING)
        self.child = self._launch(self.spec)
        self._created_at = _created_at(self.child.pid)
        self._started_at = self._monotonic()
        self.state = ProcessState.STARTING
        if self.spec.name not in PROCESSES:
            watch_process(self.spec.name, self.child.pid)
        emit(ProcessStarted(name=self.spec.name, pid=self.child.pid, restarts=self.restarts))

    def _watch(self) -> None:
        assert self.child is not None  # noqa: S101  the states that lead here are set with the child
        code, age = self.child.exit_code(), self._monotonic() - self._started_at
        if code is None and self.state is ProcessState.STARTING:
            if self.spec.ready(self._settings, self.child):
                self.state = ProcessState.RUNNING
                emit(ProcessReady(name=self.spec.name, pid=self.child.pid, seconds=round(age, 2)))
            elif age > (limit := START_LIMIT_SECS[self.spec.kind]):
                code = self.child.kill()
                self._died(code, age, f"not ready after {limit:.0f} s; killed")
        elif code is not None:
            self._died(code, age, readable(self.child.last_line()))

    def _died(self, code: int, age: float, error: str) -> None:
        terminal = code == EXIT_TERMINAL
        delay = self.backoff.delay_secs(ran_secs=age, terminal=terminal)
        self._due_at = self._monotonic() + delay
        self.state = ProcessState.FAILED if terminal else ProcessState.RESTARTING
        self.error = error or (f"killed by signal {-code}" if code < 0 else f"exit code {code}")
        if terminal:
            self._tell(ProcessState.FAILED)
        emit(ProcessDied(name=self.spec.name, code=code, cause=self.error, retry_secs=delay))

    def _tell(self, state: ProcessState) -> None:
        """Tell what a process that has failed cannot tell of itself."""
        emit(StageTold(stage=self.spec.name, state=str(state), lag=None, rows_per_s=None))

    def begin_stop(self) -> None:
        """Ask the process to finish and leave; it is not started again. Does not wait."""
        if self.child is not None:
            self.child.terminate()

    def finish_stop(self) -> None:
        """Note that the process has ended."""
        self.state = ProcessState.STOPPED

    def report(self) -> ProcessReport:
        """Return what `headrace status` needs to know."""
        alive = self.child is not None and self.child.exit_code() is None
        return {
            "kind": self.spec.kind,
            "state": str(self.state),
            "pid": self.child.pid if alive and self.child is not None else 0,
            "created_at": self._created_at if alive else 0.0,
            "restarts": self.restarts,
            "error": self.error,
        }


def readable(line: str) -> str:
    r"""Return the message of a JSON log line (with its exception's last line), any other line as it is.

    >>> readable('{"message": "no", "exception": "Traceback\\nValueError: 7"}'), readable("plain")
    ('no: ValueError: 7', 'plain')
    """
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "message" not in entry:
        return line
    exception = str(entry.get("exception", "")).strip().splitlines()
    return ": ".join([str(entry["message"]), *exception[-1:]])


def _created_at(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0
