"""When is a file complete? Pure: it is told what was seen and when, and looks at nothing itself."""

from typing import NamedTuple

FileKey = tuple[str, str]


class Signature(NamedTuple):
    """What changes when somebody writes to a file, or puts another file in its place."""

    inode: int
    size: int
    modified_ns: int


class _Seen(NamedTuple):
    signature: Signature
    since: float


class ReadyTracker:
    """Remembers files that are not known to be complete yet.

    A close or rename event makes a file complete at once; without one, size and time must stay the same for
    `stable_secs` between two looks. Moments are seconds of any clock that does not go backwards.

    >>> tracker = ReadyTracker(stable_secs=1.0)
    >>> first = Signature(1, 10, 0)
    >>> tracker.look(("orders", "a.csv"), first, now=5.0), tracker.look(("orders", "a.csv"), first, now=6.0)
    (False, True)
    >>> tracker.look(("orders", "b.csv"), first, now=6.0, closed=True)
    True
    """

    def __init__(self, stable_secs: float) -> None:
        self._stable_secs = stable_secs
        # Kept in order of `since`, so that what is due stands in front.
        self._seen: dict[FileKey, _Seen] = {}

    def look(self, key: FileKey, signature: Signature, *, now: float, closed: bool = False) -> bool:
        """Note how a file looks now; return True if it is complete, and forget it then."""
        seen = self._seen.get(key)
        unchanged = seen is not None and seen.signature == signature and now - seen.since >= self._stable_secs
        if closed or unchanged or self._stable_secs == 0:
            self._seen.pop(key, None)
            return True
        if seen is None or seen.signature != signature:
            self._seen.pop(key, None)
            self._seen[key] = _Seen(signature, now)
        return False

    def forget(self, key: FileKey) -> bool:
        """Forget a file that is gone; return True if it was being waited for."""
        return self._seen.pop(key, None) is not None

    def due(self, now: float) -> list[FileKey]:
        """Return the files that are complete now if they look as they did."""
        found: list[FileKey] = []
        for key, seen in self._seen.items():
            if now - seen.since < self._stable_secs:
                break
            found.append(key)
        return found

    def waiting(self) -> list[FileKey]:
        """Return every file that is not complete yet."""
        return list(self._seen)

    def next_due(self) -> float | None:
        """Return the moment when the first waiting file may be complete; None if none waits."""
        first = next(iter(self._seen.values()), None)
        return None if first is None else first.since + self._stable_secs
