"""Windows without any record: closed too where a rule has something to say of silence, but never thousands at once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from headrace.stream_processors.window_law import Law

MOST_EMPTY: Final = 48
"""Empty windows in a row that are closed: after that many nothing new is said until records come, and of a longer gap
only the newest are closed. What an alert opened for stays open meanwhile."""


@dataclass
class Silence:
    """The empty windows of one clock in one plan.

    `through` is the moment up to which windows were closed before, None if none was; `quiet` how many empty ones were
    closed last. With `held` records may still be on their way, and no empty window is closed. Afterwards `closed` are
    those to close now, and `left_out` how many of a long gap are not.
    """

    law: Law
    through: int | None = None
    quiet: int = 0
    held: bool = False
    closed: tuple[int, ...] = ()
    left_out: int = 0

    def missing(self, waiting: Mapping[int, int], known: Collection[int], watermark: int) -> frozenset[int]:
        """Return the windows that the watermark has passed, with no part and none of them closed before.

        `waiting` has the end of each window that is open, by its start; a window of another size may cover several
        starts, none of which is empty. `known` are those that were closed although the moment has not come to them.
        """
        size = self.law.spec.size_secs
        through = self.through
        if through is None:
            through = min((end for end in waiting.values() if end <= watermark), default=None)
        if not self.law.sees_silence or self.held or through is None:
            return frozenset()
        first, end = -(-through // size) * size, watermark // size * size
        taken = {start for start in known if first <= start < end}
        for start, until in waiting.items():
            taken.update(range(max(first, start // size * size), min(end, until), size))
        most, kept = max(MOST_EMPTY - self.quiet, 0), list[int]()
        for start in range(end - size, first - 1, -size):
            if len(kept) == most:
                break
            if start not in taken:
                kept.append(start)
        self.closed = tuple(reversed(kept))
        self.left_out = max(0, max(0, (end - first) // size) - len(taken) - len(kept))
        return frozenset(kept)

    def due(self, watermark: int) -> bool:
        """Return True if the time alone passes an empty window that is to be closed."""
        size = self.law.spec.size_secs
        if not self.law.sees_silence or self.through is None or self.quiet >= MOST_EMPTY:
            return False
        return -(-self.through // size) * size + size <= watermark
