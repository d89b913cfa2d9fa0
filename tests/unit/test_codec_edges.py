import logging

import polars as pl
import pytest

from headrace.core.vocabulary import Reason
from headrace.schemas.codec import Undecodable, decode, decode_leniently, encode, split_by_schema
from headrace.schemas.record import FieldType, RecordField, RecordSchema

SCHEMA = RecordSchema("orders", (RecordField("item", FieldType.STRING), RecordField("price", FieldType.DOUBLE)))


def frame(*items: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"item": items, "price": [1.5] * len(items), "_file": ["f" * 16] * len(items), "_row": range(len(items))},
        schema={"item": pl.String, "price": pl.Float64, "_file": pl.String, "_row": pl.Int64},
    )


def test_encode_gives_nothing_for_an_empty_frame() -> None:
    assert encode(frame(), SCHEMA, 1) == []


def test_decode_gives_an_empty_frame_for_no_messages() -> None:
    assert decode([], SCHEMA).equals(frame())


def test_encode_takes_a_frame_of_several_chunks() -> None:
    chunked = pl.concat([frame("a"), frame("b", None)], rechunk=False)
    assert decode(encode(chunked, SCHEMA, 1), SCHEMA).equals(chunked)


def test_encode_takes_a_column_that_is_all_null() -> None:
    assert decode(encode(frame(None, None), SCHEMA, 1), SCHEMA).equals(frame(None, None))


def test_encode_refuses_a_frame_with_other_columns() -> None:
    with pytest.raises(TypeError, match='dataset "orders"'):
        encode(frame("a").with_columns(price=pl.lit(1)), SCHEMA, 1)


def test_encode_refuses_columns_in_another_order() -> None:
    with pytest.raises(TypeError, match="order"):
        encode(frame("a").select("price", "item", "_file", "_row"), SCHEMA, 1)


def test_decode_raises_for_the_first_bad_message() -> None:
    good = encode(frame("a", "b", "c"), SCHEMA, 1)
    with pytest.raises(Undecodable, match="message 1: truncated") as caught:
        decode([good[0], good[1][:-1], good[2][:-1]], SCHEMA)
    assert caught.value.index == 1


def test_a_truncated_message_before_an_overlong_one_is_seen() -> None:
    first, second = encode(frame("a", "b"), SCHEMA, 1)
    moved = [first[:-2], second[:5] + first[-2:] + second[5:]]
    assert b"".join(message[5:] for message in moved) == b"".join(message[5:] for message in (first, second))
    _frame, good, bad = decode_leniently(moved, SCHEMA)
    assert good == []
    assert [error.reason for error in bad] == [Reason.TRUNCATED, Reason.MALFORMED]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", Reason.WRONG_MAGIC),
        (b'{"item": 1}', Reason.WRONG_MAGIC),
        (b"\0\0\0", Reason.TRUNCATED),
        (b"\0\0\0\0\1", Reason.TRUNCATED),
        (b"\0\0\0\0\1\2\4\xff\xfe\0\0\2\2", Reason.BAD_ENCODING),
        (b"\0\0\0\0\1\2\4\xff\xfe\0\0\0", Reason.BAD_ENCODING),
        (b"\0\0\0\0\1\2\3ab\0\0\0", Reason.MALFORMED),
        (b"\0\0\0\0\1\2\xfe\xff\xff\xff\x0fab\0\0\0", Reason.TRUNCATED),
        (b"\0\0\0\0\1\2\xfe\xff\xff\xff\xff\xff\xff\xff\x7fab\0\0\0", Reason.MALFORMED),
        (b"\0\0\0\0\1\4\2a\0\0\0", Reason.MALFORMED),
        (b"\0\0\0\0\1\0\0\0\0\0", Reason.OVERLONG),
    ],
)
def test_each_kind_of_damage_has_its_reason(message: bytes, reason: Reason) -> None:
    good = encode(frame("a", "b"), SCHEMA, 1)
    found, indexes, bad = decode_leniently([good[0], message, good[1]], SCHEMA)
    assert indexes == [0, 2]
    assert [(error.index, error.reason) for error in bad] == [(1, reason)]
    assert found.equals(frame("a", "b"))


def test_runs_of_one_schema_are_found_between_foreign_messages() -> None:
    one, two = b"\0\0\0\0\1x", b"\0\0\0\0\2y"
    assert split_by_schema([]) == []
    assert split_by_schema([one, one]) == [(1, 0, 2)]
    assert split_by_schema([b"", b"{}", one, two, two, b"\0\0", one]) == [
        (None, 0, 2),
        (1, 2, 3),
        (2, 3, 5),
        (None, 5, 6),
        (1, 6, 7),
    ]


def test_rows_of_other_types_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    schema = RecordSchema("keys", (RecordField("id", FieldType.UUID),))
    rows = pl.DataFrame({"id": ["x"], "_file": ["f"], "_row": [0]})
    with caplog.at_level(logging.DEBUG, logger="headrace"):
        assert decode(encode(rows, schema, 3), schema).equals(rows)
    counted = [record.__dict__["headrace"] for record in caplog.records if record.message == "rows coded one by one"]
    assert [(event["direction"], event["rows"]) for event in counted] == [("encode", 1), ("decode", 1)]
