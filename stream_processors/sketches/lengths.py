"""Lengths and shapes of texts."""

import string
from dataclasses import dataclass, field
from typing import ClassVar, Self

import polars as pl

from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.grouped import Counted, as_batch, counted_column, unpacked
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.packing import Reader
from headrace.stream_processors.sketches.top import TEXT_CHARACTERS, Top

_MOMENTS_BYTES = 24
_ASCII = str.maketrans(string.ascii_uppercase + string.ascii_lowercase + string.digits, "A" * 26 + "a" * 26 + "9" * 10)


@dataclass(frozen=True)
class Lengths:
    """The least, greatest and mean length of texts, in characters (of bytes: in bytes).

    >>> found = Lengths.of(pl.Series(["ab", "abcd"]))
    >>> found.extremes.high, found.moments.mean
    (4.0, 3.0)
    """

    kind: ClassVar[str] = "lengths"
    extremes: Extremes = field(default_factory=Extremes)
    moments: Moments = field(default_factory=Moments)

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Return the lengths of a series of texts."""
        return cls.by_window(as_batch(values), "value").get(0, cls())

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str) -> dict[int, Self]:
        """Return the lengths of a column by window."""
        return cls.from_counted(counted_column(batch, column))

    @classmethod
    def from_counted(cls, found: Counted) -> dict[int, Self]:
        """Return the lengths of counted texts."""
        return unpacked(found, cls.packed(found), cls.unpack)

    @classmethod
    def packed(cls, found: Counted) -> list[bytes]:
        """Return the lengths of counted texts as `pack` does, by window."""
        lengths = found.translated(lengths_of(found.values))
        both = zip(Moments.packed(lengths), Extremes.packed(lengths), strict=True)
        return [moments + extremes for moments, extremes in both]

    def merge(self, other: Self) -> Self:
        """Return the lengths of both."""
        return type(self)(self.extremes.merge(other.extremes), self.moments.merge(other.moments))

    def pack(self) -> bytes:
        """Return moments and extremes."""
        return self.moments.pack() + self.extremes.pack()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the cell of these bytes."""
        moments = Moments.unpack(Reader(data).raw(_MOMENTS_BYTES))
        return cls(Extremes.unpack(data[_MOMENTS_BYTES:]), moments)


def lengths_of(values: pl.Series) -> pl.Series:
    """Return the length of each text in characters, of bytes in bytes."""
    return values.bin.size() if values.dtype == pl.Binary else values.cast(pl.String).str.len_chars()


def shapes_of(texts: pl.Series) -> pl.Series:
    """Return the shape of each text: `A` for a capital, `a` for any other letter, `9` for a digit, the rest as it is.

    Of texts longer than 64 characters the shape of these.

    >>> shapes_of(pl.Series(["N123AA", "o'Hare-1"])).to_list()
    ['A999AA', "a'Aaaa-9"]
    """
    shaped = texts.cast(pl.String).str.head(TEXT_CHARACTERS)
    joined = shaped.str.join("\0", ignore_nulls=True).item()
    if joined.isascii() and joined.count("\0") == len(shaped) - 1 and not shaped.null_count():
        return pl.Series(shaped.name, joined.translate(_ASCII).split("\0"), pl.String)
    for pattern, mark in ((r"[\p{L}--\p{Lu}]", "a"), (r"\p{Lu}", "A"), (r"\p{Nd}", "9")):
        shaped = shaped.str.replace_all(pattern, mark)
    return shaped


def shapes(found: Counted) -> dict[int, Top]:
    """Return the most frequent shapes of counted texts by window."""
    return unpacked(found, packed_shapes(found), Top.unpack)


def packed_shapes(found: Counted) -> list[bytes]:
    """Return the most frequent shapes as `Top.pack` does, by window."""
    return Top.packed(found.translated(shapes_of(found.values)))
