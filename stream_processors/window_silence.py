"""Windows without any record: closed too where a rule has something to say of silence, but never thousands at once."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from headrace.stream_processors.window_law import Law

MOST_EMPTY: Final = 48
"""Empty windows in a row that are closed: after that many nothing new is said until records come, and of a longer gap
only the newest are closed. What an alert opened for stays open meanwhile."""


@dataclass
class Silence:
    """The empty windows of one clock in one plan.

    `newest` is the newest window that was closed before, None of none; `quiet` how many empty ones were closed last.
    Afterwards `closed` are those to close now, and `left_out` how many of a long gap are not.
    """

    law: Law
    newest: int | None = None
    quiet: int = 0
    closed: tuple[int, ...] = ()
    left_out: int = 0

    def missing(self, waiting: Collection[int], watermark: int) -> frozenset[int]:
        """Return the windows that the watermark has passed, with no part and none of them closed before."""
        size = self.law.spec.size_secs
        ending = [start for start in waiting if start + size <= watermark]
        last = min(ending, default=None) if self.newest is None else self.newest
        if not self.law.sees_silence or last is None:
            return frozenset()
        first, end = (last // size + 1) * size, watermark // size * size
        most = max(MOST_EMPTY - self.quiet, 0)
        count = max(0, (end - first) // size)
        # Windows with records are among the newest as well: look at so many more that enough empty ones are found.
        looked = range(max(first, end - (most + len(ending)) * size), end, size)
        found = [start for start in looked if start not in waiting]
        kept = found[-most:] if most else []
        self.closed = tuple(kept)
        self.left_out = max(0, count - len([start for start in ending if start >= first]) - len(kept))
        return frozenset(kept)

    def due(self, watermark: int) -> bool:
        """Return True if the time alone passes an empty window that is to be closed."""
        size = self.law.spec.size_secs
        if not self.law.sees_silence or self.newest is None or self.quiet >= MOST_EMPTY:
            return False
        return (self.newest // size + 2) * size <= watermark
