"""Delimited text: CSV with any of four delimiters, TSV, UTF-8 or UTF-16.

The rows are found by `boundaries`, so polars sees only rows of the right width, in one buffer for a frame.
"""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

import polars as pl

from headrace.producers.readers.assemble import assemble, good_rows
from headrace.producers.readers.base import FRAME_ROWS, SAMPLE_BYTES, WHOLE, Layout, Part, ReadFrame, ReadOptions
from headrace.producers.readers.columns import Columns
from headrace.producers.readers.csv_header import read_layout
from headrace.producers.readers.csv_rows import ENCODINGS, source_text, unsound_rows
from headrace.producers.readers.csv_table import parse_table, text_table
from headrace.producers.readers.windows import Chunk, read_chunks
from headrace.schemas.infer import Sample
from headrace.schemas.record import RecordSchema

# A frame is at most so many values, so that 2,000 columns do not make it 40 times as large as 50.
CELLS = 4_000_000
SAMPLE_CELLS = 10_000_000


class CsvReader:
    """Reads delimited text with a header line."""

    format: str = "csv"
    suffixes: tuple[str, ...] = (".csv", ".tsv", ".tab", ".txt", ".psv")

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
            good = good_rows(chunk, unsound_rows(chunk, width, layout.encoding))
            tables.append(text_table(source_text(chunk, good, layout), int(good.sum()), layout))
            values += width * len(tables[-1])
            if values >= SAMPLE_CELLS or chunk.next_byte - layout.data_start >= limit_bytes:
                break
        return Sample(layout.columns, pl.concat(tables, rechunk=False))

    def frames(
        self, stream: BinaryIO, layout: Layout, schema: RecordSchema, columns: Mapping[str, int], part: Part = WHOLE
    ) -> Iterator[ReadFrame]:
        """Give the rows of a part (see Reader)."""
        wanted = Columns.of(layout, schema, columns)
        row = part.start_row
        for chunk in _chunks(stream, layout, max(part.start_byte, layout.data_start), part.max_rows):
            frame = _frame(chunk, layout, wanted, row)
            row = frame.next_row
            yield frame


def _chunks(stream: BinaryIO, layout: Layout, start: int, max_rows: int) -> Iterator[Chunk]:
    rows = max(1, min(max_rows, CELLS // max(1, len(layout.columns))))
    delimiter = ord(layout.options.delimiter)
    return read_chunks(stream, start, delimiter=delimiter, max_rows=rows, dtype=ENCODINGS[layout.encoding])


def _frame(chunk: Chunk, layout: Layout, wanted: Columns, row: int) -> ReadFrame:
    problems = unsound_rows(chunk, len(layout.columns), layout.encoding)
    good = good_rows(chunk, problems)
    table, misfits = parse_table(source_text(chunk, good, layout), int(good.sum()), layout, wanted)
    return assemble(chunk, row, problems, table, misfits)
