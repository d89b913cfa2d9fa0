"""The process `notify`: python -m headrace.sinks.notify. One thread and group a target: none waits for another.

It reads quality.alerts, delivers, and commits after that: at least once. It writes nothing, so the line never waits.
"""

import signal
import sys
import threading
import time
from contextlib import closing

from headrace.core.child import EXIT_TERMINAL
from headrace.errors import HeadraceError, Terminal
from headrace.observability.events import StageFailed, StageStarted, StageStopped, StageWaits, emit
from headrace.observability.metric_events import BatchDone
from headrace.observability.status import StageStatus
from headrace.observability.telemetry import telemetry
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_system, schema_id_of
from headrace.settings import Settings
from headrace.sinks.notify.base import Target, read_targets
from headrace.sinks.notify.tell import Teller
from headrace.transport.consumer import GroupConsumer
from headrace.transport.kafka import TransactionalWriter
from headrace.transport.partition_reader import Place

STAGE = "notify"
_BATCH, _POLL_SECS, _RETRY_SECS = 20, 0.5, 2.0


def follow(settings: Settings, target: Target, stop: threading.Event) -> None:
    """Tell a target of alerts until asked to stop, beginning anew after every failure that a repeat may mend."""
    teller = Teller(target, stop)
    client, group = settings.kafka_client(), f"headrace-notify-{target.name}"
    while not stop.is_set():
        try:
            writer = TransactionalWriter(client, f"{group}-0")
            consumer = GroupConsumer(
                client, group=group, member=f"{group}-0", pattern=r"^quality\.alerts$", begin_check=_from_the_start
            )
            with closing(consumer), closing(Registry(settings)) as registry:
                while not stop.is_set():
                    _step(consumer, writer, registry, teller)
        except HeadraceError as error:
            if isinstance(error, Terminal):
                raise
            emit(StageWaits(stage=STAGE, cause=str(error), hint=error.hint, retry_secs=_RETRY_SECS))
            stop.wait(_RETRY_SECS)


def _step(consumer: GroupConsumer, writer: TransactionalWriter, registry: Registry, teller: Teller) -> None:
    batch = consumer.poll(_BATCH, _POLL_SECS)
    started = time.monotonic()
    for run in batch.runs:
        for message in run.messages:
            value = message.value()
            if value is None:
                continue
            alert = read_system("alert", value, registry.text_of(schema_id_of(value) or 0))
            if not teller.tell(alert):
                return
    if batch.runs:
        writer.begin()
        consumer.commit_through(writer, batch)
        writer.commit()
        emit(BatchDone(rows=batch.rows, size=batch.size, seconds=time.monotonic() - started))


def _from_the_start(_place: Place) -> None:
    """Agree that a partition begins at its first message: what is older than maxAge is passed over."""


def main() -> None:
    """Run until SIGTERM; exit with 78 on an error that a restart cannot mend, like a wrong notify.yaml."""
    settings, stop = Settings(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    failed: list[HeadraceError] = []

    def work(target: Target) -> None:
        try:
            follow(settings, target, stop)
        except HeadraceError as error:
            failed.append(error)
            stop.set()

    with telemetry(settings, STAGE):
        try:
            targets = read_targets(settings.paths().notify.read_text(encoding="utf-8"))
        except HeadraceError as error:
            emit(StageFailed(stage=STAGE, error=str(error), hint=error.hint))
            sys.exit(EXIT_TERMINAL)
        threads = [threading.Thread(target=work, args=(target,), name=target.name) for target in targets]
        for thread in threads:
            thread.start()
        emit(StageStarted(stage=STAGE))
        status = StageStatus(settings.paths(), STAGE)
        while not stop.wait(_POLL_SECS):
            status.update()
        for thread in threads:
            thread.join()
        status.update(state="stopped")
        for one in failed:
            emit(StageFailed(stage=STAGE, error=str(one), hint=one.hint))
        emit(StageStopped(stage=STAGE))
    sys.exit(EXIT_TERMINAL if any(isinstance(one, Terminal) for one in failed) else 1 if failed else 0)


if __name__ == "__main__":
    main()
