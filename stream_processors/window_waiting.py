"""Closed windows that wait for their learners: which rules of each have no verdict yet, in an entry of each clock.

Key: `l/DATASET/CLOCK`. A learner comes after the line, so a window may be closed before it has seen the window's
records: its other rules do not wait. Once it is through, the window is told again, and the lives of alerts of these
rules are stepped then.
"""

import json
from collections.abc import Collection, Mapping
from typing import Final

from headrace.stream_processors.window_index import json_bytes

WAITING_BYTES: Final = 16 * 1024 * 1024
"""Parts of a clock's closed windows that are kept for learners; of older windows the rules stay without a verdict."""


class Waiting:
    """By window, the rules without a verdict; True for one that had a verdict before late records came.

    >>> waits = Waiting(None)
    >>> waits.note(0, {"drift"}, revision=0), waits.due(0, {"drift"}), waits.due(0, ())
    (None, frozenset(), frozenset({'drift'}))
    """

    def __init__(self, data: bytes | None) -> None:
        self._windows: dict[str, dict[str, bool]] = json.loads(data or b"{}")
        self.changed = False

    def __contains__(self, start: int) -> bool:
        return str(start) in self._windows

    def of(self, start: int) -> Mapping[str, bool]:
        """Return the rules that wait for their verdict on a window."""
        return self._windows.get(str(start), {})

    def due(self, start: int, waiting: Collection[str]) -> frozenset[str]:
        """Return the rules whose first verdict on a window there is now; `waiting` still have none."""
        return frozenset(rule for rule, judged in self.of(start).items() if not judged and rule not in waiting)

    def note(self, start: int, waiting: Collection[str], *, revision: int) -> None:
        """Take in which rules have no verdict on a window that was closed or revised."""
        known = self.of(start)
        after = {rule: known.get(rule, revision > 0) for rule in sorted(waiting)}
        self._put(start, after)

    def forget(self, start: int) -> None:
        """Give up waiting: the window's parts are gone."""
        self._put(start, {})

    def forget_before(self, moment: int) -> None:
        """Give up waiting for windows that begin before a moment: they are in the ring no more."""
        for start in [int(one) for one in self._windows if int(one) < moment]:
            self.forget(start)

    def _put(self, start: int, rules: dict[str, bool]) -> None:
        if rules == self.of(start):
            return
        self.changed = True
        if rules:
            self._windows[str(start)] = rules
        else:
            self._windows.pop(str(start), None)

    def pack(self) -> bytes:
        """Return it as bytes."""
        return json_bytes(self._windows)
