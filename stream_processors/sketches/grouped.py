"""The one pass that all cells of a column share: how often each value occurs in each window."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.stream_processors.sketches.base import WINDOW
from headrace.stream_processors.sketches.hashing import Hashes, hash_values
from headrace.stream_processors.sketches.packing import Whole

Places = NDArray[np.intp]
Number = TypeVar("Number", np.int64, np.float64)
Made = TypeVar("Made")
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
        ((_, coded),) = coded_columns(windows.cast(pl.Int64).to_frame(), [windows.name])
        return cls(coded.values.to_numpy(), coded.codes)

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def rows(self) -> Whole:
        """Return how many rows are in each window."""
        return self.count(self.of_row[self.inside])

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Return for each row whether it is in a window."""
        return self.of_row >= 0

    @cached_property
    def none(self) -> Whole:
        """Return zero by window."""
        return np.zeros(len(self.starts), np.int64)

    def count(self, of_row: Places) -> Whole:
        """Return how many of these rows' windows are each window."""
        return np.bincount(of_row, minlength=len(self.starts))


@dataclass(frozen=True)
class Coded:
    """A column as its different values without null, and for each row the place of its value, -1 for null."""

    codes: Places
    values: pl.Series


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
        values = self.values.cast(pl.Int64) if self.values.dtype.is_temporal() else self.values
        found: NDArray[np.float64] = values.cast(pl.Float64).to_numpy() + 0.0
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
        ((_, coded),) = coded_columns(values.to_frame(), [values.name])
        return self.recoded(coded.codes, coded.values)

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


def counted(coded: Coded, *clocks: Windows) -> Counted:
    """Return how often each value of a column occurs in each window.

    The windows of several clocks are numbered through, and `starts` are then these numbers: 0 is the first window of
    the first clock.
    """
    codes, unique = coded.codes, coded.values
    parts, first = [], 0
    for windows in clocks:
        within, own, nulls = windows.of_row, codes, windows.none
        if not (present := (codes >= 0) & windows.inside).all():
            within, own = within[present], own[present]
            nulls = windows.rows - windows.count(within)
        window, value, count = _pairs(len(windows), len(unique), within, own, None)
        parts.append((windows.rows, nulls, window + first, value, count))
        first += len(windows)
    starts = clocks[0].starts if len(clocks) == 1 else np.arange(first)
    rows, nulls, *pairs = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Counted(starts, rows, nulls, unique, *pairs)


def counted_column(batch: pl.DataFrame, column: str | list[str]) -> Counted:
    """Return the counts of a column over the batch's windows; of several columns, their texts with ` | ` between."""
    if not isinstance(column, str):
        texts = [pl.col(name).cast(pl.String).fill_null("") for name in column]
        column, batch = "texts", batch.select(WINDOW, texts=pl.concat_str(texts, separator=" | "))
    ((_, coded),) = coded_columns(batch, [column])
    return counted(coded, Windows.of(batch[WINDOW]))


def unpacked(found: Counted, bodies: list[bytes], unpack: Callable[[bytes], Made]) -> dict[int, Made]:
    """Return cells by window start from their bytes, which stand in the order of the windows."""
    return {start: unpack(body) for start, body in zip(found.starts.tolist(), bodies, strict=True)}


def as_batch(values: pl.Series) -> pl.DataFrame:
    """Return one window of a column `value`, for cells that are made of a series."""
    return pl.DataFrame({"value": values, WINDOW: pl.zeros(len(values), pl.Int64, eager=True)})


def coded_columns(frame: pl.DataFrame, names: Iterable[str]) -> Iterator[tuple[str, Coded]]:
    """Yield for each column its name, and which of its different values each row has.

    What groups the values of all columns is asked for in one query, and they are grouped when they are taken.
    """
    columns = [frame[name] for name in dict.fromkeys(names)]
    wanted = [part for place, column in enumerate(columns) for part in _grouping(place, column)]
    found = frame.select(wanted)
    for place, column in enumerate(columns):
        present = found[f"{place} known"].to_numpy() if column.null_count() else None
        yield column.name, _coded(column, found[f"{place}"].to_numpy(), present)


def _grouping(place: int, column: pl.Series) -> Iterator[pl.Expr]:
    """Yield what a column's values are told apart by: numbers by themselves, others by a hash of this process.

    The hash is not kept. Two of 2**32 values in one column could meet.
    """
    own, kind = pl.col(column.name), column.dtype
    if column.null_count():
        yield own.is_not_null().alias(f"{place} known")
    if kind.is_float():
        yield own.fill_null(0.0).alias(f"{place}")
    elif _is_whole(kind):
        yield own.to_physical().cast(pl.Int64).fill_null(0).alias(f"{place}")
    else:
        plain = own.cast(pl.String) if kind in {pl.Categorical, pl.Enum} or kind.is_decimal() else own
        yield plain.hash().alias(f"{place}")


def _is_whole(kind: pl.DataType) -> bool:
    return kind.is_integer() or kind.is_temporal() or kind == pl.Boolean


def _coded(column: pl.Series, grouping: NDArray[Any], present: NDArray[np.bool_] | None) -> Coded:
    if present is None:
        return Coded(*_codes(column, grouping))
    rows = np.flatnonzero(present)
    codes = np.full(len(column), -1, np.intp)
    if not len(rows):
        return Coded(codes, column.clear())
    codes[rows], values = _codes(column, grouping[rows], rows)
    return Coded(codes, values)


def _codes(column: pl.Series, grouping: NDArray[Any], rows: Places | None = None) -> tuple[Places, pl.Series]:
    """Return for each of `grouping` the place of its value among the different values, and these.

    `rows` says which rows of the column these are, None for all of them.
    """
    kind = column.dtype
    if not len(grouping):
        return np.empty(0, np.intp), column.clear()
    if kind.is_float():
        found, codes = np.unique(grouping + 0.0, return_inverse=True)
        return codes, pl.Series(column.name, found, kind)
    if _is_whole(kind):
        least, greatest = int(grouping.min()), int(grouping.max())
        if greatest - least < max(2 * len(grouping), _TABLE_LEAST):
            codes = grouping - least
            present = np.bincount(codes) > 0
            unique = np.flatnonzero(present) + least
            if len(unique) < len(present):
                codes = (np.cumsum(present) - 1)[codes]
        else:
            unique, codes = np.unique(grouping, return_inverse=True)
        return codes, _restored(unique, column)
    codes, first = _codes_of_hashes(grouping)
    return codes, column[first if rows is None else rows[first]]


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


def _restored(physical: Whole, like: pl.Series) -> pl.Series:
    found = pl.Series(like.name, physical)
    # Dates and times are cast from the whole numbers that they are kept as.
    return found.cast(pl.Int32).cast(pl.Date) if like.dtype == pl.Date else found.cast(like.dtype)


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


def value_hashes(frame: pl.DataFrame) -> Iterator[Hashes]:
    """Yield the hash of each row of each column, none of which has nulls; a text that occurs often is hashed once."""
    texts = [column.name for column in frame if not (_is_whole(column.dtype) or column.dtype.is_numeric())]
    coded = dict(coded_columns(frame, texts))
    for column in frame:
        of_text = coded.get(column.name)
        yield hash_values(column) if of_text is None else hash_values(of_text.values)[of_text.codes]
