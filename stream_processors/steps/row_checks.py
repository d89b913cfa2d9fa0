"""Which rows break a check of one record, as polars expressions: one definition, for verdicts on rows and windows."""

from typing import Final

import polars as pl

from headrace.schemas.record import FieldType
from headrace.schemas.rules import Bound, Check, Length, MultipleOf, OneOf, Pattern, Range, Required
from headrace.stream_processors.steps.row_rules import row_expression

_FRACTIONS = frozenset({FieldType.FLOAT, FieldType.DOUBLE, FieldType.DECIMAL})
# 0.3 is no multiple of 0.1 in binary, but for its last digits.
ROUNDING: Final = 1e-9


def broken_rows(check: Check, name: str, kind: FieldType) -> pl.Expr:
    """Return the expression that is true where a row breaks the check, and null or false where it does not.

    `name` is the field and `kind` its type; a row rule names its fields itself.
    """
    column = pl.col(name)
    if isinstance(check, Required):
        return column.is_null()
    if isinstance(check, OneOf):
        return _not_in(column, check, kind)
    if isinstance(check, Range):
        return _outside(column, check, kind)
    if isinstance(check, Length):
        return _wrong_length(column, check)
    if isinstance(check, MultipleOf):
        return _no_multiple(column, check, kind)
    held = column.str.contains(check.compiled) if isinstance(check, Pattern) else row_expression(check.expression.node)
    return ~held


def _not_in(column: pl.Expr, check: OneOf, kind: FieldType) -> pl.Expr:
    if kind not in _FRACTIONS:
        return ~column.is_in(list(check.values))
    # 0.1 of 32 bits is another number than 0.1 of 64.
    width = pl.Float32 if kind is FieldType.FLOAT else pl.Float64
    values = pl.Series(check.values, dtype=width, strict=False).cast(pl.Float64)
    return ~column.cast(pl.Float64).is_in(values.to_list())


def _outside(column: pl.Expr, check: Range, kind: FieldType) -> pl.Expr:
    parts = []
    if check.minimum is not None:
        low = _bound(check.minimum)
        parts.append(column <= low if check.above else column < low)
    if check.maximum is not None:
        # polars orders NaN above every number, so the upper bound finds it; without one it is looked for.
        high = _bound(check.maximum)
        parts.append(column >= high if check.below else column > high)
    elif kind in _FRACTIONS:
        parts.append(column.cast(pl.Float64).is_nan())
    return parts[0] if len(parts) == 1 else parts[0] | parts[1]


def _bound(value: Bound) -> pl.Expr:
    literal = pl.lit(value)
    zoned = getattr(value, "tzinfo", None) is not None
    return literal.dt.replace_time_zone(None).cast(pl.Datetime("us")) if zoned else literal


def _no_multiple(column: pl.Expr, check: MultipleOf, kind: FieldType) -> pl.Expr:
    if kind not in _FRACTIONS and isinstance(check.step, int):
        return column % check.step != 0
    times = column.cast(pl.Float64) / check.step
    return (times - times.round()).abs() > ROUNDING * pl.max_horizontal(times.abs(), 1.0)


def _wrong_length(column: pl.Expr, check: Length) -> pl.Expr:
    length = column.str.len_chars()
    if check.minimum is None:
        return length > check.maximum
    return length < check.minimum if check.maximum is None else ~length.is_between(check.minimum, check.maximum)
