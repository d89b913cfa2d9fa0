"""The most frequent values."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.grouped import Counted, as_batch, counted_column
from headrace.stream_processors.sketches.packing import Reader, texts_bytes, whole_bytes

CAPACITY = 64
TEXT_CHARACTERS = 64
_HEAD = struct.Struct("<HHqq")


@dataclass(frozen=True)
class Top:
    """The most frequent texts with their counts (Misra-Gries): exact while there are no more than `capacity`.

    A listed count is at most the true one, which is at most the count and `error`; a text that is not listed occurs at
    most `error` times, and `error` is never more than total / (capacity + 1), whatever was merged in which order.
    Texts count as equal when their first 64 characters are.

    >>> Top.of(pl.Series(["b", "a", "b", None])).items()
    [('b', 2), ('a', 1)]
    """

    kind: ClassVar[str] = "top"
    capacity: int = CAPACITY
    listed: tuple[tuple[str, int], ...] = ()
    total: int = 0
    error: int = 0

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Return the most frequent values of a series, as texts; nulls are left out."""
        return cls.by_window(as_batch(values), "value").get(0, cls())

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str | list[str]) -> dict[int, Self]:
        """Return the most frequent values of a column by window; of several columns, with ` | ` between."""
        return cls.from_counted(counted_column(batch, column))

    @classmethod
    def from_counted(cls, found: Counted) -> dict[int, Self]:
        """Return the most frequent of counted values."""
        texts = texts_of(found.values)
        if (texts.str.len_bytes() > TEXT_CHARACTERS).any():
            found = found.translated(texts.str.head(TEXT_CHARACTERS))
            texts = found.values
        size = max(len(texts), 1)
        # The first of a window has the greatest count, among equal counts the least text.
        rank = size - 1 - texts.rank("ordinal").cast(pl.Int64).to_numpy() if len(texts) else np.empty(0, np.intp)
        order = np.lexsort((rank[found.value], found.count, found.window))[::-1]
        names = texts.to_list()
        counts = found.count[order]
        values, ends = found.value[order], len(order)
        cells = {}
        for place, start in enumerate(found.starts.tolist()):
            first, last = ends - found.bounds[place + 1], ends - found.bounds[place]
            total = int(counts[first:last].sum())
            error, stop = 0, last
            if last - first > CAPACITY:
                error = int(counts[first + CAPACITY])
                stop = first + int(np.searchsorted(-counts[first : first + CAPACITY], -error))
            own = [names[value] for value in values[first:stop].tolist()]
            kept = counts[first:stop] - error if error else counts[first:stop]
            cells[start] = cls(CAPACITY, tuple(zip(own, kept.tolist(), strict=True)), total, error)
        return cells

    @classmethod
    def from_counts(cls, counts: Iterable[tuple[str, int]], total: int, error: int, capacity: int) -> Self:
        """Return the most frequent of these texts, each named once; `error` is what they may lack already."""
        ordered = sorted(counts, key=lambda item: (-item[1], item[0]))
        if len(ordered) > capacity:
            least = ordered[capacity][1]
            ordered = [(text, count - least) for text, count in ordered[:capacity] if count > least]
            error += least
        return cls(capacity, tuple(ordered), total, error)

    def items(self) -> list[tuple[str, int]]:
        """Return the texts and their counts, greatest first; each may lack up to `error`."""
        return list(self.listed)

    def merge(self, other: Self) -> Self:
        """Return the most frequent of both; raises ValueError for another capacity."""
        if self.capacity != other.capacity:
            raise ValueError(f"lists of {self.capacity} and {other.capacity} values do not merge")
        counts = dict(self.listed)
        for text, count in other.listed:
            counts[text] = counts.get(text, 0) + count
        total, error = self.total + other.total, self.error + other.error
        return self.from_counts(counts.items(), total, error, self.capacity)

    def pack(self) -> bytes:
        """Return total, error, counts and texts."""
        counts = np.fromiter((count for _, count in self.listed), np.int64, len(self.listed))
        head = _HEAD.pack(self.capacity, len(self.listed), self.total, self.error)
        return head + whole_bytes(counts) + texts_bytes([text for text, _ in self.listed])

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the cell of these bytes."""
        reader = Reader(data)
        capacity, size, total, error = reader.fields(_HEAD)
        counts = reader.whole(size).tolist()
        texts = reader.texts(size)
        reader.end()
        return cls(capacity, tuple(zip(texts, counts, strict=True)), total, error)


def texts_of(values: pl.Series) -> pl.Series:
    """Return values as texts; bytes as hexadecimal digits.

    >>> texts_of(pl.Series([1.5, 2.0])).to_list()
    ['1.5', '2.0']
    """
    return values.bin.encode("hex") if values.dtype == pl.Binary else values.cast(pl.String)
