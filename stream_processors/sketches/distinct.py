"""How many different values there are: exact while they are few, then estimated (HyperLogLog)."""

import itertools
import math
import struct
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.stream_processors.sketches.grouped import Counted, Places, as_batch, counted_column, unpacked
from headrace.stream_processors.sketches.hashing import Hashes
from headrace.stream_processors.sketches.packing import EqualByBytes, Reader, Whole

EXACT_LIMIT = 512
PRECISION = 12
_BITS = 64
_FORM = struct.Struct("<BBI")
_EXACT, _SPARSE, _DENSE = 0, 1, 2
_LEAST, _MOST = 4, 16
Registers = NDArray[np.uint8]


def _no_hashes() -> Hashes:
    return np.empty(0, np.uint64)


@dataclass(frozen=True, eq=False)
class Distinct(EqualByBytes):
    """The set of value hashes up to 512, then HyperLogLog registers. Any split of the same rows gives the same cell.

    `hashes` are sorted and different, and empty once `registers` are kept. 2**precision registers of a byte have a
    standard error of 1.04 / sqrt(2**precision): 1.6 % at 12.

    >>> found = Distinct.of(pl.Series(["a", "b", "a", None]))
    >>> found.estimate, found.error
    (2.0, 0.0)
    """

    kind: ClassVar[str] = "distinct"
    hashes: Hashes = field(default_factory=_no_hashes)
    registers: Registers | None = None
    precision: int = PRECISION

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Return the different values of a series; nulls are none."""
        return cls.by_window(as_batch(values), "value").get(0, cls())

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str | list[str]) -> dict[int, Self]:
        """Return the different values of a column by window."""
        return cls.from_counted(counted_column(batch, column))

    @classmethod
    def from_counted(cls, found: Counted) -> dict[int, Self]:
        """Return the different values of counted values."""
        return unpacked(found, cls.packed(found), cls.unpack)

    @classmethod
    def packed(cls, found: Counted) -> list[bytes]:
        """Return the different values of counted values as `pack` does, by window."""
        hashes = found.hashes
        order = np.argsort(hashes)
        rank = np.empty(len(order), np.intp)
        rank[order] = np.arange(len(order))
        size = max(len(order), 1)
        # Windows stay together and in order: only the values within one are sorted by their hash.
        first = found.window * size
        own = hashes[order][np.sort(first + rank[found.value]) - first]
        places, ranks = _places_and_ranks(hashes, PRECISION) if len(hashes) > EXACT_LIMIT else (order, order)
        data, bodies = own.astype("<u8").tobytes(), []
        for start, stop in itertools.pairwise(found.bounds):
            if stop - start <= EXACT_LIMIT:
                bodies.append(_FORM.pack(_EXACT, PRECISION, stop - start) + data[8 * start : 8 * stop])
            else:
                values = found.value[start:stop]
                bodies.append(cls(_no_hashes(), _highest(places[values], ranks[values], PRECISION)).pack())
        return bodies

    @classmethod
    def of_hashes(cls, hashes: Hashes, precision: int = PRECISION, *, limit: int = EXACT_LIMIT) -> Self:
        """Return the cell of sorted, different hashes."""
        if len(hashes) <= limit:
            return cls(hashes, None, precision)
        return cls(_no_hashes(), _registers(hashes, precision), precision)

    @property
    def exact(self) -> bool:
        """Return True while the values themselves are counted."""
        return self.registers is None

    @cached_property
    def estimate(self) -> float:
        """Return the number of different values (Ertl's estimator, which needs no correction at either end)."""
        if self.registers is None:
            return float(len(self.hashes))
        return _estimate(np.bincount(self.registers, minlength=_BITS - self.precision + 2), self.precision)

    @property
    def error(self) -> float:
        """Return half the width of the 95 % interval (two standard errors), 0 while exact."""
        return 0.0 if self.exact else 2 * 1.04 / math.sqrt(1 << self.precision) * self.estimate

    def merge(self, other: Self) -> Self:
        """Return the values of both; raises ValueError for another precision."""
        if self.precision != other.precision:
            raise ValueError(f"distinct values of precision {self.precision} and {other.precision} do not merge")
        if self.registers is None and other.registers is None:
            return self.of_hashes(np.union1d(self.hashes, other.hashes), self.precision)
        both = np.maximum(self._as_registers(), other._as_registers())
        return type(self)(_no_hashes(), both, self.precision)

    def _as_registers(self) -> Registers:
        return _registers(self.hashes, self.precision) if self.registers is None else self.registers

    def pack(self) -> bytes:
        """Return the hashes, or the registers in the shorter of two forms."""
        if self.registers is None:
            return _FORM.pack(_EXACT, self.precision, len(self.hashes)) + self.hashes.astype("<u8").tobytes()
        used = np.flatnonzero(self.registers > 0)
        if 3 * len(used) >= len(self.registers):
            return _FORM.pack(_DENSE, self.precision, len(self.registers)) + self.registers.tobytes()
        head = _FORM.pack(_SPARSE, self.precision, len(used))
        return head + used.astype("<u2").tobytes() + self.registers[used].tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the cell of these bytes."""
        reader = Reader(data)
        form, precision, size = reader.fields(_FORM)
        if form not in {_EXACT, _SPARSE, _DENSE} or not _LEAST <= precision <= _MOST:
            raise ValueError(f"distinct values of form {form} and precision {precision}")
        hashes, registers = _no_hashes(), None
        if form == _EXACT:
            hashes = np.frombuffer(reader.raw(8 * size), "<u8").astype(np.uint64)
        else:
            registers = np.zeros(1 << precision, np.uint8)
            used = np.arange(1 << precision)
            if form == _SPARSE:
                used = np.frombuffer(reader.raw(2 * size), "<u2").astype(np.intp)
            if size != len(used) or (used >= len(registers)).any():
                raise ValueError(f"{size} registers at precision {precision}")
            registers[used] = np.frombuffer(reader.raw(size), np.uint8)
        reader.end()
        return cls(hashes, registers, precision)


def _registers(hashes: Hashes, precision: int) -> Registers:
    return _highest(*_places_and_ranks(hashes, precision), precision)


def _highest(places: Places, ranks: Places, precision: int) -> Registers:
    registers = np.zeros(1 << precision, np.uint8)
    np.maximum.at(registers, places, ranks.astype(np.uint8))
    return registers


def _places_and_ranks(hashes: Hashes, precision: int) -> tuple[Places, Places]:
    """Return the register of each hash, and one more than the number of zeros that its other bits begin with."""
    places = (hashes >> np.uint64(_BITS - precision)).astype(np.intp)
    # At most 60 bits are left; halves of 32 fit a double exactly, whose exponent is the length in bits.
    rest = hashes & np.uint64((1 << (_BITS - precision)) - 1)
    high = (rest >> np.uint64(32)).astype(np.float64)
    low = (rest & np.uint64(0xFFFFFFFF)).astype(np.float64)
    length = np.where(high > 0, np.frexp(high)[1] + 32, np.frexp(low)[1])
    return places, (_BITS - precision - length + 1).astype(np.intp)


def _estimate(histogram: Whole, precision: int) -> float:
    """Return the estimate of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017)."""
    size, longest = 1 << precision, _BITS - precision
    total = size * _tau(1 - float(histogram[longest + 1]) / size)
    for rank in range(longest, 0, -1):
        total = 0.5 * (total + float(histogram[rank]))
    total += size * _sigma(float(histogram[0]) / size)
    return size * size / (2 * math.log(2) * total)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    factor, total, before = 1.0, x, -1.0
    while total != before:
        x, before = x * x, total
        total += x * factor
        factor *= 2
    return total


def _tau(x: float) -> float:
    if x in {0.0, 1.0}:
        return 0.0
    factor, total, before = 1.0, 1 - x, -1.0
    while total != before:
        x, before, factor = math.sqrt(x), total, factor * 0.5
        total -= (1 - x) ** 2 * factor
    return total / 3
