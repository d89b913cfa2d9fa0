"""The formats that `format` knows, one definition each: what a value must look like, here and in ClickHouse."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from headrace.schemas.expression import Kind
from headrace.schemas.rules import Range
from headrace.stream_processors.checks.checksums import gs1, gs1_sql, iban, luhn, luhn_sql
from headrace.stream_processors.checks.codes import COUNTRIES, CURRENCIES
from headrace.stream_processors.checks.row_sql import matches_sql, texts_sql

_TEXT: Final = frozenset({Kind.TEXT})
_DIGITS: Final = frozenset({Kind.TEXT, Kind.WHOLE})
_DEGREES: Final = frozenset({Kind.TEXT, Kind.WHOLE, Kind.NUMBER})
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LEAP: Final = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"


@dataclass(frozen=True)
class Format:
    """One format: its name in sentences, the kinds of fields it may be asked of, and how a text is judged.

    `pattern` must match the whole text; `allowed` is a closed list; `checksum` judges a column of texts, with
    `checksum_sql` for the warehouse (None: it cannot be asked there). `ignored` are characters that are taken out
    first. Numeric fields are judged by `numbers`.
    """

    spoken: str
    kinds: frozenset[Kind] = _TEXT
    pattern: str = ""
    allowed: frozenset[str] = frozenset()
    checksum: Callable[[pl.Series], pl.Series] | None = None
    checksum_sql: Callable[[str], str] | None = None
    ignored: str = ""
    numbers: Range | None = None

    def fits(self, column: pl.Expr) -> pl.Expr:
        """Return the expression that is true where a text is in the format, null for null."""
        text = column.str.replace_all(f"[{self.ignored}]", "") if self.ignored else column
        parts = [text.str.contains(f"^(?:{self.pattern})$")] if self.pattern else []
        if self.allowed:
            parts.append(text.is_in(sorted(self.allowed)))
        if self.checksum:
            parts.append(text.map_batches(self.checksum, return_dtype=pl.Boolean, is_elementwise=True))
        return pl.when(column.is_not_null()).then(pl.all_horizontal(parts))

    def fits_sql(self, column: str) -> str | None:
        """Return `fits` as a condition of ClickHouse, None where it has none."""
        text = f"replaceRegexpAll({column}, '[{self.ignored}]', '')" if self.ignored else column
        parts = [matches_sql(text, f"^(?:{self.pattern})$")] if self.pattern else []
        if self.allowed:
            parts.append(f"{text} IN ({texts_sql(sorted(self.allowed))})")
        if self.checksum and not self.checksum_sql:
            return None
        parts += [self.checksum_sql(text)] if self.checksum_sql else []
        return " AND ".join(parts)


FORMATS: Final[Mapping[str, Format]] = {
    "email": Format("an e-mail address", pattern=rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+"),
    "uuid": Format("a UUID", pattern="[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "date": Format(
        "an ISO 8601 date",
        pattern="[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
        f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29",
    ),
    "country": Format("an ISO 3166 country code", allowed=COUNTRIES),
    "currency": Format("an ISO 4217 currency code", allowed=CURRENCIES),
    "latitude": Format(
        "a latitude in degrees",
        kinds=_DEGREES,
        pattern=r"[+-]?(?:90(?:\.0+)?|[0-8]?[0-9](?:\.[0-9]+)?)",
        numbers=Range(-90, 90),
    ),
    "longitude": Format(
        "a longitude in degrees",
        kinds=_DEGREES,
        pattern=r"[+-]?(?:180(?:\.0+)?|(?:1[0-7][0-9]|[0-9]?[0-9])(?:\.[0-9]+)?)",
        numbers=Range(-180, 180),
    ),
    "luhn": Format("a number with a Luhn digit", kinds=_DIGITS, checksum=luhn, checksum_sql=luhn_sql),
    "iban": Format("an IBAN", checksum=iban, ignored=" "),
    "isbn13": Format(
        "an ISBN-13", kinds=_DIGITS, pattern="97[89][0-9]{10}", checksum=gs1, checksum_sql=gs1_sql, ignored=" -"
    ),
    "ean": Format(
        "an EAN",
        kinds=_DIGITS,
        pattern="[0-9]{8}|[0-9]{12,14}",
        checksum=gs1,
        checksum_sql=gs1_sql,
    ),
}
