"""Lines that repeat: the first of a kind is written, those of the next seconds are counted, and then told in one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from headrace.observability.log_lines import LogLine

WINDOW_SECS = 10.0
_MOST_KINDS = 10_000
# What an event is about: lines on two files are two lines, however alike.
_SUBJECTS = ("dataset", "file", "name", "stage", "service", "learner", "target", "place", "table", "topic", "alert_id")
_DIGITS = re.compile(r"\d+")

Kind = tuple[object, ...]


@dataclass
class _Window:
    ends: float
    last: LogLine
    repeated: int = 0


class Repeats:
    """Decides what is written. Not for use from several threads at once; the caller gives the time, in seconds.

    An error counts as a repeat only if all that it says is the same, and each of its windows is told: so no error is
    ever left out altogether.
    """

    def __init__(self, window_secs: float = WINDOW_SECS, most_kinds: int = _MOST_KINDS) -> None:
        self._window_secs, self._most_kinds = window_secs, most_kinds
        self._windows: dict[Kind, _Window] = {}
        self._left_out = 0

    def admit(self, line: LogLine, now: float) -> list[LogLine]:
        """Return the lines to write now: of windows that have ended, and this one unless it is a repeat."""
        written = self.ended(now)
        kind = _kind(line)
        if kind not in self._windows and len(self._windows) >= self._most_kinds:
            kind = (line.logger, line.level, line.event)
        window = self._windows.get(kind)
        if window is None:
            self._windows[kind] = _Window(now + self._window_secs, line)
            return [*written, line]
        window.last, window.repeated = line, window.repeated + 1
        self._left_out += 1
        return written

    def ended(self, now: float) -> list[LogLine]:
        """Return what is to be told of windows that have ended, and forget them."""
        return list(self._end(now))

    def close(self) -> list[LogLine]:
        """Return what is to be told of all windows, and forget them."""
        return list(self._end(float("inf")))

    def pending(self) -> bool:
        """Return whether a line was left out that is not told yet."""
        return self._left_out > 0

    def _end(self, now: float) -> Iterator[LogLine]:
        # All windows are of one length, so the one that was opened first ends first.
        while self._windows:
            kind = next(iter(self._windows))
            if self._windows[kind].ends > now:
                return
            window = self._windows.pop(kind)
            self._left_out -= window.repeated
            if window.repeated:
                yield replace(window.last, repeated=window.repeated)


def _kind(line: LogLine) -> Kind:
    if line.level in {"error", "critical"}:
        said = tuple((name, str(value)) for name, value in line.fields.items())
        return line.logger, line.event, line.message, said, line.exception
    if not line.event:
        return line.logger, line.level, _DIGITS.sub("0", line.message)
    names = dict.fromkeys((*line.labels, *(name for name in _SUBJECTS if name in line.fields)))
    return line.event, line.level, tuple(str(line.fields.get(name)) for name in names)
