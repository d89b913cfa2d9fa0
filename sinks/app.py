"""The process `sink`: python -m headrace.sinks.app [--slot N]. It runs every slot, or one of them."""

import functools
import signal
import sys
import threading

import click

from headrace.core.collector import relax_collector
from headrace.errors import HeadraceError, Transient
from headrace.observability.events import BatchRepeated, StageFailed, StageStarted, StageStopped, emit
from headrace.observability.health import tell_alive
from headrace.observability.status import StageStatus
from headrace.observability.telemetry import telemetry
from headrace.observability.tracing import FileTracer
from headrace.schemas.registry import Registry
from headrace.schemas.topics import SYSTEM_TOPICS
from headrace.settings import Settings
from headrace.sinks.clickhouse import ClickHouseSink
from headrace.sinks.sink_loop import Progress, SinkSlot, SlotTools
from headrace.transport.kafka import Topics
from headrace.transport.warehouse import Warehouse

_FIRST_WAIT_SECS, _LONGEST_WAIT_SECS = 0.5, 10.0
# A stop waits for no longer than that when Kafka is away.
_ANSWER_SECS = 3.0


class SlotsStatus:
    """Adds up the progress of a process's slots and tells it as one stage. May be called from several threads."""

    def __init__(self, status: StageStatus) -> None:
        self._status = status
        self._lock = threading.Lock()
        self._last: dict[int, Progress] = {}

    def tell(self, slot: int, progress: Progress) -> None:
        """Take the progress of one slot in."""
        with self._lock:
            self._last[slot] = progress
            lag = sum(one.lag for one in self._last.values())
            halted = any(one.halted for one in self._last.values())
            self._status.update(rows=progress.rows, lag=lag, state="halted" if halted else "running")


def run_slot(tools: SlotTools, *, slot: int, slots: int, stop: threading.Event) -> None:
    """Run a slot until asked to stop, beginning anew after every failure of Kafka or the registry.

    Raises ProducerFenced when another process has taken the slot over.
    """
    wait_secs = _FIRST_WAIT_SECS
    while not stop.is_set():
        try:
            owner = SinkSlot(tools, slot=slot, slots=slots)
            wait_secs = _FIRST_WAIT_SECS
            try:
                owner.run(stop)
            finally:
                owner.close()
        except HeadraceError as error:
            if not isinstance(error, Transient):
                raise
            tell_alive()
            emit(BatchRepeated(stage="sink", cause=str(error)))
            stop.wait(wait_secs)
            wait_secs = min(wait_secs * 2, _LONGEST_WAIT_SECS)


def run_slots(settings: Settings, slots: list[int], tracer: FileTracer, stop: threading.Event) -> int:
    """Run slots, each in a thread with clients of its own; return the process's exit code.

    A slot that ends with an error ends the others: the process is started again as a whole.
    """
    status = SlotsStatus(StageStatus(settings.paths(), "sink" if len(slots) != 1 else _stage(settings, slots[0])))
    failed: list[HeadraceError] = []

    def work(slot: int) -> None:
        registry = Registry(settings)
        tools = SlotTools(
            client=settings.kafka_client(),
            registry=registry,
            sink=lambda: ClickHouseSink(Warehouse(settings)),
            tracer=tracer,
            tell=functools.partial(status.tell, slot),
        )
        try:
            run_slot(tools, slot=slot, slots=settings.sink_slots, stop=stop)
        except HeadraceError as error:
            failed.append(error)
        finally:
            stop.set()
            registry.close()

    threads = [threading.Thread(target=work, args=(slot,), name=f"slot-{slot}") for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in failed:
        emit(StageFailed(stage="sink", error=str(error), hint=error.hint))
    return 1 if failed else 0


def _stage(settings: Settings, slot: int) -> str:
    return "sink" if settings.sink_slots == 1 else f"sink-{slot}"


@click.command()
@click.option("--slot", type=int, help="Run this slot only, of HEADRACE_SINK_SLOTS.")
def main(slot: int | None) -> None:
    """Store what is valid, quarantined, profiled and alerted in the warehouse, exactly once."""
    settings = Settings()
    relax_collector()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    slots = list(range(settings.sink_slots)) if slot is None else [slot]
    with telemetry(settings, "sink") as told:
        wait_for_topics(settings, stop)
        emit(StageStarted(stage="sink"))
        code = run_slots(settings, slots, told.tracer, stop)
        emit(StageStopped(stage="sink"))
    sys.exit(code)


def wait_for_topics(settings: Settings, stop: threading.Event) -> None:
    """Create the system topics that are missing, waiting for Kafka as long as it takes."""
    while not stop.is_set():
        try:
            topics = Topics(settings.kafka_client(), settings.replication_factor)
            topics.partitions(_ANSWER_SECS)
            topics.ensure(SYSTEM_TOPICS)
        except HeadraceError as error:
            if not isinstance(error, Transient):
                raise
            emit(BatchRepeated(stage="sink", cause=str(error)))
            stop.wait(_FIRST_WAIT_SECS)
        else:
            return


if __name__ == "__main__":
    main()
