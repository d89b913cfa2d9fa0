"""The slow way of the codec: one record at a time through fastavro, for types that do not travel in columns."""

import functools
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import fastavro
import polars as pl
from fastavro.types import Schema

from headrace.core.vocabulary import Reason
from headrace.schemas.codec_walk import find_fault
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.system import HEADER, MAGIC

_TO_PHYSICAL = (pl.Date, pl.Datetime)
_MICROSECOND_NS = 1_000


def encode(frame: pl.DataFrame, schema: RecordSchema, schema_id: int) -> list[bytes]:
    """Return one framed message for each row. Raises ValueError where a value does not fit its field (an enum's)."""
    parsed = _physical_schema(schema)
    header = HEADER.pack(MAGIC, schema_id)
    columns = [_physical_values(frame[field.name], field) for field in schema.fields]
    names = [field.name for field in schema.fields]
    messages = []
    for values in zip(*columns, strict=True):
        stream = io.BytesIO()
        stream.write(header)
        fastavro.schemaless_writer(stream, parsed, dict(zip(names, values, strict=True)))
        messages.append(stream.getvalue())
    return messages


def decode(
    messages: Sequence[bytes], schema: RecordSchema
) -> tuple[dict[str, pl.Series], list[int], list[tuple[int, Reason, str]]]:
    """Return the good messages' columns, their indexes, and (index, reason, detail) of each bad one."""
    parsed = _physical_schema(schema)
    rows: list[dict[str, Any]] = []
    good: list[int] = []
    bad: list[tuple[int, Reason, str]] = []
    for index, message in enumerate(messages):
        # Walked first: fastavro does not mind bytes left over, nor every length and number that Avro forbids.
        if fault := find_fault(message, schema):
            bad.append((index, *fault))
            continue
        record = fastavro.schemaless_reader(io.BytesIO(message[HEADER.size :]), parsed, None)
        rows.append(record)  # type: ignore[arg-type]
        good.append(index)
    return {field.name: _column([row[field.name] for row in rows], field) for field in schema.fields}, good, bad


@functools.lru_cache(maxsize=64)
def _physical_schema(schema: RecordSchema) -> Schema:
    """Return the schema without logical types: their values are converted here, in columns, and never by fastavro."""
    document = json.loads(schema.text())
    for field in document["fields"]:
        kind = field["type"][1]
        if isinstance(kind, dict) and "logicalType" in kind:
            field["type"][1] = kind["type"]
    return fastavro.parse_schema(document)


def _physical_values(column: pl.Series, field: RecordField) -> list[Any]:
    if field.type in (FieldType.DATE, FieldType.TIMESTAMP):
        return column.to_physical().to_list()
    if field.type is FieldType.TIME:
        return (column.to_physical() // _MICROSECOND_NS).to_list()
    if field.type is FieldType.DECIMAL:
        return [None if value is None else _decimal_bytes(value, field.scale) for value in column.to_list()]
    return column.to_list()


def _decimal_bytes(value: Decimal, scale: int) -> bytes:
    """Return the unscaled number in two's complement, of the bytes that fastavro takes: -128 has two, as 128 has."""
    unscaled = int(value.scaleb(scale))
    return unscaled.to_bytes(unscaled.bit_length() // 8 + 1, signed=True)


def _column(values: list[Any], field: RecordField) -> pl.Series:
    if field.type is FieldType.DATE:
        return pl.Series(values, dtype=pl.Int32).cast(pl.Date)
    if field.type is FieldType.TIMESTAMP:
        return pl.Series(values, dtype=pl.Int64).cast(pl.Datetime("us"))
    if field.type is FieldType.TIME:
        return (pl.Series(values, dtype=pl.Int64) * _MICROSECOND_NS).cast(pl.Time)
    if field.type is FieldType.DECIMAL:
        numbers = [None if value is None else _decimal(value, field.scale) for value in values]
        return pl.Series(numbers, dtype=pl.Decimal(field.precision, field.scale))
    return pl.Series(values, dtype=_PLAIN[field.type])


def _decimal(value: bytes, scale: int) -> Decimal:
    number = int.from_bytes(value, signed=True)
    return Decimal((number < 0, tuple(int(digit) for digit in str(abs(number))), -scale))


_PLAIN: dict[FieldType, type[pl.DataType]] = {
    FieldType.INT: pl.Int32,
    FieldType.LONG: pl.Int64,
    FieldType.FLOAT: pl.Float32,
    FieldType.DOUBLE: pl.Float64,
    FieldType.BOOLEAN: pl.Boolean,
    FieldType.STRING: pl.String,
    FieldType.BYTES: pl.Binary,
    FieldType.ENUM: pl.String,
    FieldType.FIXED: pl.Binary,
    FieldType.UUID: pl.String,
}
