"""Where a problem is: the segments that hold more of it than their share, by lift with a support floor. Pure.

A segment is a value of a column (`origin=EWR`), or of two (`origin=EWR, carrier=UA`). Who asks counts rows per
segment, in the warehouse or in a frame; this ranks them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LEAST_ROWS, LEAST_SHARE, LEAST_LIFT = 5, 0.02, 1.5
MOST_SEGMENTS = 5


@dataclass(frozen=True)
class Counted:
    """How many of a segment's rows have the problem. `parts` maps columns to values."""

    parts: Mapping[str, str]
    failed: int
    total: int

    @property
    def name(self) -> str:
        """Return the segment in words.

        >>> Counted({"origin": "EWR"}, 1, 2).name
        'origin=EWR'
        """
        return ", ".join(f"{column}={value}" for column, value in self.parts.items())


@dataclass(frozen=True)
class Segment:
    """A segment that holds more than its share.

    `share` of all rows with the problem are in it, `lift` times its share of all rows; `excess` is how many more rows
    that is than if the problem were spread evenly. `rate` is the share of its rows that have the problem.
    """

    name: str
    parts: Mapping[str, str]
    rows: int
    share: float
    lift: float
    rate: float
    excess: float


def rank(counted: Iterable[Counted], failed: int, total: int, *, most: int = MOST_SEGMENTS) -> list[Segment]:
    """Return the segments that stand out, strongest first, without those that a stronger one explains.

    `failed` of `total` rows have the problem in all. A segment must hold at least 5 rows and 2 % of the problem and
    1.5 times its share, by more than chance would give it (twice the standard error of its expected count).
    """
    if not failed or not total:
        return []
    found = [segment for one in counted if (segment := _segment(one, failed, total)) is not None]
    found.sort(key=lambda segment: (-_strength(segment, failed), len(segment.parts), segment.name))
    kept: list[Segment] = []
    for segment in found:
        if not any(_explained(segment, other) for other in kept):
            kept.append(segment)
        if len(kept) == most:
            break
    return kept


def _segment(one: Counted, failed: int, total: int) -> Segment | None:
    if one.failed < max(LEAST_ROWS, LEAST_SHARE * failed) or not one.total:
        return None
    expected = failed * one.total / total
    lift, excess = one.failed / expected, one.failed - expected
    noise = 2.0 * math.sqrt(max(expected * (1.0 - one.total / total), 0.0))
    if lift < LEAST_LIFT or excess <= noise:
        return None
    return Segment(one.name, one.parts, one.failed, one.failed / failed, lift, one.failed / one.total, excess)


def _strength(segment: Segment, failed: int) -> float:
    """Return how much a segment says: the excess that it holds, times how sharp it is (in doublings, at most 6)."""
    return segment.excess / failed * min(math.log2(segment.lift), 6.0)


def _explained(segment: Segment, other: Segment) -> bool:
    """Return True if `other` says the same: the same rows, or a part of it without being much sharper."""
    if any(segment.parts.get(column, value) != value for column, value in other.parts.items()):
        return False  # two values of one column have no row in common, however equal their counts are
    if (segment.rows, segment.rate) == (other.rows, other.rate):
        return True
    shared = all(segment.parts.get(column) == value for column, value in other.parts.items())
    reverse = all(other.parts.get(column) == value for column, value in segment.parts.items())
    return (shared and segment.lift < 1.5 * other.lift) or (reverse and other.share >= 0.8 * segment.share)
