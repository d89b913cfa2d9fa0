"""One sink slot: its partitions, read without a group, stored in blocks, each announced before it is inserted.

The order that makes it exactly once (docs/decisions/0009): commit the intent, insert under the intent's token, and only
then let the next intent of that partition replace it. A new owner fences the old one by initialising transactions,
reads the intents to their end, and inserts a range again if it is not in the table.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headrace.core.identity import stable_slot, trace_id
from headrace.errors import HeadraceError, PositionLost, SchemaRefused, ServiceUnreachable, WarehouseRefused
from headrace.observability.events import emit
from headrace.observability.metric_events import QueueSeen
from headrace.observability.propagation import RemoteContext
from headrace.observability.sink_events import PartitionHalted, RangeRepeated, StoreAwaited
from headrace.observability.tracing import FileTracer
from headrace.schemas.registry import Registry
from headrace.schemas.system import system_schema_text
from headrace.schemas.topics import BLOCKS
from headrace.sinks.base import Block, Sink, Target, target_of
from headrace.sinks.beginnings import Beginning, Known, find_beginning
from headrace.sinks.block_spans import record_stored
from headrace.sinks.blocks import (
    BLOCK_BYTES,
    BLOCK_ROWS,
    TOMBSTONE,
    Backlog,
    Segment,
    record_block,
    record_frame,
    repetitive_columns,
    system_block,
)
from headrace.sinks.inserter import Inserter, Outcome, Prepared
from headrace.sinks.intents import SCHEMA, Intent, read_intents, write_intents
from headrace.transport.kafka import TransactionalWriter
from headrace.transport.partition_reader import PartitionReader, Place, Poll

GROUP = "headrace-sink"
_POLL_MESSAGES, _POLL_SECS = 20_000, 0.05
_FIND_SECS, _RECORD_SECS = 1.0, 0.5
# A partition's small blocks are this far apart, and messages wait no longer than that to fill a block.
_PAUSE_SECS, _LINGER_SECS = 0.2, 0.5
# What is read ahead of the round that is inserted and the one prepared: memory stays below 500 MB.
_MOST_WAITING_ROWS, _MOST_WAITING_BYTES = BLOCK_ROWS * 3 // 2, BLOCK_BYTES * 3 // 2
_FIRST_RETRY_SECS, _LONGEST_RETRY_SECS = 1.0, 60.0
_HALTING = (PositionLost, WarehouseRefused, SchemaRefused)


@dataclass
class _Partition:
    """One partition of the slot: reading (a backlog), or closed until `retry_at`."""

    place: Place
    target: Target
    backlog: Backlog | None = None
    repeat: Intent | None = None
    at_end: bool = False
    in_flight: int = 0
    inserted_at: float = 0.0
    retry_at: float = 0.0
    failures: int = 0
    behind: int = 0


@dataclass
class Progress:
    """What a slot has done since it was asked last."""

    rows: int = 0
    lag: int = 0
    halted: tuple[str, ...] = ()


@dataclass(frozen=True)
class SlotTools:
    """What a slot works with. `sink` makes a connection of its own at each call: one to prepare, one to insert.

    `target_of` says where a topic's messages go, None for topics that are not stored.
    """

    client: Mapping[str, str]
    registry: Registry
    sink: Callable[[], Sink]
    tracer: FileTracer
    tell: Callable[[Progress], None] = field(default=lambda _progress: None)
    target_of: Callable[[str], Target | None] = target_of


class SinkSlot:
    """The owner of a slot's partitions, from its initialisation to the first trouble with Kafka.

    Raises ProducerFenced when another process takes the slot over, TransactionFailed and ServiceUnreachable when Kafka
    fails: then a new SinkSlot goes on where this one stopped. Not for use from several threads.
    """

    def __init__(self, tools: SlotTools, *, slot: int, slots: int) -> None:
        self._tools, self._slot, self._slots = tools, slot, slots
        self._writer = TransactionalWriter(tools.client, f"headrace-sink-{slot}")
        self._intents = read_intents(tools.client)
        self._intent_schema = tools.registry.system_id(BLOCKS, SCHEMA)
        self._reader = PartitionReader(tools.client, GROUP)
        self._sink = tools.sink()
        self._closing = threading.Event()
        self._inserter = Inserter(tools.sink(), self._closing)
        self._partitions: dict[Place, _Partition] = {}
        self._prepared: list[Prepared] = []
        self._store_ready = False
        self._store_retry_at = 0.0
        self._find_at = 0.0
        self._record_at = 0.0
        self._to_record: dict[Place, int] = {}
        self._rows = 0

    def run(self, stop: threading.Event) -> None:
        """Work until asked to stop; then finish the INSERT under way and leave."""
        while not stop.is_set():
            self.step()

    def step(self) -> None:
        """Do what can be done now: look for topics, read, take outcomes, and begin the next round. Blocks shortly."""
        now = time.monotonic()
        if now >= self._find_at:
            self._find_at = now + _FIND_SECS
            self._find_partitions()
        if self._has_room():
            self._take(self._reader.poll(_POLL_MESSAGES, _POLL_SECS))
            outcomes = self._inserter.outcomes()
        else:
            outcomes = self._inserter.outcomes(timeout_secs=_POLL_SECS)
        for outcome in outcomes or ():
            self._settle(outcome)
        self._advance()
        self._record()

    def _has_room(self) -> bool:
        waiting = [one.backlog for one in self._partitions.values() if one.backlog]
        rows, size = sum(backlog.rows for backlog in waiting), sum(backlog.size for backlog in waiting)
        return rows < _MOST_WAITING_ROWS and size < _MOST_WAITING_BYTES

    def close(self) -> None:
        """Wait for the INSERT under way, note how far things came, and leave. Call it after any error too, but once."""
        self._closing.set()
        self._inserter.close()
        for outcome in self._inserter.outcomes() or ():
            self._settle(outcome)
        try:
            self._reader.record(self._to_record, wait=True)
        except ServiceUnreachable as error:
            emit(StoreAwaited(cause=str(error), retry_secs=0.0))
        self._reader.close()
        self._sink.close()

    # partitions: found, opened, halted

    def _find_partitions(self) -> None:
        existing = self._reader.partitions()
        for topic, count in existing.items():
            target = self._tools.target_of(topic)
            for partition in range(count if target else 0):
                place = Place(topic, partition)
                if target and place not in self._partitions and stable_slot(str(place), self._slots) == self._slot:
                    self._partitions[place] = _Partition(place, target)
        for gone in [place for place in self._partitions if place.topic not in existing]:
            self._reader.stop(gone)
            self._drop(gone)
            del self._partitions[gone]
        closed = [one for one in self._partitions.values() if one.backlog is None and not one.in_flight]
        due = [one for one in closed if one.retry_at <= time.monotonic()]
        if due and self._store_is_ready():
            self._open(due)

    def _store_is_ready(self) -> bool:
        if not self._store_ready and time.monotonic() >= self._store_retry_at:
            try:
                self._sink.prepare()
                self._store_ready = True
            except ServiceUnreachable as error:
                self._await_store(error)
        return self._store_ready

    def _await_store(self, error: HeadraceError) -> None:
        self._store_retry_at = time.monotonic() + _FIND_SECS
        emit(StoreAwaited(cause=str(error), retry_secs=_FIND_SECS))

    def _open(self, due: list[_Partition]) -> None:
        recorded = self._reader.recorded([one.place for one in due])
        bounds = self._reader.bounds([one.place for one in due])
        for one in due:
            if one.place not in bounds:
                self._find_at = time.monotonic() + _POLL_SECS
                continue
            low, high = bounds[one.place]
            one.behind = high - max(low, recorded.get(one.place, 0))
            try:
                beginning = self._beginning(one, low, high, recorded.get(one.place))
            except _HALTING as error:
                self._halt(one, error)
            except ServiceUnreachable as error:
                self._await_store(error)
                return
            else:
                self._begin(one, beginning)

    def _beginning(self, one: _Partition, low: int, high: int, recorded: int | None) -> Beginning:
        known = Known(
            place=one.place,
            target=one.target,
            low=low,
            high=high,
            recorded=recorded,
            intent=self._intents.get(one.place),
            table_exists=self._sink.open(one.target),
            stored=lambda first, last: self._sink.count(one.target, one.place, first, last),
        )
        return find_beginning(known)

    def _begin(self, one: _Partition, beginning: Beginning) -> None:
        last = beginning.repeat.last if beginning.repeat else -1
        one.repeat = beginning.repeat
        one.backlog = Backlog(one.place, one.target, beginning.offset, exactly=last)
        one.at_end = False
        self._reader.start(one.place, beginning.offset)

    def _halt(self, one: _Partition, error: HeadraceError) -> None:
        """Put one partition aside: it is opened again later, as after a restart, and the others go on."""
        retry_secs = min(_FIRST_RETRY_SECS * 2**one.failures, _LONGEST_RETRY_SECS)
        one.failures += 1
        one.retry_at = time.monotonic() + retry_secs
        one.behind = max(one.behind, self._lag_of(one))
        self._reader.stop(one.place)
        one.backlog = None
        self._drop(one.place)
        self._sink.forget(one.target)
        place = str(one.place)
        emit(PartitionHalted(place=place, code=error.code, cause=str(error), hint=error.hint, retry_secs=retry_secs))

    def _drop(self, place: Place) -> None:
        self._prepared = [prepared for prepared in self._prepared if prepared.block.place != place]

    # reading

    def _take(self, poll: Poll) -> None:
        now = time.monotonic()
        for run in poll.runs:
            one = self._partitions[run.place]
            if one.backlog is None:
                continue
            one.at_end = False
            try:
                one.backlog.add(run, now)
            except PositionLost as error:
                self._halt(one, error)
        for place, end in poll.ended.items():
            one = self._partitions[place]
            if one.backlog is not None and one.backlog.next_offset <= end:
                one.at_end = True
                one.backlog.next_offset = end
        for place, cause in poll.lost.items():
            what = f'topic "{place}" cannot be read on: {cause}'
            self._halt(self._partitions[place], PositionLost(what, hint="raise the retention of the topic"))

    # storing

    def _advance(self) -> None:
        """Prepare the next round, and begin it when the one before is done: one round ahead, intents in order."""
        if not self._prepared and time.monotonic() >= self._store_retry_at:
            self._prepare()
        if not self._prepared or not self._inserter.idle:
            return
        blocks, self._prepared = self._prepared, []
        announced = [Intent.of(prepared.block, self._slot) for prepared in blocks if not prepared.repeated]
        if announced:
            write_intents(self._writer, self._intent_schema, announced)
            self._intents |= {intent.place: intent for intent in announced}
        self._inserter.submit(blocks)
        for prepared in blocks:
            self._partitions[prepared.block.place].in_flight += prepared.block.rows

    def _prepare(self) -> None:
        now = time.monotonic()
        for one in self._partitions.values():
            if one.backlog is None:
                continue
            segment = one.backlog.head(partial=self._may_be_partial(one, now))
            if segment is None:
                continue
            try:
                self._prepared.append(self._build(one, segment))
                one.backlog.take()
            except _HALTING as error:
                self._halt(one, error)
            except ServiceUnreachable as error:
                self._await_store(error)
                return

    def _may_be_partial(self, one: _Partition, now: float) -> bool:
        """A block that is not full goes when nothing more is there to fill it, and the warehouse is free."""
        if one.backlog is None or not one.backlog.rows or not self._inserter.idle:
            return False
        waited = now - one.backlog.since
        if not one.at_end:
            return waited >= _LINGER_SECS
        return now - one.inserted_at >= _PAUSE_SECS or waited >= _PAUSE_SECS

    def _build(self, one: _Partition, segment: Segment) -> Prepared:
        files: dict[str, RemoteContext | None] = {}
        if one.target.system:
            block = self._system(one, segment)
        else:
            block, files = self._records(one, segment)
        repeat, one.repeat = one.repeat, None
        if repeat is None:
            return Prepared(block, files=files)
        if (block.first, block.last, block.rows) != (repeat.first, repeat.last, repeat.rows):
            raise PositionLost(
                f'topic "{one.place}": block {repeat.token} had {repeat.rows} rows, Kafka now gives {block.rows}',
                hint="the topic was changed; drop the files again under another dataset",
            )
        emit(RangeRepeated(token=block.token, rows=block.rows))
        return Prepared(block, repeated=True, files=files)

    def _system(self, one: _Partition, segment: Segment) -> Block:
        known = segment.schema_id != TOMBSTONE
        text = self._tools.registry.text_of(segment.schema_id) if known else system_schema_text(one.target.system)
        if text is None:
            raise self._unknown(one, segment)
        return system_block(segment, text, one.place, one.target)

    def _records(self, one: _Partition, segment: Segment) -> tuple[Block, dict[str, RemoteContext | None]]:
        schema = self._tools.registry.record_schema(segment.schema_id)
        if schema is None or schema.dataset != one.target.table:
            raise self._unknown(one, segment)
        frame = record_frame(segment, schema, one.place)
        self._sink.widen(one.target, schema, lambda: repetitive_columns(frame))
        files = {file: segment.parents.get(trace_id(one.target.table, file)) for file in frame["_file"].unique()}
        return record_block(segment, frame, one.place, one.target), files

    def _unknown(self, one: _Partition, segment: Segment) -> PositionLost:
        return PositionLost(
            f'topic "{one.place}" offset {segment.first}: schema {segment.schema_id} is not one of this topic',
            hint="restore the registry's schemas, or find out who else writes to this topic",
        )

    def _settle(self, outcome: Outcome) -> None:
        block = outcome.prepared.block
        one = self._partitions.get(block.place)
        if one is None:
            return
        one.in_flight -= block.rows
        one.inserted_at = time.monotonic()
        record_stored(self._tools.tracer, outcome)
        if outcome.refusal is not None:
            self._halt(one, outcome.refusal)
        if not outcome.stored:
            return
        one.failures = 0
        self._rows += block.rows
        self._to_record[block.place] = block.last + 1

    # telling

    def _record(self) -> None:
        now = time.monotonic()
        if now < self._record_at:
            return
        self._record_at = now + _RECORD_SECS
        for one in self._partitions.values():
            if one.backlog and one.at_end and not self._lag_of(one):
                self._to_record.setdefault(one.place, one.backlog.next_offset)
                self._to_record[one.place] = max(self._to_record[one.place], one.backlog.next_offset)
        self._reader.record(self._to_record)
        self._to_record = {}
        halted = tuple(str(one.place) for one in self._partitions.values() if one.failures and one.backlog is None)
        lag = sum(map(self._lag_of, self._partitions.values()))
        waiting = sum(one.backlog.rows for one in self._partitions.values() if one.backlog)
        emit(QueueSeen(queue=f"backlog-{self._slot}", depth=waiting))
        self._tools.tell(Progress(self._rows, lag, halted))
        self._rows = 0

    def _lag_of(self, one: _Partition) -> int:
        """Return the messages not yet stored: exact at the end of the topic, rough before it."""
        if one.backlog is None:
            return one.behind
        prepared = sum(prepared.block.rows for prepared in self._prepared if prepared.block.place == one.place)
        unread = 0 if one.at_end else self._reader.behind(one.place, one.backlog.next_offset)
        return one.backlog.rows + prepared + one.in_flight + unread
