"""The supervisor: starts services and stages, restarts the dead, drains in order when asked to stop.

`python -m headrace.runtime.supervisor [SERVICES]` is the daemon that `headrace up --detach` leaves behind.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

from headrace.core.child import Child
from headrace.embedded.services import external_services, prepare_home, start_module, write_addresses
from headrace.errors import HeadraceError, ServiceUnreachable
from headrace.observability.counter_export import process_metrics
from headrace.observability.endpoint import forget_addresses
from headrace.observability.events import LeftoversBuried, ProcessKilled, StageStarted, StageStopped, emit
from headrace.observability.health import tell_health
from headrace.observability.log_export import process_logs
from headrace.observability.process_use import watch_disk
from headrace.runtime.home import SupervisorReport, bury_leftovers, locked_home, report_file, write_report
from headrace.runtime.managed import ManagedProcess, ProcessState
from headrace.runtime.plan import CHOICES, ProcessSpec, listening, make_plan, parse_services, stop_order
from headrace.runtime.restore import check_whole
from headrace.schemas.topics import SYSTEM_TOPICS
from headrace.settings import Settings
from headrace.transport.kafka import Topics

TICK_SECS = 0.1
# A service that dies this often before it ever was ready will not come: `up` gives up and says why.
_DEATHS_AT_START = 3
# So often the report's file gets a new time, from which the monitor sees that the supervisor lives.
_ALIVE_SECS = 2.0

Observer = Callable[[SupervisorReport], None]


class StopFlag:
    """Counts the wishes to stop: the first drains, a second one kills what still runs."""

    def __init__(self) -> None:
        self.wishes = 0
        self._event = threading.Event()

    def wish(self) -> None:
        """Ask for a stop; safe in a signal handler."""
        self.wishes += 1
        self._event.set()

    def wait(self, secs: float) -> bool:
        """Sleep, at most until the first wish; return whether there is one."""
        return self._event.wait(secs)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let SIGINT, SIGTERM and SIGHUP be wishes within the block. Main thread only."""

        def handler(_number: int, _frame: FrameType | None) -> None:
            self.wish()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, handler) for number in numbers}
        try:
            yield
        finally:
            for number, previous in before.items():
                signal.signal(number, previous)


class Supervisor:
    """Runs a plan on one home. The caller holds the home's lock and calls from the main thread (guard of children)."""

    def __init__(
        self,
        settings: Settings,
        plan: tuple[ProcessSpec, ...],
        observe: Observer,
        *,
        launch: Callable[[ProcessSpec], Child] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._observe, self._monotonic = settings, observe, monotonic
        self._paths = settings.paths()
        self._phase = "starting"
        self._topics_exist = not any(spec.kind == "stage" for spec in plan)
        self._topics_due = 0.0
        self._created_at = psutil.Process().create_time()
        start = launch or (lambda spec: start_module(spec.name, spec.module, settings))
        self.processes = {spec.name: ManagedProcess(spec, settings, start, monotonic) for spec in plan}
        self._order = [self.processes[spec.name] for spec in stop_order(plan)]
        self._written: SupervisorReport | None = None
        self._alive_due = 0.0

    def run(self, stop: StopFlag) -> None:
        """Start, watch until a stop is wished, drain. Raises ServiceUnreachable if a service cannot start at all."""
        try:
            while not stop.wait(TICK_SECS):
                self.tick()
        finally:
            self._drain(stop)

    def tick(self) -> None:
        """Look at every process once."""
        for process in self.processes.values():
            process.tick(may_start=self._may_start(process))
            if self._phase == "starting":
                self._give_up_on(process)
        if self._phase == "starting" and all(self._settled(process) for process in self.processes.values()):
            self._phase = "running"
        self._publish()

    def _may_start(self, process: ManagedProcess) -> bool:
        needs_met = all(self.processes[name].state is ProcessState.RUNNING for name in process.spec.after)
        return needs_met and (process.spec.kind == "service" or self._topics_ensured())

    def _topics_ensured(self) -> bool:
        """Create the system topics once; a failure is tried again a second later."""
        if not self._topics_exist and self._monotonic() >= self._topics_due:
            try:
                Topics(self._settings.kafka_client(), self._settings.replication_factor).ensure(SYSTEM_TOPICS)
                self._topics_exist = True
            except ServiceUnreachable:
                if "kafka" in external_services(self._settings):
                    raise
                self._topics_due = self._monotonic() + 1.0
        return self._topics_exist

    @staticmethod
    def _settled(process: ManagedProcess) -> bool:
        """Return whether a start need not wait longer for it: it runs, or keeps failing and status says why."""
        return process.state in {ProcessState.RUNNING, ProcessState.FAILED} or process.restarts >= _DEATHS_AT_START

    @staticmethod
    def _give_up_on(process: ManagedProcess) -> None:
        dead_for_good = (
            process.state is ProcessState.FAILED or process.backoff.deaths_in_a_row >= _DEATHS_AT_START
        ) and process.spec.kind == "service"
        if dead_for_good and process.child is not None:
            raise ServiceUnreachable(
                f"{process.spec.name} does not start: {process.error}",
                hint=f"see {process.child.output}, then headrace doctor",
            )

    def _drain(self, stop: StopFlag) -> None:
        """Stop every process in order, each with its time; a second wish kills the rest at once."""
        self._phase = "draining"
        self._publish()
        for process in self._order:
            process.begin_stop()
            since = self._monotonic()
            while process.child is not None and process.child.wait(TICK_SECS) is None:
                late = self._monotonic() - since > self._settings.drain_secs
                if late or stop.wishes > 1:
                    process.child.kill()
                    emit(ProcessKilled(name=process.spec.name, after_secs=round(self._monotonic() - since, 1)))
                self._publish()
            process.finish_stop()
            self._publish()
        self._paths.stack_file.unlink(missing_ok=True)
        report_file(self._paths).unlink(missing_ok=True)

    def _publish(self) -> None:
        """Show the state to the observer, and write it down if it has changed."""
        report: SupervisorReport = {
            "pid": os.getpid(),
            "created_at": self._created_at,
            "phase": self._phase,
            "processes": {name: process.report() for name, process in self.processes.items()},
        }
        tell_health(self._phase, 0)
        if report != self._written:
            if write_report(self._paths, report):
                self._written = report
        elif self._monotonic() >= self._alive_due:
            self._alive_due = self._monotonic() + _ALIVE_SECS
            os.utime(report_file(self._paths))
        self._observe(report)


def supervise(settings: Settings, services: frozenset[str], observe: Observer, stop: StopFlag) -> None:
    """Run the line on this home until a stop is wished. Raises AlreadyRunning if the home is in use."""
    paths = settings.paths()
    with locked_home(paths), process_logs(settings, "supervisor"):
        check_whole(paths)
        if count := bury_leftovers(paths):
            emit(LeftoversBuried(count=count))
        prepare_home(paths)
        for stale in (paths.run / "stages").glob("*.json"):
            stale.unlink()
        write_addresses(settings, listening(settings, services))
        forget_addresses(paths)
        emit(StageStarted(stage="supervisor"))
        with process_metrics(settings, "supervisor"):
            watch_disk(paths.home)
            Supervisor(settings, make_plan(settings, services), observe).run(stop)
        emit(StageStopped(stage="supervisor"))


def main(arguments: list[str]) -> None:
    """Run as the daemon; a problem goes to standard error as one line of JSON, for the `up` that waits."""
    services = parse_services(arguments[0]) if arguments else frozenset(CHOICES)
    stop = StopFlag()
    try:
        with stop.on_signals():
            supervise(Settings(), services, lambda _report: None, stop)
    except HeadraceError as error:
        sys.exit(json.dumps({"message": str(error), "hint": error.hint}))


if __name__ == "__main__":
    main(sys.argv[1:])
