"""Counts in bins with fixed edges."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.grouped import as_batch, counted_column
from headrace.stream_processors.sketches.packing import Reader, whole_bytes

_SIZE = struct.Struct("<I")


@dataclass(frozen=True)
class Histogram:
    """Counts of numbers between fixed edges; exact. One more count than edges: below the first, ..., from the last on.

    A number on an edge is above it; NaN is left out. `Histogram()` is empty and merges with any.

    >>> Histogram.of(pl.Series([1, 2, 2, 9]), [0, 2, 4]).counts
    (0, 1, 2, 1)
    """

    kind: ClassVar[str] = "histogram"
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, values: pl.Series, edges: Sequence[float]) -> Self:
        """Return the counts of a series of numbers between ascending edges."""
        return cls.by_window(as_batch(values), "value", edges).get(0, cls(tuple(edges), (0,) * (len(edges) + 1)))

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str, edges: Sequence[float]) -> dict[int, Self]:
        """Return the counts of a column by window. Raises ValueError for edges that do not ascend."""
        bounds, size = np.asarray(edges, np.float64), len(edges) + 1
        if not len(bounds) or not (np.diff(bounds) > 0).all():
            raise ValueError(f"edges of a histogram must ascend: {list(edges)}")
        found = counted_column(batch, column)
        usable = ~np.isnan(found.numbers)
        places = np.searchsorted(bounds, found.numbers, side="right")
        kept = usable[found.value]
        cells = found.window[kept] * size + places[found.value[kept]]
        table = np.bincount(cells, found.count[kept], len(found.starts) * size).astype(np.int64).reshape(-1, size)
        own = tuple(bounds.tolist())
        return {start: cls(own, tuple(row)) for start, row in zip(found.starts.tolist(), table.tolist(), strict=True)}

    @property
    def n(self) -> int:
        """Return how many numbers are counted."""
        return sum(self.counts)

    def merge(self, other: Self) -> Self:
        """Return the sums; raises ValueError for other edges."""
        if not self.edges or not other.edges:
            return self if self.edges else other
        if self.edges != other.edges:
            raise ValueError(f"histograms of other edges do not merge: {self.edges[:3]}... and {other.edges[:3]}...")
        return type(self)(self.edges, tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    def pack(self) -> bytes:
        """Return edges and counts."""
        if not self.edges:
            return b""
        edges = np.asarray(self.edges, "<f8").tobytes()
        return _SIZE.pack(len(self.edges)) + edges + whole_bytes(np.asarray(self.counts, np.int64))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the histogram of these bytes."""
        if not data:
            return cls()
        reader = Reader(data)
        (size,) = reader.fields(_SIZE)
        edges = np.frombuffer(reader.raw(8 * size), "<f8").tolist()
        counts = reader.whole(size + 1).tolist()
        reader.end()
        return cls(tuple(edges), tuple(counts))
