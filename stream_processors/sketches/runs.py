"""Runs of equal values by key, in the order of rows of a file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import ClassVar, Self

import polars as pl

from headrace.stream_processors.sketches.packing import EqualByBytes
from headrace.stream_processors.sketches.seen import lowest_by_hash

WINDOW, FILE, ROW = "_window", "_file", "_row"
KEYS = 1000
Run = tuple[str, int]


@dataclass(frozen=True)
class Piece:
    """The runs of one key in a part of a file: first and last (one: the same run), and what lies between.

    `longest` is the longest run between them, `beyond` the rows of those that are longer than allowed.
    """

    ends: tuple[Run, ...]
    longest: int = 0
    beyond: int = 0

    def then(self, other: "Piece", most: int) -> "Piece":
        """Return the runs of this part and the one that follows it."""
        runs = list(self.ends)
        if runs[-1][0] == other.ends[0][0]:
            runs[-1] = (runs[-1][0], runs[-1][1] + other.ends[0][1])
            runs += other.ends[1:]
        else:
            runs += other.ends
        inner = [length for _, length in runs[1:-1]]
        longest = max(self.longest, other.longest, *inner, 0)
        beyond = self.beyond + other.beyond + sum(length for length in inner if length > most)
        return Piece((runs[0], runs[-1]) if len(runs) > 1 else (runs[0],), longest, beyond)


Segment = tuple[str, int, int, Mapping[str, Piece]]


@dataclass(frozen=True, eq=False)
class Runs(EqualByBytes):
    """Runs of equal values by key: exact within each file, whatever the batches were and in which order they merge.

    A segment is what a batch held of a file: file, first and last row, and a piece for each key. Segments of which one
    begins where the other ends become one; the others are put in order when they are asked. Keys are at most 1,000:
    those of the least hashes, `complete` says whether that is all.
    """

    kind: ClassVar[str] = "runs"
    most: int = 1
    segments: tuple[Segment, ...] = field(default=())
    complete: bool = True

    @classmethod
    def by_window(cls, batch: pl.DataFrame, column: str, keys: list[str], most: int) -> dict[int, Self]:
        """Return the runs of a column longer than `most` by window; the batch has the columns `_file` and `_row`."""
        if not len(batch):
            return {}
        found: dict[int, list[Segment]] = {}
        spans = batch.group_by(FILE).agg(low=pl.col(ROW).min(), high=pl.col(ROW).max())
        whole = {file: (low, high) for file, low, high in spans.iter_rows()}
        for start, file, *columns in _runs(batch, column, keys, most).iter_rows():
            pieces = {key: _ends(*parts) for key, *parts in zip(*columns, strict=True)}
            found.setdefault(start, []).append((file, *whole[file], pieces))
        return {start: cls._of(segments, most, complete=True) for start, segments in found.items()}

    @classmethod
    def _of(cls, segments: Iterable[Segment], most: int, *, complete: bool) -> Self:
        ordered = sorted(segments, key=_place)
        keys = sorted({key for *_, pieces in ordered for key in pieces})
        if len(keys) > KEYS:
            kept = frozenset(lowest_by_hash(keys, KEYS))
            ordered = [
                (file, first, last, {key: piece for key, piece in pieces.items() if key in kept})
                for file, first, last, pieces in ordered
            ]
        joined: list[Segment] = []
        for file, first, last, pieces in ordered:
            if joined and joined[-1][0] == file and joined[-1][2] + 1 == first:
                joined[-1] = (file, joined[-1][1], last, _followed(joined[-1][3], pieces, most))
            else:
                joined.append((file, first, last, pieces))
        return cls(most, tuple(joined), complete and len(keys) <= KEYS)

    def longest(self) -> dict[str, tuple[int, int]]:
        """Return for each key its longest run, and the rows of runs that are longer than `most`."""
        found: dict[str, tuple[int, int]] = {}
        for _, segments in groupby(self.segments, key=lambda segment: segment[0]):
            pieces: Mapping[str, Piece] = {}
            for *_, own in segments:
                pieces = _followed(pieces, own, self.most)
            for key, piece in pieces.items():
                ends = [length for _, length in piece.ends]
                longest, beyond = found.get(key, (0, 0))
                more = piece.beyond + sum(length for length in ends if length > self.most)
                found[key] = (max(longest, piece.longest, *ends), beyond + more)
        return found

    def merge(self, other: Self) -> Self:
        """Return the runs of both; raises ValueError for another allowed length."""
        if self.most != other.most:
            raise ValueError(f"runs longer than {self.most} and {other.most} do not merge")
        complete = self.complete and other.complete
        return self._of((*self.segments, *other.segments), self.most, complete=complete)

    def pack(self) -> bytes:
        """Return the segments as JSON."""
        segments = [
            [file, first, last, {key: [piece.ends, piece.longest, piece.beyond] for key, piece in sorted(own.items())}]
            for file, first, last, own in self.segments
        ]
        return json.dumps([self.most, self.complete, segments], separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the runs of these bytes."""
        try:
            most, complete, found = json.loads(data)
            segments = tuple(
                (file, first, last, {key: _piece(*parts) for key, parts in own.items()})
                for file, first, last, own in found
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not runs: {data[:20]!r}") from error
        return cls(most, segments, complete)


def _place(segment: Segment) -> tuple[str, int, int, str]:
    """Return what segments are sorted by; the pieces only decide between two of the same rows."""
    file, first, last, pieces = segment
    return file, first, last, repr(sorted(pieces.items(), key=lambda item: item[0]))


def _piece(ends: list[list[object]], longest: int, beyond: int) -> Piece:
    return Piece(tuple((str(value), int(str(length))) for value, length in ends), longest, beyond)


def _runs(batch: pl.DataFrame, column: str, keys: list[str], most: int) -> pl.DataFrame:
    """Return for each window and file lists of keys, first and last runs, and what lies between them."""
    texts = [pl.col(name).cast(pl.String).fill_null("") for name in keys]
    key = pl.concat_str(texts, separator=" | ") if keys else pl.lit("")
    value = pl.col(column).fill_nan(None) if batch.schema[column].is_float() else pl.col(column)
    rows = batch.select(WINDOW, FILE, ROW, key=key, value=value).drop_nulls()
    if not rows[ROW].is_sorted():
        rows = rows.sort(FILE, ROW)
    runs = rows.group_by(WINDOW, FILE, "key", maintain_order=True).agg(run=pl.col("value").rle())
    lengths = pl.col("run").list.eval(pl.element().struct.field("len").cast(pl.Int64))
    values = pl.col("run").list.eval(pl.element().struct.field("value"))
    inner = lengths.list.slice(1, (lengths.list.len().cast(pl.Int64) - 2).clip(0))
    ends = {
        "count": lengths.list.len(),
        "first": values.list.first().cast(pl.String),
        "first_rows": lengths.list.first(),
        "last": values.list.last().cast(pl.String),
        "last_rows": lengths.list.last(),
        "longest": inner.list.max().fill_null(0),
        "beyond": inner.list.eval(pl.element().filter(pl.element() > most)).list.sum().fill_null(0),
    }
    pieces = runs.select(WINDOW, FILE, "key", **ends)
    return pieces.group_by(WINDOW, FILE, maintain_order=True).agg("key", *ends)


def _ends(count: int, first: str, first_rows: int, last: str, last_rows: int, longest: int, beyond: int) -> Piece:
    head, tail = (first, first_rows), (last, last_rows)
    return Piece((head, tail) if count > 1 else (head,), longest, beyond)


def _followed(left: Mapping[str, Piece], right: Mapping[str, Piece], most: int) -> dict[str, Piece]:
    both = {key: left[key].then(piece, most) if key in left else piece for key, piece in right.items()}
    return {**left, **both}
