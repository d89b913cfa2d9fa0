"""The most frequent values."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.stream_processors.sketches.grouped import Counted, as_batch, counted_column
from headrace.stream_processors.sketches.packing import Reader, texts_bytes, whole_bytes

CAPACITY = 64
TEXT_CHARACTERS = 64
_LARGEST_KEY = 1 << 62
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
    texts: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
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
        names = texts.to_list()
        order = _by_count(found, names)
        values, counts, ends = found.value[order].tolist(), found.count[order], len(order)
        listed = counts.tolist()
        cells = {}
        for place, (start, total) in enumerate(zip(found.starts.tolist(), found.known.tolist(), strict=True)):
            first, last = ends - found.bounds[place + 1], ends - found.bounds[place]
            if last - first <= CAPACITY:
                kept, error = listed[first:last], 0
            else:
                error = listed[first + CAPACITY]
                kept = [count - error for count in listed[first : first + CAPACITY] if count > error]
            own = values[first : first + len(kept)]
            cells[start] = cls(CAPACITY, tuple([names[value] for value in own]), tuple(kept), total, error)
        return cells

    @classmethod
    def from_counts(cls, counts: Iterable[tuple[str, int]], total: int, error: int, capacity: int) -> Self:
        """Return the most frequent of these texts, each named once; `error` is what they may lack already."""
        ordered = sorted(counts, key=lambda item: (-item[1], item[0]))
        if len(ordered) > capacity:
            least = ordered[capacity][1]
            ordered = [(text, count - least) for text, count in ordered[:capacity] if count > least]
            error += least
        return cls(capacity, tuple(text for text, _ in ordered), tuple(count for _, count in ordered), total, error)

    def items(self) -> list[tuple[str, int]]:
        """Return the texts and their counts, greatest first; each may lack up to `error`."""
        return list(zip(self.texts, self.counts, strict=True))

    def merge(self, other: Self) -> Self:
        """Return the most frequent of both; raises ValueError for another capacity."""
        if self.capacity != other.capacity:
            raise ValueError(f"lists of {self.capacity} and {other.capacity} values do not merge")
        counts = dict(self.items())
        for text, count in other.items():
            counts[text] = counts.get(text, 0) + count
        total, error = self.total + other.total, self.error + other.error
        return self.from_counts(counts.items(), total, error, self.capacity)

    def pack(self) -> bytes:
        """Return total, error, counts and texts."""
        head = _HEAD.pack(self.capacity, len(self.texts), self.total, self.error)
        return head + whole_bytes(self.counts) + texts_bytes(self.texts)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the cell of these bytes."""
        reader = Reader(data)
        capacity, size, total, error = reader.fields(_HEAD)
        counts = reader.whole(size).tolist()
        texts = reader.texts(size)
        reader.end()
        return cls(capacity, tuple(texts), tuple(counts), total, error)


def texts_of(values: pl.Series) -> pl.Series:
    """Return values as texts; bytes as hexadecimal digits.

    >>> texts_of(pl.Series([1.5, 2.0])).to_list()
    ['1.5', '2.0']
    """
    return values.bin.encode("hex") if values.dtype == pl.Binary else values.cast(pl.String)


def _by_count(found: Counted, names: list[str]) -> NDArray[np.intp]:
    """Return the order of pairs: windows last to first, in each the greatest count first, then the least text."""
    size = max(len(names), 1)
    rank = np.empty(size, np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(size)[::-1]
    most = int(found.count.max()) + 1 if len(found.count) else 1
    if len(found.starts) * most * size < _LARGEST_KEY:
        return np.argsort((found.window * most + found.count) * size + rank[found.value])[::-1]
    return np.lexsort((rank[found.value], found.count, found.window))[::-1]
