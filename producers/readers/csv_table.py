"""Sound rows of delimited text to typed columns, and the rows whose values do not fit, by name.

The quick way parses straight into the schema's types. polars names no row when a value does not fit, so then the same
parser is asked again to leave misfits null, and the text beside it tells a misfit from a missing value: a row's fate
never depends on its neighbours.
"""

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.producers.readers.assemble import Misfits
from headrace.producers.readers.base import Layout, Problem
from headrace.producers.readers.columns import Column, Columns, frame_of, misfit_rows, without
from headrace.producers.readers.fields import split_record
from headrace.producers.readers.values import FRACTIONS, convert, expected, overflowed
from headrace.schemas.record import FieldType, RecordField


def parse_table(text: bytes, rows: int, layout: Layout, columns: Columns) -> tuple[pl.DataFrame, Misfits]:
    """Return the rows in the schema's columns and types, and what does not fit in which of them.

    A misfit is null in the frame. Never blocks.
    """
    table = _Table(text, rows, layout, columns.present)
    quick = table.read_quickly()
    values: dict[str, pl.Series] = {}
    misfits: dict[int, list[Problem]] = {}
    for column in columns.present:
        series = None if quick is None else quick[column.key]
        if series is None or not column.direct or _infinite(series, column.field):
            texts = table.texts(column)
            series = _lenient(texts, column, table)
            for row in misfit_rows(texts, series, column.field):
                detail = expected(column.field, texts[row], column.zone)
                misfits.setdefault(row, []).append(Problem(Reason.TYPE_MISMATCH, column.field.name, detail))
        values[column.field.name] = series
    return frame_of(columns, values, rows), {row: tuple(found) for row, found in misfits.items()}


def text_table(text: bytes, rows: int, layout: Layout) -> pl.DataFrame:
    """Return the rows as text, the columns named by position."""
    columns = tuple(
        Column(RecordField(f"c{position}", FieldType.STRING), position, pl.String(), layout.options.null_values)
        for position in range(len(layout.columns))
    )
    table = _Table(text, rows, layout, columns)
    return pl.DataFrame([table.texts(column) for column in columns])


class _Table:
    """One buffer of rows and the ways to parse it; what was parsed once is kept."""

    def __init__(self, text: bytes, rows: int, layout: Layout, columns: tuple[Column, ...]) -> None:
        self._text, self._rows, self._columns = text, rows, columns
        self._names = [f"c{position}" for position in range(len(layout.columns))]
        self._delimiter = layout.options.delimiter
        self._quick: pl.DataFrame | None = None
        self._all_texts: pl.DataFrame | None = None
        self._all_numbers: pl.DataFrame | None = None

    def read_quickly(self) -> pl.DataFrame | None:
        """Return the columns typed where polars can read them so, else as text; None if a value does not fit."""
        self._quick = self._read([column for column in self._columns if column.direct], lenient=False)
        return self._quick

    def texts(self, column: Column) -> pl.Series:
        """Return a column as text, null where it is missing."""
        if self._quick is not None and not column.direct:
            series = self._quick[column.key]
        else:
            if self._all_texts is None:
                self._all_texts = self._read([], lenient=False)
            if self._all_texts is None:
                self._all_texts = self._split()
            series = self._all_texts[column.key]
        return without(series, column.nulls)

    def numbers(self, column: Column) -> pl.Series | None:
        """Return a column as polars' CSV parser types it, misfits null; None if it cannot parse the rows at all."""
        if self._all_numbers is None:
            direct = [column for column in self._columns if column.direct]
            self._all_numbers = self._read(direct, lenient=True)
        return None if self._all_numbers is None else self._all_numbers[column.key]

    def _read(self, typed: list[Column], *, lenient: bool) -> pl.DataFrame | None:
        """Return the wanted columns, or None when polars refuses a value or does not see the rows that there are."""
        if not self._rows or not self._columns:
            types = {column.key: column.dtype if column in typed else pl.String() for column in self._columns}
            return pl.DataFrame(schema=types) if not self._rows else pl.DataFrame()
        types = dict.fromkeys(self._names, pl.String()) | {column.key: column.dtype for column in typed}
        try:
            table = pl.read_csv(
                self._text,
                has_header=False,
                schema=types,
                columns=sorted(column.position or 0 for column in self._columns),
                separator=self._delimiter,
                null_values={column.key: column.nulls[0] for column in typed if column.nulls} or None,
                ignore_errors=lenient,
                glob=False,
            )
        except pl.exceptions.PolarsError:
            return None
        return table if table.height == self._rows else None

    def _split(self) -> pl.DataFrame:
        """Return all columns as text, row by row: slow, and right whatever polars thinks of the buffer."""
        rows = records(self._text.decode())
        fields = [split_record(row, self._delimiter) for row in rows]
        if len(fields) != self._rows:
            raise AssertionError(f"{self._rows} rows were framed, {len(fields)} are in the buffer")
        return pl.DataFrame(fields, schema=dict.fromkeys(self._names, pl.String()), orient="row")


def records(text: str) -> list[str]:
    """Return the records of sound text, each ended by a line feed or CRLF."""
    found, start, inside = [], 0, False
    for line in text.split("\n")[:-1]:
        inside ^= line.count('"') % 2 == 1
        if not inside:
            end = start + len(line)
            found.append(text[start:end].removesuffix("\r"))
        start = start + len(line) + 1 if not inside else start
    return found


def _infinite(series: pl.Series, field: RecordField) -> bool:
    return field.type in FRACTIONS and bool(series.is_infinite().any())


def _lenient(texts: pl.Series, column: Column, table: _Table) -> pl.Series:
    """Return a column typed, null where it is missing or a text does not fit."""
    if column.field.type is FieldType.STRING:
        return texts
    numbers = table.numbers(column) if column.direct else None
    if numbers is None:
        return convert(texts, column.field, column.zone)
    if column.field.type in FRACTIONS:
        numbers = numbers.set(overflowed(numbers, texts), None)
    # The CSV parser stops at white space behind a number, and knows three spellings of true.
    doubtful = numbers.is_null() & texts.is_not_null()
    if not doubtful.any():
        return numbers
    return numbers.zip_with(~doubtful, convert(texts.set(~doubtful, None), column.field, column.zone))
