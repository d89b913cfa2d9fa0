"""Where a row is in its file: found by reading the file once more with the reader that read it first."""

import re
from dataclasses import dataclass
from typing import BinaryIO

from headrace.producers.readers.base import FRAME_ROWS, HEAD_BYTES, Layout, Part, ReadFrame, ReadOptions
from headrace.producers.readers.registry import reader_for
from headrace.schemas.infer import match_columns
from headrace.schemas.record import RecordSchema

_CHUNK = 1 << 20
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LINE_ENDS = b"\r\n"


@dataclass(frozen=True)
class RowSpot:
    """The bytes of a row, its line end not counted, and the lines they are on, which count from 1 as editors do.

    Lines are 0 where the file's encoding has line ends of more than one byte.
    """

    byte_start: int
    byte_end: int
    first_line: int
    last_line: int

    def __str__(self) -> str:
        """Return it as `line 3, bytes 8-11`; the second byte number is the one after the row."""
        place = f"bytes {self.byte_start}-{self.byte_end}"
        if not self.first_line:
            return place
        several = self.first_line < self.last_line
        return (f"lines {self.first_line}-{self.last_line}, " if several else f"line {self.first_line}, ") + place


def find_row(stream: BinaryIO, name: str, schema: RecordSchema, options: ReadOptions, row: int) -> RowSpot | None:
    """Return where a row is in a file, None if the file has no such row.

    Takes as long as reading the file up to there; memory stays bounded. Raises what the readers raise: FileRefused if
    this is no file that could be read, OSError.
    """
    stream.seek(0)
    reader = reader_for(name, stream.read(HEAD_BYTES))
    layout = reader.open(stream, options)
    columns = match_columns(layout.columns, schema.data_fields)

    def frame_of(part: Part) -> ReadFrame:
        return next(iter(reader.frames(stream, layout, schema, columns, part)))

    at_row, at_byte = 0, 0
    while at_row < row:
        frame = frame_of(Part(at_row, at_byte, min(row - at_row, FRAME_ROWS)))
        if frame.last:
            return None
        at_row, at_byte = frame.next_row, frame.next_byte
    frame = frame_of(Part(at_row, at_byte, 1))
    if frame.next_row == row:
        return None
    if frame.unreadable:
        start, end = frame.unreadable[0].byte_start, frame.unreadable[0].byte_end
    else:
        start, end = at_byte or layout.data_start, frame.next_byte
    return _spot(stream, layout, start, end)


def _spot(stream: BinaryIO, layout: Layout, start: int, end: int) -> RowSpot:
    """Return the spot without the blank lines before the row and the line end after it."""
    if not layout.encoding.lower().startswith(("utf-8", "utf8")):
        return RowSpot(start, end, 0, 0)
    stream.seek(start)
    content = stream.read(end - start)
    start += len(content) - len(content.lstrip(_LINE_ENDS))
    content = content.strip(_LINE_ENDS)
    first = _line_ends_before(stream, start) + 1
    return RowSpot(start, start + len(content), first, first + len(_LINE_END.findall(content)))


def _line_ends_before(stream: BinaryIO, end: int) -> int:
    stream.seek(0)
    count, before = 0, b""
    while (left := end - stream.tell()) > 0 and (chunk := stream.read(min(_CHUNK, left))):
        # A pair that two chunks share is one line end.
        count += len(_LINE_END.findall(chunk)) - (before == b"\r" and chunk[:1] == b"\n")
        before = chunk[-1:]
    return count
