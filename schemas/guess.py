"""What a file's columns hold, found from a sample of it: types that lose nothing.

Types only widen: whole number, then fraction, then text. What a type would change stays text: leading zeros or a plus
sign (codes, phone numbers), more than 18 digits, local times without a zone, times finer than a microsecond.
"""

from dataclasses import dataclass

import polars as pl

from headrace.schemas.record import FieldType

# Spellings of "missing" that are looked for in columns that would be numbers or dates without them.
NULL_SPELLINGS = (
    "NA",
    "N/A",
    "n/a",
    "na",
    "NaN",
    "nan",
    "NULL",
    "Null",
    "null",
    "None",
    "none",
    "\\N",
    "#N/A",
    "-",
    "?",
)
_WHOLE = r"^-?(?:0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?$"
# What is left of a number without sign, point, exponent and leading zeros: its significant digits.
_NOT_DIGITS = r"[eE].*$|[-.]"
_MAX_DIGITS = 18
_EXACT_DIGITS = 15
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})$"


@dataclass(frozen=True)
class Sample:
    """The first rows of a file as text, as a reader gives them.

    `columns` are the original names. `frame` has one String column for each, named by position ("c0", "c1", ...); null
    means missing. `quoted` holds the positions whose JSON values are strings (always empty for CSV).
    """

    columns: tuple[str, ...]
    frame: pl.DataFrame
    quoted: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ColumnGuess:
    """What one column of a sample holds."""

    type: FieldType
    null_values: tuple[str, ...] = ()
    values: int = 0
    nulls: int = 0


def guess_columns(sample: Sample) -> tuple[ColumnGuess, ...]:
    """Return the narrowest type of each column that changes no value of the sample.

    A column without values is text. Vectorised; may take a second for a sample of 64 MiB.
    """
    return tuple(
        guess_column(sample.frame.to_series(position), quoted=position in sample.quoted)
        for position in range(len(sample.columns))
    )


def guess_column(column: pl.Series, *, quoted: bool) -> ColumnGuess:
    """Return what one column of text holds; a spelling of "missing" counts if the others agree on a type."""
    present = column.unique().drop_nulls()
    present = present.filter(present.str.strip_chars() != "")
    nulls = column.null_count() + int((column.str.strip_chars() == "").sum())
    spelled = tuple(found for found in NULL_SPELLINGS if (present == found).any()) if not quoted else ()
    bare = present.filter(~present.is_in(list(spelled))) if spelled else present
    kind = _narrowest(bare.str.strip_chars().unique(), quoted=quoted)
    if kind is FieldType.STRING:
        return ColumnGuess(kind, (), len(column) - nulls, nulls)
    spelled_rows = int(column.is_in(list(spelled)).sum()) if spelled else 0
    return ColumnGuess(kind, spelled, len(column) - nulls - spelled_rows, nulls + spelled_rows)


def _narrowest(values: pl.Series, *, quoted: bool) -> FieldType:
    """Return the type of distinct values that are there."""
    if values.is_empty():
        return FieldType.STRING
    if _all(values, _DATE) and _within_calendar(values.str.to_date("%Y-%m-%d", strict=False)):
        return FieldType.DATE
    if _all(values, _TIMESTAMP) and _within_calendar(moments(values)):
        return FieldType.TIMESTAMP
    return FieldType.STRING if quoted else _narrowest_bare(values)


def moments(values: pl.Series) -> pl.Series:
    """Return texts of timestamps as moments of UTC; what is none is null."""
    return values.str.replace(" ", "T").str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)


def _narrowest_bare(values: pl.Series) -> FieldType:
    if values.str.to_lowercase().is_in(["true", "false"]).all():
        return FieldType.BOOLEAN
    if _all(values, _WHOLE):
        return FieldType.LONG
    return FieldType.DOUBLE if _fractions(values) else FieldType.STRING


def _fractions(values: pl.Series) -> bool:
    if not _all(values, _NUMBER):
        return False
    digits = values.str.replace_all(_NOT_DIGITS, "").str.strip_chars_start("0").str.len_bytes()
    whole = values.str.contains(_WHOLE)
    if (digits > _MAX_DIGITS).any() or (whole & (digits > _EXACT_DIGITS)).any():
        return False
    return bool(values.cast(pl.Float64, strict=False).is_finite().fill_null(value=False).all())


def _all(values: pl.Series, pattern: str) -> bool:
    # Most columns are settled by a few values; only then is all of it looked at.
    return bool(values.head(64).str.contains(pattern).all()) and bool(values.str.contains(pattern).all())


def _within_calendar(found: pl.Series) -> bool:
    """Return True if all values are moments of the years 1 to 9999."""
    return not found.null_count() and bool((found.dt.year() >= 1).all())
