"""Which stored rows break a demand on one record, in ClickHouse: what `steps/row_checks.py` says of a batch."""

from collections.abc import Iterable

from headrace.errors import WrongUse
from headrace.schemas.record import FieldType
from headrace.schemas.rules import Bound, Check, Length, MultipleOf, OneOf, Pattern, Range, Required
from headrace.schemas.sql_text import identifier, literal, value_text
from headrace.stream_processors.steps.row_checks import ROUNDING

_FRACTIONS = frozenset({FieldType.FLOAT, FieldType.DOUBLE, FieldType.DECIMAL})


def broken_sql(check: Check, name: str, kind: FieldType) -> str:
    """Return the condition that holds for stored rows that break the check; null counts as not broken.

    Raises WrongUse for a row rule, which `expression_sql` knows.

    >>> broken_sql(Range(0, None), "n", FieldType.LONG)
    '(`n` < toInt64(0))'
    """
    column = identifier(name)
    if isinstance(check, Required):
        return f"isNull({column})"
    if isinstance(check, OneOf):
        return _not_in(column, check, kind)
    if isinstance(check, Range):
        return _outside(column, check, kind)
    if isinstance(check, Length):
        parts = [] if check.minimum is None else [f"lengthUTF8({column}) < {check.minimum}"]
        parts += [] if check.maximum is None else [f"lengthUTF8({column}) > {check.maximum}"]
        return _either(parts)
    if isinstance(check, Pattern):
        return f"NOT {matches_sql(column, check.compiled)}"
    if isinstance(check, MultipleOf):
        return _no_multiple(column, check, kind)
    raise WrongUse(f"{type(check).__name__} is no demand on one field", hint="use expression_sql")


def matches_sql(column: str, pattern: str) -> str:
    r"""Return the condition that a text has a match of a pattern that polars runs.

    ClickHouse's `.` takes line ends unless told otherwise, and its `\b` always speaks of ASCII.
    """
    return f"match({column}, {literal('(?-s)' + pattern.replace('(?-u:', '(?:'))})"


def _not_in(column: str, check: OneOf, kind: FieldType) -> str:
    values = [value_text(value) for value in check.values]
    if kind in _FRACTIONS:
        width = "toFloat32" if kind is FieldType.FLOAT else "toFloat64"
        values = [f"toFloat64({width}({value}))" for value in values]
        column = f"toFloat64({column})"
    return f"(isNotNull({column}) AND {column} NOT IN ({', '.join(values)}))"


def _outside(column: str, check: Range, kind: FieldType) -> str:
    compared = f"toFloat64({column})" if kind is FieldType.DECIMAL else column
    parts = []
    if check.minimum is not None:
        parts.append(f"{compared} {'<=' if check.above else '<'} {_bound(check.minimum, kind)}")
    if check.maximum is not None:
        parts.append(f"{compared} {'>=' if check.below else '>'} {_bound(check.maximum, kind)}")
    if kind in _FRACTIONS:
        parts.append(f"isNaN(toFloat64({column}))")
    return _either(parts)


def _no_multiple(column: str, check: MultipleOf, kind: FieldType) -> str:
    if kind not in _FRACTIONS and isinstance(check.step, int):
        return f"({column} % {value_text(check.step)} != 0)"
    times = f"(toFloat64({column}) / toFloat64({check.step!r}))"
    # What is left of an infinite number is NaN, which polars holds to be more than any bound.
    apart = f"abs({times} - round({times}))"
    return f"(isNaN({apart}) OR {apart} > {ROUNDING!r} * greatest(abs({times}), toFloat64(1)))"


def _bound(value: Bound, kind: FieldType) -> str:
    return f"toFloat32({value_text(value)})" if kind is FieldType.FLOAT else value_text(value)


def _either(parts: list[str]) -> str:
    return f"({' OR '.join(parts)})" if parts else "false"


def texts_sql(texts: Iterable[str]) -> str:
    """Return a list of text literals."""
    return ", ".join(literal(text) for text in texts)
