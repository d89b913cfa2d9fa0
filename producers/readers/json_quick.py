"""The quick way for NDJSON whose lines are all alike: polars parses a whole chunk, and numpy proves that it may.

polars takes a key twice, drops keys that it does not know, makes text of numbers, and names no line that fails. So it
is asked only when every line has the same keys in the same order and each value begins as one of its field's kind does;
else this gives None, and the lines are parsed one by one, with the same result.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from headrace.producers.readers.base import Layout
from headrace.producers.readers.boundaries import QUOTE, SPACE
from headrace.producers.readers.columns import Columns, frame_of, misfit_rows, without
from headrace.producers.readers.values import DIRECT, FRACTIONS, convert
from headrace.producers.readers.windows import Chunk
from headrace.schemas.record import FieldType

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
_COLON, _TAB = ord(":"), ord("\t")
_PLAIN_KEY = re.compile(r'[^"\\\x00-\x1f\x7f]+')
_NUMBER = b"-0123456789n"
_BEGINNINGS = dict.fromkeys((FieldType.INT, FieldType.LONG, FieldType.FLOAT, FieldType.DOUBLE), _NUMBER)
_BEGINNINGS[FieldType.BOOLEAN] = b"tfn"
_TEXT, _SCALAR = b'"n', b'-0123456789tfn"'


def value_places(chunk: Chunk, keys: Sequence[str]) -> Places | None:
    """Return where each value begins (rows by keys) if all lines surely have just these keys, in order; else None.

    A quote and a colon in a line are the end of a key, or the beginning of a text. If there are as many as keys, the
    right key stands before each, and no quote is followed by white space, then there is no other key at any depth, and
    none is there twice.
    """
    if not keys or not len(chunk) or chunk.framed.broken or not all(map(_PLAIN_KEY.fullmatch, keys)):
        return None
    units, starts = _region(chunk)
    quoted, behind = units[:-1] == QUOTE, units[1:]
    quotes = np.flatnonzero(quoted & (behind == _COLON))
    if len(quotes) != len(chunk) * len(keys) or (quoted & ((behind == SPACE) | (behind == _TAB))).any():
        return None
    places = quotes.reshape(len(chunk), len(keys)).astype(np.int64)
    ends = chunk.framed.ends - chunk.framed.starts[0]
    if (places[:, 0] <= starts).any() or (places[:, -1] >= ends - 3).any():
        return None
    if not all(_preceded(units, starts, places[:, column], key.encode()) for column, key in enumerate(keys)):
        return None
    values: Places = places + 2
    values += units[values] == SPACE
    return values


def _region(chunk: Chunk) -> tuple[Bytes, Places]:
    """Return the bytes from the first line to the last, and where in them each line starts."""
    framed = chunk.framed
    return chunk.units[framed.starts[0] : framed.ends[-1]].astype(np.uint8, copy=False), framed.starts - framed.starts[
        0
    ]


def _preceded(units: Bytes, starts: Places, places: Places, key: bytes) -> bool:
    """Return True if each of these quotes ends this key."""
    expected = np.frombuffer(b'"' + key, np.uint8)
    first = places - len(expected)
    return (
        bool((first > starts).all())
        and _all_in(units[first - 1], b"{, ")
        and all(bool((units[first + place] == unit).all()) for place, unit in enumerate(expected))
    )


def _all_in(units: Bytes, allowed: bytes) -> bool:
    table = np.zeros(256, np.bool_)
    table[list(allowed)] = True
    return bool(table[units].all())


def parse_quickly(chunk: Chunk, layout: Layout, columns: Columns) -> pl.DataFrame | None:
    """Return the chunk's rows in the schema's columns and types if nothing in them is odd, else None."""
    places = value_places(chunk, layout.columns)
    if places is None or not columns.present:
        return None
    units, _starts = _region(chunk)
    kinds = {column.position: column.field.type for column in columns.present}
    for position in range(len(layout.columns)):
        allowed = _BEGINNINGS.get(kinds[position], _TEXT) if position in kinds else _SCALAR
        if not _all_in(units[places[:, position]], allowed):
            return None
    text = units.tobytes()
    if b"\\ud" in text or b"\\uD" in text:  # perhaps half of a surrogate pair, which polars takes for NUL
        return None
    types = {
        layout.columns[column.position or 0]: pl.Float64()
        if column.field.type in FRACTIONS
        else DIRECT.get(column.field.type, pl.String())
        for column in columns.present
    }
    try:
        table = pl.read_ndjson(text, schema=types)
    except pl.exceptions.PolarsError:
        return None
    return _typed(table, layout, columns) if table.height == len(chunk) else None


def _typed(table: pl.DataFrame, layout: Layout, columns: Columns) -> pl.DataFrame | None:
    values: dict[str, pl.Series] = {}
    for column in columns.present:
        series = table[layout.columns[column.position or 0]]
        if column.field.type in FRACTIONS:
            series = series.cast(column.dtype)
            if series.is_infinite().any():
                return None
        elif column.field.type not in _BEGINNINGS:
            texts = without(series, column.nulls)
            series = convert(texts, column.field, column.zone)
            if misfit_rows(texts, series, column.field):
                return None
        values[column.field.name] = series
    return frame_of(columns, values, table.height)
