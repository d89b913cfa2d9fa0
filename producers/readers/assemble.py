"""A chunk's rows, told apart into good and unreadable, as the frame that a reader gives."""

import numpy as np
import numpy.typing as npt
import polars as pl

from headrace.producers.readers.base import Problem, ReadFrame
from headrace.producers.readers.windows import Chunk

Problems = dict[int, tuple[Problem, ...]]
Misfits = dict[int, tuple[Problem, ...]]


def good_rows(chunk: Chunk, problems: Problems) -> npt.NDArray[np.bool_]:
    """Return which rows of the chunk have no problem."""
    good = np.ones(len(chunk), np.bool_)
    good[list(problems)] = False
    return good


def assemble(chunk: Chunk, row: int, problems: Problems, table: pl.DataFrame, misfits: Misfits) -> ReadFrame:
    """Return the frame of a chunk that begins with the file's row `row`.

    `table` has the rows without a problem, in order; `misfits` names those of them, by place in it, that did not fit.
    """
    indexes = np.flatnonzero(good_rows(chunk, problems))
    if misfits:
        problems = problems | {int(indexes[place]): found for place, found in misfits.items()}
        fits = np.ones(len(indexes), np.bool_)
        fits[list(misfits)] = False
        table, indexes = table.filter(pl.Series(fits)), indexes[fits]
    unreadable = [chunk.unreadable(index, row + index, problems[index]) for index in sorted(problems)]
    if chunk.giant is not None:
        unreadable.append(chunk.giant.unreadable(row))
    last = unreadable[-1] if chunk.framed.unframed else None
    return ReadFrame(
        frame=table.with_columns(pl.Series("_row", indexes + row, pl.Int64)),
        unreadable=tuple(unreadable),
        next_row=row + len(chunk) + (chunk.giant is not None),
        next_byte=chunk.next_byte,
        last=chunk.last,
        partial=last.reason if last else None,
        detail=last.detail if last else "",
    )
