"""Cells as bytes that say what they are."""

from collections.abc import Sequence

from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.histogram import Histogram
from headrace.stream_processors.sketches.intervals import Intervals
from headrace.stream_processors.sketches.keys import KeySet
from headrace.stream_processors.sketches.lengths import Lengths
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.runs import Runs
from headrace.stream_processors.sketches.seen import LastSeen
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top

# Kind and version are in stored bytes: a number is never given to another kind, and a changed body is a new version.
KINDS: dict[int, type[Cell]] = {
    1: Tally,
    2: Extremes,
    3: Moments,
    4: Quantiles,
    5: Histogram,
    6: Distinct,
    7: Top,
    8: KeySet,
    9: LastSeen,
    10: Intervals,
    11: Lengths,
    12: Runs,
}
VERSION = 1
_HEADS = {cell: bytes((number, VERSION)) for number, cell in KINDS.items()}


def pack_cell(cell: Cell) -> bytes:
    """Return a cell as bytes: its kind, the version of its form, its body.

    >>> unpack_cell(pack_cell(Tally({"a": 1}))) == Tally({"a": 1})
    True
    """
    return _HEADS[type(cell)] + cell.pack()


def packed_cells(kind: type[Cell], bodies: Sequence[bytes]) -> list[bytes]:
    """Return cells of a kind, given as `pack` returns them, as `pack_cell` does."""
    head = _HEADS[kind]
    return [head + body for body in bodies]


def split_packed(data: bytes, most_bytes: int) -> list[bytes]:
    """Return cells of at most about `most_bytes` that merge to this one, or it alone if its kind cannot be cut."""
    cell = unpack_cell(data)
    return [pack_cell(part) for part in cell.split(most_bytes)] if isinstance(cell, KeySet) else [data]


def unpack_cell(data: bytes) -> Cell:
    """Return the cell of `pack_cell`'s bytes; raises ValueError for bytes that are not one."""
    if len(data) < 2 or data[0] not in KINDS:
        raise ValueError(f"not a cell: {data[:2]!r}; known kinds: {sorted(KINDS)}")
    if data[1] != VERSION:
        raise ValueError(f"a {KINDS[data[0]].kind} of form {data[1]}; this version of headrace reads {VERSION}")
    return KINDS[data[0]].unpack(data[2:])
