"""Labels that come later: records wait for them by key, and labels that are early wait for their records. Pure.

Both wait by arrival time as the broker has it, so the same log joins the same way whenever it is read.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from headrace.stream_processors.models.base import Features, Label

Key = tuple[Any, ...]
Source = TypeVar("Source", bound=Hashable)


@dataclass(frozen=True)
class Case:
    """A record that waits for its label: its features, what each model said of it, its weight and when it came.

    `start` is its window of event time (seconds, None without event time); with `told` its findings were told before.
    """

    x: Features
    guesses: Mapping[str, Any]
    weight: float
    at_ms: int
    start: int | None = None
    told: bool = False


@dataclass
class Waiting:
    """What waits, oldest first. `given_up` counts records whose label did not come in time, `unused` labels."""

    cases: dict[Key, list[Case]] = field(default_factory=dict)
    labels: dict[Key, tuple[Any, int]] = field(default_factory=dict)
    count: int = 0
    given_up: int = 0
    unused: int = 0

    def record(self, key: Key, case: Case) -> Label | None:
        """Return the label of a record if it came before; else let the record wait for it."""
        early = self.labels.pop(key, None)
        if early is not None:
            found: Label = early[0]
            return found
        self.cases.setdefault(key, []).append(case)
        self.count += 1
        return None

    def label(self, key: Key, label: Label, at_ms: int) -> list[Case]:
        """Return the records that a label is for; without any it waits for one, unless another of its key does."""
        found = self.cases.pop(key, [])
        self.count -= len(found)
        if not found:
            self.labels.setdefault(key, (label, at_ms))
        return found

    def expire(self, now_ms: int, wait_ms: int, most: int) -> list[Case]:
        """Give up what has waited too long, and the oldest of what is too much; return the records among it."""
        given_up: list[Case] = []
        for key in list(self._old_cases(now_ms - wait_ms, most)):
            gone = self.cases.pop(key)
            self.count -= len(gone)
            self.given_up += len(gone)
            given_up += gone
        excess = len(self.labels) - most
        for number, (key, (_, at_ms)) in enumerate(list(self.labels.items())):
            if at_ms >= now_ms - wait_ms and number >= excess:
                break
            del self.labels[key]
            self.unused += 1
        return given_up

    def _old_cases(self, before_ms: int, most: int) -> Iterator[Key]:
        left = self.count
        for key, found in self.cases.items():
            if found[0].at_ms >= before_ms and left <= most:
                return
            left -= len(found)
            yield key


@dataclass
class ReadTimes(Generic[Source]):
    """Up to which arrival time (milliseconds) each source was read; one that was read to its end holds nobody back.

    While a learner catches up, its records may be days ahead of their labels: those wait by the time of the slower one.
    """

    read: dict[Source, int] = field(default_factory=dict)
    ended: set[Source] = field(default_factory=set)

    def begin(self, source: Source) -> None:
        """Say that a source is read from now on, and nothing of it yet."""
        self.read[source] = 0
        self.ended.discard(source)

    def resume(self, source: Source) -> None:
        """Say that there is more of a source, which is not taken yet."""
        self.ended.discard(source)

    def note(self, source: Source, at_ms: int) -> None:
        """Say that a source was taken up to a time."""
        self.read[source] = at_ms

    def end(self, source: Source) -> None:
        """Say that all there is of a source was taken."""
        self.ended.add(source)

    def of_others(self, source: Source) -> int | None:
        """Return up to when all other sources were read; None where none of them has more.

        >>> times = ReadTimes({"records": 90, "labels": 10})
        >>> times.of_others("records"), times.of_others("labels")
        (10, 90)
        >>> times.end("labels")
        >>> times.of_others("records") is None
        True
        """
        return min((at for other, at in self.read.items() if other != source and other not in self.ended), default=None)
