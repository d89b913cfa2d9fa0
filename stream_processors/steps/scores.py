"""Scores without labels: from where on a record is unusual, and how many were. Pure."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

_BURST = 4.0
"""A tick with so many times more flagged records than the share asked for is a burst."""
_LONGEST_BURST = 8
"""What lasts for more ticks is how things are now."""
_MEMORY = 4
"""What is usual is told by so many times more ticks than a rolling figure has: seasons come slowly."""


class Scores:
    """The scores of the last ticks. `limit` is what a share of them is above; None until the first tick is full.

    Of a tick of a burst only as many flagged scores count for the next limit as are no burst yet, the least of them: it
    would hide its own end, and a season would be one long burst if none did. `ticks` is how many the share `flagged`
    speaks of; what is usual is told by four times as many.
    """

    def __init__(self, ticks: int) -> None:
        self._bursts = 0
        self._recent: deque[list[float]] = deque(maxlen=_MEMORY * max(1, ticks))
        self._beyond: deque[tuple[int, int]] = deque(maxlen=max(1, ticks))
        self.limit: float | None = None

    def take(self, scores: Sequence[Any], flags: Sequence[bool | None], share: float) -> None:
        """Add a full tick with what of it was flagged; the limit of the next one leaves `share` of all above it."""
        found = [0.0 if one is None else float(one) for one in scores]
        beyond = sum(map(bool, flags))
        most = int(_BURST * share * len(found))
        self._bursts = self._bursts + 1 if beyond > most else 0
        if 0 < self._bursts <= _LONGEST_BURST:
            usual = [score for score, flag in zip(found, flags, strict=True) if not flag]
            found = usual + sorted(score for score, flag in zip(found, flags, strict=True) if flag)[:most]
        self._recent.append(found)
        self._beyond.append((beyond, len(scores)))
        together = np.concatenate(list(self._recent))
        if len(together):
            self.limit = float(np.quantile(together, 1.0 - share))

    @property
    def flagged(self) -> float | None:
        """Return the share of records of the last ticks that were flagged."""
        rows = sum(rows for _, rows in self._beyond)
        return sum(beyond for beyond, _ in self._beyond) / rows if rows else None
