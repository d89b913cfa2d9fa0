"""Delimited text: CSV with any of four delimiters, TSV, UTF-8 or UTF-16.

The rows are found by `boundaries`, so polars sees only rows of the right width, in one buffer for a frame.
"""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
import polars as pl

from headrace.producers.readers.base import FRAME_ROWS, SAMPLE_BYTES, Layout, ReadFrame, ReadOptions
from headrace.producers.readers.csv_header import read_layout
from headrace.producers.readers.csv_rows import ENCODINGS, sound_rows, source_text
from headrace.producers.readers.csv_table import Columns, parse_table, text_table
from headrace.producers.readers.windows import Chunk, read_chunks
from headrace.schemas.infer import Sample
from headrace.schemas.record import RecordSchema

# A frame is at most so many values, so that 2,000 columns do not make it 40 times as large as 50.
CELLS = 4_000_000
SAMPLE_CELLS = 10_000_000


class CsvReader:
    """Reads delimited text with a header line."""

    format = "csv"
    suffixes = (".csv", ".tsv", ".tab", ".txt", ".psv")

    def claims(self, head: bytes) -> bool:
        """Return False: nothing in a text proves that it is CSV."""
        del head
        return False

    def open(self, stream: BinaryIO, options: ReadOptions | None = None) -> Layout:
        """Return the layout from the header line; raises FileRefused if there is none."""
        return read_layout(stream, options or ReadOptions())

    def sample(self, stream: BinaryIO, layout: Layout, limit_bytes: int = SAMPLE_BYTES) -> Sample:
        """Return the rows in the first `limit_bytes` (at most 10 million values) as text."""
        width = len(layout.columns)
        tables, values = [], 0
        for chunk in _chunks(stream, layout, layout.data_start, FRAME_ROWS):
            good = np.ones(len(chunk), np.bool_)
            good[list(sound_rows(chunk, width, layout.encoding))] = False
            tables.append(text_table(source_text(chunk, good, layout), int(good.sum()), layout))
            values += width * len(tables[-1])
            if values >= SAMPLE_CELLS or chunk.next_byte - layout.data_start >= limit_bytes:
                break
        return Sample(layout.columns, pl.concat(tables, rechunk=False))

    def frames(
        self,
        stream: BinaryIO,
        layout: Layout,
        schema: RecordSchema,
        columns: Mapping[str, int],
        *,
        start_row: int = 0,
        start_byte: int = 0,
        max_rows: int = FRAME_ROWS,
    ) -> Iterator[ReadFrame]:
        """Give the rows from `start_row` on (see Reader)."""
        wanted = Columns.of(layout, schema, columns)
        row = start_row
        for chunk in _chunks(stream, layout, max(start_byte, layout.data_start), max_rows):
            frame = _frame(chunk, layout, wanted, row)
            row = frame.next_row
            yield frame


def _chunks(stream: BinaryIO, layout: Layout, start: int, max_rows: int) -> Iterator[Chunk]:
    rows = max(1, min(max_rows, CELLS // max(1, len(layout.columns))))
    delimiter = ord(layout.options.delimiter)
    return read_chunks(stream, start, delimiter=delimiter, max_rows=rows, dtype=ENCODINGS[layout.encoding])


def _frame(chunk: Chunk, layout: Layout, wanted: Columns, row: int) -> ReadFrame:
    problems = sound_rows(chunk, len(layout.columns), layout.encoding)
    good = np.ones(len(chunk), np.bool_)
    good[list(problems)] = False
    indexes = np.flatnonzero(good)
    table, misfits = parse_table(source_text(chunk, good, layout), len(indexes), layout, wanted)
    if misfits:
        problems |= {int(indexes[place]): found for place, found in misfits.items()}
        fits = np.ones(len(indexes), np.bool_)
        fits[list(misfits)] = False
        table, indexes = table.filter(pl.Series(fits)), indexes[fits]
    unreadable = [chunk.unreadable(index, row + index, problems[index]) for index in sorted(problems)]
    if chunk.giant is not None:
        unreadable.append(chunk.giant.unreadable(row))
    last = unreadable[-1] if chunk.framed.unframed else None
    return ReadFrame(
        frame=table.with_columns(pl.Series("_row", indexes + row, pl.Int64)),
        unreadable=tuple(unreadable),
        next_row=row + len(chunk) + (chunk.giant is not None),
        next_byte=chunk.next_byte,
        last=chunk.last,
        partial=last.reason if last else None,
        detail=last.detail if last else "",
    )
