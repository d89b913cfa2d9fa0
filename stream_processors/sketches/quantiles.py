"""Quantiles with a relative error of one percent (DDSketch: bins whose bounds grow by a constant factor)."""

import math
import struct
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.stream_processors.sketches.grouped import Counted, as_batch, counted_column, unpacked
from headrace.stream_processors.sketches.packing import EqualByBytes, Reader, Whole, rows_bytes, whole_bytes, whole_runs

RELATIVE_ERROR = 0.01
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG = math.log(_GAMMA)
# Greater than the index of the least double (5e-324): bins of positive numbers are then above 0, bin 0 is zero itself,
# and those of negative numbers are below, so that bins sort as their values do.
_OFFSET = 40_000
_HEAD = struct.Struct("<Ii")
_HEAD_ROW = np.dtype([("size", "<u4"), ("first", "<i4")])


def _no_numbers() -> Whole:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Quantiles(EqualByBytes):
    """Counts in bins of one percent relative half width: any quantile of finite numbers within one percent of it.

    Merging is exact: the bins do not depend on the data. Memory grows with the logarithm of the data's range: 350 bins
    for three decades.

    >>> found = Quantiles.of(pl.Series(range(1, 1001)))
    >>> found.n, round(found.quantile(0.5) or 0), round(found.share_below(100), 2)
    (1000, 498, 0.1)
    """

    kind: ClassVar[str] = "quantiles"
    keys: Whole = field(default_factory=_no_numbers)
    counts: Whole = field(default_factory=_no_numbers)

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Return the bins of a series of numbers."""
        return cls.by_window(as_batch(values), "value").get(0, cls())

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str) -> dict[int, Self]:
        """Return the bins of a column by window."""
        return cls.from_counted(counted_column(batch, column))

    @classmethod
    def from_counted(cls, found: Counted) -> dict[int, Self]:
        """Return the bins of counted values."""
        return unpacked(found, cls.packed(found), cls.unpack)

    @classmethod
    def packed(cls, found: Counted) -> list[bytes]:
        """Return the bins of counted values as `pack` does, by window."""
        finite = np.isfinite(found.numbers)
        bins, codes = np.unique(_keys(np.where(finite, found.numbers, 0.0)), return_inverse=True)
        binned = found.recoded(np.where(finite, codes, -1), pl.Series(bins))
        own = bins[binned.value]
        edges = np.asarray(binned.bounds)
        filled = np.flatnonzero(edges[1:] > edges[:-1])
        starts, stops = edges[filled], edges[filled + 1]
        heads = np.empty(len(filled), _HEAD_ROW)
        heads["size"], heads["first"] = stops - starts, own[starts]
        steps = whole_runs(np.diff(own, prepend=0), starts + 1, stops)
        counts = whole_runs(binned.count, starts, stops)
        bodies = [b""] * len(found.starts)
        for place, *parts in zip(filled.tolist(), rows_bytes(heads), steps, counts, strict=True):
            bodies[place] = b"".join(parts)
        return bodies

    @cached_property
    def n(self) -> int:
        """Return how many numbers are in the bins."""
        return int(self.counts.sum())

    @cached_property
    def _sums(self) -> Whole:
        """How many numbers are in each bin and those below it."""
        return np.cumsum(self.counts)

    def quantile(self, q: float) -> float | None:
        """Return the number below which the share `q` lies, within one percent of it; None of no numbers."""
        place = self._place(q)
        if place is None:
            return None
        low, high = _range(int(self.keys[place]))
        # The value with the same relative distance from both ends.
        return 0.0 if low == high else low * (2 / (1 + low / high))

    def error(self, q: float) -> float:
        """Return how far `quantile(q)` may be from the true value."""
        found = self.quantile(q)
        return abs(found) * RELATIVE_ERROR if found else 0.0

    def share_below(self, x: float) -> float:
        """Return the share of numbers below `x`, 0.0 of no numbers; within the bin of `x` in proportion."""
        if not self.n:
            return 0.0
        below = 0.0
        for low, high, count in self.bins():
            if high < x:
                below += count
            elif low < x:
                below += count * (x - low) / (high - low)
        return below / self.n

    def bins(self) -> list[tuple[float, float, int]]:
        """Return (low, high, count) of each bin that holds something, in ascending order; zero is a bin of its own."""
        return [(*_range(key), count) for key, count in zip(self.keys.tolist(), self.counts.tolist(), strict=True)]

    def _place(self, q: float) -> int | None:
        if not self.n:
            return None
        rank = min(max(q, 0.0), 1.0) * (self.n - 1)
        return int(np.searchsorted(self._sums, rank, side="right"))

    def merge(self, other: Self) -> Self:
        """Return the sums of the bins."""
        if not len(self.keys):
            return other
        if not len(other.keys):
            return self
        keys, places = np.unique(np.concatenate((self.keys, other.keys)), return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        counts[places[: len(self.keys)]] = self.counts
        counts[places[len(self.keys) :]] += other.counts
        return type(self)(keys, counts)

    def pack(self) -> bytes:
        """Return the first bin, the steps from bin to bin, and the counts."""
        if not len(self.keys):
            return b""
        head = _HEAD.pack(len(self.keys), int(self.keys[0]))
        return head + whole_bytes(self.keys[1:] - self.keys[:-1]) + whole_bytes(self.counts)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the quantiles of these bytes."""
        if not data:
            return cls()
        reader = Reader(data)
        size, first = reader.fields(_HEAD)
        keys = np.concatenate(([first], reader.whole(size - 1))).cumsum()
        counts = reader.whole(size)
        reader.end()
        return cls(keys, counts)


def _keys(numbers: NDArray[np.float64]) -> Whole:
    magnitude = np.abs(numbers)
    index = np.ceil(np.log(np.where(magnitude > 0, magnitude, 1.0)) / _LOG).astype(np.int64)
    return np.sign(numbers).astype(np.int64) * (index + _OFFSET)


@lru_cache(maxsize=16_384)
def _range(key: int) -> tuple[float, float]:
    if not key:
        return 0.0, 0.0
    index = abs(key) - _OFFSET
    inner, outer = (index - 1) * _LOG, index * _LOG
    low, high = math.exp(inner), math.exp(min(outer, 709.78))
    return (low, high) if key > 0 else (-high, -low)
