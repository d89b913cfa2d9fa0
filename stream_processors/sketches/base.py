"""What every cell can do, and how cells of unknown kind are packed, unpacked and merged."""

from collections.abc import Mapping
from typing import ClassVar, Protocol, Self, runtime_checkable

WINDOW = "_window"
"""The batch column that holds each row's window start: whole seconds since 1970, null without event time."""


@runtime_checkable
class Cell(Protocol):
    """A figure that merges. Immutable; `pack` is compact and begins with nothing that depends on the process."""

    kind: ClassVar[str]

    def merge(self, other: Self) -> Self:
        """Return the figure of both samples together. Raises ValueError for cells that were set up differently."""

    def pack(self) -> bytes:
        """Return the cell as bytes; equal cells give equal bytes."""

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the cell of `pack`'s bytes; raises ValueError for bytes that are not one."""


State = Mapping[str, Cell]


def merge_states(left: State, right: State) -> dict[str, Cell]:
    """Return two states merged cell by cell; a name that only one of them has is taken over.

    Raises ValueError where one name holds cells of two kinds.
    """
    merged: dict[str, Cell] = dict(left)
    for name, cell in right.items():
        known = merged.get(name)
        if known is None:
            merged[name] = cell
        elif type(known) is type(cell):
            merged[name] = known.merge(cell)
        else:
            raise ValueError(f'cell "{name}" is a {known.kind} here and a {cell.kind} there')
    return merged
