"""The header line of delimited text: encoding, delimiter, column names, and where the rows begin."""

import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from headrace.core.vocabulary import Reason
from headrace.producers.readers.base import COLUMNS, HEAD_BYTES, RECORD_BYTES, FileRefused, Layout, ReadOptions
from headrace.producers.readers.boundaries import Framed, frame_window
from headrace.producers.readers.csv_rows import ENCODINGS
from headrace.producers.readers.fields import split_record
from headrace.producers.readers.signatures import foreign_format

DELIMITERS = (",", ";", "\t", "|")
_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SNIFFED_BYTES = 256 << 10
_SNIFFED_ROWS = 200
_SHOWN_CHARACTERS = 60
_NAME_THEM = "put a line with the names of the columns before it"
# Excel's own first line, which tells it the delimiter.
_SEP_LINE = re.compile(r"sep=(.)(?:\r\n|\n|\r)", re.IGNORECASE)


def read_layout(stream: BinaryIO, options: ReadOptions) -> Layout:
    """Return the layout of a delimited file; raises FileRefused when it has none."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    data = stream.read(2 * RECORD_BYTES)
    if not data:
        raise FileRefused(Reason.EMPTY_FILE, "the file has no bytes")
    if foreign := foreign_format(data[:HEAD_BYTES]):
        raise FileRefused(*foreign)
    encoding, bom = next(((name, len(mark)) for mark, name in _BOMS.items() if data.startswith(mark)), ("utf-8", 0))
    unit = np.dtype(ENCODINGS[encoding]).itemsize
    if size % unit:
        raise FileRefused(Reason.WRONG_ENCODING, f"UTF-16 text has an even number of bytes, this file has {size}")
    at_end = len(data) == size
    told, before = _told_delimiter(data[bom : bom + 8 * unit], encoding)
    start = bom + before * unit
    head = _Head(data[start:], encoding, at_end)
    delimiter = options.delimiter or told or head.guess_delimiter()
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise FileRefused(Reason.NO_HEADER, f"{delimiter!r} cannot be a delimiter: it has to be one ASCII character")
    columns, after = head.columns(delimiter)
    if len(columns) == 1:
        head.refuse_a_title(columns[0], delimiter, told=bool(options.delimiter or told))
    return Layout("csv", columns, start + after * unit, replace(options, delimiter=delimiter), encoding)


def _told_delimiter(first: bytes, encoding: str) -> tuple[str, int]:
    """Return the delimiter that Excel's line `sep=;` names, and how many units that line has; ("", 0) without one."""
    found = _SEP_LINE.match(first.decode(encoding, errors="replace"))
    return (found[1], found.end()) if found else ("", 0)


class _Head:
    """The first bytes of a file, after its byte-order mark."""

    def __init__(self, data: bytes, encoding: str, at_end: bool) -> None:
        self._data, self._encoding, self._at_end = data, encoding, at_end
        dtype = np.dtype(ENCODINGS[encoding])
        self._units = np.frombuffer(data, dtype, count=len(data) // dtype.itemsize)
        self._limit = RECORD_BYTES // dtype.itemsize

    def columns(self, delimiter: str) -> tuple[tuple[str, ...], int]:
        """Return the column names and the unit at which the rows begin."""
        framed = frame_window(self._units, ord(delimiter), at_end=self._at_end, limit=self._limit)
        if not len(framed.starts):
            if framed.open_ended:
                raise FileRefused(Reason.NO_HEADER, "the first line is over 1 MiB")
            raise FileRefused(Reason.EMPTY_FILE, "the file has only blank lines")
        if 0 in framed.broken:
            reason, detail = framed.broken[0]
            raise FileRefused(Reason.NO_HEADER, f"the header line is not readable ({reason.value}): {detail}")
        if framed.widths[0] > COLUMNS:
            detail = f"the header has {framed.widths[0]:,} columns, {COLUMNS:,} are taken"
            raise FileRefused(Reason.TOO_MANY_COLUMNS, detail)
        names = [(name or "").strip() for name in split_record(self._text(framed, 0), delimiter)]
        _check_names(names)
        return tuple(names), int(framed.after[0])

    def guess_delimiter(self) -> str:
        """Return the delimiter with which most of the first rows are as wide as the header; a comma if none is."""
        scores = []
        for delimiter in DELIMITERS:
            framed = self._sniffed(delimiter)
            widths = framed.widths[:_SNIFFED_ROWS]
            if len(widths) and widths[0] > 1:
                # With a wrong delimiter, quotes come to stand within fields.
                odd = [index for index in (*framed.literal, *framed.broken) if index < len(widths)]
                agreeing = widths == widths[0]
                agreeing[odd] = False
                scores.append((float(agreeing.mean()), int(widths[0]), delimiter))
        return max(scores, key=lambda score: score[:2])[2] if scores else ","

    def refuse_a_title(self, name: str, delimiter: str, *, told: bool) -> None:
        """Refuse a file in which a table follows after lines of text: every row of it would be put aside.

        So it is where lines without a delimiter stand before lines that all have the same number of fields, two at the
        least. Where nobody told the delimiter, a table with another one is looked for too, with more evidence: values
        of one column may have a semicolon each.
        """
        for other in (delimiter,) if told else DELIMITERS:
            widths = self._sniffed(other).widths[:_SNIFFED_ROWS].tolist()
            table = list(itertools.dropwhile(lambda width: width == 1, widths))
            least = 2 if other == delimiter else 3
            if len(table) >= least and table[0] >= least and len(set(table)) == 1:
                shown = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..."
                detail = (
                    f'the first line ("{shown}") is one name, and later lines have {table[0]} fields each: '
                    "it looks like a title before the table"
                )
                raise FileRefused(Reason.NO_HEADER, detail, hint="begin the file with the names of the columns")

    def _sniffed(self, delimiter: str) -> Framed:
        """Return the records in the first 256 KiB, or the header alone if that is longer."""
        size = _SNIFFED_BYTES // self._units.itemsize
        at_end = self._at_end and len(self._units) <= size
        framed = frame_window(self._units[:size], ord(delimiter), at_end=at_end, limit=self._limit)
        if not len(framed.starts):
            framed = frame_window(self._units, ord(delimiter), at_end=self._at_end, limit=self._limit)
        return framed

    def _text(self, framed: Framed, index: int) -> str:
        source = self._units[framed.starts[index] : framed.ends[index]].tobytes()
        if b"\0" in source and self._encoding == "utf-8":
            raise FileRefused(Reason.BINARY, "the header line has a NUL byte")
        try:
            return source.decode(self._encoding)
        except UnicodeDecodeError as error:
            detail = f"byte {error.start + 1} of the header line is {source[error.start]:#04x}: it is not UTF-8"
            hint = "save the file as UTF-8 (from Windows: iconv -f WINDOWS-1252 -t UTF-8)"
            raise FileRefused(Reason.WRONG_ENCODING, detail, hint=hint) from error


def _check_names(names: Sequence[str]) -> None:
    """Refuse a first line that names nothing: without a header the first row would be lost in the names."""
    if not any(names):
        raise FileRefused(Reason.NO_HEADER, "the first line has no column name", hint=_NAME_THEM)
    if all(_number(name) for name in names):
        shown = ", ".join(names[:5])
        detail = f"the first line has only numbers ({shown}): it looks like a row"
        raise FileRefused(Reason.NO_HEADER, detail, hint=_NAME_THEM)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
