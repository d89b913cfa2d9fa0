"""When what waits for an exporter is delivered: soon where little comes, in large parts where much does.

Each delivery has its price however little it carries: an INSERT of one span takes the embedded warehouse 30 ms of CPU,
one of twenty no more, and each makes a part that is merged later.
"""

import threading
import time
from collections.abc import Callable

# For `headrace trace`, which asks the table; a process that is killed loses what waits.
SPANS_QUIET_SECS, SPANS_LONGEST_SECS = 2.5, 15.0
# HOME/logs has every line at once.
LINES_QUIET_SECS, LINES_LONGEST_SECS = 5.0, 30.0


class Pace:
    """Tells the thread of a queue when to deliver; whoever adds to the queue says so, and never waits.

    That is once nothing was added for `quiet_secs`, and `longest_secs` after the first addition at the latest.
    """

    def __init__(
        self,
        quiet_secs: float,
        longest_secs: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet_secs, self._longest_secs, self._monotonic = quiet_secs, longest_secs, monotonic
        self._some, self._at_once = threading.Event(), threading.Event()
        self._first_at = self._last_at = 0.0
        self._closed = False

    def added(self, *, full: bool = False) -> None:
        """Note an addition; call it once that is in the queue. `full`: it holds a whole delivery."""
        self._last_at = self._monotonic()
        if not self._some.is_set():
            self._first_at = self._last_at
            self._some.set()
        if full:
            self._at_once.set()

    def close(self) -> None:
        """Let `wait` return now, and at once from now on."""
        self._closed = True
        self._at_once.set()
        self._some.set()

    def wait(self) -> bool:
        """Block until it is time to deliver, without a look in between where nothing waits; False once it is closed."""
        if not self._closed:
            self._some.wait()
        while not self._closed and (left := self.left()) > 0 and not self._at_once.wait(left):
            pass
        if not self._closed:
            # In this order: what is added now sets them again, at worst for a queue that has been emptied meanwhile.
            self._at_once.clear()
            self._some.clear()
        return not self._closed

    def left(self) -> float:
        """Return in how many seconds it is time, if nothing is added until then and something waits."""
        due_at = min(self._last_at + self._quiet_secs, self._first_at + self._longest_secs)
        return due_at - self._monotonic()
