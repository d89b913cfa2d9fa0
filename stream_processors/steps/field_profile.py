"""What the profile of a field holds in each window: cells by figure, from one count of its values. Pure."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import FieldFigure
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.grouped import Counted
from headrace.stream_processors.sketches.lengths import Lengths, packed_shapes
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.registry import packed_cells
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top

ROWS, NULLS, BLANKS, NANS, INFINITE = "rows", "nulls", "blanks", "nans", "infinite"
_NUMBERS = frozenset({FieldType.INT, FieldType.LONG, FieldType.FLOAT, FieldType.DOUBLE, FieldType.DECIMAL})
_TIMES = frozenset({FieldType.DATE, FieldType.TIMESTAMP, FieldType.TIME})
_TEXTS = frozenset({FieldType.STRING, FieldType.ENUM, FieldType.UUID})
_FRACTIONS = frozenset({FieldType.FLOAT, FieldType.DOUBLE})


def field_cells(found: Counted, kind: FieldType) -> Mapping[FieldFigure, list[bytes]]:
    """Return the packed cells of a field by figure: one for each window of `found`, in order.

    `counts` holds rows and nulls, and of texts blanks (nothing but white space), of fractions nans and infinite ones.
    Numbers and booleans have extremes, moments and (numbers) quantiles, dates and times extremes, texts lengths and
    shapes; all but bytes have distinct and top values. A column without values has counts alone.
    """
    cells = {FieldFigure.COUNTS: packed_cells(Tally, _counts(found, kind))}
    if not len(found.values):
        return cells
    if kind in _NUMBERS or kind in _TIMES or kind is FieldType.BOOLEAN:
        cells[FieldFigure.EXTREMES] = packed_cells(Extremes, Extremes.packed(found))
    if kind in _NUMBERS or kind is FieldType.BOOLEAN:
        cells[FieldFigure.MOMENTS] = packed_cells(Moments, Moments.packed(found))
    if kind in _NUMBERS:
        cells[FieldFigure.QUANTILES] = packed_cells(Quantiles, Quantiles.packed(found))
    if kind in _NUMBERS or kind in _TIMES or kind in _TEXTS or kind is FieldType.BOOLEAN:
        cells[FieldFigure.DISTINCT] = packed_cells(Distinct, Distinct.packed(found))
        cells[FieldFigure.TOP] = packed_cells(Top, Top.packed(found))
    else:
        cells[FieldFigure.LENGTHS] = packed_cells(Lengths, Lengths.packed(found))
    if kind in _TEXTS:
        cells[FieldFigure.LENGTHS] = packed_cells(Lengths, Lengths.packed(found))
        cells[FieldFigure.SHAPES] = packed_cells(Top, packed_shapes(found))
    return cells


def _counts(found: Counted, kind: FieldType) -> list[bytes]:
    columns = {ROWS: found.rows, NULLS: found.nulls}
    if kind in _TEXTS:
        columns[BLANKS] = found.rows_where(
            found.values.cast(pl.String).str.strip_chars().str.len_bytes().to_numpy() == 0
        )
    if kind in _FRACTIONS:
        columns[NANS] = found.rows_where(np.isnan(found.numbers))
        columns[INFINITE] = found.rows_where(np.isinf(found.numbers))
    return Tally.packed(columns)
