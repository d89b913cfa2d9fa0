"""Frames to messages and back: one record a message, Confluent-framed Avro, worked on in columns.

A message is byte 0, the registry id (4 bytes, big-endian) and the Avro body. The bytes are those that any Avro library
writes; only the way there is columnar (docs/decisions/0006). Schemas with other than the columnar types go record by
record through `codec_rows`, correct and slower, and an event counts them.
"""

import functools
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.core.vocabulary import Reason
from headrace.errors import HeadraceError, Terminal
from headrace.observability.events import RowsCodedSlowly, emit
from headrace.schemas import codec_rows
from headrace.schemas.codec_walk import find_fault, find_malformed
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.system import HEADER, MAGIC, schema_id_of

_SYNC_BYTES = 16
_PREFIX = "_prefix"
_DTYPES: dict[FieldType, pl.DataType] = {
    FieldType.INT: pl.Int32(),
    FieldType.LONG: pl.Int64(),
    FieldType.FLOAT: pl.Float32(),
    FieldType.DOUBLE: pl.Float64(),
    FieldType.BOOLEAN: pl.Boolean(),
    FieldType.STRING: pl.String(),
    FieldType.DATE: pl.Date(),
    FieldType.TIMESTAMP: pl.Datetime("us"),
    FieldType.BYTES: pl.Binary(),
    FieldType.ENUM: pl.String(),
    FieldType.FIXED: pl.Binary(),
    FieldType.UUID: pl.String(),
    FieldType.TIME: pl.Time(),
}
# polars knows no logical types in Avro: dates and timestamps travel as what they are physically.
_PHYSICAL_AVRO = {FieldType.DATE: "int", FieldType.TIMESTAMP: "long"}
_VARINT_LIMITS = tuple(np.uint64(1 << (7 * groups)) for groups in range(1, 10))


class Undecodable(HeadraceError, Terminal):
    """One message that is not a whole record of its schema: `index` in the sequence that was given, and why."""

    code = "undecodable"

    def __init__(self, index: int, reason: Reason, detail: str) -> None:
        super().__init__(f"message {index}: {reason}: {detail}")
        self.index = index
        self.reason = reason
        self.detail = detail


@functools.lru_cache(maxsize=256)
def polars_schema(schema: RecordSchema) -> pl.Schema:
    """Return the columns of a frame of such records. Timestamps are UTC and carry no zone; uuid and enum are text."""
    return pl.Schema({field.name: _dtype(field) for field in schema.fields})


def _dtype(field: RecordField) -> pl.DataType:
    if field.type is FieldType.DECIMAL:
        return pl.Decimal(field.precision, field.scale)
    return _DTYPES[field.type]


def encode(frame: pl.DataFrame, schema: RecordSchema, schema_id: int) -> list[bytes]:
    """Return one framed message for each row, in order; byte for byte what fastavro's schemaless_writer gives.

    The frame has exactly the columns of `polars_schema(schema)`, in order; else TypeError. Never blocks.
    """
    if frame.schema != polars_schema(schema):
        difference = set(frame.schema.items()) ^ set(polars_schema(schema).items())
        message = f'dataset "{schema.dataset}": the frame has not the columns of its schema: {difference or "order"}'
        raise TypeError(message)
    if not schema.columnar:
        emit(RowsCodedSlowly(direction="encode", dataset=schema.dataset, rows=len(frame)))
        return codec_rows.encode(frame, schema, schema_id)
    return _encode_columns(frame, schema_id) if len(frame) else []


def _encode_columns(frame: pl.DataFrame, schema_id: int) -> list[bytes]:
    # polars writes one Avro block per chunk. Five all-null columns in front give five zero bytes a row: the room for
    # byte 0 and the id, so that slicing the block gives whole messages (cheaper by a third than slice and prepend).
    physical = frame.rechunk().with_columns(pl.col(pl.Date, pl.Datetime).to_physical())
    room = [pl.lit(None, dtype=pl.Boolean).alias(f"{_PREFIX}{place}") for place in range(HEADER.size)]
    stream = io.BytesIO()
    physical.select(*room, pl.all()).write_avro(stream)
    lengths = _encoded_lengths(physical) + HEADER.size
    total = int(lengths.sum())
    with stream.getbuffer() as buffer:
        body = len(buffer) - _SYNC_BYTES - total
        announced = _zigzag(len(frame)) + _zigzag(total)
        if bytes(buffer[max(0, body - len(announced)) : max(0, body)]) != announced:
            raise AssertionError(f"polars wrote another block than expected: {len(frame)} rows of {total} bytes")
        stops = np.cumsum(lengths) + body
        starts = stops - lengths
        array = np.frombuffer(buffer, np.uint8)
        for place, byte in enumerate(HEADER.pack(MAGIC, schema_id)):
            if byte:
                array[starts + place] = byte
        del array
    data = stream.getvalue()
    return [data[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]


def _encoded_lengths(physical: pl.DataFrame) -> NDArray[np.int64]:
    """Return the Avro length of each row: per column 1 for the union's index, and the value's own length.

    Thresholds above a column's greatest value are never compared, which makes this 30 times cheaper than expressions.
    """
    lengths = np.zeros(len(physical), np.int64)
    constant = 0
    for column in physical.iter_columns():
        value_bytes = 1
        filled = column
        if column.dtype == pl.String:
            filled = column.str.len_bytes().fill_null(0)
            sizes = filled.to_numpy()
            lengths += sizes
            _add_varint_lengths(lengths, sizes.astype(np.uint64) << np.uint64(1))
        elif column.dtype.is_integer():
            values = (column.fill_null(0) if column.null_count() else column).to_numpy().astype(np.int64, copy=False)
            _add_varint_lengths(lengths, ((values << 1) ^ (values >> 63)).view(np.uint64))
        elif column.dtype.is_float():
            value_bytes = 8 if column.dtype == pl.Float64 else 4
        constant += 1 + value_bytes
        if column.null_count():
            lengths -= column.is_null().to_numpy() * np.int64(value_bytes)
    return lengths + constant


def _add_varint_lengths(lengths: NDArray[np.int64], encoded: NDArray[np.uint64]) -> None:
    """Add to each row what a variable-length integer takes beyond its first byte."""
    greatest = encoded.max()
    for limit in _VARINT_LIMITS:
        if greatest < limit:
            return
        lengths += encoded >= limit


def _zigzag(number: int) -> bytes:
    """Return Avro's encoding of a non-negative long."""
    rest, out = number << 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes(out) + bytes([rest])


def split_by_schema(messages: Sequence[bytes]) -> list[tuple[int | None, int, int]]:
    r"""Return runs of neighbours with one schema id as (id, start, stop); id None: not framed at all.

    >>> split_by_schema([b"\0\0\0\0\7x", b"\0\0\0\0\7y", b"{}"])
    [(7, 0, 2), (None, 2, 3)]
    """
    runs: list[tuple[int | None, int, int]] = []
    start = 0
    while start < len(messages):
        prefix = messages[start][: HEADER.size]
        schema_id = schema_id_of(messages[start])
        rest = range(start + 1, len(messages))
        if schema_id is None:
            stop = next((at for at in rest if schema_id_of(messages[at]) is not None), len(messages))
        elif start == 0 and all([message.startswith(prefix) for message in messages]):
            stop = len(messages)
        else:
            stop = next((at for at in rest if not messages[at].startswith(prefix)), len(messages))
        runs.append((schema_id, start, stop))
        start = stop
    return runs


def decode(messages: Sequence[bytes], schema: RecordSchema) -> pl.DataFrame:
    """Return the records of framed messages, which all have this schema; raises Undecodable for the first bad one."""
    frame, _good, bad = decode_leniently(messages, schema)
    if bad:
        raise bad[0]
    return frame


def decode_leniently(
    messages: Sequence[bytes], schema: RecordSchema
) -> tuple[pl.DataFrame, list[int], list[Undecodable]]:
    """Return the records of the good messages, the indexes of these, and what is wrong with each of the others.

    A message is good only if its own bytes are exactly one record: boundaries are checked message by message, so a
    truncated one followed by an overlong one is seen. Never blocks, never raises for what the messages hold.
    """
    if not schema.columnar:
        emit(RowsCodedSlowly(direction="decode", dataset=schema.dataset, rows=len(messages)))
        rows, good, faults = codec_rows.decode(messages, schema)
        frame = pl.DataFrame(rows, schema=polars_schema(schema))
        return frame, good, [Undecodable(*fault) for fault in faults]
    lengths = np.fromiter(map(len, messages), np.int64, len(messages))
    container, start = _container(messages, int(lengths.sum()), schema, text=True)
    malformed = find_malformed(np.frombuffer(container, np.uint8)[start:-_SYNC_BYTES], lengths, schema)
    if not malformed.any():
        try:
            return _read(container, schema), list(range(len(messages))), []
        except pl.exceptions.ComputeError:  # the walk leaves one thing to polars: whether text is UTF-8
            malformed = _not_utf8(messages, schema)
            if not malformed.any():
                raise
    return _decode_rest(messages, malformed, schema)


def _decode_rest(
    messages: Sequence[bytes], malformed: NDArray[np.bool_], schema: RecordSchema
) -> tuple[pl.DataFrame, list[int], list[Undecodable]]:
    bad = []
    for index in np.flatnonzero(malformed).tolist():
        reason, detail = find_fault(messages[index], schema) or (Reason.MALFORMED, "cannot be decoded")
        bad.append(Undecodable(index, reason, detail))
    good: list[int] = np.flatnonzero(~malformed).tolist()
    kept = [messages[index] for index in good]
    frame, inner_good, inner_bad = decode_leniently(kept, schema)
    bad += [Undecodable(good[error.index], error.reason, error.detail) for error in inner_bad]
    bad.sort(key=lambda error: error.index)
    return frame, [good[index] for index in inner_good], bad


def _read(container: bytes, schema: RecordSchema) -> pl.DataFrame:
    frame = pl.read_avro(io.BytesIO(container)).drop(_PREFIX)
    frame.columns = [field.name for field in schema.fields]
    return frame.cast({name: kind for name, kind in polars_schema(schema).items() if kind.is_temporal()})


def _not_utf8(messages: Sequence[bytes], schema: RecordSchema) -> NDArray[np.bool_]:
    """Return which of these well-formed messages hold text that is not UTF-8."""
    size = sum(map(len, messages))
    frame = pl.read_avro(io.BytesIO(_container(messages, size, schema, text=False)[0])).drop(_PREFIX)
    found = np.zeros(len(messages), np.bool_)
    for column in frame.select(pl.col(pl.Binary)).iter_columns():
        try:
            column.cast(pl.String)
        except pl.exceptions.ComputeError:
            found |= np.fromiter((not _utf8(value) for value in column), np.bool_, len(messages))
    return found


def _utf8(value: bytes | None) -> bool:
    try:
        return value is None or value.decode() is not None
    except UnicodeDecodeError:
        return False


def _container(messages: Sequence[bytes], size: int, schema: RecordSchema, *, text: bool) -> tuple[bytes, int]:
    """Return an Avro container file with the framed messages as its one block, and where they start in it."""
    head = _container_head(schema, text) + _zigzag(len(messages)) + _zigzag(size)
    return b"".join([head, *messages, bytes(_SYNC_BYTES)]), len(head)


@functools.lru_cache(maxsize=256)
def _container_head(schema: RecordSchema, text: bool) -> bytes:
    """Return the container's header. The 5 bytes in front of each body are a field of their own: nothing is cut off."""
    fields: list[dict[str, Any]] = [
        {"name": _PREFIX, "type": {"type": "fixed", "name": "prefix", "size": HEADER.size}},
        *({"name": f"f{at}", "type": ["null", _avro_type(field, text)]} for at, field in enumerate(schema.fields)),
    ]
    document = json.dumps({"type": "record", "name": "framed", "fields": fields}).encode()
    metadata = {b"avro.schema": document, b"avro.codec": b"null"}
    pairs = b"".join(_zigzag(len(part)) + part for pair in metadata.items() for part in pair)
    return b"Obj\x01" + _zigzag(len(metadata)) + pairs + _zigzag(0) + bytes(_SYNC_BYTES)


def _avro_type(field: RecordField, text: bool) -> str:
    if field.type is FieldType.STRING and not text:
        return "bytes"
    return _PHYSICAL_AVRO.get(field.type, field.type.value)
