"""Text to typed values, column by column: what a field of each type accepts.

A text that does not fit gives null, and the caller tells it from a missing one. White space around a value is ignored
in every type but text; a blank value is a missing one. What is accepted for each type stands in docs/guide/files.md.
"""

from collections.abc import Mapping

import polars as pl

from headrace.schemas.record import FieldType, RecordField

# The types that polars' CSV parser reads as it goes; it takes the same texts as `convert`.
DIRECT: Mapping[FieldType, pl.DataType] = {
    FieldType.INT: pl.Int32(),
    FieldType.LONG: pl.Int64(),
    FieldType.FLOAT: pl.Float32(),
    FieldType.DOUBLE: pl.Float64(),
    FieldType.BOOLEAN: pl.Boolean(),
    FieldType.STRING: pl.String(),
}
FRACTIONS = (FieldType.FLOAT, FieldType.DOUBLE)
_EXPECTED = {
    FieldType.INT: "a whole number of 32 bits",
    FieldType.LONG: "a whole number of 64 bits",
    FieldType.FLOAT: "a number",
    FieldType.DOUBLE: "a number",
    FieldType.BOOLEAN: "true or false",
    FieldType.DATE: "a date like 2024-12-31",
    FieldType.TIMESTAMP: "a time like 2024-12-31T23:59:59Z",
    FieldType.TIME: "a time of day like 23:59:59",
    FieldType.UUID: "a UUID",
}
_SHOWN = 60
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
_TIME = rf"^{_CLOCK}$"
_TIMESTAMP = rf"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[Tt ]({_CLOCK}) ?([Zz]|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?$"
_PLAIN_UTC = "%Y-%m-%dT%H:%M:%SZ"
_PLAIN_UTC_LENGTH = 20
_UUID = r"^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_INFINITE = r"^[+-]?(?i:inf|infinity)$"
# Below this share of distinct values it is cheaper to parse each value once and to look the others up.
_FEW = 0.25


def convert(texts: pl.Series, field: RecordField, zone: str = "") -> pl.Series:
    """Return the texts as the field's type, null where one is missing, blank or does not fit."""
    if field.type is FieldType.STRING:
        return texts
    distinct = texts.unique() if len(texts) > 1 else texts
    if len(distinct) > _FEW * len(texts):
        return _parse(texts.str.strip_chars(), field, zone)
    table = pl.DataFrame([distinct.alias("text"), _parse(distinct.str.strip_chars(), field, zone).alias("value")])
    found = texts.alias("text").to_frame().join(table, on="text", how="left", maintain_order="left", nulls_equal=True)
    return found["value"]


def expected(field: RecordField, text: str, zone: str = "") -> str:
    r"""Return why a text is not a value of the field, with the text shortened.

    >>> expected(RecordField("seats", FieldType.LONG), "twelve")
    "'twelve' is not a whole number of 64 bits"
    """
    what = _EXPECTED.get(field.type, f"a value of type {field.type.value}")
    if field.type is FieldType.ENUM:
        what = f"one of {', '.join(field.symbols[:10])}"
    elif field.type is FieldType.DECIMAL:
        what = f"a number of at most {field.precision} digits, {field.scale} of them after the point"
    elif field.type is FieldType.FIXED:
        what = f"{field.size} bytes as {2 * field.size} hexadecimal digits"
    elif field.type is FieldType.TIMESTAMP and zone:
        what += f", nor a local time that there was in {zone}"
    elif field.type is FieldType.TIMESTAMP:
        what += " (without an offset it needs a zone in the contract)"
    return f"{shorten(text)!r} is not {what}"


def shorten(text: str) -> str:
    """Return the first 60 characters of a text, and a mark if there are more."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _parse(texts: pl.Series, field: RecordField, zone: str) -> pl.Series:
    if field.type in FRACTIONS:
        # by way of 64 bits also to 32, as JSON's numbers go: one text is one value, whichever way it came
        numbers = texts.cast(pl.Float64, strict=False).cast(DIRECT[field.type])
        return numbers.set(overflowed(numbers, texts), None)
    if field.type is FieldType.BOOLEAN:
        lowered = texts.str.to_lowercase()
        return lowered.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean())
    if field.type in DIRECT:
        return texts.cast(DIRECT[field.type], strict=False)
    if field.type is FieldType.TIMESTAMP:
        return _timestamps(texts, zone)
    return _parse_rare(texts, field)


def _parse_rare(texts: pl.Series, field: RecordField) -> pl.Series:
    match field.type:
        case FieldType.DATE:
            days = _only(texts, _DATE).str.to_date("%Y-%m-%d", strict=False)
            values = days.set((days.dt.year() < 1).fill_null(value=False), None)
        case FieldType.TIME:
            clock = _only(texts, _TIME)
            minutes = clock.str.to_time("%H:%M", strict=False)
            values = clock.str.to_time("%H:%M:%S%.f", strict=False).fill_null(minutes)
        case FieldType.DECIMAL:
            values = _decimals(texts, field)
        case FieldType.UUID:
            values = _only(texts, _UUID)
        case FieldType.ENUM:
            values = texts.set(~texts.is_in(list(field.symbols)).fill_null(value=True), None)
        case FieldType.FIXED:
            values = _only(texts, rf"^[0-9A-Fa-f]{{{2 * field.size}}}$").str.decode("hex", strict=False)
        case _:
            values = texts.cast(pl.Binary)
    return values


def _decimals(texts: pl.Series, field: RecordField) -> pl.Series:
    """Return decimals whose digits all fit: none is rounded away."""
    point = rf"(?:\.[0-9]{{0,{field.scale}}})?" if field.scale else r"\.?"
    pattern = rf"^[+-]?0*[0-9]{{0,{field.precision - field.scale}}}{point}$"
    return _only(_only(texts, pattern), "[0-9]").cast(pl.Decimal(field.precision, field.scale), strict=False)


def _only(texts: pl.Series, pattern: str) -> pl.Series:
    fits = texts.str.contains(pattern)
    return texts if fits.all() else texts.set(~fits.fill_null(value=True), None)


def overflowed(numbers: pl.Series, texts: pl.Series) -> pl.Series:
    """Return where a finite text became an infinite number ("1e999")."""
    infinite = numbers.is_infinite().fill_null(value=False)
    if not infinite.any():
        return infinite
    return infinite & ~texts.str.strip_chars().str.contains(_INFINITE).fill_null(value=False)


def _timestamps(texts: pl.Series, zone: str) -> pl.Series:
    """Return ISO 8601 times as naive UTC; digits beyond the microsecond are cut."""
    lengths = texts.str.len_bytes()
    if (lengths == _PLAIN_UTC_LENGTH).all():
        moments = texts.str.to_datetime(_PLAIN_UTC, time_unit="us", strict=False)
        if not moments.null_count():  # 60 seconds, a short field: seen below
            return _checked(moments, texts)
    return _any_timestamps(texts, zone)


def _checked(moments: pl.Series, texts: pl.Series) -> pl.Series:
    return moments.set(~(texts.str.contains(_TIMESTAMP) & (moments.dt.year() >= 1)).fill_null(value=True), None)


def _any_timestamps(texts: pl.Series, zone: str) -> pl.Series:
    groups = pl.DataFrame({"text": texts}).select(pl.col("text").str.extract_groups(_TIMESTAMP).struct.unnest())
    clock = pl.when(pl.col("2").str.len_bytes() == len("23:59")).then(pl.col("2") + ":00").otherwise(pl.col("2"))
    local = pl.concat_str(pl.col("1"), pl.lit("T"), clock).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False
    )
    offset = pl.col("3").str.replace(":", "")
    hours = offset.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = offset.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0)
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    east = pl.when((hours < 24) & (minutes < 60)).then(pl.duration(minutes=sign * (hours * 60 + minutes)))
    naive = pl.lit(None, pl.Datetime("us"))
    if zone:
        zoned = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        naive = zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    utc = pl.when(pl.col("3").is_null()).then(naive).when(offset.str.to_lowercase() == "z").then(local)
    moments = groups.select(utc.otherwise(local - east).alias("moment"))["moment"]
    return moments.set((moments.dt.year() < 1).fill_null(value=False), None).cast(pl.Datetime("us"))
