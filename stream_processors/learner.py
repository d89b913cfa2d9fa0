"""The process `learner`: every learner of the home, each with a consumer group of its own.

It may lag; it never holds up the line. It runs at the lowest priority that the machine has, so it takes what the line
leaves, and above a learner's budget it samples. In a home without learners it waits for one, and until then loads no
model: river, and what that brings along, takes a second and a half of a core and 130 MB.
"""

import signal
import sys
import threading
from contextlib import closing

import click

from headrace.core.child import exit_status
from headrace.core.collector import relax_collector
from headrace.core.priority import stand_back
from headrace.errors import HeadraceError, Terminal
from headrace.observability.events import StageFailed, StageStarted, StageStopped, StageWaits, emit
from headrace.observability.status import StageStatus
from headrace.observability.telemetry import telemetry
from headrace.observability.tracing import FileTracer
from headrace.schemas.learner_store import LearnerStore, declared_learners
from headrace.schemas.topics import datasets_of
from headrace.settings import Settings
from headrace.transport.kafka import Topics

STAGE = "learner"
_NICE = 19
_LOOK_SECS = 2.0


def wait_for_learners(settings: Settings, status: StageStatus, stop: threading.Event) -> bool:
    """Return True when the home has a learner, False when `stop` is set before.

    Those that come with headrace are copied meanwhile. Raises Terminal errors, waits out all others.
    """
    paths, topics = settings.paths(), Topics(settings.kafka_client(), settings.replication_factor)
    store, started = LearnerStore(paths, lambda _: None), False
    while not stop.is_set():
        try:
            for dataset in datasets_of(topics.partitions()):
                store.adopt(dataset)
        except HeadraceError as error:
            if isinstance(error, Terminal):
                raise
            emit(StageWaits(stage=STAGE, cause=str(error), hint=error.hint, retry_secs=_LOOK_SECS))
            status.update(state="waiting")
        else:
            if declared_learners(paths):
                return True
            if not started:
                emit(StageStarted(stage=STAGE))
            started = True
            status.update(lag=0)
        stop.wait(_LOOK_SECS)
    return False


def run(settings: Settings, tracer: FileTracer, stop: threading.Event) -> None:
    """Learn until `stop` is set, from the moment that there is something to learn."""
    status = StageStatus(settings.paths(), STAGE)
    if wait_for_learners(settings, status, stop):
        from headrace.stream_processors.learner_process import LearnerProcess  # noqa: PLC0415  it loads river

        with closing(LearnerProcess(settings, tracer, status, stop)) as process:
            process.run()
    status.update(state="stopped")
    emit(StageStopped(stage=STAGE))


@click.command()
def main() -> None:
    """Learn from valid records until SIGTERM; exit with 78 on an error that a restart cannot mend."""
    settings = Settings()
    relax_collector()
    stand_back(_NICE)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with telemetry(settings, STAGE) as told:
        try:
            run(settings, told.tracer, stop)
        except HeadraceError as error:
            emit(StageFailed(stage=STAGE, error=str(error), hint=error.hint))
            sys.exit(exit_status(error))


if __name__ == "__main__":
    main()
