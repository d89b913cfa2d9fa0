"""The codec against fastavro, over random schemas, rows and damage."""

import io
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.codec import decode, decode_leniently, encode, polars_schema
from headrace.schemas.codec_walk import find_fault
from headrace.schemas.record import COLUMNAR, FieldType, RecordField, RecordSchema
from headrace.schemas.system import HEADER

Row = dict[str, Any]
SCHEMA_ID = st.sampled_from([0, 1, 127, 128, 256, 77_777, 2**32 - 1])
TEXT = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["", "ü", "日本語", "\0", "x" * 63, "x" * 64, "é" * 4_096, "NA"]),
)


def edges(bits: int) -> st.SearchStrategy[int]:
    """Integers near every change of the encoded length, and anywhere."""
    top = 2 ** (bits - 1)
    near = sorted(
        {sign * 2**power + step for power in range(bits - 1) for step in (-1, 0, 1) for sign in (1, -1)}
        | {-top, top - 1}
    )
    return st.one_of(st.sampled_from(near), st.integers(-top, top - 1))


COLUMNAR_VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.INT: edges(32),
    FieldType.LONG: edges(64),
    FieldType.FLOAT: st.floats(width=32),
    FieldType.DOUBLE: st.floats(),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.STRING: TEXT,
    FieldType.DATE: edges(32),
    FieldType.TIMESTAMP: edges(64),
}
SYMBOLS = ("A", "B_2", "c")
SLOW_VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.BYTES: st.binary(max_size=80),
    FieldType.ENUM: st.sampled_from(SYMBOLS),
    FieldType.FIXED: st.binary(min_size=3, max_size=3),
    FieldType.DECIMAL: st.decimals(-(10**7) + 1, 10**7 - 1, places=2).map(Decimal),
    FieldType.UUID: st.uuids().map(str),
    FieldType.TIME: st.times(),
}


def field_of(kind: FieldType, at: int) -> RecordField:
    name = f"field_{at}"
    match kind:
        case FieldType.ENUM:
            return RecordField(name, kind, symbols=SYMBOLS)
        case FieldType.FIXED:
            return RecordField(name, kind, size=3)
        case FieldType.DECIMAL:
            return RecordField(name, kind, precision=9, scale=2)
        case _:
            return RecordField(name, kind)


@st.composite
def records(draw: st.DrawFn, values: dict[FieldType, st.SearchStrategy[Any]], rows: int = 12) -> tuple[Any, list[Row]]:
    kinds = draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=6))
    schema = RecordSchema("orders", tuple(field_of(kind, at) for at, kind in enumerate(kinds)))
    drawn = {field.name: st.none() | values.get(field.type, TEXT) for field in schema.data_fields}
    drawn |= {"_file": st.just("0123456789abcdef"), "_row": st.integers(0, 10**6)}
    return schema, draw(st.lists(st.fixed_dictionaries(drawn), max_size=rows))


def frame_of(schema: RecordSchema, rows: list[Row]) -> pl.DataFrame:
    """A frame of physical values: dates and timestamps are given as their integers."""
    columns = []
    for name, kind in polars_schema(schema).items():
        values = [row[name] for row in rows]
        if kind == pl.Date():
            columns.append(pl.Series(name, values, pl.Int32).cast(kind))
        elif kind == pl.Datetime("us"):
            columns.append(pl.Series(name, values, pl.Int64).cast(kind))
        else:
            columns.append(pl.Series(name, values, kind))
    return pl.DataFrame(columns)


def reference(schema: RecordSchema, *, logical: bool) -> Any:
    document = json.loads(schema.text())
    for field in document["fields"]:
        kind = field["type"][1]
        if not logical and isinstance(kind, dict) and "logicalType" in kind:
            field["type"][1] = kind["type"]
    return fastavro.parse_schema(document)


def write_one(parsed: Any, row: Row) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed, row)
    return stream.getvalue()


@settings(deadline=None)
@given(records(COLUMNAR_VALUES), SCHEMA_ID)
def test_columns_become_the_bytes_of_fastavro_and_come_back(drawn: tuple[RecordSchema, list[Row]], number: int) -> None:
    schema, rows = drawn
    assert {field.type for field in schema.fields} <= COLUMNAR
    frame = frame_of(schema, rows)
    messages = encode(frame, schema, number)
    parsed = reference(schema, logical=False)
    assert messages == [HEADER.pack(0, number) + write_one(parsed, row) for row in rows]
    back = decode(messages, schema)
    assert back.schema == polars_schema(schema)
    assert back.equals(frame)


@pytest.mark.parametrize("unscaled", [0, 127, 128, -127, -128, -129, 32_767, 32_768, -32_768, -32_769])
def test_a_decimal_has_the_bytes_of_fastavro_where_its_length_changes(unscaled: int) -> None:
    schema = RecordSchema("orders", (RecordField("price", FieldType.DECIMAL, precision=9, scale=2),))
    row: Row = {"price": Decimal(unscaled).scaleb(-2), "_file": "f", "_row": 0}
    (message,) = encode(frame_of(schema, [row]), schema, 7)
    assert message == HEADER.pack(0, 7) + write_one(reference(schema, logical=True), row)


@settings(deadline=None)
@given(records(COLUMNAR_VALUES | SLOW_VALUES, rows=6), SCHEMA_ID)
def test_other_types_become_the_bytes_of_fastavro_and_come_back(
    drawn: tuple[RecordSchema, list[Row]], number: int
) -> None:
    schema, rows = drawn
    slow = {field.name for field in schema.fields if field.type in SLOW_VALUES}
    frame = frame_of(schema, rows)
    messages = encode(frame, schema, number)
    parsed = reference(schema, logical=True)
    for row, message in zip(rows, messages, strict=True):
        value = {name: uuid.UUID(item) if _is_uuid(schema, name) and item else item for name, item in row.items()}
        assert message == HEADER.pack(0, number) + write_one(parsed, value), slow
    assert decode(messages, schema).equals(frame)


def _is_uuid(schema: RecordSchema, name: str) -> bool:
    return next(field for field in schema.fields if field.name == name).type is FieldType.UUID


def truncate(messages: list[bytes], at: int, place: int, _byte: int) -> None:
    messages[at] = messages[at][: place % max(1, len(messages[at]))]


def lengthen(messages: list[bytes], at: int, place: int, byte: int) -> None:
    messages[at] += bytes([byte]) * (1 + place % 3)


def replace_byte(messages: list[bytes], at: int, place: int, byte: int) -> None:
    message = bytearray(messages[at])
    if message:
        message[place % len(message)] = byte
    messages[at] = bytes(message)


def move_boundary(messages: list[bytes], at: int, place: int, _byte: int) -> None:
    """What one message lacks, the next has too much, in front of its body: joined bodies still parse."""
    if at + 1 < len(messages) and len(messages[at]) > HEADER.size:
        cut = HEADER.size + place % (len(messages[at]) - HEADER.size)
        rest, following = messages[at][cut:], messages[at + 1]
        messages[at] = messages[at][:cut]
        messages[at + 1] = following[: HEADER.size] + rest + following[HEADER.size :]


def empty(messages: list[bytes], at: int, _place: int, _byte: int) -> None:
    messages[at] = b""


Damage = Callable[[list[bytes], int, int, int], None]
DAMAGES: list[Damage] = [truncate, lengthen, replace_byte, move_boundary, empty]
DAMAGE = st.tuples(
    st.sampled_from(DAMAGES),
    st.integers(0, 100),
    st.integers(0, 10_000),
    st.sampled_from([0, 1, 2, 3, 4, 0x0F, 0x10, 0x7F, 0x80, 0xFE, 0xFF]),
)


def read_whole(parsed: Any, message: bytes) -> Row | None:
    """What fastavro reads if it reads the whole body and would write the same bytes again."""
    stream = io.BytesIO(message[HEADER.size :])
    try:
        row = fastavro.schemaless_reader(stream, parsed, None)
        same = not stream.read(1) and write_one(parsed, row) == message[HEADER.size :]  # type: ignore[arg-type]
    except Exception:  # fastavro has no closed set of errors for damaged bytes
        return None
    return row if same else None  # type: ignore[return-value]


@settings(deadline=None)
@given(records(COLUMNAR_VALUES), st.lists(DAMAGE, min_size=1, max_size=3))
def test_a_message_is_good_only_if_its_own_bytes_are_one_record(
    drawn: tuple[RecordSchema, list[Row]], damages: list[tuple[Damage, int, int, int]]
) -> None:
    schema, rows = drawn
    messages = encode(frame_of(schema, rows), schema, 5)
    for damage, at, place, byte in damages if messages else []:
        damage(messages, at % len(messages), place, byte)
    frame, good, bad = decode_leniently(messages, schema)
    assert good == [at for at, message in enumerate(messages) if find_fault(message, schema) is None]
    assert [(error.index, error.reason, error.detail) for error in bad] == [
        (at, *fault) for at, message in enumerate(messages) if (fault := find_fault(message, schema))
    ]
    assert sorted(good + [error.index for error in bad]) == list(range(len(messages)))
    parsed = reference(schema, logical=False)
    whole = {at: row for at, message in enumerate(messages) if (row := read_whole(parsed, message)) is not None}
    assert {at for at in whole if messages[at][0] == 0} <= set(good)
    same = [place for place, at in enumerate(good) if at in whole]
    assert frame[same].equals(frame_of(schema, [whole[good[place]] for place in same]))


@settings(deadline=None)
@given(records(COLUMNAR_VALUES | SLOW_VALUES, rows=4), st.lists(DAMAGE, min_size=1, max_size=3))
def test_damage_never_raises_for_any_type(
    drawn: tuple[RecordSchema, list[Row]], damages: list[tuple[Damage, int, int, int]]
) -> None:
    schema, rows = drawn
    messages = encode(frame_of(schema, rows), schema, 5)
    for damage, at, place, byte in damages if messages else []:
        damage(messages, at % len(messages), place, byte)
    frame, good, bad = decode_leniently(messages, schema)
    assert len(frame) == len(good)
    assert sorted(good + [error.index for error in bad]) == list(range(len(messages)))
