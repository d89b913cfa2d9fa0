"""Numbers with a check digit: Luhn, GS1 (EAN, UPC, ISBN-13) and IBAN. Columns at a time, no loop over rows."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

_PLACES: Final = 19
_IBAN_DIGITS: Final = 72
_BLOCK: Final = 9
# Length of an IBAN by country, from the SWIFT registry of IBAN formats (release 99).
IBAN_LENGTHS: Final = {
    code: int(length)
    for length, codes in {
        "15": "NO", "16": "BE", "18": "DK FK FI FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR",
        "27": "BI DJ FR GR IT MC MR SM", "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA",
        "30": "JO KW MU YE", "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip
_IBAN_FORM: Final = "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"
_LETTERS: Final = [chr(ord("A") + place) for place in range(26)]
_NUMBERS: Final = [str(10 + place) for place in range(26)]


def luhn(text: pl.Series) -> pl.Series:
    """Return which texts of 2 to 19 digits end in their Luhn digit (cards, IMEI); null is not one.

    >>> luhn(pl.Series(["4111111111111111", "4111111111111112", "x"])).to_list()
    [True, False, False]
    """
    formed = text.str.contains("^[0-9]{2,19}$").fill_null(value=False)
    digits = _digits(text)
    twice = digits[:, 1::2] * 2
    total = digits[:, ::2].sum(axis=1) + (twice - 9 * (twice > 9)).sum(axis=1)
    return formed & pl.Series(total % 10 == 0)


def gs1(text: pl.Series) -> pl.Series:
    """Return which texts of up to 19 digits end in their GS1 digit (EAN-8, UPC, EAN-13, GTIN-14, ISBN-13).

    >>> gs1(pl.Series(["4006381333931", "4006381333932"])).to_list()
    [True, False]
    """
    formed = text.str.contains("^[0-9]{2,19}$").fill_null(value=False)
    digits = _digits(text)
    return formed & pl.Series((digits[:, ::2].sum(axis=1) + 3 * digits[:, 1::2].sum(axis=1)) % 10 == 0)


def iban(text: pl.Series) -> pl.Series:
    """Return which texts, in capitals and without spaces, are an IBAN: country, its length, remainder of 97.

    >>> iban(pl.Series(["GB82WEST12345698765432", "GB82WEST12345698765433"])).to_list()
    [True, False]
    """
    wanted = text.str.slice(0, 2).replace_strict(IBAN_LENGTHS, default=None, return_dtype=pl.UInt32)
    formed = (text.str.contains(_IBAN_FORM) & (text.str.len_chars() == wanted)).fill_null(value=False)
    turned = text.zip_with(formed, pl.Series([None], dtype=pl.String).new_from_index(0, len(text)))
    turned = turned.str.slice(4) + turned.str.slice(0, 4)
    whole = turned.to_frame("t").select(pl.col("t").str.replace_many(_LETTERS, _NUMBERS).str.zfill(_IBAN_DIGITS))
    rest: NDArray[np.int64] = np.zeros(len(text), np.int64)
    for start in range(0, _IBAN_DIGITS, _BLOCK):
        block = whole.to_series().str.slice(start, _BLOCK).cast(pl.Int64, strict=False).fill_null(0).to_numpy()
        rest = (rest * 10**_BLOCK + block) % 97
    return formed & pl.Series(rest == 1)


def _digits(text: pl.Series) -> NDArray[np.int64]:
    """Return the last 19 digits of each text, the last one first; no number is 0."""
    numbers = text.cast(pl.UInt64, strict=False).fill_null(0).to_numpy()
    powers = np.uint64(10) ** np.arange(_PLACES, dtype=np.uint64)
    digits: NDArray[np.int64] = (numbers[:, None] // powers % np.uint64(10)).astype(np.int64)
    return digits


def luhn_sql(text: str) -> str:
    """Return `luhn` as a ClickHouse condition."""
    twice = "if(d > 4, 2 * d - 9, 2 * d)"
    return _weighted(text, twice)


def gs1_sql(text: str) -> str:
    """Return `gs1` as a ClickHouse condition."""
    return _weighted(text, "3 * d")


def _weighted(text: str, odd: str) -> str:
    number = f"toUInt64OrZero(ifNull({text}, ''))"
    digits = f"arrayMap(i -> intDiv({number}, intExp10(i)) % 10, range({_PLACES}))"
    total = f"arraySum((d, i) -> if(i % 2 = 0, d, {odd}), {digits}, range({_PLACES}))"
    return f"(match(ifNull({text}, ''), '^[0-9]{{2,19}}$') AND {total} % 10 = 0)"
