"""The reconciler: it counts what the tables hold of each published file, and writes the receipt once all is there.

The process `receipts` is python -m headrace.sinks.receipts. It never changes data: it reads the ledger, counts, and
writes the same ledger entry again with `balanced`, the counts and the moment.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Any

import click

from headrace.core.clock import Clock, utc_now
from headrace.core.vocabulary import FileState
from headrace.errors import HeadraceError, Transient, WarehouseRefused
from headrace.observability.events import StageFailed, StageStarted, StageStopped, StageWaits, emit
from headrace.observability.metric_events import BatchDone
from headrace.observability.sink_events import FileBalanced, FileContradicted
from headrace.observability.status import StageStatus
from headrace.observability.telemetry import telemetry
from headrace.observability.tracing import FileTracer
from headrace.schemas.ledger import FILE_ENTRY, FileEntry, frame_entry, read_entry
from headrace.schemas.registry import Registry
from headrace.schemas.sql_text import DATABASE, literal, table_name
from headrace.schemas.topics import LEDGER
from headrace.settings import Settings
from headrace.sinks.block_spans import record_receipt
from headrace.transport.kafka import CompactedTopic, TransactionalWriter
from headrace.transport.warehouse import Warehouse

TRANSACTIONAL_ID = "headrace-receipts"
_STAGE = "receipts"
_BUSY_SECS, _IDLE_SECS = 0.2, 0.5
_LONGEST_WAIT_SECS = 10.0
_MOVED_IN = timedelta(hours=1)
# A count is work for the warehouse: many missing rows cannot come before they would have at this speed.
_ROWS_PER_S, _BIG_FILE_SECS = 100_000, 2.0
# Each count is short, and its ids fit into a URL: from 4 KiB on, about 160 ids, the client sends a form, which servers
# and proxies bound by limits of their own (ClickHouse: 128 KiB a field).
_FILES_AT_ONCE = 100
_QUARANTINE = "quarantine"
_STORED, _REFUSED = "stored", "refused"
_TABLES = "SELECT name FROM system.tables WHERE database = {database:String}"


@dataclass(frozen=True)
class Counted:
    """What the tables hold of a file: rows, distinct ordinals among them, and rows that are in both tables."""

    stored: int = 0
    distinct_stored: int = 0
    quarantined: int = 0
    distinct_quarantined: int = 0
    in_both: int = 0

    @property
    def rows(self) -> int:
        """Return all rows."""
        return self.stored + self.quarantined

    @property
    def doubled(self) -> bool:
        """Return True if a row is there twice: in one table, or in both."""
        distinct = (self.distinct_stored, self.distinct_quarantined)
        return self.in_both > 0 or (self.stored, self.quarantined) != distinct


class TableCounts:
    """Counts rows of files in the warehouse. Calls block; they raise ServiceUnreachable."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._tables: frozenset[str] = frozenset()

    def of_files(self, dataset: str, published: Mapping[str, int]) -> dict[str, Counted]:
        """Return the counts of a dataset's files, given how many rows were published of each.

        Distinct ordinals are only counted of files that are complete, which is dearer than counting rows, and rows in
        both tables only of files that have some in each.
        """
        rows = self._count("count(), toUInt64(0)", dataset, published)
        complete = [file for file, wanted in published.items() if rows.get(file, Counted()).rows >= wanted]
        found = rows | (self._count("count(), uniqExact(`_row`)", dataset, complete) if complete else {})
        mixed = [file for file in complete if found[file].stored and found[file].quarantined]
        for file, both in self._in_both(dataset, mixed) if mixed else ():
            found[file] = replace(found[file], in_both=both)
        return found

    def _in_both(self, dataset: str, files: Sequence[str]) -> list[tuple[str, int]]:
        """Return how many rows of a file are stored and quarantined; of files without such rows nothing.

        Both tables are sorted by file and row, and the quarantined rows, which are few, are looked up.
        """
        chosen = "`_file` IN {files:Array(String)}"
        quarantined = (
            f"SELECT `_file`, `_row` FROM headrace.quarantine WHERE `dataset` = {{dataset:String}} AND {chosen}"  # noqa: S608
        )
        query = (
            f"SELECT `_file`, count() FROM {table_name(dataset)} "  # noqa: S608
            f"WHERE {chosen} AND (`_file`, `_row`) IN ({quarantined}) GROUP BY `_file`"
        )
        return [(file, both) for file, both in self._warehouse.rows(query, {"files": files, "dataset": dataset})]

    def _count(self, what: str, dataset: str, files: Iterable[str]) -> dict[str, Counted]:
        named = list(files)
        try:
            rows = self._counted(what, dataset, named)
        except WarehouseRefused:
            # A table that was there may be gone.
            self._tables = frozenset()
            rows = self._counted(what, dataset, named)
        stored = {file: found for place, file, *found in rows if place == _STORED}
        quarantined = {file: found for place, file, *found in rows if place == _REFUSED}
        return {file: Counted(*stored.get(file, (0, 0)), *quarantined.get(file, (0, 0))) for file in named}

    def _counted(self, what: str, dataset: str, files: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return (place, file, rows, distinct) in one query: each costs the warehouse 8 ms before it reads a row."""
        if not self._tables >= {dataset, _QUARANTINE}:
            names = self._warehouse.rows(_TABLES, {"database": DATABASE})
            self._tables = frozenset(str(name) for (name,) in names)
        where = "`_file` IN {files:Array(String)} GROUP BY `_file`"
        parts = []
        if dataset in self._tables:
            parts.append(f"SELECT {_STORED!r}, `_file`, {what} FROM {table_name(dataset)} WHERE {where}")  # noqa: S608
        if _QUARANTINE in self._tables:
            own = f"FROM headrace.quarantine WHERE `dataset` = {literal(dataset)} AND {where}"
            parts.append(f"SELECT {_REFUSED!r}, `_file`, {what} {own}")
        return self._warehouse.rows(" UNION ALL ".join(parts), {"files": files}) if parts else []


@dataclass
class _Open:
    """A file whose receipt is not balanced, and when to look at it again."""

    message: bytes
    entry: FileEntry
    look_at: float = 0.0
    wait_secs: float = _BUSY_SECS
    rows_seen: int = -1


class Reconciler:
    """Balances receipts: it alone writes an entry that is to be proved and not balanced (see schemas/ledger.py).

    Its view begins with all that earlier reconcilers wrote, so no entry is written that the watcher has back by now.

    Raises ProducerFenced when another reconciler has taken over, TransactionFailed and ServiceUnreachable when a
    service fails: then a new one goes on. Not for use from several threads.
    """

    def __init__(
        self,
        client: Mapping[str, str],
        registry: Registry,
        counts: TableCounts,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        tracer: FileTracer | None = None,
    ) -> None:
        self._writer = TransactionalWriter(client, TRANSACTIONAL_ID)
        self._schema_id = registry.system_id(LEDGER, FILE_ENTRY)
        self._ledger = CompactedTopic(client, LEDGER)
        # After the writer is initialised: a receipt of the reconciler before must not be written a second time.
        self._ledger.refresh_to_end()
        self._counts = counts
        self._tracer = tracer
        self._clock, self._monotonic = clock, monotonic
        self._seen: dict[str, bytes] = {}
        self._open: dict[str, _Open] = {}

    @property
    def open_files(self) -> int:
        """Return how many published files are not yet balanced."""
        return len(self._open)

    def step(self) -> int:
        """Look at the ledger and the tables once; return how many receipts were balanced."""
        self._read()
        now = self._monotonic()
        due = {key: one for key, one in self._open.items() if one.look_at <= now}
        balanced: dict[str, FileEntry] = {}
        for dataset in sorted({one.entry.dataset for one in due.values()}):
            mine = {key: one for key, one in due.items() if one.entry.dataset == dataset}
            keys = iter(mine)
            while some := list(islice(keys, _FILES_AT_ONCE)):
                balanced |= self._look(dataset, {key: mine[key] for key in some}, now)
        return self._write(balanced)

    def close(self) -> None:
        """Leave."""
        self._ledger.close()

    def _read(self) -> None:
        """Take in what changed in the ledger. Entries are parsed once; the others are told by identity."""
        view = self._ledger.refresh()
        for key, message in view.items():
            if self._seen.get(key) is message:
                continue
            self._seen[key] = message
            entry = read_entry(message)
            if entry.provable and not entry.balanced:
                self._open[key] = _Open(message, entry)
            else:
                self._open.pop(key, None)
        if len(self._seen) > len(view):
            for key in self._seen.keys() - view.keys():
                del self._seen[key]
                self._open.pop(key, None)

    def _look(self, dataset: str, files: Mapping[str, _Open], now: float) -> dict[str, FileEntry]:
        published = {one.entry.file: one.entry.rows_published for one in files.values()}
        counted = self._counts.of_files(dataset, published)
        balanced = {}
        for key, one in files.items():
            found = counted[one.entry.file]
            if found.rows == one.entry.rows_published and not found.doubled:
                balanced[key] = self._balanced(one.entry, found)
                continue
            moved = found.rows != one.rows_seen
            if found.rows >= one.entry.rows_published and moved:
                _contradict(one.entry, found)
            missing_secs = (one.entry.rows_published - found.rows) / _ROWS_PER_S
            soon = max(_BUSY_SECS, min(missing_secs, _BIG_FILE_SECS))
            one.wait_secs = soon if moved else min(one.wait_secs * 1.5, _LONGEST_WAIT_SECS)
            one.rows_seen, one.look_at = found.rows, now + one.wait_secs
        return balanced

    def _balanced(self, entry: FileEntry, found: Counted) -> FileEntry:
        now = self._clock()
        return entry.with_changes(
            state=FileState.BALANCED if entry.state is FileState.PUBLISHED else entry.state,
            balanced=True,
            balanced_at=now,
            updated_at=now,
            rows_stored=found.stored,
            rows_quarantined=found.quarantined,
        )

    def _write(self, balanced: Mapping[str, FileEntry]) -> int:
        if not balanced:
            return 0
        current = self._ledger.refresh()
        kept = {key: entry for key, entry in balanced.items() if current.get(key) is self._open[key].message}
        if not kept:
            return 0
        started, size = self._monotonic(), 0
        self._writer.begin()
        for key, entry in kept.items():
            framed = frame_entry(entry, self._schema_id)
            size += len(framed)
            self._writer.write(LEDGER, [framed], partition=0, key=key.encode())
        self._writer.commit()
        emit(BatchDone(rows=len(kept), size=size, seconds=self._monotonic() - started))
        for key, entry in kept.items():
            del self._open[key]
            if self._tracer is not None:
                record_receipt(self._tracer, entry)
            emit(
                FileBalanced(
                    dataset=entry.dataset,
                    file=entry.file,
                    visible_secs=visible_secs(entry),
                    rows_stored=entry.rows_stored,
                    rows_quarantined=entry.rows_quarantined,
                )
            )
        return len(kept)


def visible_secs(entry: FileEntry) -> float:
    """Return how long after its close a file was proved to be in the tables.

    A file is closed when it was written last; one that was older than an hour at its claim was moved in, and counts
    from its claim.
    """
    balanced_at, claimed_at = entry.balanced_at or entry.updated_at, entry.claimed_at or entry.modified_at
    closed_at = claimed_at if claimed_at - entry.modified_at > _MOVED_IN else entry.modified_at
    return max(0.0, (balanced_at - closed_at).total_seconds())


def _contradict(entry: FileEntry, found: Counted) -> None:
    emit(
        FileContradicted(
            dataset=entry.dataset,
            file=entry.file,
            rows_published=entry.rows_published,
            rows_stored=found.stored,
            rows_quarantined=found.quarantined,
            distinct_stored=found.distinct_stored,
            distinct_quarantined=found.distinct_quarantined,
            in_both=found.in_both,
        )
    )


def run(settings: Settings, tracer: FileTracer, stop: threading.Event) -> None:
    """Balance receipts until asked to stop; raises ProducerFenced when another reconciler has taken over."""
    status = StageStatus(settings.paths(), _STAGE)
    warehouse, registry = Warehouse(settings), Registry(settings)
    try:
        _run(settings, Counting(TableCounts(warehouse), registry, tracer), status, stop)
    finally:
        warehouse.close()
        registry.close()


@dataclass(frozen=True)
class Counting:
    """What every reconciler of this process works with."""

    counts: TableCounts
    registry: Registry
    tracer: FileTracer


def _run(settings: Settings, tools: Counting, status: StageStatus, stop: threading.Event) -> None:
    wait_secs = _IDLE_SECS
    while not stop.is_set():
        try:
            reconciler = Reconciler(settings.kafka_client(), tools.registry, tools.counts, tracer=tools.tracer)
            try:
                while not stop.is_set():
                    status.update(rows=reconciler.step(), lag=reconciler.open_files)
                    wait_secs = _IDLE_SECS
                    stop.wait(_BUSY_SECS if reconciler.open_files else _IDLE_SECS)
            finally:
                reconciler.close()
        except HeadraceError as error:
            # A refusal may be the disk's or a restart's: receipts that wait are seen, a stage that ends helps nobody.
            if not isinstance(error, Transient | WarehouseRefused):
                raise
            status.update(state="waiting")
            emit(StageWaits(stage=_STAGE, cause=str(error), hint=error.hint, retry_secs=wait_secs))
            stop.wait(wait_secs)
            wait_secs = min(wait_secs * 2, _LONGEST_WAIT_SECS)


@click.command()
def main() -> None:
    """Balance receipts: prove for each file that its rows are stored or in quarantine, none lost, none twice."""
    settings = Settings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with telemetry(settings, _STAGE) as told:
        emit(StageStarted(stage=_STAGE))
        try:
            run(settings, told.tracer, stop)
        except HeadraceError as error:
            emit(StageFailed(stage=_STAGE, error=str(error), hint=error.hint))
            sys.exit(1)
        emit(StageStopped(stage=_STAGE))


if __name__ == "__main__":
    main()
