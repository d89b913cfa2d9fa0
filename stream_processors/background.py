"""Work that is not on the way of a record yields to it: it waits while files are on their way, but not for ever.

Where an alert is, what to change in collecting and the exact figures of whole files are read from the stored rows. Such
questions cost the warehouse as much as storing the rows does, and nobody waits for them by the second.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from headrace.core.clock import Clock, utc_now
from headrace.schemas.ledger import OPEN_STATES, FileEntry, read_entry
from headrace.schemas.topics import LEDGER
from headrace.transport.kafka import CompactedTopic

HOLD_SECS: Final = 60.0
"""How long work in the background waits for a line that has files on their way."""
TURN_SECS: Final = 20.0
"""How long it then works before it waits again: on a line that is never idle it has a quarter of the time."""
STUCK_SECS: Final = 120.0
"""A file of which nothing was heard for so long holds nobody up."""
_LONGEST_SECS: Final = 120.0
_LOOK_SECS: Final = 0.3


def is_in_flight(entry: FileEntry) -> bool:
    """Return True if rows of a file may not be judged yet: it is being read, or its receipt is not proved."""
    return entry.state in OPEN_STATES or (entry.provable and not entry.final)


def any_moves(entries: Iterable[FileEntry], now: float) -> bool:
    """Return True if a file is in flight, and something was heard of it lately; `now` in seconds since 1970."""
    return any(is_in_flight(one) and now - one.updated_at.timestamp() < STUCK_SECS for one in entries)


class Patience:
    """Says whether work in the background may go on. `busy` is asked a few times a second at most.

    Not for use from several threads.
    """

    def __init__(self, busy: Callable[[], bool], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._busy, self._monotonic = busy, monotonic
        self._busy_since: float | None = None
        self._looked = -_LOOK_SECS
        self._until = 0.0

    def may_work(self) -> bool:
        """Return True if the line is idle, or the work has waited for long. Blocks as `busy` does."""
        now = self._monotonic()
        if now - self._looked >= _LOOK_SECS:
            self._looked = now
            self._busy_since = (self._busy_since or now) if self._busy() else None
        return self._busy_since is None or (now - self._busy_since) % (HOLD_SECS + TURN_SECS) >= HOLD_SECS

    def begin(self) -> None:
        """Say that a piece of work begins: within it, `wait` holds it up for two minutes at most."""
        self._until = self._monotonic() + _LONGEST_SECS

    def wait(self, stop: threading.Event) -> None:
        """Wait until work may go on, `stop` is set or the piece of work was held up for long enough."""
        while not self.may_work() and self._monotonic() < self._until and not stop.wait(_LOOK_SECS):
            pass


class FilesOnTheWay:
    """Reads the ledger to tell whether files of any dataset are on their way. Blocks; raises ServiceUnreachable."""

    def __init__(self, client: Mapping[str, str], clock: Clock = utc_now) -> None:
        self._ledger, self._clock = CompactedTopic(client, LEDGER), clock
        self._seen: dict[str, bytes] = {}
        self._in_flight: dict[str, FileEntry] = {}

    def close(self) -> None:
        """Leave the ledger."""
        self._ledger.close()

    def any(self) -> bool:
        """Return True while rows are on their way into the tables."""
        for key, message in self._ledger.refresh().items():
            if self._seen.get(key) is message:
                continue
            self._seen[key] = message
            self._in_flight.pop(key, None)
            if is_in_flight(entry := read_entry(message)):
                self._in_flight[key] = entry
        return any_moves(self._in_flight.values(), self._clock().timestamp())
