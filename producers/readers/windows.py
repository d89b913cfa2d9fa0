"""A file as a run of chunks of records, read window by window in bounded memory."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from headrace.core.vocabulary import Reason
from headrace.producers.readers.base import FRAME_BYTES, RAW_BYTES, RECORD_BYTES, Problem, UnreadableRow
from headrace.producers.readers.boundaries import (
    CARRIAGE_RETURN,
    LINE_FEED,
    QUOTE,
    Framed,
    Units,
    frame_window,
    too_large,
)

FIRST_WINDOW = 4 << 20
# A window must hold more than one longest record. Eight MiB keep the arrays that describe it under 200 MB, whatever the
# bytes are.
SMALLEST_WINDOW, LARGEST_WINDOW = 2 * RECORD_BYTES, FRAME_BYTES
# Line ends and quotes are held as positions, eight bytes each, several times over.
DENSE = 3_000_000
SCAN_BYTES = 1 << 20


@dataclass(frozen=True)
class Giant:
    """A record that is longer than a window may hold; only its size, digest and first bytes were kept."""

    start: int
    end: int
    after: int
    raw: bytes
    sha256: str

    def unreadable(self, row: int) -> UnreadableRow:
        """Return it as the file's row `row`."""
        size = self.end - self.start
        return UnreadableRow(
            row, self.start, self.end, self.raw, size, self.sha256, Reason.TOO_LARGE, "", too_large(size)
        )


@dataclass(frozen=True)
class Chunk:
    """Records of one window: `units[starts[i]:ends[i]]`, where unit 0 stands at byte `base` of the file.

    `next_byte` is where the record after them begins. Either there are records, or one giant, or neither at the end.
    """

    units: Units
    base: int
    framed: Framed
    next_byte: int
    last: bool
    giant: Giant | None = None

    def __len__(self) -> int:
        return len(self.framed.starts)

    def source(self, index: int) -> bytes:
        """Return a record's bytes without its line end."""
        return self.units[self.framed.starts[index] : self.framed.ends[index]].tobytes()

    def unreadable(self, index: int, row: int, problems: tuple[Problem, ...]) -> UnreadableRow:
        """Return a record as the file's row `row` that cannot be read."""
        start = self.base + int(self.framed.starts[index]) * self.units.itemsize
        return UnreadableRow.of(row, start, self.source(index), problems)


def read_chunks(
    stream: BinaryIO,
    start_byte: int,
    *,
    delimiter: int | None,
    max_rows: int,
    dtype: str = "u1",
    limit_bytes: int = RECORD_BYTES,
    most_bytes: int = 0,
) -> Iterator[Chunk]:
    """Give the file's records from a record boundary on, at most `max_rows` at a time; the last chunk has `last`.

    Blocks on the disk only. Memory is a window of at most `most_bytes` (0: 8 MiB) and the arrays that describe it.
    """
    size = stream.seek(0, os.SEEK_END)
    unit = np.dtype(dtype).itemsize
    limit = limit_bytes // unit
    position, window_bytes = start_byte, FIRST_WINDOW
    while True:
        stream.seek(position)
        data = stream.read(window_bytes)
        at_end = len(data) < window_bytes or position + len(data) >= size
        units: Units = np.frombuffer(data, dtype, count=len(data) // unit)
        if len(units) > SMALLEST_WINDOW // unit and _dense(units):
            units, at_end = units[: SMALLEST_WINDOW // unit], False
        framed = frame_window(units, delimiter, at_end=at_end, limit=limit)
        yield from (chunks := _Cut(units, position, framed, at_end, max_rows)).chunks()
        if at_end:
            return
        consumed = chunks.consumed * unit
        position += consumed
        if framed.open_ended:
            giant = _giant(stream, position, np.dtype(dtype), limit_bytes)
            position = giant.after
            yield Chunk(units, position, _slice(framed, 0, 0), position, position >= size, giant)
            if position >= size:
                return
        rows = max(1, chunks.rows)
        window_bytes = min(max(consumed * max_rows // rows * 17 // 16, SMALLEST_WINDOW), most_bytes or LARGEST_WINDOW)


def _dense(units: Units) -> bool:
    marks = (LINE_FEED, CARRIAGE_RETURN, QUOTE)
    return sum(int(np.count_nonzero(units == mark)) for mark in marks) > DENSE


class _Cut:
    """The records of a window in runs of at most `max_rows`.

    A short rest is left to the next window, unless there is no other way to get on, so that frames stay full.
    """

    def __init__(self, units: Units, base: int, framed: Framed, at_end: bool, max_rows: int) -> None:
        self.units, self.base, self.framed, self.at_end, self.max_rows = units, base, framed, at_end, max_rows
        total = len(framed.starts)
        rest = total % max_rows
        take_all = at_end or framed.open_ended or total < max_rows or not rest
        self.rows = total if take_all else total - rest
        self.consumed = framed.consumed if take_all else int(framed.starts[self.rows])

    def chunks(self) -> Iterator[Chunk]:
        """Give the runs; at the end of the file at least one."""
        unit = self.units.itemsize
        stops = range(0, self.rows, self.max_rows) if self.rows else range(1 if self.at_end else 0)
        for start in stops:
            stop = min(start + self.max_rows, self.rows)
            final = stop == self.rows
            after = self.consumed if final else int(self.framed.starts[stop])
            part = _slice(self.framed, start, stop)
            yield Chunk(self.units, self.base, part, self.base + after * unit, final and self.at_end)


def _slice(framed: Framed, start: int, stop: int) -> Framed:
    return Framed(
        framed.starts[start:stop],
        framed.ends[start:stop],
        framed.after[start:stop],
        framed.widths[start:stop],
        framed.consumed,
        {index - start: what for index, what in framed.broken.items() if start <= index < stop},
        frozenset(index - start for index in framed.literal if start <= index < stop),
        framed.open_ended,
        framed.unframed and stop == len(framed.starts),
    )


def _giant(stream: BinaryIO, start: int, dtype: np.dtype[Any], limit_bytes: int) -> Giant:
    """Scan a record over the limit to the first line end after the limit, one MiB at a time."""
    unit = dtype.itemsize
    stream.seek(start)
    head = stream.read(limit_bytes + unit)
    digest = hashlib.sha256(head)
    end = start + len(head)
    while block := stream.read(SCAN_BYTES):
        units = np.frombuffer(block, dtype, count=len(block) // unit)
        ends = np.flatnonzero((units == LINE_FEED) | (units == CARRIAGE_RETURN))
        length = int(ends[0]) * unit if len(ends) else len(block)
        digest.update(block[:length])
        end += length
        if len(ends):
            break
    stream.seek(end)
    behind = np.frombuffer(stream.read(2 * unit), dtype).tolist()
    line_end = 2 if behind == [CARRIAGE_RETURN, LINE_FEED] else min(len(behind), 1)
    return Giant(start, end, end + line_end * unit, head[:RAW_BYTES], digest.hexdigest())
