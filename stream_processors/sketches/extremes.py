"""The least and the greatest number."""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.grouped import Counted, as_batch, counted_column
from headrace.stream_processors.sketches.packing import Reader

_BOTH = struct.Struct("<dd")


@dataclass(frozen=True)
class Extremes:
    """The least and the greatest finite number, None where there is none; exact.

    A boolean is 0 or 1, a date its days, a timestamp its microseconds since 1970.

    >>> Extremes(1.0, 2.0).merge(Extremes(0.0, 1.0))
    Extremes(low=0.0, high=2.0)
    """

    kind: ClassVar[str] = "extremes"
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Return the extremes of a series of numbers or times."""
        return cls.by_window(as_batch(values), "value").get(0, cls())

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str) -> dict[int, Self]:
        """Return the extremes of a column by window."""
        return cls.from_counted(counted_column(batch, column))

    @classmethod
    def from_counted(cls, found: Counted) -> dict[int, Self]:
        """Return the extremes of counted values."""
        numbers = found.numbers
        if not np.isfinite(numbers).all():
            keep = np.isfinite(numbers[found.value])
            window, values = found.window[keep], numbers[found.value[keep]]
        else:
            window, values = found.window, numbers[found.value]
        cells = dict.fromkeys(found.starts.tolist(), cls())
        if len(values):
            first = np.flatnonzero(np.diff(window, prepend=-1))
            lows, highs = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
            starts = found.starts[window[first]].tolist()
            for start, low, high in zip(starts, lows.tolist(), highs.tolist(), strict=True):
                cells[start] = cls(low, high)
        return cells

    def merge(self, other: Self) -> Self:
        """Return the extremes of both samples."""
        if self.low is None or self.high is None:
            return other
        if other.low is None or other.high is None:
            return self
        return type(self)(min(self.low, other.low), max(self.high, other.high))

    def pack(self) -> bytes:
        """Return both numbers; nothing for none."""
        return b"" if self.low is None else _BOTH.pack(self.low, self.high)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the extremes of these bytes."""
        if not data:
            return cls()
        reader = Reader(data)
        low, high = reader.fields(_BOTH)
        reader.end()
        return cls(low, high)
