"""NDJSON: one JSON object a line, UTF-8."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.producers.readers.assemble import Problems, assemble
from headrace.producers.readers.base import (
    COLUMNS,
    FRAME_ROWS,
    HEAD_BYTES,
    SAMPLE_BYTES,
    WHOLE,
    FileRefused,
    Layout,
    Part,
    Problem,
    ReadFrame,
    ReadOptions,
)
from headrace.producers.readers.columns import Columns
from headrace.producers.readers.json_lines import BadLine, parse_line
from headrace.producers.readers.json_quick import parse_quickly, value_places
from headrace.producers.readers.json_table import Line, line_problem, parse_lines, text_lines
from headrace.producers.readers.signatures import foreign_format
from headrace.producers.readers.values import shorten
from headrace.producers.readers.windows import Chunk, read_chunks
from headrace.schemas.infer import Sample
from headrace.schemas.record import RecordSchema

_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_OBJECT = re.compile(rb'\s*\{\s*(?:"(?:[^"\\]|\\.)*"\s*:|\})')
SAMPLE_CELLS = 10_000_000
WINDOW_BYTES = 4 << 20  # Python objects take up to fifty times the bytes of their text


class NdjsonReader:
    """Reads NDJSON, also called JSON Lines. A missing key is a missing value."""

    format: str = "ndjson"
    suffixes: tuple[str, ...] = (".ndjson", ".jsonl", ".json")

    def claims(self, head: bytes) -> bool:
        """Return True if the first line begins as an object, and is one if its end is there."""
        head = head.removeprefix(_BOM)
        if not _OBJECT.match(head):
            return False
        line, found, _rest = head.lstrip().partition(b"\n")
        if not found and len(head) >= HEAD_BYTES - len(_BOM):
            return True
        try:
            return isinstance(json.loads(line), dict)
        except (ValueError, RecursionError):
            return False

    def open(self, stream: BinaryIO, options: ReadOptions | None = None) -> Layout:
        """Return the layout: the keys of the first 64 MiB, in order of appearance; raises FileRefused without any."""
        start = _check_head(stream)
        keys: dict[str, None] = {}
        bad: BadLine | None = None
        rows = 0
        for chunk in read_chunks(stream, start, delimiter=None, max_rows=FRAME_ROWS, most_bytes=WINDOW_BYTES):
            rows += len(chunk) + (chunk.giant is not None)
            for index in range(len(chunk)):
                if index == 1 and value_places(chunk, tuple(keys)) is not None:
                    break
                try:
                    found = parse_line(chunk.source(index).decode())
                except BadLine as error:
                    bad = bad or error
                except UnicodeDecodeError:
                    bad = bad or BadLine("it is not UTF-8")
                else:
                    if not keys.keys() >= found.keys():
                        keys |= dict.fromkeys(found)
            if chunk.next_byte - start >= SAMPLE_BYTES:
                break
        if not rows:
            raise FileRefused(Reason.EMPTY_FILE, "the file has only blank lines")
        if not keys:
            told = f"no line is a JSON object with a key: {bad}" if bad else "no object has a key"
            raise FileRefused(Reason.UNKNOWN_FORMAT, told, hint="write one JSON object a line")
        if len(keys) > COLUMNS:
            raise FileRefused(Reason.TOO_MANY_COLUMNS, f"the objects have {len(keys):,} keys, {COLUMNS:,} are taken")
        return Layout("ndjson", tuple(keys), start, options or ReadOptions())

    def sample(self, stream: BinaryIO, layout: Layout, limit_bytes: int = SAMPLE_BYTES) -> Sample:
        """Return the rows in the first `limit_bytes` (at most 10 million values) as text; nested values as JSON."""
        tables: list[pl.DataFrame] = []
        quoted: set[int] = set()
        cells = 0
        for chunk in read_chunks(
            stream, layout.data_start, delimiter=None, max_rows=FRAME_ROWS, most_bytes=WINDOW_BYTES
        ):
            lines, _problems = _lines(chunk, frozenset(layout.columns), fractions_as_text=True)
            table, strings = text_lines(lines, layout)
            tables.append(table)
            quoted |= strings
            cells += len(lines) * len(layout.columns)
            if cells >= SAMPLE_CELLS or chunk.next_byte - layout.data_start >= limit_bytes:
                break
        return Sample(layout.columns, pl.concat(tables, rechunk=False), frozenset(quoted))

    def frames(
        self, stream: BinaryIO, layout: Layout, schema: RecordSchema, columns: Mapping[str, int], part: Part = WHOLE
    ) -> Iterator[ReadFrame]:
        """Give the rows of a part (see Reader). A key that the layout has not makes a row UNKNOWN_FIELD."""
        wanted = Columns.of(layout, schema, columns)
        keys = frozenset(layout.columns)
        row = part.start_row
        start = max(part.start_byte, layout.data_start)
        for chunk in read_chunks(stream, start, delimiter=None, max_rows=part.max_rows, most_bytes=WINDOW_BYTES):
            quick = parse_quickly(chunk, layout, wanted)
            if quick is not None:
                frame = assemble(chunk, row, {}, quick, {})
            else:
                lines, problems = _lines(chunk, keys)
                frame = assemble(chunk, row, problems, *parse_lines(lines, layout, wanted))
            row = frame.next_row
            yield frame


def _check_head(stream: BinaryIO) -> int:
    """Return where the first line begins; raises FileRefused for what is not NDJSON at first sight."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    if not head:
        raise FileRefused(Reason.EMPTY_FILE, "the file has no bytes")
    if head.startswith(_UTF16_BOMS):
        raise FileRefused(Reason.WRONG_ENCODING, "it is UTF-16 text, and JSON is UTF-8: save it as UTF-8")
    if foreign := foreign_format(head):
        raise FileRefused(*foreign)
    return len(_BOM) if head.startswith(_BOM) else 0


def _lines(chunk: Chunk, keys: frozenset[str], *, fractions_as_text: bool = False) -> tuple[list[Line], Problems]:
    """Return the objects of the chunk's good lines, in order, and what is wrong with the others."""
    problems: Problems = {
        index: (Problem(reason, "", detail),) for index, (reason, detail) in chunk.framed.broken.items()
    }
    lines: list[Line] = []
    for index in range(len(chunk)):
        if index in problems:
            continue
        source = chunk.source(index)
        try:
            text = source.decode()
            found = parse_line(text, fractions_as_text=fractions_as_text)
        except (UnicodeDecodeError, BadLine) as error:
            problems[index] = (line_problem(source, error),)
            continue
        if not keys.issuperset(found):
            unknown = [key for key in found if key not in keys]
            detail = "the first 64 MiB of the file have no such key"
            problems[index] = tuple(Problem(Reason.UNKNOWN_FIELD, shorten(key), detail) for key in unknown[:10])
            continue
        lines.append((found, text))
    return lines, problems
