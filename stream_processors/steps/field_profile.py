"""What the profile of a field holds in each window: cells by figure, from one count of its values. Pure."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import FieldFigure
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.grouped import Counted
from headrace.stream_processors.sketches.lengths import Lengths, shapes
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top

ROWS, NULLS, BLANKS, NANS, INFINITE = "rows", "nulls", "blanks", "nans", "infinite"
_NUMBERS = frozenset({FieldType.INT, FieldType.LONG, FieldType.FLOAT, FieldType.DOUBLE, FieldType.DECIMAL})
_TIMES = frozenset({FieldType.DATE, FieldType.TIMESTAMP, FieldType.TIME})
_TEXTS = frozenset({FieldType.STRING, FieldType.ENUM, FieldType.UUID})
_FRACTIONS = frozenset({FieldType.FLOAT, FieldType.DOUBLE})


def field_cells(found: Counted, kind: FieldType) -> Mapping[FieldFigure, Mapping[int, Cell]]:
    """Return the cells of a field by figure and window start.

    `counts` holds rows and nulls, and of texts blanks (nothing but white space), of fractions nans and infinite ones.
    Numbers and booleans have extremes, moments and (numbers) quantiles, dates and times extremes, texts lengths and
    shapes; all but bytes have distinct and top values. A window without values has counts alone.
    """
    cells: dict[FieldFigure, Mapping[int, Cell]] = {FieldFigure.COUNTS: _counts(found, kind)}
    if not len(found.values):
        return cells
    if kind in _NUMBERS or kind in _TIMES or kind is FieldType.BOOLEAN:
        cells[FieldFigure.EXTREMES] = Extremes.from_counted(found)
    if kind in _NUMBERS or kind is FieldType.BOOLEAN:
        cells[FieldFigure.MOMENTS] = Moments.from_counted(found)
    if kind in _NUMBERS:
        cells[FieldFigure.QUANTILES] = Quantiles.from_counted(found)
    if kind in _NUMBERS or kind in _TIMES or kind in _TEXTS or kind is FieldType.BOOLEAN:
        cells[FieldFigure.DISTINCT] = Distinct.from_counted(found)
        cells[FieldFigure.TOP] = Top.from_counted(found)
    else:
        cells[FieldFigure.LENGTHS] = Lengths.from_counted(found)
    if kind in _TEXTS:
        cells[FieldFigure.LENGTHS] = Lengths.from_counted(found)
        cells[FieldFigure.SHAPES] = shapes(found)
    return cells


def _counts(found: Counted, kind: FieldType) -> dict[int, Tally]:
    columns = {ROWS: found.rows, NULLS: found.nulls}
    if kind in _TEXTS:
        columns[BLANKS] = found.rows_where(
            found.values.cast(pl.String).str.strip_chars().str.len_bytes().to_numpy() == 0
        )
    if kind in _FRACTIONS:
        columns[NANS] = found.rows_where(np.isnan(found.numbers))
        columns[INFINITE] = found.rows_where(np.isinf(found.numbers))
    names, counts = list(columns), np.stack(list(columns.values()), axis=1).tolist()
    return {
        start: Tally({name: count for name, count in zip(names, row, strict=True) if count})
        for start, row in zip(found.starts.tolist(), counts, strict=True)
    }
