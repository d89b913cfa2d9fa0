"""Several windows as one longer window: their states merged, no row read again. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.steps.window_record import field_profile
from headrace.stream_processors.steps.window_state import field_owner, merge_packed

_PREFIX = field_owner("")


@dataclass(frozen=True)
class RolledUp:
    """The profile of each field over several windows; `unmerged` says of fields why there is none."""

    fields: list[dict[str, Any]] = field(default_factory=list)
    unmerged: dict[str, str] = field(default_factory=dict)
    windows: int = 0


PackedCells = Mapping[str, Mapping[str, bytes]]
"""Packed cells of one window, by field and figure."""


def cells_by_field(cells: Iterable[tuple[str, str, bytes]]) -> dict[str, dict[str, bytes]]:
    """Return the packed profile cells of a window record by field; cells of rules are left out.

    >>> cells_by_field([("field:mass", "counts", b"x"), ("mass_missing", "seen", b"y")])
    {'mass': {'counts': b'x'}}
    """
    found: dict[str, dict[str, bytes]] = {}
    for owner, figure, data in cells:
        if owner.startswith(_PREFIX):
            found.setdefault(owner.removeprefix(_PREFIX), {})[figure] = data
    return found


def roll_up(windows: Iterable[PackedCells], masked: Collection[str] = ()) -> RolledUp:
    """Return the profiles of all windows together; holds one merged state and one window at a time."""
    merged: dict[str, dict[str, Cell]] = {}
    unmerged: dict[str, str] = {}
    count = 0
    for window in windows:
        count += 1
        for name, cells in window.items():
            try:
                merged[name] = _added(merged.get(name, {}), cells)
            except ValueError as error:
                unmerged[name] = str(error)
    profiles = [
        field_profile(name, cells, masked=name in masked)
        for name, cells in sorted(merged.items())
        if name not in unmerged
    ]
    return RolledUp(profiles, unmerged, count)


def _added(known: Mapping[str, Cell], cells: Mapping[str, bytes]) -> dict[str, Cell]:
    fresh = merge_packed([cells])
    for figure, cell in known.items():
        other = fresh.get(figure)
        if other is None:
            fresh[figure] = cell
        elif type(other) is type(cell):
            fresh[figure] = cell.merge(other)
        else:
            raise ValueError(f'figure "{figure}" is a {cell.kind} in one window and a {other.kind} in another')
    return fresh
