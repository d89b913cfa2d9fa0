"""Windows in the Faust app: a delta's plan is published, then written to the table and its changelog, then kept."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import faust

from headrace.core.identity import stable_slot
from headrace.errors import ContractInvalid
from headrace.observability.events import emit
from headrace.observability.window_events import (
    EmptyWindowsLeftOut,
    FileFactsWait,
    FindingsTooLate,
    RowsOutsideWindows,
    WindowsClosed,
    WindowShortened,
)
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import (
    ALERTS,
    MAX_MESSAGE_BYTES,
    PROFILES,
    QUALITY_PARTITIONS,
    WINDOW_TABLE,
    WINDOWS,
)
from headrace.settings import Settings
from headrace.stream_processors.file_feed import FileFeed
from headrace.stream_processors.lookups import registered_schema
from headrace.stream_processors.silences import Silences
from headrace.stream_processors.steps.pins import facts_values
from headrace.stream_processors.steps.window_record import fitted, window_key
from headrace.stream_processors.window_law import Law, LawNeeded, Laws, SchemaNeeded, law_of
from headrace.stream_processors.window_plan import Plan, Source
from headrace.stream_processors.window_table import WindowTable, tick_of

_LARGEST = MAX_MESSAGE_BYTES - 64 * 1024
_TICK_SECS = 15.0
_FED_SECS = 5.0
"""What was told of a dataset's files comes back on the topic meanwhile; a warehouse that is away is left alone."""
_MICROS = 1_000_000
Patient = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls something that may block, again as long as its service is away."""


class WindowFlow:
    """Windows of one app. `patient` calls what may block; `tell` is called with each published alert."""

    def __init__(
        self, app: faust.App, settings: Settings, registry: Registry, patient: Patient, tell: Callable[[Any, int], None]
    ) -> None:
        self._app, self._registry, self._patient, self._tell = app, registry, patient, tell
        self._contracts = ContractStore(settings, settings.kafka_client(), registry)
        self._silences = Silences(settings.paths().silences)
        self._windows = _raw_topic(app, WINDOWS)
        self._alerts = _raw_topic(app, ALERTS)
        self._profiles = _raw_topic(app, PROFILES)
        self._table: Any = app.Table(WINDOW_TABLE, key_type=str, value_type=bytes, partitions=QUALITY_PARTITIONS)
        self._book = WindowTable(self._table.data, self._silences.covers)
        self._laws: Laws = {}
        self._recoveries = 0
        self._ticked: dict[str, float] = {}
        self._feed = FileFeed(settings)
        self._fed: dict[str, float] = {}

        @self._table.on_recover
        async def recover() -> None:
            self._recoveries += 1
            self._book.recover()

    def close(self) -> None:
        """Leave the topics of contracts and files."""
        with closing(self._contracts), closing(self._feed):
            self._ticked.clear()

    async def merge(self, message: Any, published_at: int, delta: dict[str, Any]) -> None:
        """Merge one delta into its windows. When this returns, everything it called for is in Kafka."""
        self._silences.refresh()
        source = Source(message.partition, message.offset, published_at)
        while True:
            recoveries = self._recoveries
            plan = await self._planned(source, delta)
            if plan is None:
                return
            await self._publish(plan)
            # Partitions that were assigned anew meanwhile come with a table of their own: plan on that one.
            if recoveries == self._recoveries:
                break
        await self._write(plan)
        self._book.keep(plan)
        self._ticked.pop(plan.dataset, None)
        if plan.windows:
            emit(WindowsClosed(dataset=plan.dataset, windows=len(plan.windows)))
        for cause, found in (("too late", plan.too_late), ("too early", plan.too_early)):
            for clock, rows in found.items():
                emit(RowsOutsideWindows(dataset=plan.dataset, clock=clock, rows=rows, cause=cause))
        if plan.unlearned:
            emit(FindingsTooLate(dataset=plan.dataset, records=plan.unlearned))
        for clock, windows in plan.left_out.items():
            emit(EmptyWindowsLeftOut(dataset=plan.dataset, clock=clock, windows=windows))

    async def _planned(self, source: Source, delta: dict[str, Any]) -> Plan | None:
        laws = self._laws
        while True:
            try:
                return await asyncio.to_thread(self._book.plan, source, delta, laws)
            except LawNeeded as needed:
                found = await self._law(needed.dataset, needed.version)
                # A contract that cannot be had may be had tomorrow: it is asked for again with each delta.
                laws = laws | {(needed.dataset, needed.version): found}
            except SchemaNeeded as needed:
                # A schema that nobody knows, or that is no record's, has changed in an unknown way.
                self._book.schemas[needed.schema_id] = await self._patient(
                    functools.partial(registered_schema, self._registry, needed.schema_id)
                )

    async def _law(self, dataset: str, version: str) -> Law:
        try:
            contract = await self._patient(functools.partial(self._contracts.by_version, dataset, version))
        except ContractInvalid as error:
            return Law(version, problem=f"contract {version} cannot be followed: {error}")
        if contract is None:
            return Law(version, problem=f"contract {version} was never recorded")
        self._laws[dataset, version] = law_of(contract)
        return self._laws[dataset, version]

    async def _publish(self, plan: Plan) -> None:
        """Publish windows and alerts; return when Kafka has them."""
        sent = []
        if plan.windows:
            window_id = await self._patient(functools.partial(self._registry.system_id, WINDOWS, "window"))
            for record in plan.windows:
                start = record["start"] // _MICROS
                key = window_key(plan.dataset, record["clock"], start, record["revision"])
                framed = await asyncio.to_thread(_framed, window_id, key, record)
                sent.append(await self._windows.send(key=key.encode(), value=framed, partition=plan.source.partition))
        if plan.alerts:
            alert_id = await self._patient(functools.partial(self._registry.system_id, ALERTS, "alert"))
            for alert in plan.alerts:
                framed = frame_system("alert", alert_id, alert)
                sent.append(await self._alerts.send(key=alert["alert_id"].encode(), value=framed))
        await asyncio.gather(*sent)
        for alert in plan.alerts:
            self._tell(alert, plan.source.published_at)

    async def _write(self, plan: Plan) -> None:
        """Write the entries in their order, and return when the changelog has them: Faust would not wait for it."""
        sent = []
        for key, value in plan.entries():
            if value is None:
                self._table.data.pop(key, None)
            else:
                self._table.data[key] = value
            sent.append(
                await self._table.changelog_topic.send(
                    key=key,
                    value=value,
                    partition=plan.source.partition,
                    key_serializer=self._table.key_serializer,
                    value_serializer=self._table.value_serializer,
                    force=True,
                )
            )
        await asyncio.gather(*sent)

    async def tick(self) -> None:
        """Send the time to datasets whose windows wait for nothing else, through the topic that orders everything."""
        for dataset, version in self._book.unknown_laws(self._laws):
            await self._law(dataset, version)
        now = time.time()
        due = [found for found in self._book.due(int(now), self._laws) if self._waited(found[0], now)]
        due = [found for found in due if self._owns(found[0])]
        if not due:
            return
        idle = await asyncio.to_thread(self._feed.idle, [dataset for dataset, _ in due])
        with_rows = self._book.due(int(now), self._laws, empty=False)
        for dataset, version in due:
            self._ticked[dataset] = now
            if dataset in idle or (dataset, version) in with_rows:
                await self._send(dataset, tick_of(dataset, version, idle=dataset in idle))

    async def tell_files(self) -> None:
        """Send what is known of files and schemas through the topic that orders everything, if it is new."""
        now = time.time()
        wanted = {
            dataset: (version, self._book.told(dataset))
            for dataset, version in self._book.versions().items()
            if self._owns(dataset) and now - self._fed.get(dataset, 0.0) >= _FED_SECS
        }
        if not wanted:
            return
        found, waiting = await asyncio.to_thread(self._feed.look, wanted, now)
        for dataset, error in waiting.items():
            emit(FileFactsWait(dataset=dataset, cause=str(error), hint=error.hint))
            self._fed[dataset] = now
        for dataset, told in found.items():
            await self._send(dataset, facts_values(dataset, wanted[dataset][0], told))
            self._fed[dataset] = now

    async def _send(self, dataset: str, value: dict[str, Any]) -> None:
        """Publish a message of this process on quality.profiles; return when Kafka has it."""
        schema_id = await self._patient(functools.partial(self._registry.system_id, PROFILES, "profile_delta"))
        framed = frame_system("profile_delta", schema_id, value)
        slot = stable_slot(dataset, QUALITY_PARTITIONS)
        await (await self._profiles.send(key=dataset.encode(), value=framed, partition=slot))

    def _owns(self, dataset: str) -> bool:
        """Return True if this process has the dataset's partition; the table may still hold what another one took."""
        slot = stable_slot(dataset, QUALITY_PARTITIONS)
        return any(tp.topic == PROFILES and tp.partition == slot for tp in self._app.consumer.assignment())

    def _waited(self, dataset: str, now: float) -> bool:
        return now - self._ticked.get(dataset, 0.0) >= _TICK_SECS


def _raw_topic(app: faust.App, name: str) -> Any:
    return app.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")


def _framed(schema_id: int, key: str, record: dict[str, Any]) -> bytes:
    """Return a window as a message; of one that is too large some state is left out, which it names."""
    data, left_out = fitted(record, _LARGEST, functools.partial(frame_system, "window", schema_id))
    if left_out:
        emit(WindowShortened(dataset=record["dataset"], key=key, cells=left_out))
    return data
