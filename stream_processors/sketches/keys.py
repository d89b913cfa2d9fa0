"""The set of keys, to know how many rows repeat one."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import polars as pl

from headrace.stream_processors.sketches.base import WINDOW
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.grouped import Windows, value_hashes
from headrace.stream_processors.sketches.hashing import Hashes, combined
from headrace.stream_processors.sketches.packing import EqualByBytes, Reader

LIMIT = 200_000
# 0.8 % standard error at 16 KB: a set of keys is merged over hours and days, where 1.6 % of it would hide every repeat.
PRECISION = 14
_HEAD = struct.Struct("<QQB")
_HASH_BYTES = 8
# Numbers of 16 bits are sorted by digits, in a tenth of the time.
_NARROW = 1 << 15


def _no_hashes() -> Hashes:
    return np.empty(0, np.uint64)


@dataclass(frozen=True, eq=False)
class KeySet(EqualByBytes):
    """Rows with a key, and the set of 64-bit hashes of their keys; past `limit` keys an estimate of their number.

    A row with a null in any field of the key has no key and is not counted. Two of n keys have one hash with a
    probability of n**2 / 2**65: at the limit one in a billion.

    >>> found = KeySet.of(pl.DataFrame({"a": [1, 1, 2], "b": ["x", "x", "x"]}), ["a", "b"])
    >>> found.rows, found.unique, found.exact, found.error
    (3, 2.0, True, 0.0)
    """

    kind: ClassVar[str] = "keys"
    limit: int = LIMIT
    rows: int = 0
    hashes: Hashes = field(default_factory=_no_hashes)
    beyond: Distinct | None = None

    @classmethod
    def of(cls, frame: pl.DataFrame, fields: Sequence[str], limit: int = LIMIT) -> Self:
        """Return the keys of a frame."""
        batch = frame.select(*fields, pl.lit(0, pl.Int64).alias(WINDOW))
        return cls.by_window(batch, fields, limit).get(0, cls(limit))

    @classmethod
    def by_window(cls, batch: pl.DataFrame, fields: str | Sequence[str], limit: int = LIMIT) -> dict[int, Self]:
        """Return the keys of a batch by window."""
        names = [fields] if isinstance(fields, str) else list(fields)
        windows = Windows.of(batch[WINDOW])
        usable = batch.select(pl.all_horizontal(pl.col(names).is_not_null())).to_series().to_numpy()
        usable = usable & (windows.of_row >= 0)
        kept, of_row = batch.select(names).filter(pl.Series(usable)), windows.of_row[usable]
        hashes = combined(list(value_hashes(kept)))
        order = np.argsort(hashes)
        if len(windows) > 1:
            narrow = np.int16 if len(windows) < _NARROW else np.int64
            order = order[np.argsort(of_row[order].astype(narrow), kind="stable")]
        hashes, of_row = hashes[order], of_row[order]
        bounds = np.searchsorted(of_row, np.arange(len(windows) + 1)).tolist()
        cells = {}
        for place, start in enumerate(windows.starts.tolist()):
            own = hashes[bounds[place] : bounds[place + 1]]
            different = own[np.diff(own, prepend=~own[:1]) != 0] if len(own) else own
            cells[start] = cls._of_hashes(limit, len(own), different)
        return cells

    @classmethod
    def _of_hashes(cls, limit: int, rows: int, hashes: Hashes) -> Self:
        if len(hashes) <= limit:
            return cls(limit, rows, hashes)
        return cls(limit, rows, _no_hashes(), _estimated(hashes))

    @property
    def unique(self) -> float:
        """Return the number of different keys."""
        return float(len(self.hashes)) if self.beyond is None else self.beyond.estimate

    @property
    def exact(self) -> bool:
        """Return True while the keys themselves are counted."""
        return self.beyond is None

    @property
    def error(self) -> float:
        """Return how far `unique` may be from the true number (two standard errors), 0 while exact."""
        return 0.0 if self.beyond is None else self.beyond.error

    def merge(self, other: Self) -> Self:
        """Return the keys of both; raises ValueError for another limit."""
        if self.limit != other.limit:
            raise ValueError(f"sets of at most {self.limit} and {other.limit} keys do not merge")
        rows = self.rows + other.rows
        if self.beyond is None and other.beyond is None:
            return self._of_hashes(self.limit, rows, np.union1d(self.hashes, other.hashes))
        mine = _estimated(self.hashes) if self.beyond is None else self.beyond
        others = _estimated(other.hashes) if other.beyond is None else other.beyond
        return type(self)(self.limit, rows, _no_hashes(), mine.merge(others))

    def split(self, most_bytes: int) -> list[Self]:
        """Return cells of at most about `most_bytes` that merge to this one; the first has all rows."""
        step = max(most_bytes // _HASH_BYTES, 1)
        if len(self.hashes) <= step:
            return [self]
        parts = [self.hashes[first : first + step] for first in range(0, len(self.hashes), step)]
        return [type(self)(self.limit, 0 if number else self.rows, part) for number, part in enumerate(parts)]

    def pack(self) -> bytes:
        """Return limit, rows, and the hashes or their registers."""
        head = _HEAD.pack(self.limit, self.rows, self.beyond is not None)
        return head + (self.hashes.astype("<u8").tobytes() if self.beyond is None else self.beyond.pack())

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the cell of these bytes."""
        limit, rows, past = Reader(data).fields(_HEAD)
        body = data[_HEAD.size :]
        if past:
            return cls(limit, rows, _no_hashes(), Distinct.unpack(body))
        if len(body) % _HASH_BYTES:
            raise ValueError(f"{len(body)} bytes of hashes")
        return cls(limit, rows, np.frombuffer(body, "<u8").astype(np.uint64))


def _estimated(hashes: Hashes) -> Distinct:
    return Distinct.of_hashes(hashes, PRECISION, limit=-1)
