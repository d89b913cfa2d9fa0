"""Window deltas as messages of bounded size: what does not fit one message goes on in the next. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.stream_processors.sketches.registry import split_packed
from headrace.stream_processors.steps.window_profile import WindowDelta

# What Avro adds to names and values (lengths, block marks), rather more than less.
_PER_WINDOW, _PER_ENTRY, _NUMBER = 64, 8, 8
Part = list[dict[str, Any]]
Named = Mapping[str, int | bytes]


def window_parts(deltas: Sequence[WindowDelta], most_bytes: int) -> list[Part]:
    """Return deltas as lists of the items of `windows` in profile_delta.avsc, each list of about `most_bytes` at most.

    Rows are told once: a window that goes on in the next list has rows 0 there. A single cell greater than the limit
    is split where its kind can be (key sets); all others are far below 100 KB by their own bounds.
    """
    parts: list[Part] = [[]]
    room = most_bytes
    for delta in deltas:
        item = _item(delta)
        room -= _PER_WINDOW
        if room < 0 and parts[-1]:
            parts.append([])
            room = most_bytes - _PER_WINDOW
        parts[-1].append(item)
        for kind, owner, named in _owners(delta):
            size = _size(owner, named)
            if size <= room:
                item[kind][owner] = named
                room -= size
                continue
            for name, value in _pieces(named, most_bytes // 2):
                size = _size(owner, {name: value})
                if size > room or name in item[kind].get(owner, {}):
                    item = _item(WindowDelta(delta.clock, delta.start))
                    if size > room:
                        parts.append([])
                        room = most_bytes
                    parts[-1].append(item)
                    room -= _PER_WINDOW
                item[kind].setdefault(owner, {})[name] = value
                room -= size
    return [part for part in parts if part]


def _item(delta: WindowDelta) -> dict[str, Any]:
    """Return the item of a window without its figures."""
    return {
        "clock": delta.clock,
        "start": delta.start,
        "rows": delta.rows,
        "rejected": delta.rejected,
        "counts": {},
        "cells": {},
        "fields": {},
    }


def _owners(delta: WindowDelta) -> Iterator[tuple[str, str, Named]]:
    """Yield each rule's and field's figures, with the part of the item that they belong to."""
    kinds: Mapping[str, Mapping[str, Named]] = {"counts": delta.counts, "cells": delta.cells, "fields": delta.fields}
    for kind, owners in kinds.items():
        for owner, named in owners.items():
            yield kind, owner, named


def _size(owner: str, named: Named) -> int:
    size = _PER_ENTRY + 4 * len(owner)
    for name, value in named.items():
        size += _PER_ENTRY + 4 * len(name) + (len(value) if isinstance(value, bytes) else _NUMBER)
    return size


def _pieces(named: Named, most_bytes: int) -> Iterator[tuple[str, int | bytes]]:
    for name, value in named.items():
        if isinstance(value, bytes) and len(value) > most_bytes:
            yield from ((name, piece) for piece in split_packed(value, most_bytes))
        else:
            yield name, value
