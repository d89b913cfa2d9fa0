"""Mean and variance."""

import math
import struct
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.grouped import Counted, as_batch, counted_column, unpacked
from headrace.stream_processors.sketches.packing import Reader, rows_bytes

# Squares of greater numbers do not fit a double.
LARGEST = 1e150
_ALL = struct.Struct("<qdd")
_ROW = np.dtype([("n", "<i8"), ("mean", "<f8"), ("m2", "<f8")])


@dataclass(frozen=True)
class Moments:
    """Number, mean and sum of squared distances from the mean of finite numbers up to 1e150; exact but for rounding.

    >>> Moments(2, 1.5, 0.5).merge(Moments(1, 3.0, 0.0)).mean
    2.0
    """

    kind: ClassVar[str] = "moments"
    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @property
    def std(self) -> float:
        """Return the standard deviation of these numbers as a population; 0.0 of none."""
        return math.sqrt(self.m2 / self.n) if self.n else 0.0

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Return the moments of a series of numbers."""
        return cls.by_window(as_batch(values), "value").get(0, cls())

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str) -> dict[int, Self]:
        """Return the moments of a column by window."""
        return cls.from_counted(counted_column(batch, column))

    @classmethod
    def from_counted(cls, found: Counted) -> dict[int, Self]:
        """Return the moments of counted values."""
        return unpacked(found, cls.packed(found), cls.unpack)

    @classmethod
    def packed(cls, found: Counted) -> list[bytes]:
        """Return the moments of counted values as `pack` does, by window.

        The squares are of distances from the window's mean.
        """
        known = found.numbers
        usable = np.abs(known) <= LARGEST
        numbers, counts = known[found.value], found.count
        if not usable.all():
            kept = usable[found.value]
            numbers, counts = np.where(kept, numbers, 0.0), np.where(kept, counts, 0)
        n = found.summed(counts)
        divisor = np.maximum(n, 1)
        # Shares before the sum: the sum of 1e150 over many rows would still fit, its square would not.
        mean = found.summed(numbers * (counts / divisor[found.window]))
        distance = numbers - mean[found.window]
        rows = np.empty(len(n), _ROW)
        rows["n"], rows["mean"] = n, mean + 0.0
        rows["m2"] = found.summed(counts * distance * distance)
        return rows_bytes(rows)

    def merge(self, other: Self) -> Self:
        """Return the moments of both samples (Chan's formula)."""
        if not self.n:
            return other
        if not other.n:
            return self
        n = self.n + other.n
        distance = other.mean - self.mean
        # Symmetric in both, so that the order does not even change the rounding.
        mean = (self.mean * self.n + other.mean * other.n) / n
        return type(self)(n, mean, self.m2 + other.m2 + distance * distance * (self.n * other.n / n))

    def pack(self) -> bytes:
        """Return the three numbers."""
        return _ALL.pack(self.n, self.mean, self.m2)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the moments of these bytes."""
        reader = Reader(data)
        n, mean, m2 = reader.fields(_ALL)
        reader.end()
        return cls(n, mean, m2)
