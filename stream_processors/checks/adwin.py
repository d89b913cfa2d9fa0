"""Adaptive windowing (ADWIN, Bifet and Gavalda 2007) over the metric of windows: a change detector for a second vote.

A metric has hundreds of values, no millions: so every cut is tried, and no buckets are needed. Pure.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

DELTA: Final = 0.002
LEAST: Final = 5
"""Values that each side of a cut must have: no change is seen before so many windows have it."""
MOST: Final = 2_000
HELD: Final = 24


class Adwin:
    """Keeps the newest values that look like one regime. Values should be within 0 and 1, else the bound is too low."""

    def __init__(self, delta: float = DELTA, least: int = LEAST) -> None:
        self._delta, self._least = delta, least
        self._kept: NDArray[np.float64] = np.empty(0)

    def update(self, value: float) -> bool:
        """Add a value; return True if the older ones were dropped because they are of another regime."""
        self._kept = np.append(self._kept, value)[-MOST:]
        cut = self._cut()
        found = cut > 0
        while cut:
            self._kept = self._kept[cut:]
            cut = self._cut()
        return found

    def _cut(self) -> int:
        """Return how many of the oldest values are to go, 0 for none: the cut with the clearest difference."""
        size = len(self._kept)
        if size < 2 * self._least:
            return 0
        older = np.arange(self._least, size - self._least + 1)
        sums = np.cumsum(self._kept)
        before = sums[older - 1] / older
        after = (sums[-1] - sums[older - 1]) / (size - older)
        weight = 1 / older + 1 / (size - older)
        logarithm = math.log(2 * math.log(size) / self._delta)
        bound = np.sqrt(2 * weight * self._kept.var() * logarithm) + 2 / 3 * weight * logarithm
        excess = np.abs(before - after) - bound
        best = int(excess.argmax())
        return int(older[best]) if excess[best] > 0 else 0


def new_regime(metrics: Sequence[float], usual: float, deviation: float) -> bool:
    """Return True if ADWIN sees the last of these values in another regime than the earlier ones.

    A change is held against the windows of one day of hours after it was seen.

    >>> new_regime([5.0, 5.1] * 50 + [9.0] * 30, 5.0, 0.1), new_regime([5.0, 5.1] * 50 + [9.0], 5.0, 0.1)
    (True, False)
    """
    return any(changes(metrics, usual, deviation)[-HELD:])


def changes(metrics: Sequence[float], usual: float, deviation: float) -> list[bool]:
    """Return of each value whether ADWIN, seeing them one after another, fires at it.

    >>> sum(changes([5.0, 5.1] * 50 + [9.0] * 30, 5.0, 0.1))
    1
    """
    detector = Adwin()
    return [detector.update(value) for value in scaled(metrics, usual, deviation)]


def scaled(metrics: Sequence[float], usual: float, deviation: float) -> list[float]:
    """Return metrics from 0 to 1, which are five deviations below and above the usual: ADWIN's bound is for those."""
    found: list[float] = np.clip((np.asarray(metrics) - usual) / (10 * deviation) + 0.5, 0.0, 1.0).tolist()
    return found
