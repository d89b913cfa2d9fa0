"""Which windows were closed, with which revision, and what their rules observed: a bounded ring in pieces. Pure.

A piece holds up to `PIECE_WINDOWS` windows of one size, so that closing a window rewrites little. Windows that fell out
of the ring are remembered as ranges: a record for one of them is too late, one for a window that never was is not.
"""

import json
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

PIECE_WINDOWS: Final = 32
MOST_PIECES: Final = 24
"""Pieces of a ring: 24 times 32 windows are 32 days of hours, so the same hour of four earlier weeks."""
MOST_RANGES: Final = 100


@dataclass(frozen=True)
class ClosedWindow:
    """A window that was closed: at which source offset, its revision, and what rules observed by their id."""

    start: int
    offset: int
    revision: int
    rows: int
    observed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class PieceName:
    """Which windows a piece holds: those of `size` seconds from `first` on."""

    first: int
    size: int

    @classmethod
    def of(cls, start: int, size: int) -> "PieceName":
        """Return the piece of a window.

        >>> PieceName.of(7200, 3600)
        PieceName(first=0, size=3600)
        """
        span = size * PIECE_WINDOWS
        return cls(start // span * span, size)

    @property
    def end(self) -> int:
        """Return the first moment after its windows."""
        return self.first + self.size * PIECE_WINDOWS

    def holds(self, start: int) -> bool:
        """Return True if a window of this start may be in it."""
        return self.first <= start < self.end


Piece = dict[int, ClosedWindow]


def pack_piece(piece: Mapping[int, ClosedWindow]) -> bytes:
    """Return a piece as bytes."""
    rows = [[one.start, one.offset, one.revision, one.rows, dict(one.observed)] for _, one in sorted(piece.items())]
    return json.dumps(rows, separators=(",", ":")).encode()


def unpack_piece(data: bytes | None) -> Piece:
    """Return the piece of `pack_piece`'s bytes; an empty one of None."""
    return {row[0]: ClosedWindow(*row) for row in json.loads(data or b"[]")}


def history_of(pieces: Iterable[Piece], before: int) -> dict[str, list[tuple[int, float]]]:
    """Return what each rule observed in windows that begin before a moment, oldest first."""
    found: dict[str, list[tuple[int, float]]] = {}
    windows = sorted((one for piece in pieces for one in piece.values() if one.start < before), key=lambda w: w.start)
    for one in windows:
        for rule, value in one.observed.items():
            found.setdefault(rule, []).append((one.start, value))
    return found


Ranges = list[list[int]]


def with_range(ranges: Sequence[Sequence[int]], first: int, end: int, most: int = MOST_RANGES) -> Ranges:
    """Return ranges [first, end) with one more, in order, joined where they touch; of too many the closest are joined.

    >>> with_range([[0, 10]], 10, 20), with_range([[0, 1], [5, 6]], 100, 101, most=2)
    ([[0, 20]], [[0, 6], [100, 101]])
    """
    ordered = [list(one) for one in ranges]
    insort(ordered, [first, end])
    joined: Ranges = []
    for one in ordered:
        if joined and one[0] <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], one[1])
        else:
            joined.append(one)
    while len(joined) > most:
        at = min(range(len(joined) - 1), key=lambda place: joined[place + 1][0] - joined[place][1])
        joined[at : at + 2] = [[joined[at][0], joined[at + 1][1]]]
    return joined


def within(ranges: Iterable[Sequence[int]], moment: int) -> bool:
    """Return True if a moment is in one of the ranges."""
    return any(first <= moment < end for first, end in ranges)
