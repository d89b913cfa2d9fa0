"""Named counts."""

import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.grouped import as_batch, counted_column
from headrace.stream_processors.sketches.packing import (
    EqualByBytes,
    Reader,
    Whole,
    texts_bytes,
    whole_bytes,
    whole_runs,
)

_HEAD = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class Tally(EqualByBytes):
    """Named counts of 0 and more; exact. A count of 0 is the same as none.

    >>> Tally({"a": 1}).merge(Tally({"a": 2, "b": 1})).counts
    {'a': 3, 'b': 1}
    """

    kind: ClassVar[str] = "tally"
    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Return how often each text of a series occurs; nulls are left out."""
        return cls.by_window(as_batch(values), "value").get(0, cls())

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str | list[str]) -> dict[int, Self]:
        """Return the count of each value by window: for columns with few values, since nothing is left out."""
        found = counted_column(batch, column)
        texts = found.values.cast(pl.String).to_list()
        return {
            start: cls(
                {texts[value]: count for value, count in zip(found.value[at], found.count[at].tolist(), strict=True)}
            )
            for start, at in found.slices()
        }

    @classmethod
    def packed(cls, columns: Mapping[str, Whole]) -> list[bytes]:
        """Return tallies as `pack` does, one for each place of the columns, which hold a count by name."""
        names = sorted(columns)
        counts = np.stack([columns[name] for name in names], axis=1)
        used = counts > 0
        stops = np.cumsum(used.sum(axis=1))
        sizes = np.diff(stops, prepend=0)
        pattern = used @ (1 << np.arange(len(names)))
        endings = {
            int(own): _names_bytes(tuple(name for place, name in enumerate(names) if own >> place & 1))
            for own in np.unique(pattern)
        }
        runs = zip(sizes.tolist(), whole_runs(counts[used], stops - sizes, stops), pattern.tolist(), strict=True)
        return [_HEAD.pack(size) + run + endings[own] for size, run, own in runs]

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)

    def merge(self, other: Self) -> Self:
        """Return the sums."""
        merged = dict(self.counts)
        for name, count in other.counts.items():
            merged[name] = merged.get(name, 0) + count
        return type(self)(merged)

    def pack(self) -> bytes:
        """Return the counts by name."""
        names = sorted(name for name, count in self.counts.items() if count)
        counts = whole_bytes([self.counts[name] for name in names])
        return _HEAD.pack(len(names)) + counts + _names_bytes(tuple(names))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the tally of these bytes."""
        reader = Reader(data)
        (size,) = reader.fields(_HEAD)
        counts = reader.whole(size).tolist()
        names = reader.texts(size)
        reader.end()
        return cls(dict(zip(names, counts, strict=True)))


@functools.lru_cache(maxsize=1024)
def _names_bytes(names: tuple[str, ...]) -> bytes:
    """Return names as bytes; those of a profile are the same few in every window."""
    return texts_bytes(names)
