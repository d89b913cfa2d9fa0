"""The least and the greatest number."""

import struct
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.stream_processors.sketches.grouped import Counted, as_batch, counted_column, unpacked
from headrace.stream_processors.sketches.packing import Reader, rows_bytes

_BOTH = struct.Struct("<dd")
_ROW = np.dtype([("low", "<f8"), ("high", "<f8")])


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
        return unpacked(found, cls.packed(found), cls.unpack)

    @classmethod
    def packed(cls, found: Counted) -> list[bytes]:
        """Return the extremes of counted values as `pack` does, by window."""
        numbers = found.numbers
        if not np.isfinite(numbers).all():
            keep = np.isfinite(numbers[found.value])
            window, values = found.window[keep], numbers[found.value[keep]]
        else:
            window, values = found.window, numbers[found.value]
        bodies = [b""] * len(found.starts)
        if len(values):
            first = np.flatnonzero(np.diff(window, prepend=-1))
            found_bodies = cls.of_pairs(np.minimum.reduceat(values, first), np.maximum.reduceat(values, first))
            for place, body in zip(window[first].tolist(), found_bodies, strict=True):
                bodies[place] = body
        return bodies

    @classmethod
    def of_pairs(cls, low: NDArray[Any], high: NDArray[Any]) -> list[bytes]:
        """Return the extremes of pairs of numbers as `pack` does."""
        both = np.empty(len(low), _ROW)
        both["low"], both["high"] = low, high
        return rows_bytes(both)

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
