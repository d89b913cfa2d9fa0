"""The process `advisor`: finds out where and why an alert is, and what to change in collecting.

It reads quality.alerts, asks the warehouse's rows, and writes the alert of a window again under the same id, now with
the segments that hold the problem, rows to look at and the advice; the advice itself goes to quality.advice. Offsets
and outputs are one transaction. It never delays an alert: the first message is out before this process sees it.
"""

import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from headrace.core.child import EXIT_TERMINAL
from headrace.core.identity import stable_slot
from headrace.core.vocabulary import AlertState, Reason
from headrace.errors import HeadraceError, Terminal, WarehouseRefused
from headrace.observability.counter_export import Counters
from headrace.observability.events import (
    StageFailed,
    StageStarted,
    StageStopped,
    StageWaits,
    emit,
)
from headrace.observability.logs import configure_logs
from headrace.observability.quality_events import AdviceGiven, EvidenceMissing
from headrace.observability.status import StageStatus
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system, read_system, schema_id_of
from headrace.schemas.topics import ADVICE, ALERTS, QUALITY_PARTITIONS, WINDOWS
from headrace.settings import Settings
from headrace.stream_processors.evidence import Investigator, finding_of
from headrace.stream_processors.steps.advice import Advice, advice_record
from headrace.stream_processors.steps.advice_life import again, fold, shown
from headrace.stream_processors.steps.advise import Finding, advise
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
_RETRY_SECS, _MOST_RETRY_SECS = 0.2, 5.0
# How values are collected changes slowly: a dataset is looked at no more often.
_PROFILE_SECS = 60.0
_READING = frozenset(
    {Reason.TOO_FEW_FIELDS, Reason.TOO_MANY_FIELDS, Reason.TYPE_MISMATCH, Reason.BAD_ENCODING, Reason.BAD_JSON}
)


class Advisor:
    """Works until `stop` is set. Not for use from several threads."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._client = settings.kafka_client()
        self._stop = stop
        self._status = StageStatus(settings.paths(), STAGE)
        self._registry = Registry(settings)
        self._contracts = ContractStore(settings, self._client, self._registry)
        self._warehouse = Warehouse(settings)
        self._investigator = Investigator(self._warehouse)
        self._surveyor = Surveyor(self._warehouse)
        self._profiled: dict[str, float] = {}

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
        """Take what is there and commit what comes of it."""
        batch = consumer.poll(_BATCH, _POLL_SECS)
        if batch.runs:
            self._finish(consumer, writer, batch)
        self._status.update(rows=batch.rows, lag=consumer.lag())

    def close(self) -> None:
        """Leave the services."""
        self._contracts.close()
        self._registry.close()
        self._warehouse.close()

    def _finish(self, consumer: GroupConsumer, writer: TransactionalWriter, batch: Batch) -> None:
        given: list[Advice] = []
        writer.begin()
        for run in batch.runs:
            for message in run.messages:
                given += self._handle(writer, run.place, message)
        consumer.commit_through(writer, batch)
        writer.commit()
        for advice in given:
            emit(
                AdviceGiven(
                    dataset=advice.dataset, symptom=advice.symptom, field=advice.field, rows=advice.rows_at_risk
                )
            )

    def _handle(self, writer: TransactionalWriter, place: Place, message: Any) -> list[Advice]:
        value = message.value()
        if value is None or (WRITER, OWN) in (message.headers() or []):
            return []
        if place.topic == WINDOWS:
            return self._on_window(writer, self._read("window", value))
        alert = self._read("alert", value)
        if alert["state"] != AlertState.OPEN or alert["class"] != "quality":
            return []
        return self._on_alert(writer, place, alert)

    def _read(self, name: str, value: bytes) -> dict[str, Any]:
        return read_system(name, value, self._registry.text_of(schema_id_of(value) or 0))

    def _on_alert(self, writer: TransactionalWriter, place: Place, alert: dict[str, Any]) -> list[Advice]:
        contract = self._contracts.by_version(alert["dataset"], alert["contract_version"])
        if contract is None:
            return []
        rule = next((one for one in contract.checks if one.id == alert["rule"]), None)
        if rule is None or alert["window_start"] is None:
            return self._on_file(writer, contract, alert)
        since, until = _micros(alert["window_start"]), _micros(alert["window_end"])
        try:
            evidence = self._investigator.of_rule(contract, rule, since, until)
        except WarehouseRefused as error:
            # A dataset without a table yet, or a rule that its rows cannot answer: the alert stays as it is.
            emit(EvidenceMissing(dataset=alert["dataset"], rule=alert["rule"], cause=str(error)))
            return []
        given = advise(finding_of(contract, rule, alert, evidence))
        known = self._known() if given else {}
        told = [one for one in given if shown(known.get(one.id), {"rows_at_risk": one.rows_at_risk})]
        enriched = alert | {
            "segments": [
                {"name": one.name, "rows": one.rows, "share": one.share, "lift": one.lift} for one in evidence.segments
            ],
            "samples": [{"file": file, "row": row} for file, row in evidence.samples],
            "advice_id": told[0].id if told else "",
        }
        framed = frame_system("alert", self._registry.system_id(ALERTS, "alert"), enriched)
        key = alert["alert_id"].encode()
        writer.write(ALERTS, [framed], partition=place.partition, key=key, headers=[(WRITER, OWN)])
        self._publish(writer, given, contract, [alert["alert_id"]], alert["raised_at"])
        return given

    def _on_file(self, writer: TransactionalWriter, contract: Contract, alert: Mapping[str, Any]) -> list[Advice]:
        """Advise on a file's alert: it names its reasons itself, so it is not written again."""
        unreadable = sum(count for reason, count in alert["reasons"].items() if reason in _READING)
        if not unreadable or 2 * unreadable < sum(alert["reasons"].values()):
            return []
        rows, message = alert["rows"], alert["message"]
        finding = Finding(
            contract.dataset, alert["rule"], "parse_errors", rows=rows, rows_at_risk=unreadable, detail=message
        )
        given = advise(finding)
        self._publish(writer, given, contract, [alert["alert_id"]], alert["raised_at"])
        return given

    def _on_window(self, writer: TransactionalWriter, window: Mapping[str, Any]) -> list[Advice]:
        dataset = window["dataset"]
        now = time.monotonic()
        contract = self._contracts.by_version(dataset, window["contract_version"])
        if contract is None or now - self._profiled.get(dataset, -_PROFILE_SECS) < _PROFILE_SECS:
            return []
        self._profiled[dataset] = now
        try:
            given = self._surveyor.advice(contract)
        except WarehouseRefused as error:
            emit(EvidenceMissing(dataset=dataset, rule="profile", cause=str(error)))
            return []
        self._publish(writer, given, contract, [], window["closed_at"])
        return given

    def _publish(
        self, writer: TransactionalWriter, given: list[Advice], contract: Contract, alert_ids: list[str], raised_at: Any
    ) -> None:
        if not given:
            return
        schema_id = self._registry.system_id(ADVICE, "advice")
        slot = stable_slot(contract.dataset, QUALITY_PARTITIONS)
        known = self._known()
        for advice in given:
            record = advice_record(
                advice,
                owner=contract.owner,
                contract_version=contract.version,
                alert_ids=alert_ids,
                raised_at=_micros(raised_at),
            )
            told = again(known.get(advice.id), record)
            if told is not None:
                framed = frame_system("advice", schema_id, told)
                writer.write(ADVICE, [framed], partition=slot, key=advice.id.encode())

    def _known(self) -> dict[str, dict[str, Any]]:
        """Return every advice as it stands, with what people decided; read anew, since they decide at any time."""
        records = (self._read("advice", message.value) for message in read_topic(self._client, ADVICE))
        found = fold(records)
        for record in found.values():
            for name in ("raised_at", "decided_at"):
                record[name] = None if record[name] is None else _micros(record[name])
        return found


def _micros(moment: Any) -> int:
    """Return microseconds since 1970 of what fastavro gives for a timestamp."""
    return moment if isinstance(moment, int) else round(moment.timestamp() * 1_000_000)


def _from_the_start(_place: Place) -> None:
    """Agree that a partition begins at its first message."""


def main() -> None:
    """Run the process `advisor` until SIGTERM; exit with 78 on an error that a restart cannot mend."""
    settings = Settings()
    configure_logs(settings.paths(), STAGE)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with closing(Counters(STAGE)):
        advisor = Advisor(settings, stop)
        try:
            advisor.run()
        except HeadraceError as error:
            emit(StageFailed(stage=STAGE, error=str(error), hint=error.hint))
            sys.exit(EXIT_TERMINAL if isinstance(error, Terminal) else 1)
        finally:
            advisor.close()


if __name__ == "__main__":
    main()
