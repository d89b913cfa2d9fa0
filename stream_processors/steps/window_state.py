"""What is known of one window of a dataset so far: parts that are put together when somebody looks. Pure.

The state is a commutative monoid over the parts: any order and any split of them gives the same state. A part is bytes,
so that a window that waits costs its packed size and a delta costs no merge of cells.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import fastavro
import zstandard

from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.registry import pack_cell, unpack_cell
from headrace.stream_processors.steps.file_facts import added_receipts

MOST_FILES: Final = 256
OTHER_FILES: Final = ""
"""The id under which the rows of all files beyond `MOST_FILES` are counted."""

_LONGS = {"type": "map", "values": "long"}
_BYTES = {"type": "map", "values": {"type": "map", "values": "bytes"}}
FIELDS: Final = [
    {"name": "offset", "type": "long"},
    {"name": "version", "type": "string"},
    {"name": "rows", "type": "long"},
    {"name": "rejected", "type": "long"},
    {"name": "files", "type": _LONGS},
    {"name": "unreadable", "type": _LONGS},
    {"name": "counts", "type": {"type": "map", "values": _LONGS}},
    {"name": "cells", "type": _BYTES},
    {"name": "fields", "type": _BYTES},
    {"name": "unmerged", "type": {"type": "map", "values": "string"}},
    {"name": "receipts", "type": {"type": "map", "values": "string"}, "default": {}},
]
_HEAD: Any = fastavro.parse_schema({"type": "record", "name": "head", "fields": FIELDS[:2]})
_REST: Any = fastavro.parse_schema({"type": "record", "name": "rest", "fields": FIELDS[2:]})
# A part that an earlier version wrote is plain, and ends before `receipts`: a zero is the end of an empty map. None can
# begin as compressed ones do: that would be -3,035 rejected rows.
_NO_RECEIPTS: Final = b"\0"
# Registers and bins fall to a third at the quickest level, at 400 MB a second; higher ones take twice as long for 3 %.
_LEVEL: Final = 1


@dataclass(frozen=True)
class Part:
    """What one or more deltas add to a window.

    `offset` is that of the newest of them in its source partition, and `version` the contract that it names. `files`
    are rows by file, `unreadable` rows that a reader put aside; of many files the rest is under `OTHER_FILES`.
    `unmerged` says of owners (a rule's id, or `field:NAME`) why their cells could not be put together. `receipts` are
    files that were proved, or skipped, in this window of arrival (`file_facts`), by the id of what was told.
    """

    offset: int
    version: str = ""
    rows: int = 0
    rejected: int = 0
    files: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    unmerged: Mapping[str, str] = field(default_factory=dict)
    receipts: Mapping[str, str] = field(default_factory=dict)

    def pack(self) -> bytes:
        """Return the part as bytes: offset and version as they are, the rest in a third of its size."""
        head, rest = io.BytesIO(), io.BytesIO()
        fastavro.schemaless_writer(head, _HEAD, vars(self))
        fastavro.schemaless_writer(rest, _REST, vars(self))
        return head.getvalue() + zstandard.compress(rest.getvalue(), _LEVEL)

    @classmethod
    def unpack(cls, data: bytes) -> "Part":
        """Return the part of `pack`'s bytes."""
        stream = io.BytesIO(data)
        head: Any = fastavro.schemaless_reader(stream, _HEAD, None)
        body = stream.read()
        plain = zstandard.decompress(body) if body.startswith(zstandard.FRAME_HEADER) else body + _NO_RECEIPTS
        rest: Any = fastavro.schemaless_reader(io.BytesIO(plain), _REST, None)
        return cls(**head, **rest)

    @staticmethod
    def head(data: bytes) -> tuple[int, str]:
        """Return offset and contract version of a packed part, without the rest."""
        found: Any = fastavro.schemaless_reader(io.BytesIO(data), _HEAD, None)
        return found["offset"], found["version"]

    def split(self, most_bytes: int) -> "list[Part]":
        """Return parts that give the same state, of about `most_bytes` each unless one owner alone has more."""
        parts = [replace(self, cells={}, fields={})]
        room = most_bytes
        entries = [(True, owner, cells) for owner, cells in self.cells.items()]
        entries += [(False, owner, cells) for owner, cells in self.fields.items()]
        for of_rule, owner, cells in entries:
            size = sum(map(len, cells.values()))
            if size > room and room < most_bytes:
                parts.append(Part(self.offset, self.version))
                room = most_bytes
            last = parts[-1]
            if of_rule:
                parts[-1] = replace(last, cells={**last.cells, owner: cells})
            else:
                parts[-1] = replace(last, fields={**last.fields, owner: cells})
            room -= size
        return parts

    @classmethod
    def of_delta(cls, offset: int, delta: Mapping[str, Any], window: Mapping[str, Any]) -> "Part":
        """Return what one entry of a delta's `windows` adds to its window."""
        return cls(
            offset=offset,
            version=delta["contract_version"],
            rows=window["rows"],
            rejected=window["rejected"],
            files={delta["file"]: window["rows"]} if window["rows"] else {},
            counts=window["counts"],
            cells=window["cells"],
            fields=window["fields"],
        )


def field_owner(name: str) -> str:
    """Return what owns the profile cells of a field.

    >>> field_owner("dep_time")
    'field:dep_time'
    """
    return f"field:{name}"


class WindowState:
    """The parts of one window, put together. Cells are merged when they are asked for."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._parts = sorted(parts, key=lambda part: part.offset)
        self._cells: dict[str, dict[str, Cell]] = {}
        self._problems: dict[str, str] = {}

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return the parts by offset."""
        return tuple(self._parts)

    @property
    def offset(self) -> int:
        """Return the greatest source offset in it, -1 of no parts."""
        return max((part.offset for part in self._parts), default=-1)

    @property
    def version(self) -> str:
        """Return the contract that the newest part names."""
        return next((part.version for part in reversed(self._parts) if part.version), "")

    @cached_property
    def rows(self) -> int:
        """Return the rows of the window that were judged."""
        return sum(part.rows for part in self._parts)

    @cached_property
    def rejected(self) -> int:
        """Return the rows of the window that went to quarantine."""
        return sum(part.rejected for part in self._parts)

    @cached_property
    def files(self) -> dict[str, int]:
        """Return the judged rows by file."""
        return bounded(added(part.files for part in self._parts))

    @cached_property
    def unreadable(self) -> dict[str, int]:
        """Return the rows that a reader put aside, by file."""
        return bounded(added(part.unreadable for part in self._parts))

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Return the figures of checks by rule."""
        rules = sorted({rule for part in self._parts for rule in part.counts})
        return {rule: added(part.counts.get(rule, {}) for part in self._parts) for rule in rules}

    @cached_property
    def receipts(self) -> dict[str, str]:
        """Return the files that were proved or skipped in this window."""
        return added_receipts(part.receipts for part in self._parts)

    @property
    def rules(self) -> list[str]:
        """Return the rules that have cells."""
        return sorted({rule for part in self._parts for rule in part.cells})

    @property
    def field_names(self) -> list[str]:
        """Return the fields that have a profile."""
        return sorted({name for part in self._parts for name in part.fields})

    def cells_of(self, rule: str) -> dict[str, Cell]:
        """Return the merged cells of a rule; raises ValueError where they do not merge."""
        return self._merged(rule, [part.cells.get(rule, {}) for part in self._parts])

    def field_cells(self, name: str) -> dict[str, Cell]:
        """Return the merged profile cells of a field; raises ValueError where they do not merge."""
        return self._merged(field_owner(name), [part.fields.get(name, {}) for part in self._parts])

    def unmerged(self, rule: str) -> str:
        """Return why the cells of a rule do not merge, "" if they do."""
        try:
            self.cells_of(rule)
        except ValueError as error:
            return str(error) or "its figures do not merge"
        return ""

    def _merged(self, owner: str, found: list[Mapping[str, bytes]]) -> dict[str, Cell]:
        if owner in self._cells:
            return self._cells[owner]
        problem = self._problems.get(owner) or next(
            (part.unmerged[owner] for part in self._parts if owner in part.unmerged), ""
        )
        if problem:
            raise ValueError(problem)
        try:
            merged = merge_packed(found)
        except ValueError as error:
            self._problems[owner] = str(error)
            raise
        self._cells[owner] = merged
        return merged

    def merged(self) -> Part:
        """Return the whole state as one part. Cells that do not merge are left out and named in `unmerged`."""
        unmerged = {owner: why for part in self._parts for owner, why in part.unmerged.items()}
        cells, fields = {}, {}
        for rule in self.rules:
            try:
                cells[rule] = _alone([part.cells.get(rule) for part in self._parts], self.cells_of(rule))
            except ValueError as error:
                unmerged[rule] = str(error)
        for name in self.field_names:
            try:
                fields[name] = _alone([part.fields.get(name) for part in self._parts], self.field_cells(name))
            except ValueError as error:
                unmerged[field_owner(name)] = str(error)
        return Part(
            self.offset,
            self.version,
            self.rows,
            self.rejected,
            self.files,
            self.unreadable,
            self.counts,
            cells,
            fields,
            unmerged,
            self.receipts,
        )


def merge_packed(found: Iterable[Mapping[str, bytes]]) -> dict[str, Cell]:
    """Return packed cells merged by name; raises ValueError for bytes that are no cells, or cells of two kinds."""
    merged: dict[str, Cell] = {}
    for cells in found:
        for name, data in cells.items():
            cell, known = unpack_cell(data), merged.get(name)
            if known is not None and type(known) is not type(cell):
                raise ValueError(f'cell "{name}" is a {known.kind} here and a {cell.kind} there')
            merged[name] = cell if known is None else known.merge(cell)
    return merged


def _alone(found: Iterable[Mapping[str, bytes] | None], merged: Mapping[str, Cell]) -> Mapping[str, bytes]:
    """Return cells as bytes by name; where one part alone has some, as they are: equal cells are equal bytes."""
    own = [cells for cells in found if cells]
    return own[0] if len(own) == 1 else packed(merged)


def packed(cells: Mapping[str, Cell]) -> dict[str, bytes]:
    """Return cells as bytes by name."""
    return {name: pack_cell(cell) for name, cell in cells.items()}


def added(found: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums by name.

    >>> added([{"a": 1}, {"a": 2, "b": 1}])
    {'a': 3, 'b': 1}
    """
    total: dict[str, int] = {}
    for counts in found:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


def bounded(files: Mapping[str, int], most: int = MOST_FILES) -> dict[str, int]:
    """Return the counts of the files with the least ids, and the others' under `OTHER_FILES`: in any order the same.

    >>> bounded({"a": 1, "b": 2, "c": 3}, most=1)
    {'a': 1, '': 5}
    """
    named = sorted(name for name in files if name != OTHER_FILES)
    kept = {name: files[name] for name in named[:most]}
    rest = sum(files[name] for name in named[most:]) + files.get(OTHER_FILES, 0)
    return kept | ({OTHER_FILES: rest} if rest else {})
