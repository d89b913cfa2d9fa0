"""Reading HOME/logs: the lines of all processes in one order, those of files that were begun anew before them too.

Lines of libraries and of Kafka that are no JSON are shown as well; a line that is still being written is not.
"""

import heapq
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from headrace.observability.log_lines import iso_time

_NAME = re.compile(r"(?P<process>[\w.-]+?)\.(?P<kind>log|out)(?:\.(?P<age>\d+))?")
_TIMED = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\d*(?:Z|\+00:00)? +(?P<level>[A-Z]+) +(?P<text>.*)"
)
_LEVELS = {"TRACE": "debug", "DEBUG": "debug", "INFO": "info", "WARN": "warning", "WARNING": "warning"}
_ERRORS = {"ERROR": "error", "FATAL": "critical", "CRITICAL": "critical"}
# Kafka prints to its output what it also writes to its log, with the time.
_PRINTED_TWICE = re.compile(r"(?:INFO|WARN|ERROR|FATAL) ")
_CHUNK = 1 << 16
_LONGEST = 1 << 20
_LOOKS, _LOOK_SECS = 50, 0.01

Line = dict[str, Any]


@dataclass(frozen=True)
class LogPart:
    """One file of a process: its log or its output, as it is or one that was begun anew since."""

    path: Path
    process: str
    kind: str
    age: int


def log_parts(folder: Path) -> list[LogPart]:
    """Return the files of HOME/logs, those of one process from the oldest to the newest; empty if there is none."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if (match := _NAME.fullmatch(path.name)) and path.is_file():
            found.append(LogPart(path, match["process"], match["kind"], int(match["age"] or 0)))
    return sorted(found, key=lambda part: (part.process, part.kind, -part.age))


def merged_lines(folder: Path, since: str = "") -> Iterator[Line]:
    """Yield all lines in the order of their times; `since` is an ISO time before which none is wanted."""
    with ExitStack() as files:
        readers = []
        for process, kind in dict.fromkeys((part.process, part.kind) for part in log_parts(folder)):
            tails = [files.enter_context(closing(tail)) for tail in _all_tails(folder, process, kind)]
            readers.append(_whole(tail for tail in tails if not since or tail.time >= since))
        yield from (line for line in heapq.merge(*readers, key=_time_of) if line["time"] >= since)


def _whole(tails: Iterable["Tail"]) -> Iterator[Line]:
    for tail in tails:
        yield from tail.lines()
        yield from tail.torn()


def _all_tails(folder: Path, process: str, kind: str) -> list["Tail"]:
    """Return a process's files, opened, the oldest first; waits for the end of a change of names, half a second."""
    for _ in range(_LOOKS):
        if (tails := _tails(folder, process, kind)) is not None:
            return tails
        time.sleep(_LOOK_SECS)
    return []


def _tails(folder: Path, process: str, kind: str) -> list["Tail"] | None:
    """Return the same, or None if files got other names meanwhile: then it is not known which are which."""
    parts = [part for part in log_parts(folder) if (part.process, part.kind) == (process, kind)]
    tails: list[Tail] = []
    try:
        tails.extend(Tail.open(part) for part in parts)
        settled = all(tail.number == tail.part.path.stat().st_ino for tail in tails)
    except FileNotFoundError:
        settled = False
    if settled and parts and parts[-1].age == 0:
        return tails
    for tail in tails:
        tail.close()
    return None


def _time_of(line: Line) -> str:
    return str(line["time"])


@dataclass
class Tail:
    """What has been read of one file. `lines` gives those that are complete by now; call it again for the next."""

    part: LogPart
    stream: BinaryIO
    number: int
    time: str
    _rest: bytes = field(default=b"", init=False)

    @classmethod
    def open(cls, part: LogPart) -> Self:
        """Open a file; raises FileNotFoundError. Lines before the first that tells its time are of the last change."""
        stream = part.path.open("rb")
        found = os.fstat(stream.fileno())
        return cls(part, stream, found.st_ino, iso_time(found.st_mtime_ns))

    def close(self) -> None:
        """Close the file."""
        self.stream.close()

    def lines(self) -> Iterator[Line]:
        """Yield the complete lines that were not read yet."""
        while chunk := self.stream.read(_CHUNK):
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            for text in whole:
                yield from self._line(text)
            if len(self._rest) > _LONGEST:
                self._rest = self._rest[:_LONGEST]

    def torn(self) -> Iterator[Line]:
        """Yield what follows the last complete line, unless it is the beginning of one in JSON."""
        if self._rest and not (self._rest.startswith(b"{") and _parsed(self._rest) is None):
            yield from self._line(self._rest)
        self._rest = b""

    def _line(self, text: bytes) -> Iterator[Line]:
        found = _parsed(text)
        if found is not None:
            self.time = str(found["time"])
            # What a process of headrace prints as JSON is in its log too; it tells when the text around it was printed.
            if self.part.kind == "log":
                yield {"process": self.part.process, "stage": self.part.process, "level": "info", "event": "", **found}
            return
        words = text.decode("utf-8", "replace").rstrip()
        if words and not (
            self.part.process.startswith("kafka") and self.part.kind == "out" and _PRINTED_TWICE.match(words)
        ):
            yield self._foreign(words)

    def _foreign(self, words: str) -> Line:
        level = "info"
        if match := _TIMED.fullmatch(words):
            self.time, words = f"{match['time']}+00:00", match["text"]
            level = (_LEVELS | _ERRORS).get(match["level"], "info")
        about = {"process": self.part.process, "stage": self.part.process, "logger": "", "event": ""}
        return {"time": self.time, "level": level, **about, "message": words}


def _parsed(text: bytes) -> Line | None:
    """Return a line that is one of ours, None for any other text."""
    if not text.startswith(b"{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    sound = isinstance(found, dict) and isinstance(found.get("time"), str) and isinstance(found.get("message"), str)
    return found if sound else None


class Follower:
    """Gives what is written to HOME/logs after the making of this, also where files are begun anew meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tails: dict[tuple[str, str], Tail] = {}
        for name in self._names():
            for tail in _all_tails(folder, *name):
                if tail.part.age:
                    tail.close()
                else:
                    tail.stream.seek(0, os.SEEK_END)
                    self._tails[name] = tail

    def new_lines(self) -> list[Line]:
        """Return what was written since the last call, in the order of time. Does not wait."""
        return sorted((line for name in self._names() for line in self._of(name)), key=_time_of)

    def close(self) -> None:
        """Close the files."""
        for tail in self._tails.values():
            tail.close()
        self._tails.clear()

    def _names(self) -> Iterable[tuple[str, str]]:
        return dict.fromkeys((part.process, part.kind) for part in log_parts(self._folder))

    def _of(self, name: tuple[str, str]) -> Iterator[Line]:
        known = self._tails.get(name)
        if known is not None:
            yield from known.lines()
            if known.number == _number(self._folder / ".".join(name)):
                return
        tails = _tails(self._folder, *name)
        if tails is None:  # names are changing just now: the next look will tell
            return
        # Files newer than the one that is open; all of them, if the name is new or its file was thrown away.
        numbers = [tail.number for tail in tails]
        newer = numbers.index(known.number) + 1 if known and known.number in numbers else 0
        for place, tail in enumerate(tails):
            if place < newer:
                tail.close()
                continue
            if known is not None:
                yield from known.lines()  # what came between the first look and the new file
                yield from known.torn()
                known.close()
            known = self._tails[name] = tail
            yield from tail.lines()


def _number(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
