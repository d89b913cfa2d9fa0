"""Profiles that add up: what a frame says of each column, in figures that merge in any order and any split."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from headrace.schemas.record import FieldType, RecordField

TEXT_CHARACTERS = 64
# Squares of greater numbers do not fit a double: they have a least and greatest, and no part in the moments.
LARGEST = 1e150
_ZERO: Mapping[str, Any] = {
    "rows": 0,
    "nulls": 0,
    "numbers": 0,
    "mean": 0.0,
    "m2": 0.0,
    "minimum": None,
    "maximum": None,
    "text_minimum": None,
    "text_maximum": None,
}
_WHOLE = frozenset({FieldType.INT, FieldType.LONG, FieldType.BOOLEAN})
_FRACTION = frozenset({FieldType.FLOAT, FieldType.DOUBLE, FieldType.DECIMAL})
_ORDERED = frozenset({FieldType.DATE, FieldType.TIMESTAMP, FieldType.TIME})
_TEXT = frozenset({FieldType.STRING, FieldType.ENUM, FieldType.UUID})
_NANOS_PER_MICRO = 1_000

ColumnDelta = dict[str, Any]


def column_deltas(frame: pl.DataFrame, fields: Iterable[RecordField]) -> list[ColumnDelta]:
    """Return the profile of each field, as the `columns` of schemas/avro/system/profile_delta.avsc.

    Moments speak of finite numbers (a boolean is 0 or 1); least and greatest also of dates and times by their physical
    value; least and greatest text are cut to 64 characters. Fields that the frame does not have are left out.

    >>> from headrace.schemas.record import FieldType, RecordField
    >>> delta = column_deltas(pl.DataFrame({"n": [1, 2, None]}), [RecordField("n", FieldType.LONG)])[0]
    >>> delta["rows"], delta["nulls"], delta["mean"], delta["m2"]
    (3, 1, 1.5, 0.5)
    """
    known = [field for field in fields if field.name in frame.columns]
    plan = [
        expression.alias(f"{number}.{figure}")
        for number, field in enumerate(known)
        for figure, expression in _figures(field).items()
    ]
    figures = frame.select(plan).row(0, named=True) if plan else {}
    found: list[ColumnDelta] = [dict(_ZERO) | {"name": field.name, "rows": frame.height} for field in known]
    for key, value in figures.items():
        number, _, figure = key.partition(".")
        if value is not None:
            found[int(number)][figure] = value[:TEXT_CHARACTERS] if isinstance(value, str) else value
    return found


def _figures(field: RecordField) -> dict[str, pl.Expr]:
    column = pl.col(field.name)
    nulls = {"nulls": column.null_count()}
    if field.type in _TEXT:
        return nulls | {"text_minimum": column.min(), "text_maximum": column.max()}
    if field.type in _ORDERED:
        physical = column.to_physical()
        if field.type is FieldType.TIME:
            physical = physical // _NANOS_PER_MICRO
        return nulls | _bounds(physical)
    if field.type in _WHOLE:
        return nulls | _bounds(column) | _moments(column.cast(pl.Float64))
    if field.type in _FRACTION:
        number = column.cast(pl.Float64)
        finite = pl.when(number.is_finite()).then(number)
        return nulls | _bounds(finite) | _moments(pl.when(number.abs() <= LARGEST).then(number))
    return nulls


def _bounds(column: pl.Expr) -> dict[str, pl.Expr]:
    return {"minimum": column.min().cast(pl.Float64), "maximum": column.max().cast(pl.Float64)}


def _moments(column: pl.Expr) -> dict[str, pl.Expr]:
    count = column.count()
    return {"numbers": count, "mean": column.mean(), "m2": column.var(ddof=0) * count}


def merge_columns(left: Iterable[ColumnDelta], right: Iterable[ColumnDelta]) -> list[ColumnDelta]:
    """Return the profile of both samples together; the empty list changes nothing, and order does not matter.

    Columns come in the order in which they are first seen.
    """
    merged = {delta["name"]: delta for delta in left}
    for delta in right:
        known = merged.get(delta["name"])
        merged[delta["name"]] = delta if known is None else merge_column(known, delta)
    return list(merged.values())


def merge_column(left: ColumnDelta, right: ColumnDelta) -> ColumnDelta:
    """Return the figures of one column over both samples (Chan's formula for the moments)."""
    numbers = left["numbers"] + right["numbers"]
    mean, m2 = 0.0, 0.0
    if numbers:
        distance = right["mean"] - left["mean"]
        share = right["numbers"] / numbers
        mean = left["mean"] + distance * share
        m2 = left["m2"] + right["m2"] + distance * distance * left["numbers"] * share
    return {
        "name": left["name"],
        "rows": left["rows"] + right["rows"],
        "nulls": left["nulls"] + right["nulls"],
        "numbers": numbers,
        "mean": mean,
        "m2": m2,
        "minimum": _extreme(min, left["minimum"], right["minimum"]),
        "maximum": _extreme(max, left["maximum"], right["maximum"]),
        "text_minimum": _extreme(min, left["text_minimum"], right["text_minimum"]),
        "text_maximum": _extreme(max, left["text_maximum"], right["text_maximum"]),
    }


def _extreme(choose: Any, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return right if left is None else left
    return choose(left, right)
