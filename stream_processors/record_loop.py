"""The process `judge`: raw messages in, verdicts out, offsets and outputs in one transaction.

Commit order of a batch: judge everything, begin, write valid, quarantine and profile messages, put the group's offsets
into the transaction, commit. Whatever goes wrong before the commit's answer, consumer and producer are thrown away and
made anew: the new producer settles the open transaction, the new consumer goes on at the committed offsets, and the
batch is done again. A second process with the same slot fences this one, which then stops for good.
"""

import functools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import click

from headrace.core.child import exit_status
from headrace.core.collector import relax_collector
from headrace.errors import HeadraceError, Terminal, TransactionFailed
from headrace.observability.events import (
    BatchRepeated,
    ForeignMessagesPutAside,
    RowsJudged,
    RowsRejected,
    StageFailed,
    StageStarted,
    StageStopped,
    StageWaits,
    emit,
)
from headrace.observability.metric_events import BatchDone
from headrace.observability.status import StageStatus
from headrace.observability.telemetry import telemetry
from headrace.observability.tracing import FileTracer
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.registry import Registry
from headrace.schemas.topics import dataset_topics, parse_data_topic
from headrace.settings import Settings
from headrace.stream_processors.beginnings import check_beginning
from headrace.stream_processors.judge import Judge, Judgement
from headrace.stream_processors.judge_spans import JudgedBatch, record_judged
from headrace.stream_processors.lookups import Lookups
from headrace.stream_processors.reference_keys import ReferenceKeys
from headrace.transport.consumer import Batch, GroupConsumer
from headrace.transport.kafka import Topics, TransactionalWriter
from headrace.transport.partition_reader import Place
from headrace.transport.warehouse import Warehouse

STAGE = "judge"
GROUP = "headrace-judge"
PATTERN = r"^[a-z][a-z0-9_]*\.raw$"
BATCH_ROWS, LEAST_BATCH_ROWS = 50_000, 500
# A batch of very many small files takes long: smaller ones then keep the member's place in its group.
LONG_BATCH_SECS = 5.0
_POLL_SECS = 0.3
_RETRY_SECS, _MOST_RETRY_SECS = 0.2, 5.0


@dataclass
class _Session:
    """A consumer and a producer that belong together; both end at the first thing that fails."""

    consumer: GroupConsumer
    writer: TransactionalWriter


class RecordLoop:
    """Judges until `stop` is set. Not for use from several threads."""

    def __init__(self, settings: Settings, slot: int, tracer: FileTracer, stop: threading.Event) -> None:
        self._settings = settings
        self._name = STAGE if slot == 0 else f"{STAGE}-{slot}"
        self._slot = slot
        self._tracer = tracer
        self._stop = stop
        self._status = StageStatus(settings.paths(), self._name)
        self._limit = BATCH_ROWS
        self._progressed = False
        self._prepared: set[str] = set()
        client = settings.kafka_client()
        self._topics = Topics(client, settings.replication_factor)
        self._registry = Registry(settings)
        self._contracts = ContractStore(settings, client, self._registry)
        self._keys = ReferenceKeys(functools.partial(Warehouse, settings))
        lookups = Lookups(self._registry, self._contracts)
        self._judge = Judge(lookups, self._registry, self._keys, tracer.sampler)

    def run(self) -> None:
        """Judge until told to stop; the batch in hand is finished. Raises Terminal errors, retries all others."""
        retry_secs = _RETRY_SECS
        while not self._stop.is_set():
            self._progressed = False
            try:
                with self._session() as session:
                    emit(StageStarted(stage=self._name))
                    while not self._stop.is_set():
                        self._step(session)
            except HeadraceError as error:
                if isinstance(error, Terminal):
                    raise
                retry_secs = _RETRY_SECS if self._progressed else min(_MOST_RETRY_SECS, retry_secs * 2)
                self._tell(error, retry_secs)
                self._stop.wait(retry_secs)
        self._status.update(state="stopped")
        emit(StageStopped(stage=self._name))

    def close(self) -> None:
        """Leave the services."""
        self._keys.close()
        self._contracts.close()
        self._registry.close()

    def _tell(self, error: HeadraceError, retry_secs: float) -> None:
        if isinstance(error, TransactionFailed):
            emit(BatchRepeated(stage=self._name, cause=str(error)))
        else:
            emit(StageWaits(stage=self._name, cause=str(error), hint=error.hint, retry_secs=retry_secs))
        self._status.update(state="waiting")

    @contextmanager
    def _session(self) -> Iterator[_Session]:
        """Give a producer that has settled its predecessor's transaction, and then a consumer."""
        client = self._settings.kafka_client()
        writer = TransactionalWriter(client, f"{GROUP}-{self._slot}")
        consumer = GroupConsumer(
            client, group=GROUP, member=f"{STAGE}-{self._slot}", pattern=PATTERN, begin_check=self._check_beginning
        )
        try:
            yield _Session(consumer, writer)
        finally:
            consumer.close()

    def _check_beginning(self, place: Place) -> None:
        check_beginning(self._settings, self._registry, place)

    def _step(self, session: _Session) -> None:
        batch = session.consumer.poll(self._limit, _POLL_SECS)
        started_ns, started = time.time_ns(), time.monotonic()
        if batch.runs:
            self._finish(session, batch, self._judged(batch), started_ns)
            seconds = time.monotonic() - started
            emit(BatchDone(rows=batch.rows, size=batch.size, seconds=seconds))
            self._adapt(seconds)
            self._progressed = True
        self._status.update(rows=batch.rows, lag=session.consumer.lag())

    def _adapt(self, seconds: float) -> None:
        if seconds > LONG_BATCH_SECS:
            self._limit = max(LEAST_BATCH_ROWS, self._limit // 2)
        elif self._limit < BATCH_ROWS and seconds < LONG_BATCH_SECS / 4:
            self._limit = min(BATCH_ROWS, self._limit * 2)

    def _judged(self, batch: Batch) -> list[tuple[Place, Judgement]]:
        self._judge.begin_batch()
        self._prepare({run.place.topic for run in batch.runs})
        return [(run.place, self._judge.judge(run)) for run in batch.runs]

    def _prepare(self, topics: set[str]) -> None:
        """Make sure that a topic's outputs exist, also where somebody else made the raw topic."""
        if unprepared := topics - self._prepared:
            partitions = self._topics.partitions()
            for topic in unprepared:
                if parsed := parse_data_topic(topic):
                    retention = self._settings.retention_bytes
                    specs = dataset_topics(parsed[0], partitions=partitions[topic], retention_bytes=retention)
                    self._topics.ensure(specs)
            self._prepared |= unprepared

    def _finish(self, session: _Session, batch: Batch, judged: list[tuple[Place, Judgement]], started_ns: int) -> None:
        try:
            self._commit(session, batch, judged)
        except HeadraceError as error:
            failed = JudgedBatch(judged, started_ns, time.time_ns())
            record_judged(self._tracer, GROUP, failed, error)
            raise
        record_judged(self._tracer, GROUP, JudgedBatch(judged, started_ns, time.time_ns()))
        for place, judgement in judged:
            self._report(place, judgement)

    def _commit(self, session: _Session, batch: Batch, judged: list[tuple[Place, Judgement]]) -> None:
        writer = session.writer
        writer.begin()
        for _place, judgement in judged:
            for output in judgement.outputs:
                writer.write(
                    output.topic, output.values, partition=output.partition, key=output.key, headers=output.headers
                )
        session.consumer.commit_through(writer, batch)
        writer.commit()

    def _report(self, place: Place, judgement: Judgement) -> None:
        """Tell what is committed: counts of rows."""
        for reason, count in judgement.foreign.items():
            emit(ForeignMessagesPutAside(topic=place.topic, reason=reason.value, count=count))
        for done in judgement.files:
            emit(RowsJudged(dataset=done.dataset, file=done.file, rows=done.rows, rejected=done.rejected))
            for reason_code, count in done.reasons.items():
                emit(RowsRejected(dataset=done.dataset, file=done.file, reason=reason_code, count=count))


@click.command()
@click.option("--slot", default=0, show_default=True, help="Which of the judges this is; each has its own.")
def main(slot: int) -> None:
    """Judge raw messages until SIGTERM; exit with 78 on an error that a restart cannot mend."""
    settings = Settings()
    relax_collector()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with telemetry(settings, STAGE, slot) as told, closing(RecordLoop(settings, slot, told.tracer, stop)) as loop:
        try:
            loop.run()
        except HeadraceError as error:
            emit(StageFailed(stage=STAGE, error=str(error), hint=error.hint))
            sys.exit(exit_status(error))


if __name__ == "__main__":
    main()
