"""Files in memory through readers, and the promises of the reader seam as one check that every reader must pass."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.producers.readers.base import HEAD_BYTES, Layout, Part, Reader, ReadFrame, ReadOptions, UnreadableRow
from headrace.producers.readers.registry import reader_for
from headrace.schemas.infer import match_columns
from headrace.schemas.record import FieldType, RecordField, RecordSchema


@dataclass(frozen=True)
class ReadFile:
    """A whole file as its reader gave it."""

    layout: Layout
    frames: tuple[ReadFrame, ...]

    @property
    def table(self) -> pl.DataFrame:
        """Return the good rows of all frames."""
        return pl.concat([frame.frame for frame in self.frames])

    @property
    def unreadable(self) -> tuple[UnreadableRow, ...]:
        """Return the other rows of all frames."""
        return tuple(row for frame in self.frames for row in frame.unreadable)

    @property
    def rows(self) -> list[tuple[object, ...]]:
        """Return the good rows' values, without `_row`."""
        return self.table.drop("_row").rows()

    @property
    def reasons(self) -> list[tuple[int, Reason]]:
        """Return row and first reason of the unreadable rows."""
        return [(row.row, row.reason) for row in self.unreadable]


def read_bytes(
    content: bytes,
    fields: Mapping[str, FieldType] | Sequence[RecordField] | None = None,
    *,
    name: str = "file.csv",
    options: ReadOptions | None = None,
    max_rows: int = 50_000,
) -> ReadFile:
    r"""Return a file with this content, read whole; without `fields` every column is text. Raises FileRefused.

    >>> read_bytes(b"a,b\n1,x\n", {"a": FieldType.LONG, "b": FieldType.STRING}).rows
    [(1, 'x')]
    """
    stream = io.BytesIO(content)
    reader = reader_for(name, content[:HEAD_BYTES])
    layout = reader.open(stream, options)
    schema = schema_of(layout, fields)
    columns = match_columns(layout.columns, schema.data_fields)
    return ReadFile(layout, tuple(reader.frames(stream, layout, schema, columns, Part(max_rows=max_rows))))


def schema_of(layout: Layout, fields: Mapping[str, FieldType] | Sequence[RecordField] | None = None) -> RecordSchema:
    """Return a record schema of these fields, or of text fields named by position."""
    if fields is None:
        named = tuple(
            RecordField(f"c{place}", FieldType.STRING, original) for place, original in enumerate(layout.columns)
        )
    elif isinstance(fields, Mapping):
        named = tuple(RecordField(name, kind) for name, kind in fields.items())
    else:
        named = tuple(fields)
    return RecordSchema("tested", named)


def check_reader(reader: Reader, content: bytes, fields: Mapping[str, FieldType] | None = None) -> ReadFile:
    """Hold a reader to the promises of the seam on one file, and return what it read; raises AssertionError.

    Every row is there once; byte ranges are the file's own bytes, in order and apart; frames of 1 and 3 rows and a
    read that goes on at any frame's end give the same as one read of the whole.
    """
    stream = io.BytesIO(content)
    layout = reader.open(stream)
    schema = schema_of(layout, fields)
    columns = match_columns(layout.columns, schema.data_fields)

    def read(row: int = 0, byte: int = 0, max_rows: int = 50_000) -> ReadFile:
        frames = reader.frames(stream, layout, schema, columns, Part(row, byte, max_rows))
        return ReadFile(layout, tuple(frames))

    whole = read()
    _check_rows(whole, content)
    for max_rows in (1, 3):
        parts = read(max_rows=max_rows)
        _check_rows(parts, content)
        _check_same(whole, parts.table, parts.unreadable)
        for place, frame in enumerate(parts.frames[:20]):
            _hold(len(frame.frame) + len(frame.unreadable) <= max_rows, "a frame has at most so many rows")
            rest = read(frame.next_row, frame.next_byte)
            before = ReadFile(layout, parts.frames[: place + 1])
            _check_same(whole, pl.concat([before.table, rest.table]), before.unreadable + rest.unreadable)
    return whole


def _check_rows(read: ReadFile, content: bytes) -> None:
    lasts = [frame.last for frame in read.frames]
    _hold(lasts == [False] * (len(lasts) - 1) + [True], "the final frame alone is the last")
    _hold(read.frames[-1].next_byte == len(content), "the file is read to its end")
    expected = 0
    for frame in read.frames:
        rows = sorted([*frame.frame["_row"].to_list(), *(row.row for row in frame.unreadable)])
        _hold(rows == list(range(expected, frame.next_row)), "every row is there once")
        _hold(frame.partial is None or frame.last, "only the last frame is partial")
        expected = frame.next_row
    end = read.layout.data_start
    for row in read.unreadable:
        _hold(end <= row.byte_start < row.byte_end <= len(content), "unreadable rows lie apart and in order")
        _hold(row.length == row.byte_end - row.byte_start, "the length is that of the byte range")
        _hold(content[row.byte_start : row.byte_end].startswith(row.raw), "the raw bytes are the file's")
        end = row.byte_end


def _check_same(whole: ReadFile, table: pl.DataFrame, unreadable: tuple[UnreadableRow, ...]) -> None:
    _hold(table.equals(whole.table), "the rows do not depend on the frames")
    _hold(unreadable == whole.unreadable, "the unreadable rows do not depend on the frames")


def _hold(condition: bool, promise: str) -> None:
    if not condition:
        raise AssertionError(f"broken promise of the reader seam: {promise}")
