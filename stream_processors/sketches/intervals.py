"""Which numbers of a sequence are there, by key."""

import itertools
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.base import WINDOW
from headrace.stream_processors.sketches.packing import EqualByBytes, Reader, texts_bytes, whole_bytes
from headrace.stream_processors.sketches.seen import lowest_by_hash
from headrace.stream_processors.sketches.top import TEXT_CHARACTERS

KEYS = 256
RANGES = 64
_HEAD = struct.Struct("<I?q")
Range = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Intervals(EqualByBytes):
    """Ranges (first, last) of the whole numbers seen, by key; ranges that touch are one.

    Exact up to 64 ranges a key: then the ranges with the least gap between them are joined, and the numbers in that gap
    are `blurred`: they may or may not be missing. Of more than 256 keys it holds a fair sample; `complete` is then
    False. Keys count as equal when their first 64 characters are.

    >>> Intervals({"a": ((1, 3), (6, 6))}).gaps()
    {'a': 2}
    """

    kind: ClassVar[str] = "intervals"
    by_key: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)
    complete: bool = True
    blurred: int = 0

    @classmethod
    def by_window(cls, batch: pl.DataFrame, key: str | None, number: str) -> dict[int, Self]:
        """Return the ranges of a column of whole numbers by window and key; key None: one sequence, named ""."""
        name = pl.lit("") if key is None else pl.col(key).cast(pl.String).str.head(TEXT_CHARACTERS)
        rows = batch.select(WINDOW, name.alias("key"), pl.col(number).cast(pl.Int64).alias("number")).drop_nulls()
        ordered = rows.unique().sort(WINDOW, "key", "number")
        new = (pl.col("number") != pl.col("number").shift(1).over(WINDOW, "key") + 1).fill_null(value=True)
        ranges = (
            ordered.with_columns(part=new.cum_sum())
            .group_by(WINDOW, "key", "part")
            .agg(first=pl.col("number").min(), last=pl.col("number").max())
            .sort(WINDOW, "key", "first")
            .group_by(WINDOW, "key", maintain_order=True)
            .agg("first", "last")
        )
        found: dict[int, dict[str, tuple[Range, ...]]] = {}
        for start, own, first, last in ranges.iter_rows():
            found.setdefault(start, {})[own] = tuple(zip(first, last, strict=True))
        return {start: cls._of(by_key) for start, by_key in found.items()}

    @classmethod
    def _of(cls, by_key: Mapping[str, tuple[Range, ...]], *, complete: bool = True, blurred: int = 0) -> Self:
        kept = lowest_by_hash(sorted(by_key), KEYS)
        bounded = {}
        for key in kept:
            bounded[key], hidden = _bounded(by_key[key])
            blurred += hidden
        return cls(bounded, complete and len(kept) == len(by_key), blurred)

    def gaps(self) -> dict[str, int]:
        """Return how many numbers are missing between the first and the last of each key; 0 is not listed."""
        found = {
            key: sum(later[0] - earlier[1] - 1 for earlier, later in itertools.pairwise(ranges))
            for key, ranges in self.by_key.items()
        }
        return {key: missing for key, missing in found.items() if missing}

    def merge(self, other: Self) -> Self:
        """Return the numbers seen in either."""
        merged = dict(self.by_key)
        for key, ranges in other.by_key.items():
            merged[key] = _united((*merged.get(key, ()), *ranges))
        both = self.complete and other.complete
        return self._of(merged, complete=both, blurred=self.blurred + other.blurred)

    def pack(self) -> bytes:
        """Return the ranges by key, as the first number and the steps from there on."""
        keys = sorted(self.by_key)
        sizes = np.fromiter((len(self.by_key[key]) for key in keys), np.int64, len(keys))
        body = [_HEAD.pack(len(keys), self.complete, self.blurred), texts_bytes(keys), whole_bytes(sizes)]
        for key in keys:
            ends = np.asarray(self.by_key[key], np.int64).reshape(-1)
            body += [struct.pack("<q", int(ends[0])), whole_bytes(np.diff(ends))]
        return b"".join(body)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the cell of these bytes."""
        reader = Reader(data)
        count, complete, blurred = reader.fields(_HEAD)
        keys, by_key = reader.texts(count), {}
        for key, size in zip(keys, reader.whole(count).tolist(), strict=True):
            (first,) = reader.fields(struct.Struct("<q"))
            ends = np.concatenate(([first], reader.whole(2 * size - 1))).cumsum().tolist()
            by_key[key] = tuple(zip(ends[::2], ends[1::2], strict=True))
        reader.end()
        return cls(by_key, complete, blurred)


def _united(ranges: Iterable[Range]) -> tuple[Range, ...]:
    united: list[Range] = []
    for first, last in sorted(ranges):
        if united and first <= united[-1][1] + 1:
            united[-1] = (united[-1][0], max(last, united[-1][1]))
        else:
            united.append((first, last))
    return tuple(united)


def _bounded(ranges: tuple[Range, ...]) -> tuple[tuple[Range, ...], int]:
    """Return at most 64 ranges, and how many numbers between them are no longer known to be missing."""
    if len(ranges) <= RANGES:
        return ranges, 0
    gaps = [(later[0] - earlier[1] - 1, place) for place, (earlier, later) in enumerate(itertools.pairwise(ranges))]
    joined = sorted(gaps)[: len(ranges) - RANGES]
    closed = {place for _, place in joined}
    kept = [list(ranges[0])]
    for place, (first, last) in enumerate(ranges[1:]):
        if place in closed:
            kept[-1][1] = last
        else:
            kept.append([first, last])
    return tuple((first, last) for first, last in kept), sum(gap for gap, _ in joined)
