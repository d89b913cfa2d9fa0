"""How the parts of a window lie in a table: one entry a delta, and now and then all of them in one base. Pure.

An entry's name says which source offset it holds, so that a delta that comes again finds its own entry. A base of some
offset holds every part up to it, in as many pieces as its name says; until all of them are written it does not count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MOST_PARTS: Final = 8
"""Parts beside the base that are kept before they are merged into it."""
PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Slots:
    """The entries of a window that count, and those that a base has taken over."""

    live: tuple[str, ...]
    stale: tuple[str, ...]


def delta_slot(offset: int) -> str:
    """Return the name of the entry of one delta's part.

    >>> delta_slot(255), base_slots(255, 2)
    ('dff', ['bff.0.2', 'bff.1.2'])
    """
    return f"d{offset:x}"


def base_slots(offset: int, pieces: int) -> list[str]:
    """Return the names of the entries of a base."""
    return [f"b{offset:x}.{number}.{pieces}" for number in range(pieces)]


def offset_of(slot: str) -> int:
    """Return the source offset that an entry holds, or goes up to."""
    return int(slot[1:].partition(".")[0], 16)


def sorted_out(slots: Iterable[str]) -> Slots:
    """Return which of a window's entries count.

    >>> sorted_out(["d1", "d2", "b2.0.1", "d3", "b3.0.2"])
    Slots(live=('b2.0.1', 'd3'), stale=('b3.0.2', 'd1', 'd2'))
    """
    found = sorted(slots)
    bases: dict[int, list[str]] = {}
    for slot in found:
        if slot[0] == "b":
            bases.setdefault(offset_of(slot), []).append(slot)
    whole = [offset for offset, named in bases.items() if len(named) == int(named[0].rpartition(".")[2])]
    newest = max(whole, default=-1)
    live = [*bases.get(newest, []), *(slot for slot in found if slot[0] == "d" and offset_of(slot) > newest)]
    return Slots(tuple(live), tuple(slot for slot in found if slot not in live))
