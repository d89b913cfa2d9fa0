"""Whether a figure moved after an advice was followed: a rule's windows before and after the decision. Pure.

A figure that differs by less than its noise has not moved: the noise floor is what the windows' own spread, and the
rows that a share was counted in, give by chance. Good news needs 3 windows after the decision, "not moved" 8.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headrace.schemas.check_rules import Unit

FEW, ENOUGH, MOST = 3, 8, 20
"""Windows that each side needs, that "not moved" needs after the decision, and that are looked at."""
DEVIATIONS: Final = 3.0
LEAST_MOVE: Final = 0.1
"""The part of the breach that must be gone: what is clear in a million rows need not matter."""
_WEEK: Final = 7 * 86_400 * 1_000_000
_UNITS: Final = {Unit.PERCENT.value: " %", Unit.ROWS.value: " rows", Unit.SECONDS.value: " s"}


@dataclass(frozen=True)
class Figure:
    """What one window says of a rule. Times are in microseconds; `closed_at` is when it was closed first."""

    start: int
    end: int
    closed_at: int
    failed: bool
    observed: float | None = None
    error: float = 0.0
    lower: float | None = None
    upper: float | None = None
    unit: str = ""
    rows: int = 0

    @property
    def value(self) -> float:
        """Return the figure; of a rule without bounds whether it failed, in percent."""
        return (100.0 if self.failed else 0.0) if self._plain else float(self.observed or 0.0)

    @property
    def excess(self) -> float:
        """Return how far it is beyond its bound; negative within it, smaller is better."""
        if self._plain:
            return self.value
        above = [self.value - self.upper] if self.upper is not None else []
        below = [self.lower - self.value] if self.lower is not None else []
        return max([*above, *below])

    @property
    def counted(self) -> int:
        """Return in how many cases it was counted, 0 for a figure that is no count."""
        return 1 if self._plain else max(self.rows, 1) if self.unit == Unit.PERCENT.value else 0

    @property
    def shown_unit(self) -> str:
        """Return the unit in words."""
        return " % of the windows fail" if self._plain else _UNITS.get(self.unit, "")

    @property
    def _plain(self) -> bool:
        return self.observed is None or (self.lower is None and self.upper is None)


@dataclass(frozen=True)
class Measured:
    """Whether it moved, the figures of before and after, and both in a sentence."""

    moved: bool
    before: float
    after: float
    told: str


def sides(figures: Sequence[Figure], decided_at: int) -> tuple[list[Figure], list[Figure]]:
    """Return the windows nearest to a decision on both sides; what holds records of both is on neither.

    A window is after the decision if it began after it. Of past data that is read in now (it ended more than a week
    before it was closed) it counts when it was closed, since that is when it came.
    """
    before = [one for one in figures if one.closed_at <= decided_at and one.end <= decided_at]
    after = [one for one in figures if one.closed_at > decided_at and (one.start >= decided_at or _past(one))]
    before.sort(key=lambda one: (one.closed_at, one.start))
    after.sort(key=lambda one: (one.closed_at, one.start))
    return before[-MOST:], after[:MOST]


def _past(one: Figure) -> bool:
    return one.closed_at - one.end > _WEEK


def measured(figures: Sequence[Figure], decided_at: int) -> Measured | None:
    """Return what following an advice did to its rule's figure, None while there are too few windows to tell.

    >>> day = 86_400_000_000
    >>> windows = [Figure(n * day, (n + 1) * day, (n + 1) * day, n < 4, 30.0 if n < 4 else 1.0, upper=5.0,
    ...     unit="percent", rows=1_000) for n in range(8)]
    >>> measured(windows, 4 * day).told
    '30 % in 4 windows before, 1 % in 4 after: it moved'
    """
    before, after = sides(figures, decided_at)
    if len(before) < FEW or len(after) < FEW:
        return None
    won = _mean([one.excess for one in before]) - _mean([one.excess for one in after])
    least = max(_noise(before, after), LEAST_MOVE * abs(_mean([one.excess for one in before])))
    moved = won > least
    if not moved and len(after) < ENOUGH:
        return None
    old, new = _mean([one.value for one in before]), _mean([one.value for one in after])
    unit = after[-1].shown_unit
    told = f"{old:.4g}{unit} in {len(before)} windows before, {new:.4g}{unit} in {len(after)} after: "
    return Measured(moved, old, new, told + ("it moved" if moved else f"not moved, chance alone gives {least:.2g}"))


def _noise(before: Sequence[Figure], after: Sequence[Figure]) -> float:
    """Return by how much the means may differ by chance: the windows' spread, or what counting gives if that is more.

    With few windows their spread is itself uncertain; the factor is about the one of Student's distribution.
    """
    freedom = len(before) + len(after) - 2
    pooled = (_squares(before) + _squares(after)) / freedom
    spread = math.sqrt(pooled * (1 / len(before) + 1 / len(after)))
    counted = math.hypot(_counting(before), _counting(after))
    return max(spread * DEVIATIONS * math.sqrt(freedom / (freedom - 2)), counted * DEVIATIONS)


def _squares(side: Sequence[Figure]) -> float:
    mean = _mean([one.excess for one in side])
    return math.fsum((one.excess - mean) ** 2 for one in side)


def _counting(side: Sequence[Figure]) -> float:
    """Return the standard error that a share has by counting, in percent; of other figures that of their error bars."""
    cases = sum(one.counted for one in side)
    if not cases:
        return _mean([one.error for one in side]) / math.sqrt(len(side))
    share = min(max(_mean([one.value for one in side]) / 100.0, 0.0), 1.0)
    smoothed = (share * cases + 1) / (cases + 2)
    return 100.0 * math.sqrt(smoothed * (1 - smoothed) / cases)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
