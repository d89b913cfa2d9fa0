"""Which rows a learner takes when more come than its budget allows: a fair share, the same after a restart. Pure.

Rates are read off the broker's own times, and a row's lot from its identity, so the same log gives the same sample
whenever and how often it is read. Every row of a slice of time has the same chance, and weighs its inverse: means over
the sample are then unbiased for all rows (Horvitz and Thompson, 1952).
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SLICE_MS = 100
_REMEMBERED = 10
_STEPS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Sampler:
    """Chooses rows. `seen` and `taken` count them; a budget of 0 takes all."""

    rows_per_second: int
    seed: int = 1
    seen: int = 0
    taken: int = 0
    _slice: int = 0
    _counted: int = 0
    _share: float = 1.0
    _before: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _used: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED - 1))

    def choose(
        self, moments_ms: NDArray[np.int64], files: NDArray[np.uint64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return which rows are taken, and each row's chance; rows come in the order of the log."""
        chances = np.ones(len(rows))
        if self.rows_per_second:
            slices = np.maximum.accumulate(np.maximum(moments_ms // SLICE_MS, self._slice))
            starts = np.flatnonzero(np.diff(slices, prepend=-1))
            for start, stop in zip(starts, [*starts[1:], len(slices)], strict=True):
                self._enter(int(slices[start]))
                self._counted += int(stop - start)
                chances[start:stop] = self._share
        taken = _lots(files, rows, self.seed) < chances
        self.seen += len(rows)
        self.taken += int(taken.sum())
        return taken, chances

    def _enter(self, number: int) -> None:
        """Go to a slice of time: what it may take follows from the slices before it, not from its own rows.

        It may take what is left of a second's budget, so that a burst is taken whole while as many rows again would
        fit, and at least its own part of it.
        """
        if number == self._slice:
            return
        idle = min(_REMEMBERED, number - self._slice - 1)
        self._before.extend([self._counted, *[0] * idle])
        self._used.extend([self._counted * self._share, *[0.0] * idle])
        self._slice, self._counted = number, 0
        expected = max(self._before[-1], sum(self._before) / len(self._before))
        may = max(self.rows_per_second - sum(self._used), self.rows_per_second * SLICE_MS / 1_000)
        self._share = min(1.0, may / expected) if expected else 1.0


def _lots(files: NDArray[np.uint64], rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Return a number from 0 to 1 for each row that its identity and the seed alone decide (splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = files ^ (rows.astype(np.uint64) * _GOLDEN + np.uint64(seed) * _STEPS[0])
        for shift, factor in zip((np.uint64(30), np.uint64(27)), _STEPS, strict=True):
            mixed = (mixed ^ (mixed >> shift)) * factor
        mixed ^= mixed >> np.uint64(31)
    found: NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return found
