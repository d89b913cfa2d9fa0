"""The process `advisor`: finds out where and why an alert is, and what to change in collecting.

It reads quality.alerts, asks the warehouse's rows, and writes the alert of a window again under the same id, now with
the segments that hold the problem, rows to look at and the advice; the advice itself goes to quality.advice. Offsets
and outputs are one transaction. It never delays an alert: the first message is out before this process sees it. Nor
does it delay records: while files are on their way it waits (background.py).
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from headrace.core.child import exit_status
from headrace.core.identity import stable_slot
from headrace.core.priority import stand_back
from headrace.errors import ContractInvalid, HeadraceError, Terminal, WarehouseRefused
from headrace.observability.events import (
    StageFailed,
    StageStarted,
    StageStopped,
    StageWaits,
    emit,
)
from headrace.observability.health import tell_alive
from headrace.observability.metric_events import BatchDone, QueueSeen
from headrace.observability.quality_events import AdviceGiven, AdviceMeasured, EvidenceMissing
from headrace.observability.status import StageStatus
from headrace.observability.telemetry import telemetry
from headrace.observability.tracing import FileTracer
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import ContractStore, contract_path, read_contract
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.learner_store import LearnerStore
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system, read_system, schema_id_of
from headrace.schemas.topics import ADVICE, ALERTS, QUALITY_PARTITIONS, WINDOWS
from headrace.settings import Settings
from headrace.stream_processors.advice_spans import record_advised
from headrace.stream_processors.alert_evidence import AlertEvidence
from headrace.stream_processors.background import FilesOnTheWay, Patience
from headrace.stream_processors.evidence import Investigator
from headrace.stream_processors.measuring import FOLLOWED, Measurer, micros
from headrace.stream_processors.owed_effects import OwedEffects
from headrace.stream_processors.steps.advice import Advice, advice_record
from headrace.stream_processors.steps.advice_life import again, fold, outcome_record, shown
from headrace.stream_processors.survey import Surveyor
from headrace.transport.consumer import Batch, GroupConsumer
from headrace.transport.follow import read_topic
from headrace.transport.kafka import TransactionalWriter
from headrace.transport.partition_reader import Place
from headrace.transport.warehouse import Warehouse

STAGE = "advisor"
GROUP = "headrace-advisor"
PATTERN = r"^quality\.(alerts|windows)$"
# A message of this process names it, so that it does not look at its own.
WRITER, OWN = "writer", b"advisor"
_BATCH, _POLL_SECS = 50, 0.5
# A tenth of what a stage on the record path gets, where both want the machine.
_BEHIND = 10
_RETRY_SECS, _MOST_RETRY_SECS = 0.2, 5.0
# How values are collected changes slowly: a dataset is looked at no more often, and where that takes long, more seldom.
_PROFILE_SECS, _PROFILE_SHARE = 60.0, 20.0
# What following an advice did is looked at no more often; windows close by the hundred when past data is read in.
_MEASURE_SECS = 2.0


@dataclass(frozen=True)
class _Given:
    """An advice that was given, and what its message says beside it."""

    advice: Advice
    contract: Contract
    alert_ids: Sequence[str]
    raised_at: int

    def record(self) -> dict[str, Any]:
        return advice_record(
            self.advice,
            owner=self.contract.owner,
            contract_version=self.contract.version,
            alert_ids=self.alert_ids,
            raised_at=self.raised_at,
        )


@dataclass
class _Out:
    """What a batch calls for: alerts as (partition, key, message), and advice."""

    alerts: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    given: list[_Given] = field(default_factory=list)
    told: list[tuple[Mapping[str, Any], int]] = field(default_factory=list)

    def add(self, found: Sequence[Advice], contract: Contract, alert_ids: Sequence[str], raised_at: Any) -> None:
        self.given += [_Given(one, contract, alert_ids, micros(raised_at)) for one in found]


class _Yielding(Warehouse):
    """A warehouse that is asked when nothing else needs it; `wait` returns when it may be.

    `answered_secs` is the time that its answers took so far.
    """

    def __init__(self, settings: Settings, wait: Callable[[], None]) -> None:
        super().__init__(settings, background=True)
        self._wait = wait
        self.answered_secs = 0.0

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return a query's rows, once the record path has no work or had its time."""
        self._wait()
        asked = time.monotonic()
        try:
            return super().rows(query, parameters)
        finally:
            self.answered_secs += time.monotonic() - asked


class Advisor:
    """Works until `stop` is set. Not for use from several threads."""

    def __init__(self, settings: Settings, stop: threading.Event, tracer: FileTracer) -> None:
        self._tracer = tracer
        self._client, self._paths = settings.kafka_client(), settings.paths()
        self._stop = stop
        self._status = StageStatus(settings.paths(), STAGE)
        self._registry = Registry(settings)
        self._contracts = ContractStore(settings, self._client, self._registry)
        self._files = FilesOnTheWay(self._client)
        self._patience = Patience(self._files.any)
        self._warehouse = _Yielding(settings, self._wait)
        investigator = Investigator(self._warehouse, self._law, self._specs)
        self._evidence = AlertEvidence(self._warehouse, investigator, stop)
        self._owed = OwedEffects(investigator)
        self._learners = LearnerStore(self._paths, self._law)
        self._surveyor = Surveyor(self._warehouse)
        self._measurer = Measurer(self._warehouse)
        self._profile_at: dict[str, float] = {}
        # All of them at first: windows may have been closed while this process was away.
        self._unmeasured: set[str] | None = None
        self._measured = self._looked = -_MEASURE_SECS

    def _wait(self) -> None:
        """Wait before a question; a step of many questions may take minutes, and lives."""
        tell_alive()
        self._patience.wait(self._stop)

    def run(self) -> None:
        """Work until told to stop. Raises Terminal errors, retries all others."""
        retry_secs = _RETRY_SECS
        while not self._stop.is_set():
            try:
                writer = TransactionalWriter(self._client, f"{GROUP}-0")
                consumer = GroupConsumer(
                    self._client, group=GROUP, member=f"{STAGE}-0", pattern=PATTERN, begin_check=_from_the_start
                )
                with closing(consumer):
                    self._learn_alerts()
                    emit(StageStarted(stage=STAGE))
                    while not self._stop.is_set():
                        self.step(consumer, writer)
                        retry_secs = _RETRY_SECS
            except HeadraceError as error:
                if isinstance(error, Terminal):
                    raise
                emit(StageWaits(stage=STAGE, cause=str(error), hint=error.hint, retry_secs=retry_secs))
                self._status.update(state="waiting")
                self._stop.wait(retry_secs)
                retry_secs = min(_MOST_RETRY_SECS, retry_secs * 2)
        self._status.update(state="stopped")
        emit(StageStopped(stage=STAGE))

    def step(self, consumer: GroupConsumer, writer: TransactionalWriter) -> None:
        """Take what is there and commit what comes of it; wait instead while the record path has work."""
        if not self._patience.may_work():
            self._status.update(lag=consumer.lag())
            self._stop.wait(_POLL_SECS)
            return
        self._patience.begin()
        batch = consumer.poll(_BATCH, _POLL_SECS)
        if batch.runs:
            started = time.monotonic()
            self._finish(consumer, writer, batch)
            emit(BatchDone(rows=batch.rows, size=batch.size, seconds=time.monotonic() - started))
        if (now := time.monotonic()) - self._looked >= _MEASURE_SECS:
            self._looked = now
            self._tell_effects(writer)
            emit(QueueSeen(queue="alerts_owed_an_effect", depth=len(self._owed)))
        self._measure(writer)
        self._status.update(rows=batch.rows, lag=consumer.lag())

    def close(self) -> None:
        """Leave the services."""
        self._contracts.close()
        self._registry.close()
        self._warehouse.close()
        self._files.close()

    def _finish(self, consumer: GroupConsumer, writer: TransactionalWriter, batch: Batch) -> None:
        """Look into a batch first, then publish at once: an open transaction would hold back who reads alerts."""
        out = _Out()
        for run in batch.runs:
            for message in run.messages:
                self._handle(out, run.place, message)
        self._publish(writer, out, lambda: consumer.commit_through(writer, batch))

    def _tell_effects(self, writer: TransactionalWriter) -> None:
        """Tell alerts again whose learners are through: now they say what the drift cost the models."""
        out = _Out()
        for one in self._owed.ready():
            self._enrich(out, one.contract, one.alert, one.partition)
        if out.alerts or out.given:
            self._publish(writer, out, lambda: None)

    def _publish(self, writer: TransactionalWriter, out: "_Out", commit_offsets: Callable[[], None]) -> None:
        advice = self._advice_messages(out)
        writer.begin()
        for partition, key, framed in out.alerts:
            writer.write(ALERTS, [framed], partition=partition, key=key, headers=[(WRITER, OWN)])
        self._write_advice(writer, advice)
        commit_offsets()
        writer.commit()
        record_advised(self._tracer, out.told)
        for one in out.given:
            found = one.advice
            emit(AdviceGiven(dataset=found.dataset, symptom=found.symptom, field=found.field, rows=found.rows_at_risk))

    def _handle(self, out: "_Out", place: Place, message: Any) -> None:
        value = message.value()
        if value is None or (WRITER, OWN) in (message.headers() or []):
            return
        if place.topic == WINDOWS:
            self._on_window(out, self._read("window", value))
            return
        alert = self._read("alert", value)
        if alert["class"] != "quality":
            return
        contract = self._contract(alert["dataset"], alert["contract_version"])
        if contract is None:
            return
        told = self._enrich(out, contract, alert, place.partition)
        self._owed.note(contract, told, place.partition)

    def _enrich(self, out: "_Out", contract: Contract, alert: Mapping[str, Any], partition: int) -> Mapping[str, Any]:
        """Add an alert with where and why to the outputs; return it as it is told now."""
        start_ns = time.time_ns()
        told, given = self._evidence.enriched(contract, dict(alert), _once(self._known))
        if told is not None:
            out.told.append((told, start_ns))
            framed = frame_system("alert", self._registry.system_id(ALERTS, "alert"), told)
            out.alerts.append((partition, alert["alert_id"].encode(), framed))
        out.add(given, contract, [alert["alert_id"]], alert["raised_at"])
        return alert if told is None else told

    def _learn_alerts(self) -> None:
        """Take over what alerts of an earlier run say, and which of them still owe what a drift cost the models."""
        owed: dict[str, tuple[dict[str, Any], int]] = {}
        for message in read_topic(self._client, ALERTS):
            alert = self._read("alert", message.value)
            self._evidence.learn([alert])
            owed[alert["alert_id"]] = alert, message.partition
        for alert, partition in owed.values():
            if self._owed.is_fresh(alert) and (contract := self._contract(alert["dataset"], alert["contract_version"])):
                self._owed.note(contract, alert, partition)

    def _contract(self, dataset: str, version: str) -> Contract | None:
        """Return a contract as it was law, None if it never was or can no longer be followed: that is told."""
        try:
            return self._contracts.by_version(dataset, version)
        except ContractInvalid as error:
            emit(EvidenceMissing(dataset=dataset, rule="contract", cause=str(error)))
            return None

    def _read(self, name: str, value: bytes) -> dict[str, Any]:
        return read_system(name, value, self._registry.text_of(schema_id_of(value) or 0))

    def _on_window(self, out: "_Out", window: Mapping[str, Any]) -> None:
        dataset = window["dataset"]
        self._measurer.note(window)
        if self._unmeasured is not None:
            self._unmeasured.add(dataset)
        now, before = time.monotonic(), self._warehouse.answered_secs
        if now < self._profile_at.get(dataset, now):
            return
        contract = self._contract(dataset, window["contract_version"])
        if contract is None:
            return
        try:
            given = self._surveyor.advice(contract, window["verdicts"])
        except WarehouseRefused as error:
            emit(EvidenceMissing(dataset=dataset, rule="profile", cause=str(error)))
            return
        finally:
            took_secs = self._warehouse.answered_secs - before
            self._profile_at[dataset] = now + max(_PROFILE_SECS, _PROFILE_SHARE * took_secs)
        out.add(given, contract, [], window["closed_at"])

    def _advice_messages(self, out: "_Out") -> list[dict[str, Any]]:
        """Return the records to publish for what was given, with what people decided meanwhile."""
        told, known = [], self._known() if out.given else {}
        for one in out.given:
            record = again(known.get(one.advice.id), one.record())
            if record is not None:
                known[one.advice.id] = record
                told.append(record)
        return told

    def _write_advice(self, writer: TransactionalWriter, records: list[dict[str, Any]]) -> None:
        schema_id = self._registry.system_id(ADVICE, "advice") if records else 0
        for record in records:
            slot = stable_slot(record["dataset"], QUALITY_PARTITIONS)
            framed = frame_system("advice", schema_id, record)
            writer.write(ADVICE, [framed], partition=slot, key=record["advice_id"].encode())

    def _measure(self, writer: TransactionalWriter) -> None:
        """Publish what following an advice did, for datasets of which windows were closed lately."""
        now = time.monotonic()
        if self._unmeasured == set() or now - self._measured < _MEASURE_SECS:
            return
        self._measured = now
        datasets, self._unmeasured = self._unmeasured, set()
        followed = [one for one in self._known().values() if one["state"] in FOLLOWED]
        chosen = [one for one in followed if datasets is None or one["dataset"] in datasets]
        told = [record for one in chosen if (record := self._outcome(one)) is not None]
        if told:
            writer.begin()
            self._write_advice(writer, told)
            writer.commit()
        for one in told:
            emit(AdviceMeasured(dataset=one["dataset"], symptom=one["symptom"], state=one["state"]))

    def _outcome(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            found = self._measurer.outcome(record)
        except WarehouseRefused as error:
            emit(EvidenceMissing(dataset=record["dataset"], rule=record["rule"], cause=str(error)))
            return None
        return None if found is None else outcome_record(record, found)

    def _known(self) -> dict[str, dict[str, Any]]:
        """Return every advice as it stands, with what people decided; read anew, since they decide at any time."""
        found = fold(self._published(ADVICE, "advice"))
        for record in found.values():
            for name in ("raised_at", "decided_at"):
                record[name] = None if record[name] is None else micros(record[name])
        return found

    def _published(self, topic: str, name: str) -> Iterator[dict[str, Any]]:
        return (self._read(name, message.value) for message in read_topic(self._client, topic))

    def _specs(self) -> tuple[LearnerSpec, ...]:
        return self._learners.specs().specs

    def _law(self, dataset: str) -> Contract | None:
        """Return the contract that the home has for a dataset, None where there is none to follow."""
        try:
            return read_contract(contract_path(self._paths, dataset))
        except (ContractInvalid, OSError):
            return None


def _once(known: Callable[[], Mapping[str, Mapping[str, Any]]]) -> Callable[[Advice], bool]:
    """Return what says whether an alert may point to an advice; asks what is known at the first question only."""
    asked: list[Mapping[str, Mapping[str, Any]]] = []

    def is_shown(advice: Advice) -> bool:
        if not asked:
            asked.append(known())
        return shown(asked[0].get(advice.id), {"rows_at_risk": advice.rows_at_risk})

    return is_shown


def _from_the_start(_place: Place) -> None:
    """Agree that a partition begins at its first message."""


def main() -> None:
    """Run the process `advisor` until SIGTERM; exit with 78 on an error that a restart cannot mend."""
    stand_back(_BEHIND)
    settings = Settings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with telemetry(settings, STAGE) as own, closing(Advisor(settings, stop, own.tracer)) as advisor:
        try:
            advisor.run()
        except HeadraceError as error:
            emit(StageFailed(stage=STAGE, error=str(error), hint=error.hint))
            sys.exit(exit_status(error))


if __name__ == "__main__":
    main()
