"""A file's way without Kafka: what would go out of a home, step by step, and where its files are."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.observability.tracing import FileTracer, SpanRecord
from headrace.producers.claim import ClaimedFile
from headrace.producers.endings import Endings
from headrace.producers.file_work import FileWork, Steps
from headrace.producers.inbox import Oddity
from headrace.producers.ledger import LedgerView
from headrace.producers.messages import Messages
from headrace.producers.outgoing import Outgoing
from headrace.producers.plan import Plan
from headrace.producers.readers.base import FileRefused, ReadFrame
from headrace.schemas.ledger import FileEntry, frame_entry, read_entry
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.registry import Registry
from headrace.settings import Paths

CONTENT = "one\ntwo\nthree\nfour\nfive\n"
SCHEMA = RecordSchema("orders", (RecordField("line", FieldType.STRING),))
Frames = Callable[[ClaimedFile, int, int], Iterator[ReadFrame]]


class Ids:
    """Stands in for the registry: the ids of the platform's own schemas."""

    def system_id(self, _topic: str, _name: str) -> int:
        """Return the same id for all of them."""
        return 7


def read_lines(claimed: ClaimedFile, row: int, byte: int, lines: int = 2) -> Iterator[ReadFrame]:
    """Read a file of lines, two at a time."""
    claimed.stream.seek(byte)
    while True:
        found = [line.rstrip(b"\n").decode() for _ in range(lines) if (line := claimed.stream.readline())]
        byte = claimed.stream.tell()
        last = not claimed.stream.read(1)
        claimed.stream.seek(byte)
        rows = pl.Series("_row", range(row, row + len(found)), dtype=pl.Int64)
        row += len(found)
        yield ReadFrame(pl.DataFrame({"line": pl.Series(found, dtype=pl.String), "_row": rows}), (), row, byte, last)
        if last:
            return


class Lines:
    """A planner whose only reader reads lines; a test may put another in its place."""

    def __init__(self) -> None:
        self.frames: Frames = read_lines

    def plan(self, claimed: ClaimedFile, resumed: FileEntry | None) -> Plan:
        """Return a plan that reads lines."""
        return Plan("1.0.0+ab", 0.1, "me", "lines", SCHEMA, 3, 0, lambda row, byte: self.frames(claimed, row, byte))


class Bench:
    """A FileWork with a home, and everything that it gave out."""

    def __init__(self, home: Path) -> None:
        self.paths = Paths(home)
        self.inbox = self.paths.inbox / "orders"
        self.inbox.mkdir(parents=True)
        self.planner = Lines()
        self.view = LedgerView()
        self.odd: list[Oddity] = []
        self.balanced: set[str] = set()
        self.spans: list[SpanRecord] = []
        self.restart()

    def restart(self) -> None:
        """Begin as a new process does: with the ledger's view, and nothing else remembered."""
        messages = Messages(cast(Registry, Ids()))
        active: set[str] = set()
        endings = Endings(self.paths, messages, released=active.discard, settled=lambda _path, _claimed: None)
        tracer = FileTracer(self.spans.append)
        self.work = FileWork(
            self.paths,
            self.view,
            self.planner,
            messages,
            tracer,
            endings,
            self.odd.append,
            lambda entry: not entry.provable or entry.sha256 in self.balanced,
            active=active,
        )

    def drop(self, name: str, content: str) -> Path:
        """Write a file into the inbox."""
        path = self.inbox / name
        path.write_text(content)
        return path

    def start(self, name: str) -> Steps:
        """Return the steps of a file of the inbox."""
        return self.work.start("orders", name, 1)

    def commit(self, item: Outgoing) -> Outgoing:
        """Do what the sending thread does once everyone can read an item."""
        self.view.apply(item.key, read_entry(frame_entry(item.entry, 7)))
        if item.committed is not None:
            item.committed()
        return item

    def run(self, steps: Steps) -> list[Outgoing]:
        """Commit all that the steps give, and return it."""
        return [self.commit(item) for item in steps if item is not None]

    def names(self, folder: str) -> list[str]:
        """Return what lies in the dataset's part of a folder of the home."""
        found = self.paths.home / folder / "orders"
        return sorted(os.listdir(found)) if found.exists() else []


def rows(items: list[Outgoing]) -> int:
    """Return how many records go out."""
    return sum(len(item.records) for item in items)


def refused_plan(_claimed: ClaimedFile, _resumed: FileEntry | None) -> Plan:
    """Stand in for a planner that finds no header."""
    raise FileRefused(Reason.NO_HEADER, "no header")
