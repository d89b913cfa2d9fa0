"""From messages to blocks: what waits is kept in segments of one schema, and a segment becomes the bytes of one INSERT.

Records of datasets go as Parquet: decoded once into columns, repeated values written once (docs/decisions/0011 has the
measurements). The platform's own records go as the Avro they are, with the system columns put in front of each body.
"""

import functools
import io
import json
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import fastavro
import polars as pl

from headrace.errors import PositionLost
from headrace.observability.propagation import RemoteContext, read_context
from headrace.schemas.codec import Undecodable, decode, split_by_schema
from headrace.schemas.record import FieldType, RecordSchema
from headrace.schemas.system import HEADER
from headrace.sinks.base import Block, Target
from headrace.sinks.tables import INSERTED_SYSTEM_COLUMNS
from headrace.transport.partition_reader import Place, Run

BLOCK_ROWS = 100_000
# Half of what a block may have: its bytes, its columns and the request are in memory at once.
BLOCK_BYTES = 32 * 2**20
# A column of text becomes LowCardinality when its values repeat this often (docs/decisions/0011).
_SAMPLE_ROWS, _REPEATS, _MOST_DISTINCT = 1_000, 20, 5_000
_SYNC = bytes(16)
# The platform's own records may be tombstones, which have no schema of their own.
TOMBSTONE = 0
_CONTEXT = ("traceparent", "tracestate")


@dataclass
class Segment:
    """Neighbouring messages of one partition and one schema id that fit into one block."""

    schema_id: int
    since: float
    values: list[bytes] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    parents: dict[str, RemoteContext] = field(default_factory=dict)
    size: int = 0

    @property
    def rows(self) -> int:
        """Return the number of messages."""
        return len(self.values)

    @property
    def first(self) -> int:
        """Return the first offset."""
        return self.offsets[0]

    @property
    def last(self) -> int:
        """Return the last offset."""
        return self.offsets[-1]


class Backlog:
    """What was read of one partition and not yet handed on, in segments.

    `next_offset` is where to read on; `exactly` demands that the first segment ends at this offset and no other: the
    range of an intent that is done again. Raises PositionLost for a message that is not framed: none of ours is.
    """

    def __init__(self, place: Place, target: Target, next_offset: int, *, exactly: int = -1) -> None:
        self.place = place
        self.target = target
        self.next_offset = next_offset
        self._exactly = exactly
        self._segments: deque[Segment] = deque()
        self.rows = 0

    def add(self, run: Run, now: float) -> None:
        """Take messages in. Offsets already seen are left out."""
        offsets = run.offsets()
        if offsets[0] < self.next_offset:
            seen = bisect_left(offsets, self.next_offset)
            run, offsets = replace(run, messages=run.messages[seen:]), offsets[seen:]
            if not offsets:
                return
        values = run.values()
        keys = run.keys() if self.target.overwriting else [None] * len(values)
        framed = [value if value is not None else bytes(HEADER.size) for value in values]
        timestamps = run.timestamps()
        touched = max(0, len(self._segments) - 1)
        for schema_id, start, stop in split_by_schema(framed):
            if schema_id is None or (schema_id == TOMBSTONE and not self.target.overwriting):
                raise PositionLost(
                    f'topic "{self.place}" offset {offsets[start]}: the message is not one of headrace\'s',
                    hint="find out who else writes to this topic; the sink goes on when the message is gone",
                )
            part = (framed[start:stop], keys[start:stop], offsets[start:stop], timestamps[start:stop])
            self._append(schema_id, part, now)
        if not self.target.system:
            self._note_parents(run, touched)
        self.rows += len(values)
        self.next_offset = offsets[-1] + 1

    def head(self, *, partial: bool) -> Segment | None:
        """Return the next segment if it is complete; with `partial` also if more could still join it."""
        if not self._segments:
            return None
        head = self._segments[0]
        if self._exactly >= 0:
            return head if len(self._segments) > 1 or head.last >= self._exactly else None
        return head if partial or len(self._segments) > 1 or _full(head) else None

    def take(self) -> Segment:
        """Remove and return the first segment."""
        segment = self._segments.popleft()
        self.rows -= segment.rows
        self._exactly = -1
        return segment

    @property
    def size(self) -> int:
        """Return the bytes of the waiting messages."""
        return sum(segment.size for segment in self._segments)

    @property
    def since(self) -> float:
        """Return when the oldest waiting message came in."""
        return self._segments[0].since

    def _append(self, schema_id: int, part: tuple[list[bytes], list[Any], list[int], list[int]], now: float) -> None:
        """Spread messages of one schema over segments, each within the limits of a block."""
        values, start = part[0], 0
        while start < len(values):
            segment = self._segments[-1] if self._segments else None
            if segment is None or segment.schema_id != schema_id or self._closed(segment):
                segment = Segment(schema_id, now)
                self._segments.append(segment)
            room = self._room(segment, part[2], values, start)
            if not room:
                segment = Segment(schema_id, now)
                self._segments.append(segment)
                room = self._room(segment, part[2], values, start)
            stop = start + room
            segment.values += values[start:stop]
            segment.keys += part[1][start:stop]
            segment.offsets += part[2][start:stop]
            segment.timestamps += part[3][start:stop]
            segment.size += sum(map(len, values[start:stop]))
            start = stop

    def _closed(self, segment: Segment) -> bool:
        if self._exactly >= 0 and len(self._segments) == 1:
            return segment.last >= self._exactly
        return _full(segment)

    def _room(self, segment: Segment, offsets: Sequence[int], values: Sequence[bytes], start: int) -> int:
        """Return how many messages from `start` on fit into a segment; at least one if it is empty."""
        if self._exactly >= 0 and len(self._segments) == 1:
            return sum(1 for offset in offsets[start:] if offset <= self._exactly) or 1
        most = min(BLOCK_ROWS - segment.rows, len(values) - start)
        if segment.size + sum(map(len, values[start : start + most])) <= BLOCK_BYTES:
            return most
        size = segment.size
        for taken in range(most):
            size += len(values[start + taken])
            if size > BLOCK_BYTES:
                return max(taken, 0 if segment.rows else 1)
        return most

    def _note_parents(self, run: Run, touched: int) -> None:
        """Keep the judging span of each file for the segments from `touched` on.

        A header a message would cost 1 µs a row: where both ends of a stretch are of one trace, so is what is between.
        """
        found: dict[str, RemoteContext] = {}

        def context(index: int) -> str:
            context = read_context({name: run.header(index, name).decode("ascii", "replace") for name in _CONTEXT})
            if context is not None:
                found[context.trace_id] = context
            return context.trace_id if context else ""

        def look(first: int, last: int, before: str, after: str) -> None:
            if last - first > 1 and before != after:
                middle = (first + last) // 2
                between = context(middle)
                look(first, middle, before, between)
                look(middle, last, between, after)

        last = len(run.messages) - 1
        look(0, last, context(0), context(last))
        for index in range(touched, len(self._segments)):
            self._segments[index].parents |= found


def _full(segment: Segment) -> bool:
    return segment.rows >= BLOCK_ROWS or segment.size >= BLOCK_BYTES


def record_frame(segment: Segment, schema: RecordSchema, place: Place) -> pl.DataFrame:
    """Return a segment of a dataset's records in columns, the system columns last; raises PositionLost.

    The judge lets nothing undecodable pass, so such a message came from elsewhere and a person has to look.
    """
    try:
        frame = decode(segment.values, schema)
    except Undecodable as error:
        offset = segment.offsets[error.index]
        raise PositionLost(
            f'topic "{place}" offset {offset}: {error.reason}: {error.detail}',
            hint="find out who else writes to this topic; the sink goes on when the message is gone",
        ) from error
    times = [item.name for item in schema.data_fields if item.type is FieldType.TIME]
    offsets = segment.offsets
    contiguous = offsets[-1] - offsets[0] == len(offsets) - 1
    return frame.with_columns(
        *(pl.col(name).dt.to_string("%H:%M:%S%.6f") for name in times),
        pl.lit(place.topic).alias("_topic"),
        pl.lit(place.partition, dtype=pl.Int32).alias("_partition"),
        pl.int_range(offsets[0], offsets[-1] + 1, dtype=pl.Int64, eager=True).alias("_offset")
        if contiguous
        else pl.Series("_offset", offsets, dtype=pl.Int64),
        pl.Series("_ingested_at", segment.timestamps, dtype=pl.Int64).cast(pl.Datetime("ms", "UTC")),
    )


def record_block(segment: Segment, frame: pl.DataFrame, place: Place, target: Target) -> Block:
    """Return the block of a dataset's records."""
    stream = io.BytesIO()
    # One row group and no compression: the bytes go to the next process, not to a disk.
    frame.write_parquet(stream, compression="uncompressed", statistics=False, row_group_size=max(len(frame), 1))
    return _block(segment, place, target, tuple(frame.columns), "Parquet", stream.getvalue())


def repetitive_columns(frame: pl.DataFrame) -> frozenset[str]:
    """Return the text columns whose values repeat so often that LowCardinality pays; none for a small frame.

    >>> repetitive_columns(pl.DataFrame({"a": ["x", "y"] * 1_000, "b": [str(n) for n in range(2_000)]}))
    frozenset({'a'})
    """
    if len(frame) < _SAMPLE_ROWS:
        return frozenset()
    most = min(len(frame) // _REPEATS, _MOST_DISTINCT)
    texts = [name for name, kind in frame.schema.items() if kind == pl.String and name not in INSERTED_SYSTEM_COLUMNS]
    return frozenset(name for name in texts if frame[name].n_unique() <= most)


def system_block(segment: Segment, text: str, place: Place, target: Target) -> Block:
    """Return the block of the platform's own records, with `text` the schema that they were written with."""
    head, columns = _system_head(text, target)
    before = _stored_part(text, target.unstored)
    front = _long(len(place.topic.encode())) + place.topic.encode() + _long(place.partition)
    tombstone = _neutral(text, target.unstored)
    parts: list[bytes] = []
    rows = zip(segment.values, segment.keys, segment.offsets, segment.timestamps, strict=True)
    for value, key, offset, timestamp in rows:
        parts += (front, _long(offset), _long(timestamp))
        deleted = segment.schema_id == TOMBSTONE
        if target.overwriting:
            parts += (_long(len(key or b"")), key or b"", _long(int(deleted)))
        if deleted:
            parts.append(tombstone)
        else:
            parts.append(value[HEADER.size :] if before is None else _beginning(value, before, str(place), offset))
    body = b"".join(parts)
    data = b"".join([head, _long(segment.rows), _long(len(body)), body, _SYNC])
    stored = tuple(name for name in columns if name not in target.unstored)
    return _block(segment, place, target, stored, "Avro", data)


def _block(
    segment: Segment, place: Place, target: Target, columns: tuple[str, ...], data_format: str, data: bytes
) -> Block:
    first, last = segment.first, segment.last
    return Block(place, target, first, last, segment.schema_id, segment.rows, columns, data_format, data)


@functools.lru_cache(maxsize=64)
def _system_head(text: str, target: Target) -> tuple[bytes, tuple[str, ...]]:
    """Return the header of an Avro container with the system columns in front, and its columns."""
    document: dict[str, Any] = json.loads(text)
    front: list[dict[str, Any]] = [
        {"name": "_topic", "type": "string"},
        {"name": "_partition", "type": "int"},
        {"name": "_offset", "type": "long"},
        {"name": "_ingested_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ]
    if target.overwriting:
        front += [{"name": "_key", "type": "string"}, {"name": "_deleted", "type": "int"}]
    document["fields"] = front + _stored_fields(document, target.unstored)
    stream = io.BytesIO()
    fastavro.writer(stream, document, [], sync_marker=_SYNC)
    return stream.getvalue(), tuple(item["name"] for item in document["fields"])


def _stored_fields(document: dict[str, Any], unstored: frozenset[str]) -> list[dict[str, Any]]:
    """Return the fields of a record without those at its end that are not stored."""
    fields: list[dict[str, Any]] = document["fields"]
    kept = [place for place, item in enumerate(fields, 1) if item["name"] not in unstored]
    return fields[: kept[-1]] if kept else []


@functools.lru_cache(maxsize=64)
def _stored_part(text: str, unstored: frozenset[str]) -> Any:
    """Return the parsed schema of what comes before the fields that are not stored, None if all are."""
    document = json.loads(text)
    fields = _stored_fields(document, unstored)
    if len(fields) == len(document["fields"]):
        return None
    return fastavro.parse_schema(document | {"fields": fields})


def _beginning(value: bytes, schema: Any, place: str, offset: int) -> bytes:
    """Return the bytes of a framed body that this schema describes: reading stops where its last field ends."""
    stream = io.BytesIO(value)
    stream.seek(HEADER.size)
    try:
        fastavro.schemaless_reader(stream, schema, None)
    except Exception as error:  # what fastavro raises for foreign bytes is not a closed set
        raise PositionLost(
            f'topic "{place}" offset {offset}: {error!r}',
            hint="find out who else writes to this topic; the sink goes on when the message is gone",
        ) from error
    return value[HEADER.size : stream.tell()]


@functools.lru_cache(maxsize=64)
def _neutral(text: str, unstored: frozenset[str]) -> bytes:
    """Return the Avro body of a record that says nothing: what stands beside the key of a tombstone."""
    document = json.loads(text)
    document["fields"] = _stored_fields(document, unstored)
    stream = io.BytesIO()
    record = {item["name"]: _nothing(item["type"]) for item in document["fields"]}
    fastavro.schemaless_writer(stream, fastavro.parse_schema(document), record)
    return stream.getvalue()


def _nothing(kind: Any) -> Any:
    if isinstance(kind, list):
        return None
    name = kind["type"] if isinstance(kind, dict) else kind
    return {"string": "", "boolean": False, "double": 0.0, "array": [], "map": {}}.get(name, 0)


def _long(number: int) -> bytes:
    """Return Avro's encoding of a non-negative long."""
    rest, out = number << 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
