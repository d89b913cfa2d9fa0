"""When each key was last seen."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.base import WINDOW
from headrace.stream_processors.sketches.hashing import hash_values
from headrace.stream_processors.sketches.packing import EqualByBytes, Reader, texts_bytes
from headrace.stream_processors.sketches.top import TEXT_CHARACTERS

LIMIT = 1000
_HEAD = struct.Struct("<II?")


def lowest_by_hash(keys: list[str], limit: int) -> list[str]:
    """Return at most `limit` keys: those of the least hashes, the same of any split and order, else a fair sample."""
    if len(keys) <= limit:
        return keys
    order = np.argsort(hash_values(pl.Series(keys)), kind="stable")[:limit]
    return [keys[place] for place in sorted(order.tolist())]


@dataclass(frozen=True, eq=False)
class LastSeen(EqualByBytes):
    """The greatest event time by key, in whole seconds since 1970; exact for the keys it holds.

    Of more than `limit` keys it holds a fair sample (those with the least hashes) and `complete` is False. Keys count
    as equal when their first 64 characters are.

    >>> LastSeen({"a": 5}).merge(LastSeen({"a": 3, "b": 1})).times
    {'a': 5, 'b': 1}
    """

    kind: ClassVar[str] = "last_seen"
    times: Mapping[str, int] = field(default_factory=dict)
    limit: int = LIMIT
    complete: bool = True

    @classmethod
    def by_window(cls, batch: pl.DataFrame, key: str, time: str, limit: int = LIMIT) -> dict[int, Self]:
        """Return when each key of a column was last seen, by window; `time` is a date or timestamp column."""
        name = pl.col(key).cast(pl.String).str.head(TEXT_CHARACTERS).alias("key")
        second = pl.col(time).cast(pl.Datetime("us")).dt.epoch("s").alias("second")
        found = (
            batch.select(WINDOW, name, second)
            .drop_nulls()
            .group_by(WINDOW, "key")
            .agg(pl.col("second").max())
            .group_by(WINDOW)
            .agg("key", "second")
        )
        return {
            start: cls._of(dict(zip(keys, seconds, strict=True)), limit) for start, keys, seconds in found.iter_rows()
        }

    @classmethod
    def _of(cls, times: dict[str, int], limit: int, *, complete: bool = True) -> Self:
        kept = lowest_by_hash(list(times), limit)
        return cls({key: times[key] for key in kept}, limit, complete and len(kept) == len(times))

    def merge(self, other: Self) -> Self:
        """Return the later time of each key; raises ValueError for another limit."""
        if self.limit != other.limit:
            raise ValueError(f"times of at most {self.limit} and {other.limit} keys do not merge")
        merged = dict(self.times)
        for key, second in other.times.items():
            merged[key] = max(second, merged.get(key, second))
        return self._of(merged, self.limit, complete=self.complete and other.complete)

    def pack(self) -> bytes:
        """Return the times by key."""
        keys = sorted(self.times)
        seconds = np.fromiter((self.times[key] for key in keys), "<i8", len(keys))
        return _HEAD.pack(self.limit, len(keys), self.complete) + seconds.tobytes() + texts_bytes(keys)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the cell of these bytes."""
        reader = Reader(data)
        limit, size, complete = reader.fields(_HEAD)
        seconds = np.frombuffer(reader.raw(8 * size), "<i8").tolist()
        keys = reader.texts(size)
        reader.end()
        return cls(dict(zip(keys, seconds, strict=True)), limit, complete)
