"""The reader seam: what every file format gives to the publisher, and the promises that hold for all of them.

A reader never lets polars or any other parser find the rows. It finds each record's bytes itself, so every row of the
file is either in a `ReadFrame.frame` under its ordinal, or in `ReadFrame.unreadable` with its bytes, place and reason.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, runtime_checkable

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.errors import HeadraceError, Terminal
from headrace.schemas.infer import Sample
from headrace.schemas.record import RecordSchema

RECORD_BYTES = 1 << 20  # a longer record is unreadable: the broker takes messages up to 1 MiB
FRAME_BYTES = 8 << 20  # source bytes of one frame, so that its memory has a bound whatever the rows look like
FRAME_ROWS = 50_000
SAMPLE_BYTES = 64 << 20
RAW_BYTES = 64 << 10  # of an unreadable row's source bytes, what travels with it
COLUMNS = 2_000
HEAD_BYTES = 4_096


class FileRefused(HeadraceError, Terminal):
    """A file that cannot be read at all; raised before its first frame only, so nothing of it is published.

    >>> error = FileRefused(Reason.EMPTY_FILE, "the file has no bytes")
    >>> error.reason.value, error.detail, str(error)
    ('empty_file', 'the file has no bytes', 'empty_file: the file has no bytes')
    """

    code = "file_refused"

    def __init__(self, reason: Reason, detail: str, *, hint: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}", hint=hint)
        self.reason = reason
        self.detail = detail

    @property
    def told(self) -> str:
        """Return the detail and the next action, as a receipt shows them."""
        return f"{self.detail}; {self.hint}" if self.hint else self.detail


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a row; `field` is the schema's name of the field, or empty for the whole row."""

    reason: Reason
    field: str = ""
    detail: str = ""


@dataclass(frozen=True)
class UnreadableRow:
    """A row that could not be framed, decoded or parsed.

    `byte_start` is its first byte in the file and `byte_end` the byte after it, its line end not counted. `raw` holds
    at most 64 KiB of these bytes; `length` and `sha256` speak of all of them. `reason`, `field` and `detail` are the
    first problem, `problems` are all.
    """

    row: int
    byte_start: int
    byte_end: int
    raw: bytes
    length: int
    sha256: str
    reason: Reason
    field: str = ""
    detail: str = ""
    further: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return everything that is wrong with the row, the first problem first."""
        return (Problem(self.reason, self.field, self.detail), *self.further)

    @classmethod
    def of(cls, row: int, byte_start: int, source: bytes, problems: tuple[Problem, ...]) -> "UnreadableRow":
        """Return the unreadable row whose whole source bytes are at hand."""
        return cls(
            row=row,
            byte_start=byte_start,
            byte_end=byte_start + len(source),
            raw=source[:RAW_BYTES],
            length=len(source),
            sha256=hashlib.sha256(source).hexdigest(),
            reason=problems[0].reason,
            field=problems[0].field,
            detail=problems[0].detail,
            further=problems[1:],
        )


@dataclass(frozen=True)
class ReadFrame:
    """A run of the file's rows: the good ones in columns, the others one by one.

    `frame` has exactly the schema's data fields, in order and typed as `schemas.codec.polars_schema` says, then `_row`
    (Int64). The `_row` values of `frame` and the `row` values of `unreadable` together are every ordinal from the
    previous frame's `next_row` (or `start_row`) up to, not with, `next_row`: none missing, none twice.

    `next_row` and `next_byte` are where to go on: give them to `frames` in a Part. `last` is True
    in the final frame only. `partial` is set, in the last frame only, when the end of the file could not be framed: it
    is one entry of `unreadable`, counted as one row, and `detail` says what it is.
    """

    frame: pl.DataFrame
    unreadable: tuple[UnreadableRow, ...]
    next_row: int
    next_byte: int
    last: bool
    partial: Reason | None = None
    detail: str = ""


@dataclass(frozen=True)
class ReadOptions:
    """What a person may know about a file and the reader cannot.

    `delimiter`: of a delimited file; empty means: find out. `null_values`: texts that mean "missing", besides nothing
    at all. `field_null_values`: schema field name -> what means "missing" in this field, besides `null_values`.
    `zones`: schema field name -> IANA zone, for timestamps that are written without an offset.
    """

    delimiter: str = ""
    null_values: tuple[str, ...] = ()
    field_null_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)

    def nulls_of(self, name: str) -> tuple[str, ...]:
        """Return the texts that mean "missing" in a field, each once, in order."""
        return tuple(dict.fromkeys((*self.null_values, *self.field_null_values.get(name, ()))))


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: its original column names in order, where its first row begins, and the options to use.

    The same bytes and options always give the same layout, so it needs no storage between a kill and a resume.
    """

    format: str
    columns: tuple[str, ...]
    data_start: int
    options: ReadOptions = field(default_factory=ReadOptions)
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Part:
    """Which rows to read: from `start_row` on, which begins at `start_byte` (0: at the first row)."""

    start_row: int = 0
    start_byte: int = 0
    max_rows: int = FRAME_ROWS


WHOLE = Part()


@runtime_checkable
class Reader(Protocol):
    """One file format. Stateless: one instance reads any number of files, and every call may be repeated.

    Every method reads from `stream`, a seekable regular file opened in binary, from wherever it stands; it blocks on
    the disk only, and memory stays bounded whatever the file holds. An OSError passes through as it is.

    Plug-ins register a class without arguments under the entry-point group `headrace.readers`; the built-ins do too.
    """

    format: str
    suffixes: tuple[str, ...]

    def claims(self, head: bytes) -> bool:
        """Return True if the first bytes alone prove the format, whatever the file is called."""
        ...

    def open(self, stream: BinaryIO, options: ReadOptions | None = None) -> Layout:
        """Return the layout, None being no options; raises FileRefused when the file has none."""
        ...

    def sample(self, stream: BinaryIO, layout: Layout, limit_bytes: int = SAMPLE_BYTES) -> Sample:
        """Return the rows in the first `limit_bytes` as text, for inference; unreadable rows are left out."""
        ...

    def frames(
        self, stream: BinaryIO, layout: Layout, schema: RecordSchema, columns: Mapping[str, int], part: Part = WHOLE
    ) -> Iterator[ReadFrame]:
        """Give the rows of a part, in file order.

        `columns` maps a schema field's name to its position in `layout.columns`. A field that is not in it is null
        in every row; a column that no field names is left out, which is the caller's decision. A value that is not of
        its field's type makes the row unreadable (TYPE_MISMATCH).

        At least one frame comes, and exactly one, the final one, has `last`. A frame has at most `max_rows` rows and
        8 MiB of source. Rows, byte ranges and reasons do not depend on `max_rows` or on where a read began.
        """
        ...
