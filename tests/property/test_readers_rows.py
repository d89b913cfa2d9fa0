"""A row's fate is its own: it does not depend on its neighbours, the frame it is in, or where a read began."""

import io
import json
from datetime import date, datetime, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.producers.readers.csv import CsvReader
from headrace.producers.readers.ndjson import NdjsonReader
from headrace.schemas.record import FieldType
from headrace.testing.reading import check_reader, read_bytes

FIELDS = {
    "whole": FieldType.LONG,
    "small": FieldType.INT,
    "fraction": FieldType.DOUBLE,
    "single": FieldType.FLOAT,
    "truth": FieldType.BOOLEAN,
    "day": FieldType.DATE,
    "moment": FieldType.TIMESTAMP,
    "text": FieldType.STRING,
}
NUMBERS = [
    "1",
    " 1",
    "1 ",
    "+1",
    "-0",
    "007",
    "1.0",
    "1e3",
    ".5",
    "1.",
    "nan",
    "-inf",
    "1e999",
    "1_0",
    "0x1",
    "--1",
    "٣",
]
WIDE = ["2147483648", "9223372036854775807", "9223372036854775808", "1" * 40, "0.1", "1e-400", "16777217"]
OTHERS = [
    "true",
    "TRUE",
    "tRue",
    " false",
    "yes",
    "",
    " ",
    '""',
    '"1"',
    '" 2 "',
    '"a,b"',
    '"a\nb"',
    'a"b',
    "\ufeffx",
    "é",
]
DAYS = ["2024-02-29", "2023-02-29", "2024-1-1", "0000-01-01", "12024-01-01", "9999-12-31", "+2024-1-01"]
MOMENTS = [
    "2024-01-01T10:00:00Z",
    "2024-01-01 10:00:00.123456+02:00",
    "2024-01-01T10:00:60Z",
    "2024-01-01T10:00:00",
    "2024-01-01T10:00Z",
    "2024-01-01T24:00:00Z",
    "0001-01-01T00:00:00+23:59",
]
values = st.sampled_from(NUMBERS + WIDE + OTHERS + DAYS + MOMENTS)
rows = st.lists(values, min_size=8, max_size=8).map(",".join)
odd_rows = st.sampled_from([b"1,2", b"\xff,,,,,,,", b"\x00,,,,,,,", b'"a"b,1', b"", b"1,2,3,4,5,6,7,8,9", b'"open'])
HEADER = ",".join(FIELDS).encode() + b"\n"


@settings(max_examples=80, deadline=None)
@given(lines=st.lists(st.one_of(rows.map(str.encode), odd_rows), max_size=8), end=st.sampled_from([b"\n", b"\r\n"]))
def test_csv_rows_are_read_alike_in_frames_of_any_size(lines: list[bytes], end: bytes) -> None:
    content = HEADER + end.join(lines)
    check_reader(CsvReader(), content, FIELDS)


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=4),
        st.sampled_from(DAYS + MOMENTS + NUMBERS),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=4,
)
objects = st.dictionaries(st.sampled_from([*FIELDS, "odd"]), json_values, max_size=8)
full_objects = st.tuples(*[json_values] * len(FIELDS)).map(lambda found: dict(zip(FIELDS, found, strict=True)))
plain_objects = st.fixed_dictionaries(
    {
        "whole": st.integers(-(2**63), 2**63 - 1),
        "small": st.one_of(st.none(), st.integers(-(2**31), 2**31)),
        "fraction": st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False)),
        "single": st.floats(width=32, allow_nan=False, allow_infinity=False),
        "truth": st.booleans(),
        "day": st.dates().map(str),
        "moment": st.sampled_from(MOMENTS),
        "text": st.text(max_size=5),
    }
)
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")])
bad_lines = st.sampled_from(
    [
        b'{"whole":1,"whole":2}',
        b"[1]",
        b'{"a":NaN}',
        b"{",
        b'{"text":"\xff"}',
        b" ",
        b'{"text":"\\ud800"}',
        b'{"single":1e999}',
    ]
)


def lines_of(found: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda value, separator, ascii_only: json.dumps(value, separators=separator, ensure_ascii=ascii_only).encode(),
        found,
        separators,
        st.booleans(),
    )


@settings(max_examples=80, deadline=None)
@given(
    lines=st.lists(st.one_of(lines_of(objects), lines_of(full_objects), bad_lines), max_size=8),
    plain=st.lists(lines_of(plain_objects), max_size=4),
)
def test_json_rows_are_read_alike_in_frames_of_any_size(lines: list[bytes], plain: list[bytes]) -> None:
    first = json.dumps(dict.fromkeys([*FIELDS, "odd"])).encode()
    check_reader(NdjsonReader(), b"\n".join([first, *plain, *lines]), FIELDS)


ODD_VALUES = [
    "1.5",
    "-0",
    '"1"',
    '"-0"',
    "true",
    "null",
    "1e999",
    '"\\ud800"',
    '" :"',
    '":"',
    '{"text":1}',
    "[1]",
    "NaN",
    "01",
    '"a',
]
SLOW = "headrace.producers.readers.ndjson.parse_quickly"


@settings(max_examples=300, deadline=None)
@given(
    found=st.lists(plain_objects, min_size=1, max_size=4),
    odd=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([*FIELDS]), st.sampled_from(ODD_VALUES)), max_size=2),
    style=st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : "), (",", " :")]),
    twice=st.booleans(),
)
def test_lines_that_are_alike_are_read_as_they_would_be_one_by_one(
    found: list[dict[str, Any]], odd: list[tuple[int, str, str]], style: tuple[str, str], twice: bool
) -> None:
    texts = [{name: json.dumps(value[name], ensure_ascii=False) for name in FIELDS} for value in found]
    for row, name, value in odd:
        texts[row % len(texts)][name] = value
    pairs = [[f'"{name}"{style[1]}{value}' for name, value in text.items()] for text in texts]
    if twice and odd:
        pairs[-1][-1] = pairs[-1][0]
    lines = ["{" + style[0].join(line) + "}" for line in pairs]
    content = "\n".join([json.dumps(dict.fromkeys(FIELDS)), *lines]).encode()

    read = read_bytes(content, FIELDS, name="file.ndjson")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SLOW, lambda *_: None)
        slow = read_bytes(content, FIELDS, name="file.ndjson")
    assert read.table.equals(slow.table)
    assert read.unreadable == slow.unreadable


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_lines_that_are_alike_go_the_quick_way(separators: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    value = {
        "whole": 1,
        "small": -2,
        "fraction": 0.5,
        "single": 3,
        "truth": True,
        "day": None,
        "moment": None,
        "text": "é",
    }
    content = b"\n".join(json.dumps(value, separators=separators, ensure_ascii=False).encode() for _ in range(3))
    monkeypatch.setattr("headrace.producers.readers.ndjson.parse_lines", None)
    assert len(read_bytes(content, FIELDS, name="file.ndjson").rows) == 3


moments = st.datetimes(timezones=st.just(timezone.utc))  # noqa: UP017


@settings(max_examples=100, deadline=None)
@given(
    whole=st.integers(-(2**63), 2**63 - 1),
    small=st.integers(-(2**31), 2**31 - 1),
    fraction=st.floats(),
    single=st.floats(width=32),
    truth=st.booleans(),
    day=st.dates(),
    moment=moments,
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_csv_values_come_back_as_they_were_written(
    whole: int, small: int, fraction: float, single: float, truth: bool, day: date, moment: datetime, text: str
) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    line = f"{whole},{small},{fraction!r},{single!r},{str(truth).lower()},{day},{moment.isoformat()},{quoted}\n"

    read = read_bytes(HEADER + line.encode(), FIELDS)

    assert not read.unreadable
    expected = pl.DataFrame(
        [(whole, small, fraction, single, truth, day, moment.replace(tzinfo=None), text)],
        schema=read.table.drop("_row").schema,
        orient="row",
    )
    assert read.table.drop("_row").equals(expected)


@settings(max_examples=50, deadline=None)
@given(found=st.lists(plain_objects, min_size=1, max_size=5))
def test_json_values_come_back_as_they_were_written(found: list[dict[str, Any]]) -> None:
    content = b"\n".join(json.dumps(value).encode() for value in found)
    reader = NdjsonReader()
    stream = io.BytesIO(content)
    sample = reader.sample(stream, reader.open(stream))

    places = {name: place for place, name in enumerate(sample.columns)}
    assert places.keys() == FIELDS.keys()
    assert sample.frame[f"c{places['text']}"].to_list() == [value["text"] for value in found]
    assert sample.frame[f"c{places['whole']}"].to_list() == [str(value["whole"]) for value in found]
    assert sample.quoted == {places[name] for name in ("day", "moment", "text")}
