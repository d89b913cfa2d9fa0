"""The record boundaries found in columns are those that a slow reader finds character by character."""

import csv
import io
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from headrace.core.vocabulary import Reason
from headrace.producers.readers import windows
from headrace.producers.readers.boundaries import frame_window
from headrace.producers.readers.fields import split_record
from headrace.producers.readers.windows import read_chunks

LINE_ENDS = "\r\n"


@dataclass
class Record:
    """What the slow reader says of one record."""

    start: int
    end: int
    reason: Reason | None = None
    fields: list[str | None] = field(default_factory=list)


def reference(text: str, limit: int, delimiter: str = ",") -> tuple[list[Record], bool]:
    """Read by the rules in boundaries' docstring, one character after another; also tell if the end is unframed."""
    records, start, unframed = [], 0, False
    while start < len(text):
        record, unframed = one_record(text, start, limit, delimiter)
        if record.end > start:
            records.append(record)
        start = record.end + (2 if text.startswith("\r\n", record.end) else 1)
    return records, unframed


def line_end(text: str, start: int) -> int:
    return next((place for place in range(start, len(text)) if text[place] in LINE_ENDS), len(text))


def broken(text: str, start: int, end: int, limit: int, reason: Reason) -> tuple[Record, bool]:
    return Record(start, end, Reason.TOO_LARGE if end - start > limit else reason), False


def one_record(text: str, start: int, limit: int, delimiter: str) -> tuple[Record, bool]:
    fields: list[str | None] = []
    value: str | None = None
    opener: int | None = None
    quoted = False
    place = start
    while True:
        at_end = place >= len(text)
        if place - start > limit or (at_end and opener is not None and len(text) - start > limit):
            beyond = start + limit + 1 if opener is None else opener
            return broken(text, start, line_end(text, beyond), limit, Reason.UNTERMINATED_QUOTE)
        if at_end and opener is not None:
            return Record(start, len(text), Reason.UNTERMINATED_QUOTE), True
        seen = "\n" if at_end else text[place]
        if opener is not None:
            if seen != '"' or place - start >= limit:
                value = (value or "") + seen
            elif text.startswith('"', place + 1):
                value = (value or "") + '"'
                place += 1
            elif place + 1 < len(text) and text[place + 1] not in LINE_ENDS + delimiter:
                return broken(text, start, line_end(text, opener), limit, Reason.STRAY_QUOTE)
            else:
                opener, quoted, value = None, True, value or ""
        elif seen in LINE_ENDS or seen == delimiter:
            fields.append(value)
            value, quoted = None, False
            if seen != delimiter:
                return Record(start, place, None, fields), False
        elif seen == '"' and value is None and not quoted:
            opener = place
        else:
            value = (value or "") + seen
        place += 1


texts = st.lists(
    st.sampled_from(["a", "bc", ",", ",", "\n", "\n", "\r\n", "\r", '"', '"', '""', '",', ',"', '"\n', '\n"', " "]),
    max_size=60,
).map("".join)
# Files of mostly sound records, so that quoting survives for more than a line.
cells = st.one_of(
    st.sampled_from(
        ["", "a", "bcd", '""', '"a"', '"a,b"', '"a\nb"', '"a""b"', '"\r\n"', '5"', ' "x"', '"x"y', '"open']
    ),
)
lines = st.lists(st.lists(cells, min_size=1, max_size=4).map(",".join), max_size=12)
files = st.tuples(lines, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans()).map(
    lambda parts: parts[1].join(parts[0]) + (parts[1] if parts[2] else "")
)


def chunked(text: str, limit: int, window: int, max_rows: int, encoding: str = "utf-8") -> tuple[list[Any], bool]:
    """Read the same through windows of a few bytes."""
    unit = 1 if encoding == "utf-8" else 2
    dtype = {"utf-8": "u1", "utf-16-le": "<u2", "utf-16-be": ">u2"}[encoding]
    content = text.encode(encoding)
    found: list[Any] = []
    unframed, next_byte = False, 0
    sizes = {"FIRST_WINDOW": window * unit, "SMALLEST_WINDOW": window * unit, "LARGEST_WINDOW": 2 * window * unit}
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(windows, name, size)
        chunks = read_chunks(
            io.BytesIO(content), 0, delimiter=ord(","), max_rows=max_rows, dtype=dtype, limit_bytes=limit * unit
        )
        for chunk in chunks:
            framed = chunk.framed
            for index in range(len(chunk)):
                start = chunk.base // unit + int(framed.starts[index])
                end = chunk.base // unit + int(framed.ends[index])
                reason = framed.broken.get(index, (None, ""))[0]
                found.append((start, end, reason, int(framed.widths[index]), index in framed.literal))
            if chunk.giant:
                found.append((chunk.giant.start // unit, chunk.giant.end // unit, Reason.TOO_LARGE, 0, False))
            assert chunk.next_byte >= next_byte
            unframed, next_byte = framed.unframed, chunk.next_byte
            assert len(chunk) <= max_rows
        assert chunk.last
    assert next_byte == len(content)
    return found, unframed


@settings(max_examples=600, deadline=None)
@given(text=st.one_of(texts, files), limit=st.integers(4, 40), window=st.integers(0, 30), max_rows=st.integers(1, 9))
@example(text='a,"b\nc,d\n', limit=4, window=0, max_rows=3)
@example(text='"a,b"\n"c"d\n', limit=30, window=0, max_rows=3)
@example(text="a\r\n" * 9, limit=4, window=1, max_rows=2)
def test_boundaries_are_those_of_the_slow_reader_whatever_the_windows(
    text: str, limit: int, window: int, max_rows: int
) -> None:
    expected, unframed = reference(text, limit)

    found, found_unframed = chunked(text, limit, limit + 3 + window, max_rows)

    assert [(start, end, reason) for start, end, reason, *_ in found] == [
        (record.start, record.end, record.reason) for record in expected
    ]
    assert found_unframed == unframed
    for (start, end, reason, width, literal), record in zip(found, expected, strict=True):
        if reason is None:
            assert width == len(record.fields)
            assert split_record(text[start:end], ",") == record.fields
            assert literal or text[start:end].count('"') % 2 == 0


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(texts, files), limit=st.integers(4, 40), encoding=st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_boundaries_in_utf_16_are_those_in_utf_8(text: str, limit: int, encoding: str) -> None:
    assert chunked(text, limit, limit + 9, 5, encoding) == chunked(text, limit, limit + 9, 5)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.lists(st.text('a,"\n \r', max_size=5), min_size=2, max_size=4), min_size=1, max_size=8),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_records_of_pythons_csv_writer_are_read_as_it_wrote_them(
    rows: list[list[str]], line_end: str, quoting: Literal[0, 1]
) -> None:
    # The writer leaves a lone carriage return bare when it does not have to quote it.
    assume(quoting == csv.QUOTE_ALL or line_end == "\r\n" or not any("\r" in value for row in rows for value in row))
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=line_end, quoting=quoting).writerows(rows)
    content = stream.getvalue()
    framed = frame_window(np.frombuffer(content.encode(), np.uint8), ord(","), at_end=True, limit=1 << 20)

    records = [split_record(content[start:end], ",") for start, end in zip(framed.starts, framed.ends, strict=True)]

    assert [[value or "" for value in record] for record in records] == rows
    assert not framed.broken


@pytest.mark.parametrize("size", [0, 1, 5, 12])
def test_json_lines_are_cut_at_line_ends_alone(size: int) -> None:
    text = '{"a":"\\""}\n' * size + " \t\n"
    framed = frame_window(np.frombuffer(text.encode(), np.uint8), None, at_end=True, limit=99)
    assert len(framed.starts) == size
    assert framed.consumed == len(text)
