"""What lies in the table of windows, by dataset and clock: names only, so that nothing is looked for entry by entry.

The table's keys, all of one dataset in one partition:
`w/DATASET/CLOCK/START/SLOT` parts of a window, `h/DATASET/CLOCK/FIRST/SIZE` closed windows, `r/DATASET/CLOCK/LABEL`
references, `l/DATASET/CLOCK` closed windows that wait for learners, `k/DATASET/CLOCK` what was seen,
`a/DATASET/CLOCK` lives of alerts, `u/DATASET` rules without a verdict, `f/DATASET/file/FILE` and `t/DATASET` files and
their receipts (`window_files`), `c/DATASET` the dataset's clocks, and `p/PARTITION` up to which source offset
everything is in the table.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.stream_processors.steps.closed_windows import PieceName
from headrace.stream_processors.steps.window_state import Part

Clock = tuple[str, str]
"""A dataset and one of its clocks."""


def part_key(clock: Clock, start: int, slot: str) -> str:
    """Return the key of one part of a window."""
    return f"w/{clock[0]}/{clock[1]}/{start}/{slot}"


def piece_key(clock: Clock, name: PieceName) -> str:
    """Return the key of a piece of the ring of closed windows."""
    return f"h/{clock[0]}/{clock[1]}/{name.first}/{name.size}"


def label_key(clock: Clock, label: str) -> str:
    """Return the key of a piece of reference."""
    return f"r/{clock[0]}/{clock[1]}/{label}"


def clock_key(kind: str, clock: Clock) -> str:
    """Return the key of the one entry of a kind that a clock has."""
    return f"{kind}/{clock[0]}/{clock[1]}"


def unchecked_key(dataset: str) -> str:
    """Return the key of the rules of a dataset that have no verdict."""
    return f"u/{dataset}"


def dataset_key(dataset: str) -> str:
    """Return the key of a dataset's clocks."""
    return f"c/{dataset}"


def position_key(partition: int) -> str:
    """Return the key of a partition's position."""
    return f"p/{partition}"


def json_bytes(value: Any) -> bytes:
    """Return a JSON value as bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass
class Held:
    """A window whose parts are in the table: their slots with their sizes, and the contract that the newest names."""

    slots: dict[str, int] = field(default_factory=dict)
    offset: int = -1
    version: str = ""


@dataclass
class Index:
    """The names in the table.

    `closed` are held windows that were closed; `positions` by source partition, `files` by dataset as they came.
    """

    held: dict[Clock, dict[int, Held]] = field(default_factory=dict)
    closed: dict[Clock, set[int]] = field(default_factory=dict)
    pieces: dict[Clock, set[PieceName]] = field(default_factory=dict)
    labels: dict[Clock, set[str]] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    files: dict[str, dict[str, None]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Iterable[tuple[str, bytes]]) -> "Index":
        """Return the names of what a table has. No window counts as closed yet."""
        index = cls()
        for key, value in table:
            index.note(key, value)
        return index

    def note(self, key: str, value: bytes) -> None:
        """Take an entry in that was written."""
        kind, _, rest = key.partition("/")
        if kind == "p":
            self.positions[int(rest)] = json.loads(value)
        elif kind == "f":
            dataset, _, file = rest.split("/", 2)
            self.files.setdefault(dataset, {})[file] = None
        elif kind in {"w", "h", "r"}:
            dataset, clock, name = rest.split("/", 2)
            self._note(kind, (dataset, clock), name, value)

    def _note(self, kind: str, clock: Clock, name: str, value: bytes) -> None:
        if kind == "h":
            first, size = name.split("/")
            self.pieces.setdefault(clock, set()).add(PieceName(int(first), int(size)))
        elif kind == "r":
            self.labels.setdefault(clock, set()).add(name)
        else:
            start, slot = name.split("/")
            held = self.held.setdefault(clock, {}).setdefault(int(start), Held())
            held.slots[slot] = len(value)
            offset, version = Part.head(value)
            if offset >= held.offset and version:
                held.offset, held.version = offset, version

    def forget(self, key: str) -> None:
        """Take an entry out that was deleted."""
        kind, dataset, clock_name, name = key.split("/", 3)
        clock = dataset, clock_name
        if kind == "f":
            self.files.get(dataset, {}).pop(name, None)
        elif kind == "h":
            first, size = name.split("/")
            self.pieces[clock].discard(PieceName(int(first), int(size)))
        elif kind == "r":
            self.labels[clock].discard(name)
        else:
            start, slot = name.split("/")
            held = self.held[clock].get(int(start))
            if held is not None:
                held.slots.pop(slot, None)
                if not held.slots:
                    del self.held[clock][int(start)]
                    self.closed.get(clock, set()).discard(int(start))

    def slots(self, clock: Clock, start: int) -> Mapping[str, int]:
        """Return the slots of a window with their sizes."""
        held = self.held.get(clock, {}).get(start)
        return held.slots if held else {}

    def open_windows(self, clock: Clock) -> list[int]:
        """Return the held windows that were not closed."""
        closed = self.closed.get(clock, set())
        return [start for start in self.held.get(clock, {}) if start not in closed]
