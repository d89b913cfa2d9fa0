"""The one pass that all cells of a column share: how often each value occurs in each window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.stream_processors.sketches.base import WINDOW
from headrace.stream_processors.sketches.hashing import Hashes, hash_values
from headrace.stream_processors.sketches.packing import Whole

Places = NDArray[np.intp]
Number = TypeVar("Number", np.int64, np.float64)
Made_co = TypeVar("Made_co", covariant=True)
# Counting in a table of every (window, value) is quicker than sorting as long as the table is not mostly empty.
_TABLE_PER_ROW = 8
_TABLE_LEAST = 4096
_SLOTS = 1 << 16


@dataclass(frozen=True)
class Windows:
    """The windows of a batch: their starts in ascending order, and for each row which one it is in, -1 for none."""

    starts: Whole
    of_row: Places

    @classmethod
    def of(cls, windows: pl.Series) -> "Windows":
        """Return the windows of a column of window starts; null is in no window."""
        if windows.null_count() == len(windows):
            return cls(np.empty(0, np.int64), np.full(len(windows), -1, np.intp))
        known = windows.is_not_null().to_numpy()
        given = windows.cast(pl.Int64).fill_null(0).to_numpy()
        starts = np.unique(given[known])
        of_row = np.where(known, np.searchsorted(starts, given), -1) if len(starts) > 1 else np.where(known, 0, -1)
        return cls(starts, of_row)

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def rows(self) -> Whole:
        """Return how many rows are in each window."""
        return self.count(self.of_row[self.of_row >= 0])

    def count(self, of_row: Places) -> Whole:
        """Return how many of these rows' windows are each window."""
        return np.bincount(of_row, minlength=len(self.starts))


@dataclass(frozen=True)
class Counted:
    """A column's values by window: pairs of a window and a value with the number of rows, sorted by both.

    `values` are the different values without null; a pair's `window` and `value` are places in `starts` and `values`.
    `rows` and `nulls` count by window.
    """

    starts: Whole
    rows: Whole
    nulls: Whole
    values: pl.Series
    window: Places
    value: Places
    count: Whole

    @cached_property
    def bounds(self) -> list[int]:
        """Return where each window's pairs begin, and the end of the last."""
        found: list[int] = np.searchsorted(self.window, np.arange(len(self.starts) + 1)).tolist()
        return found

    @cached_property
    def hashes(self) -> Hashes:
        """Return the hash of each value."""
        return hash_values(self.values)

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """Return each value as a number: a boolean is 0 or 1, a date or time its physical value."""
        found: NDArray[np.float64] = self.values.to_physical().cast(pl.Float64).to_numpy() + 0.0
        return found

    @property
    def known(self) -> Whole:
        """Return by window how many rows have a value."""
        return self.rows - self.nulls

    def slices(self) -> Iterator[tuple[int, slice]]:
        """Yield each window's start and where its pairs stand."""
        for place, start in enumerate(self.starts.tolist()):
            yield start, slice(self.bounds[place], self.bounds[place + 1])

    def summed(self, of_pair: NDArray[Number]) -> NDArray[Number]:
        """Return by window the sum of a figure of its pairs."""
        sums = np.zeros(len(self.starts), of_pair.dtype)
        starts = np.asarray(self.bounds[:-1], np.intp)
        filled = starts < np.asarray(self.bounds[1:], np.intp)
        if len(of_pair):
            sums[filled] = np.add.reduceat(of_pair, starts[filled])
        return sums

    def rows_where(self, marked: NDArray[np.bool_]) -> Whole:
        """Return by window how many rows have one of the marked values."""
        return self.summed(np.where(marked[self.value], self.count, 0))

    def translated(self, values: pl.Series) -> "Counted":
        """Return the same rows with another value for each value; equal ones are counted together, null is left out.

        The nulls are then those of before and the rows whose new value is null.
        """
        codes, unique = _codes(values)
        return self.recoded(codes, unique)

    def recoded(self, codes: Places, unique: pl.Series) -> "Counted":
        """Return the same rows with a place in `unique` for each value, -1 for null; see `translated`."""
        new = codes[self.value]
        kept = new >= 0
        within, own, counts = self.window, new, self.count
        if not kept.all():
            within, own, counts = within[kept], own[kept], counts[kept]
        pairs = _pairs(len(self.starts), len(unique), within, own, counts)
        rest = self.summed(np.where(kept, 0, self.count))
        return Counted(self.starts, self.rows, self.nulls + rest, unique, *pairs)


def counted(values: pl.Series, *clocks: Windows) -> Counted:
    """Return how often each value occurs in each window.

    The windows of several clocks are numbered through, and `starts` are then these numbers: 0 is the first window of
    the first clock.
    """
    codes, unique = _codes(values)
    parts, first = [], 0
    for windows in clocks:
        kept = (codes >= 0) & (windows.of_row >= 0)
        within, own = (windows.of_row, codes) if kept.all() else (windows.of_row[kept], codes[kept])
        window, value, count = _pairs(len(windows), len(unique), within, own, None)
        parts.append((windows.rows, windows.rows - windows.count(within), window + first, value, count))
        first += len(windows)
    starts = clocks[0].starts if len(clocks) == 1 else np.arange(first)
    rows, nulls, *pairs = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Counted(starts, rows, nulls, unique, *pairs)


def counted_column(batch: pl.DataFrame, column: str | list[str]) -> Counted:
    """Return the counts of a column over the batch's windows; of several columns, their texts with ` | ` between."""
    if isinstance(column, str):
        return counted(batch[column], Windows.of(batch[WINDOW]))
    texts = [pl.col(name).cast(pl.String).fill_null("") for name in column]
    return counted(batch.select(pl.concat_str(texts, separator=" | ")).to_series(), Windows.of(batch[WINDOW]))


class _PackedByWindow(Protocol[Made_co]):
    """A kind of cell that is made as bytes of all windows at once."""

    @classmethod
    def packed(cls, found: Counted) -> list[bytes]: ...

    @classmethod
    def unpack(cls, data: bytes) -> Made_co: ...


def unpacked(
    kind: type[_PackedByWindow[Made_co]], found: Counted, packed: Callable[[Counted], list[bytes]] | None = None
) -> dict[int, Made_co]:
    """Return cells by window start from the bytes that `kind` (or `packed`) makes of counted values."""
    bodies = (packed or kind.packed)(found)
    return {start: kind.unpack(body) for start, body in zip(found.starts.tolist(), bodies, strict=True)}


def as_batch(values: pl.Series) -> pl.DataFrame:
    """Return one window of a column `value`, for cells that are made of a series."""
    return pl.DataFrame({"value": values, WINDOW: pl.zeros(len(values), pl.Int64, eager=True)})


def _codes(values: pl.Series) -> tuple[Places, pl.Series]:
    """Return for each row the place of its value among the different values (-1 for null), and these."""
    known = values.drop_nulls() if values.null_count() else values
    if not len(known):
        return np.full(len(values), -1, np.intp), known
    codes, unique = _codes_of_known(known)
    if len(known) == len(values):
        return codes, unique
    placed = np.full(len(values), -1, np.intp)
    placed[values.is_not_null().to_numpy()] = codes
    return placed, unique


def _codes_of_known(values: pl.Series) -> tuple[Places, pl.Series]:
    kind = values.dtype
    if kind.is_float():
        found, codes = np.unique(values.to_numpy() + 0.0, return_inverse=True)
        return codes, pl.Series(values.name, found, kind)
    if kind.is_integer() or kind.is_temporal() or kind == pl.Boolean:
        physical = values.to_physical().cast(pl.Int64).to_numpy()
        least, greatest = int(physical.min()), int(physical.max())
        if greatest - least < max(2 * len(physical), _TABLE_LEAST):
            codes = physical - least
            present = np.bincount(codes) > 0
            unique = np.flatnonzero(present) + least
            if len(unique) < len(present):
                codes = (np.cumsum(present) - 1)[codes]
        else:
            unique, codes = np.unique(physical, return_inverse=True)
        return codes, _restored(unique, values)
    # A hash of this process groups the texts; it is not kept. Two of 2**32 values in one column could meet.
    codes, first = _codes_of_hashes(_grouping(values))
    return codes, values.gather(first)


def _codes_of_hashes(hashes: NDArray[np.uint64]) -> tuple[Places, Places]:
    """Return for each hash the place of its value, and for each value the row of one that has it.

    Few values nearly never share one of 65,536 slots, which saves sorting: a third of the time.
    """
    slots = (hashes >> np.uint64(48)).astype(np.intp)
    rows = np.full(_SLOTS, -1, np.intp)
    rows[slots] = np.arange(len(slots))
    if (hashes[rows[slots]] == hashes).all():
        used = rows >= 0
        return (np.cumsum(used) - 1)[slots], rows[used]
    # np.unique would sort stably for the same result, in three times the time.
    order = np.argsort(hashes)
    ordered = hashes[order]
    new = np.ones(len(ordered), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    codes = np.empty(len(ordered), np.intp)
    codes[order] = np.cumsum(new) - 1
    return codes, order[new]


def _grouping(values: pl.Series) -> NDArray[np.uint64]:
    plain = values.cast(pl.String) if values.dtype in {pl.Categorical, pl.Enum} or values.dtype.is_decimal() else values
    return plain.hash().to_numpy()


def _restored(physical: Whole, like: pl.Series) -> pl.Series:
    found = pl.Series(like.name, physical)
    if like.dtype == pl.Boolean:
        return found.cast(pl.Boolean)
    return found.cast(like.to_physical().dtype).cast(like.dtype)


def _pairs(
    windows: int, values: int, window: Places, value: Places, weights: Whole | None
) -> tuple[Places, Places, Whole]:
    if not len(window):
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.int64)
    keys = value if windows == 1 else window * values + value
    if windows * values <= max(_TABLE_PER_ROW * len(keys), _TABLE_LEAST):
        table = np.bincount(keys, weights).astype(np.int64, copy=False)
        found = np.flatnonzero(table > 0)
        counts = table[found]
    elif weights is None:
        found, counts = np.unique(keys, return_counts=True)
    else:
        found, places = np.unique(keys, return_inverse=True)
        counts = np.bincount(places, weights).astype(np.int64)
    # Quotient and remainder, without dividing each.
    ends = np.searchsorted(found, np.arange(1, windows + 1) * values)
    window_of = np.repeat(np.arange(windows), np.diff(ends, prepend=0))
    return window_of, found - window_of * values, counts


def value_hashes(values: pl.Series) -> Hashes:
    """Return the hash of each row of a column without nulls; a text that occurs often is hashed once."""
    kind = values.dtype
    if not len(values) or kind.is_numeric() or kind.is_temporal() or kind == pl.Boolean:
        return hash_values(values)
    codes, unique = _codes(values)
    return hash_values(unique)[codes]
