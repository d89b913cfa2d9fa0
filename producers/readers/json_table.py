"""Objects of NDJSON lines to typed columns, and the rows whose values do not fit, by name."""

from typing import Any

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.producers.readers.assemble import Misfits
from headrace.producers.readers.base import Layout, Problem
from headrace.producers.readers.columns import Column, Columns, frame_of, misfit_rows, without
from headrace.producers.readers.json_lines import BadLine, NumberText, value_texts
from headrace.producers.readers.values import DIRECT, convert, expected
from headrace.schemas.record import FieldType

Line = tuple[dict[str, Any], str]
_NULL = type(None)
# The Python types that are taken as they are; everything else goes by its text, as a CSV value would.
_NATIVE: dict[FieldType, frozenset[type]] = {
    FieldType.INT: frozenset({int, _NULL}),
    FieldType.LONG: frozenset({int, _NULL}),
    FieldType.FLOAT: frozenset({int, float, _NULL}),
    FieldType.DOUBLE: frozenset({int, float, _NULL}),
    FieldType.BOOLEAN: frozenset({bool, _NULL}),
    FieldType.STRING: frozenset({str, _NULL}),
}


def line_problem(source: bytes, error: UnicodeDecodeError | BadLine) -> Problem:
    """Return what is wrong with a line that is not a JSON object."""
    if b"\0" in source:
        return Problem(Reason.NUL_BYTE, "", "the row has a NUL byte")
    if isinstance(error, BadLine):
        return Problem(Reason.BAD_JSON, "", str(error))
    place = f"byte {error.start + 1} of the row is {source[error.start]:#04x}"
    return Problem(Reason.BAD_ENCODING, "", f"not UTF-8: {place}")


def parse_lines(lines: list[Line], layout: Layout, columns: Columns) -> tuple[pl.DataFrame, Misfits]:
    """Return the rows in the schema's columns and types, and what does not fit in which of them (then null)."""
    values: dict[str, pl.Series] = {}
    misfits: dict[int, list[Problem]] = {}
    for column in columns.present:
        name = layout.columns[column.position or 0]
        found = [line[0].get(name) for line in lines]
        series = _native(found, column)
        if series is None:
            texts = without(_texts(found, lines, name), column.nulls)
            series = convert(texts, column.field, column.zone)
            for row in misfit_rows(texts, series, column.field):
                detail = expected(column.field, texts[row], column.zone)
                misfits.setdefault(row, []).append(Problem(Reason.TYPE_MISMATCH, column.field.name, detail))
        values[column.field.name] = series
    return frame_of(columns, values, len(lines)), {row: tuple(found) for row, found in misfits.items()}


def text_lines(lines: list[Line], layout: Layout) -> tuple[pl.DataFrame, set[int]]:
    """Return the rows as text, the columns named by position, and the positions where a value is a string."""
    data, quoted = [], set()
    for position, name in enumerate(layout.columns):
        found = [line[0].get(name) for line in lines]
        if str in set(map(type, found)):
            quoted.add(position)
        data.append(without(_texts(found, lines, name), layout.options.null_values).alias(f"c{position}"))
    return pl.DataFrame(data), quoted


def _native(found: list[Any], column: Column) -> pl.Series | None:
    """Return the values as they are, None if one of them is not of the field's own kind."""
    kind = column.field.type
    if kind not in _NATIVE or not _NATIVE[kind].issuperset(map(type, found)):
        return None
    try:
        series = pl.Series(found, dtype=DIRECT[kind])
    except (OverflowError, TypeError, pl.exceptions.PolarsError):
        return None
    if kind in {FieldType.FLOAT, FieldType.DOUBLE} and bool(series.is_infinite().any()):
        return None
    return without(series, column.nulls) if kind is FieldType.STRING else series


def _texts(found: list[Any], lines: list[Line], name: str) -> pl.Series:
    """Return values as text: strings as they are, everything else as it is written in the line."""
    if {str, _NULL}.issuperset(map(type, found)):
        return pl.Series(found, dtype=pl.String())
    texts = [
        value if type(value) is str or value is None else _text(value, line[1], name)
        for value, line in zip(found, lines, strict=True)
    ]
    return pl.Series(texts, dtype=pl.String())


def _text(value: Any, line: str, name: str) -> str:
    if type(value) is int:
        return str(value)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is NumberText:
        return str(value)
    return value_texts(line)[name]
