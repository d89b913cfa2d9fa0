"""When a field was first and last seen: event time and arrival of the rows that have a value, by window. Pure.

Times of rows, no values of the field: two numbers a window, exact, and they merge as extremes do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.stream_processors.checks.base import FieldFigure
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.grouped import Windows
from headrace.stream_processors.sketches.registry import packed_cells

Times = NDArray[np.int64]
Marks = NDArray[np.bool_]
Cells = dict[int, dict[str, bytes]]


@dataclass(frozen=True)
class SeenTimes:
    """The times of a batch's rows, in the order of one clock's windows, made once for all of its fields."""

    windows: Windows
    times: Mapping[FieldFigure, pl.Series]

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        inside = np.flatnonzero(self.windows.of_row >= 0)
        return inside[np.argsort(self.windows.of_row[inside], kind="stable")]

    @cached_property
    def _firsts(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.diff(self.windows.of_row[self._order], prepend=-1))

    @cached_property
    def _ordered(self) -> dict[FieldFigure, tuple[Times, Marks]]:
        found = {}
        for figure, moments in self.times.items():
            known = moments.is_not_null().to_numpy()[self._order]
            found[figure] = moments.cast(pl.Int64).fill_null(0).to_numpy()[self._order], known
        return found

    @cached_property
    def _of_all(self) -> Cells:
        return self._cells(None)

    def of(self, column: pl.Series) -> Cells:
        """Return by window start when the field was seen, as packed cells by figure; without a value there is none."""
        if not column.null_count():
            return self._of_all
        if column.null_count() == len(column):
            return {}
        return self._cells(column.is_not_null().to_numpy()[self._order])

    def _cells(self, there: Marks | None) -> Cells:
        found: Cells = {}
        if not len(self._order):
            return found
        for figure, (moments, known) in self._ordered.items():
            kept = np.flatnonzero(known if there is None else known & there)
            edges = np.searchsorted(kept, np.append(self._firsts, len(known)))
            seen = np.flatnonzero(np.diff(edges))
            if not len(seen):
                continue
            # Rows of windows without any are not there, so each window's begin where those of the one before end.
            present = moments[kept]
            lows, highs = (pick.reduceat(present, edges[seen]) for pick in (np.minimum, np.maximum))
            cells = packed_cells(Extremes, Extremes.of_pairs(lows, highs))
            for start, cell in zip(self.windows.starts[seen].tolist(), cells, strict=True):
                found.setdefault(start, {})[figure.value] = cell
        return found
