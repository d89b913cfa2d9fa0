"""A frame of records as a learner takes them: features as dicts, labels, keys. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.schemas.expression import Expression, Kind
from headrace.stream_processors.models.base import Features
from headrace.stream_processors.steps.row_rules import row_expression

_READ: Mapping[Kind, Any] = {Kind.WHOLE: pl.Int64, Kind.NUMBER: pl.Float64, Kind.BOOLEAN: pl.Boolean}
_TEXTS = frozenset({Kind.TEXT, Kind.BYTES, Kind.TIME})


def features_of(frame: pl.DataFrame, kinds: Mapping[str, Kind]) -> list[Features]:
    """Return each record's features; a missing value, and a number that is none, has no key. 1 µs a record.

    A field that the frame does not have is missing everywhere.
    """
    chosen = frame.select(_feature(name, kind) for name, kind in kinds.items() if name in frame.columns)
    names = chosen.columns
    rows = chosen.rows()
    if not chosen.null_count().sum_horizontal().sum():
        return [dict(zip(names, row, strict=True)) for row in rows]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        if None in row
        else dict(zip(names, row, strict=True))
        for row in rows
    ]


def _feature(name: str, kind: Kind) -> pl.Expr:
    column = pl.col(name)
    if kind in _READ:
        column = column.cast(_READ[kind])
    elif kind in _TEXTS:
        column = column.cast(pl.String)
    return column.fill_nan(None) if kind is Kind.NUMBER else column


def labels_of(frame: pl.DataFrame, label: Expression | None, *, classes: bool) -> list[Any]:
    """Return each record's label, None where it has none (or it is not known)."""
    if label is None:
        return [None] * len(frame)
    missing = [pl.lit(None).alias(name) for name in label.fields if name not in frame.columns]
    found = (
        (frame.with_columns(missing) if missing else frame)
        .select(row_expression(label.node).alias("label"))
        .to_series()
    )
    if classes:
        return found.to_list()
    return found.cast(pl.Float64).fill_nan(None).to_list()


def keys_of(frame: pl.DataFrame, fields: Sequence[str]) -> list[tuple[Any, ...] | None]:
    """Return each record's key; None where a part of it is missing, which joins with nothing."""
    if not set(fields) <= set(frame.columns):
        return [None] * len(frame)
    return [None if None in row else row for row in frame.select(fields).rows()]


def file_numbers(frame: pl.DataFrame) -> NDArray[np.uint64]:
    """Return each record's file id as a number: what its lot in a sample is drawn from."""
    files = frame["_file"]
    numbers = {file: int(file, 16) for file in files.unique().to_list()}
    found: NDArray[np.uint64] = np.asarray([numbers[file] for file in files.to_list()], np.uint64)
    return found
