"""A 64-bit hash of values that stays the same on every machine and with every version of every library.

Polars' own hash is quicker, but changes with its version and with the processor's instructions; states that are kept
for months and merged across machines cannot stand on it (docs/decisions/0016-sketches.md).
"""

import functools
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TEXT, _FRACTION = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)
_WORD = 8
_EXACT = 2.0**63


def mix(words: Hashes) -> Hashes:
    """Return splitmix64 of each word: every bit of the input moves every bit of the result."""
    mixed = words + _GOLDEN
    mixed ^= mixed >> np.uint64(30)
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def hash_values(values: pl.Series) -> Hashes:
    """Return the hash of each value; `values` has no nulls. A whole number has one hash, as int, long and double.

    Dates and times are hashed by their physical value, everything that is neither number, time nor text by its text.

    >>> bool((hash_values(pl.Series([1, 2])) == hash_values(pl.Series([1.0, 2.0]))).all())
    True
    """
    kind = values.dtype
    if kind.is_integer() or kind == pl.Boolean or (kind.is_temporal() and kind != pl.Duration):
        return mix(values.cast(pl.Int64).to_numpy().view(np.uint64))
    if kind.is_float():
        return _hash_fractions(values.cast(pl.Float64).to_numpy())
    if kind == pl.Binary:
        return _hash_texts(values.bin.encode("base64"))
    return _hash_texts(values.cast(pl.String))


def combined(hashes: Sequence[Hashes]) -> Hashes:
    """Return one hash for each row of several columns; their order matters.

    >>> one, other = mix(np.array([1], np.uint64)), mix(np.array([2], np.uint64))
    >>> bool(combined([one, other])[0] == combined([other, one])[0])
    False
    """
    return functools.reduce(lambda found, column: mix(found ^ (column * _FIRST)), hashes[1:], hashes[0])


def _hash_fractions(numbers: NDArray[np.float64]) -> Hashes:
    numbers = np.where(np.isnan(numbers), np.nan, numbers + 0.0)
    whole = (np.floor(numbers) == numbers) & (np.abs(numbers) < _EXACT)
    as_whole = mix(np.where(whole, numbers, 0.0).astype(np.int64).view(np.uint64))
    return np.where(whole, as_whole, mix(numbers.view(np.uint64) ^ _FRACTION))


def _hash_texts(texts: pl.Series) -> Hashes:
    """Hash each text as the sum of its mixed words of eight bytes, each mixed with its place."""
    if not len(texts):
        return np.empty(0, np.uint64)
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    data = np.frombuffer(texts.str.join("").item().encode(), np.uint8)
    words = lengths // _WORD + 1
    first_word = np.cumsum(words) - words
    padded = np.zeros(int(words.sum()) * _WORD, np.uint8)
    shift = first_word * _WORD - (np.cumsum(lengths) - lengths)
    padded[np.repeat(shift, lengths) + np.arange(len(data))] = data
    places = np.arange(len(padded) // _WORD) - np.repeat(first_word, words)
    seeds = mix(np.arange(int(words.max()), dtype=np.uint64) ^ _TEXT)
    mixed = mix(padded.view("<u8").astype(np.uint64) ^ seeds[places])
    sums: Hashes = np.add.reduceat(mixed, first_word)
    return mix(sums ^ (lengths.astype(np.uint64) * _SECOND))
