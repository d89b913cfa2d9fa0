"""The most frequent values."""

import itertools
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.grouped import Counted, Places, as_batch, counted_column, unpacked
from headrace.stream_processors.sketches.packing import (
    LENGTH,
    Reader,
    Whole,
    rows_bytes,
    texts_bytes,
    whole_bytes,
    whole_runs,
)

CAPACITY = 64
TEXT_CHARACTERS = 64
# Below it one number stands for three, and sorting is quicker.
_LARGEST_KEY = 1 << 62
_HEAD = struct.Struct("<HHqq")
_HEAD_ROW = np.dtype([("capacity", "<u2"), ("size", "<u2"), ("total", "<i8"), ("error", "<i8")])


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
        return unpacked(found, cls.packed(found), cls.unpack)

    @classmethod
    def packed(cls, found: Counted) -> list[bytes]:
        """Return the most frequent of counted values as `pack` does, by window."""
        if found.values.dtype in {pl.String, pl.Binary}:
            texts = texts_of(found.values)
            if (texts.str.len_bytes() > TEXT_CHARACTERS).any():
                found = found.translated(texts.str.head(TEXT_CHARACTERS))
        least = _taken_off(found)
        kept = found.count > least[found.window]
        window, count = found.window[kept], found.count[kept] - least[found.window[kept]]
        used, codes = np.unique(found.value[kept], return_inverse=True)
        names = texts_of(found.values[used])
        order = _by_count(window, codes, count, names)
        edges = np.searchsorted(window, np.arange(len(found.starts) + 1))
        return _packed(_Listed(codes[order], count[order], edges), names.to_list(), found.known, least)

    @classmethod
    def from_counts(cls, counts: Iterable[tuple[str, int]], total: int, error: int, capacity: int) -> Self:
        """Return the most frequent of these texts, each named once; `error` is what they may lack already."""
        ordered = sorted(counts, key=lambda item: (-item[1], item[0]))
        if len(ordered) > capacity:
            least = ordered[capacity][1]
            ordered = [(text, count - least) for text, count in ordered[:capacity] if count > least]
            error += least
        return cls(capacity, tuple(text for text, _ in ordered), tuple(count for _, count in ordered), total, error)

    @staticmethod
    def exact(distinct: float | None) -> bool:
        """Return True where counts of a field with so many values are exact, and not the least they can be."""
        return distinct is not None and distinct <= CAPACITY

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


@dataclass(frozen=True)
class _Listed:
    """What is listed, window by window: places in the names, counts, and where each window's begin and end."""

    codes: Places
    counts: Whole
    edges: Whole


def _packed(listed: _Listed, names: list[str], totals: Whole, errors: Whole) -> list[bytes]:
    """Return the bodies of windows."""
    codes, counts, edges = listed.codes, listed.counts, listed.edges
    starts, stops = edges[:-1], edges[1:]
    heads = np.empty(len(stops), _HEAD_ROW)
    heads["capacity"], heads["size"], heads["total"], heads["error"] = CAPACITY, stops - starts, totals, errors
    lengths = np.fromiter(map(len, names), np.int64, len(names))[codes]
    own = codes.tolist()
    texts = [
        "".join([names[code] for code in own[low:high]]).encode() for low, high in itertools.pairwise(edges.tolist())
    ]
    parts = (rows_bytes(heads), whole_runs(counts, starts, stops), whole_runs(lengths, starts, stops))
    return [b"".join((*made, LENGTH.pack(len(text)), text)) for *made, text in zip(*parts, texts, strict=True)]


def texts_of(values: pl.Series) -> pl.Series:
    """Return values as texts; bytes as hexadecimal digits.

    >>> texts_of(pl.Series([1.5, 2.0])).to_list()
    ['1.5', '2.0']
    """
    return values.bin.encode("hex") if values.dtype == pl.Binary else values.cast(pl.String)


def _taken_off(found: Counted) -> Whole:
    """Return by window what is taken off its counts: the greatest count that does not fit the list, 0 if all do."""
    least = np.zeros(len(found.starts), np.int64)
    bounds = np.asarray(found.bounds)
    for place in np.flatnonzero(np.diff(bounds) > CAPACITY).tolist():
        counts = found.count[bounds[place] : bounds[place + 1]]
        nth = len(counts) - CAPACITY - 1
        least[place] = np.partition(counts, nth)[nth]
    return least


def _by_count(window: Places, codes: Places, count: Whole, names: pl.Series) -> Places:
    """Return the order of pairs: windows in order, in each the greatest count first, then the least text."""
    rank = np.empty(len(names), np.int64)
    # Polars sorts texts by their bytes in UTF-8, which is by their code points, as Python does.
    rank[names.arg_sort().to_numpy()] = np.arange(len(names))
    most, size = int(count.max(initial=0)), max(len(names), 1)
    if (int(window.max(initial=0)) + 1) * (most + 1) * size < _LARGEST_KEY:
        return np.argsort((window * (most + 1) + (most - count)) * size + rank[codes])
    return np.lexsort((rank[codes], -count, window))
