"""Bytes of cells: whole numbers in the least width that holds them, read back with every length checked."""

import itertools
import struct
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
_WIDTHS = ((1, "<u1", 1 << 8), (2, "<u2", 1 << 16), (4, "<u4", 1 << 32), (8, "<u8", 1 << 63))
_LIMITS = [limit for _, _, limit in _WIDTHS]
LENGTH = struct.Struct("<I")
_BYTE = 256
_FORMS = {width: form for width, form, _ in _WIDTHS}


class _Packs(Protocol):
    def pack(self) -> bytes: ...


class EqualByBytes:
    """Equality of cells that hold arrays: equal bytes are equal cells."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _bytes_of(self) == _bytes_of(other)

    def __hash__(self) -> int:
        return hash((type(self), _bytes_of(self)))


def _bytes_of(cell: Any) -> bytes:
    packs: _Packs = cell
    return packs.pack()


def whole_bytes(values: Whole | Sequence[int]) -> bytes:
    r"""Return whole numbers of 0 and more: one byte for their width, then the numbers; their count is not kept.

    >>> whole_bytes(np.array([1, 300]))
    b'\x02\x01\x00,\x01'
    """
    if not len(values):
        return b"\x01"
    if isinstance(values, np.ndarray):
        greatest = int(values.max())
    elif (greatest := max(values)) < _BYTE:
        return bytes((1, *values))
    for width, form, limit in _WIDTHS:
        if greatest < limit:
            return bytes((width,)) + np.asarray(values, form).tobytes()
    raise ValueError(f"{greatest} does not fit 8 bytes")


def whole_runs(values: Whole, starts: Whole, stops: Whole) -> list[bytes]:
    r"""Return `whole_bytes` of each run `values[start:stop]`; runs are in order and do not overlap.

    >>> whole_runs(np.array([1, 300, 2]), np.array([0, 1, 3]), np.array([1, 3, 3]))
    [b'\x01\x01', b'\x02,\x01\x02\x00', b'\x01']
    """
    if not len(starts):
        return []
    edges = np.stack((starts, stops), axis=1).ravel()
    # Of an empty run reduceat gives the number at its start; one more number lets runs begin at the end.
    greatest = np.maximum.reduceat(np.append(values, 0), edges)[::2]
    narrow = np.searchsorted(_LIMITS, np.where(starts < stops, greatest, 0), side="right")
    if narrow.max() >= len(_WIDTHS):
        raise ValueError(f"{greatest.max()} does not fit 8 bytes")
    forms = [(bytes((width,)), width, values.astype(form).tobytes()) for width, form, _ in _WIDTHS[: narrow.max() + 1]]
    found = []
    for place, start, stop in zip(narrow.tolist(), starts.tolist(), stops.tolist(), strict=True):
        head, width, data = forms[place]
        found.append(head + data[start * width : stop * width])
    return found


def rows_bytes(rows: NDArray[Any]) -> list[bytes]:
    """Return each item of an array of one dimension as its bytes."""
    size, data = rows.itemsize, rows.tobytes()
    return [data[at : at + size] for at in range(0, len(data), size)]


def texts_bytes(texts: Sequence[str]) -> bytes:
    """Return texts as their lengths in characters and their UTF-8 with its length; their count is not kept."""
    encoded = "".join(texts).encode()
    return whole_bytes([*map(len, texts)]) + LENGTH.pack(len(encoded)) + encoded


class Reader:
    """Reads packed bytes from the beginning; raises ValueError where they end too early or too late."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def raw(self, length: int) -> bytes:
        """Return the next bytes."""
        end = self._at + length
        if length < 0 or end > len(self._data):
            raise ValueError(f"{len(self._data)} bytes of a cell end before byte {end}")
        found, self._at = self._data[self._at : end], end
        return found

    def fields(self, form: struct.Struct) -> tuple[Any, ...]:
        """Return the next fields of a fixed form."""
        return form.unpack(self.raw(form.size))

    def whole(self, count: int) -> Whole:
        """Return the next whole numbers."""
        width = self.raw(1)[0]
        if width not in _FORMS:
            raise ValueError(f"a number of {width} bytes")
        return np.frombuffer(self.raw(count * width), _FORMS[width]).astype(np.int64)

    def texts(self, count: int) -> list[str]:
        """Return the next texts."""
        ends = list(itertools.accumulate(self.whole(count).tolist(), initial=0))
        (length,) = self.fields(LENGTH)
        joined = self.raw(length).decode()
        if ends[-1] != len(joined):
            raise ValueError(f"{len(joined)} characters for texts of {ends[-1]}")
        return [joined[start:end] for start, end in itertools.pairwise(ends)]

    def end(self) -> None:
        """Raise ValueError if bytes are left."""
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes after the end of a cell")
