"""Which framed rows of delimited text are sound, and the sound ones as one buffer that polars reads right."""

import numpy as np
import numpy.typing as npt

from headrace.core.vocabulary import Reason
from headrace.producers.readers.assemble import Problems
from headrace.producers.readers.base import Layout, Problem
from headrace.producers.readers.boundaries import CARRIAGE_RETURN, LINE_FEED, Flags, Units
from headrace.producers.readers.fields import quote_record
from headrace.producers.readers.values import shorten
from headrace.producers.readers.windows import Chunk

# How code units of each encoding look to numpy.
ENCODINGS = {"utf-8": "u1", "utf-16-le": "<u2", "utf-16-be": ">u2"}
_BOM = "\ufeff".encode()


def unsound_rows(chunk: Chunk, width: int, encoding: str) -> Problems:
    """Return what is wrong with the rows that cannot be given to a parser, by index in the chunk."""
    framed = chunk.framed
    problems: dict[int, tuple[Problem, ...]] = {
        index: (Problem(reason, "", detail),) for index, (reason, detail) in framed.broken.items()
    }
    for index in _rows_with(chunk, np.flatnonzero(chunk.units == 0) if _has_nul(chunk) else None):
        problems.setdefault(index, (Problem(Reason.NUL_BYTE, "", "the row has a NUL byte"),))
    for index, detail in _undecodable(chunk, encoding):
        problems.setdefault(index, (Problem(Reason.BAD_ENCODING, "", detail),))
    if width:
        for index in np.flatnonzero(framed.widths != width).tolist():
            seen = int(framed.widths[index])
            reason = Reason.TOO_FEW_FIELDS if seen < width else Reason.TOO_MANY_FIELDS
            problems.setdefault(index, (Problem(reason, "", f"{seen} fields, the header has {width}"),))
    return problems


def source_text(chunk: Chunk, good: Flags, layout: Layout) -> bytes:
    """Return the good rows as UTF-8, one after another, each ended by a line feed and quoted as RFC 4180 has it."""
    if chunk.framed.literal:
        rows = (chunk.source(index).decode(layout.encoding) for index in np.flatnonzero(good).tolist())
        return "".join(quote_record(row, layout.options.delimiter) + "\n" for row in rows).encode()
    gathered = _gather(chunk, good)
    text = gathered if layout.encoding == "utf-8" else gathered.decode(layout.encoding).encode()
    if text.startswith(_BOM):
        # polars would take it for a byte-order mark, which only the first bytes of a file are
        first = chunk.source(int(np.argmax(good))).decode(layout.encoding)
        return quote_record(first, layout.options.delimiter).encode() + text[len(first.encode()) :]
    return text


def _gather(chunk: Chunk, good: Flags) -> bytes:
    framed, units = chunk.framed, chunk.units
    if not len(good) or not good.any():
        return b""
    starts, ends = framed.starts[good], framed.ends[good]
    whole = good.all() and bool((starts[1:] == framed.after[:-1]).all())
    # a lone carriage return ends a row here, not in polars
    if whole and not (units[framed.after - 1] == CARRIAGE_RETURN).any():
        return units[starts[0] : framed.after[-1]].tobytes() + (b"" if framed.after[-1] > ends[-1] else _feed(units))
    kept = np.zeros(int(ends[-1]) + 2, np.int8)
    kept[starts] += 1
    kept[ends + 1] -= 1
    copy = np.empty(int(ends[-1]) + 1, units.dtype)
    copy[:-1] = units[: int(ends[-1])]
    copy[ends] = LINE_FEED
    return copy[np.cumsum(kept[:-1], dtype=np.int8).view(np.bool_)].tobytes()


def _feed(units: Units) -> bytes:
    return np.array([LINE_FEED], units.dtype).tobytes()


def _rows_with(chunk: Chunk, places: npt.NDArray[np.intp] | None) -> list[int]:
    """Return the rows that hold any of these units."""
    framed = chunk.framed
    if places is None or not len(framed.starts):
        return []
    rows = np.searchsorted(framed.starts, places, "right") - 1
    inside = (rows >= 0) & (places < framed.ends[rows])
    return [int(row) for row in np.unique(rows[inside])]


def _has_nul(chunk: Chunk) -> bool:
    return not chunk.units.all()


def _undecodable(chunk: Chunk, encoding: str) -> list[tuple[int, str]]:
    """Return the rows that are not text in the encoding, with the first byte that is not."""
    if encoding == "utf-8":
        suspect = chunk.units >= 0x80
        if not suspect.any() or _decodes(chunk):
            return []
    else:
        suspect = (chunk.units & 0xF800) == 0xD800
    found = []
    for index in _rows_with(chunk, np.flatnonzero(suspect)):
        source = chunk.source(index)
        try:
            source.decode(encoding)
        except UnicodeDecodeError as error:
            seen = source[max(0, error.start - 10) : error.start + 10].decode("latin-1")
            place = f"byte {error.start + 1} of the row is {source[error.start]:#04x}"
            found.append((index, f"not {encoding.upper()}: {place}, near {shorten(seen)!r}"))
    return found


def _decodes(chunk: Chunk) -> bool:
    """Return True if all of the rows, and what is between them, are UTF-8."""
    if not len(chunk):
        return True
    try:
        chunk.units[chunk.framed.starts[0] : chunk.framed.ends[-1]].tobytes().decode()
    except UnicodeDecodeError:
        return False
    return True
