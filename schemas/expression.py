"""Row rules: SQL boolean expressions over the fields of one record, parsed and type-checked when a contract is read.

Only what is listed here is understood, and it means the same to every engine: three-valued logic of SQL, `/` always
gives a fraction and is null where the divisor is 0, NaN counts as null, text is compared by code points, whole numbers
are 64 bits wide. Names with capitals do not exist (field names are lower-case); keywords may be written either way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from headrace.schemas.record import FieldType


class Kind(StrEnum):
    """What an expression yields; only equal kinds are compared, and numbers with whole numbers."""

    WHOLE = "whole number"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time of day"
    BYTES = "bytes"
    NULL = "null"


KIND_OF: Mapping[FieldType, Kind] = {
    FieldType.INT: Kind.WHOLE,
    FieldType.LONG: Kind.WHOLE,
    FieldType.FLOAT: Kind.NUMBER,
    FieldType.DOUBLE: Kind.NUMBER,
    FieldType.DECIMAL: Kind.NUMBER,
    FieldType.STRING: Kind.TEXT,
    FieldType.ENUM: Kind.TEXT,
    FieldType.UUID: Kind.TEXT,
    FieldType.BOOLEAN: Kind.BOOLEAN,
    FieldType.DATE: Kind.DATE,
    FieldType.TIMESTAMP: Kind.TIMESTAMP,
    FieldType.TIME: Kind.TIME,
    FieldType.BYTES: Kind.BYTES,
    FieldType.FIXED: Kind.BYTES,
}


@dataclass(frozen=True)
class Column:
    """A field of the record."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Literal:
    """A constant: int, float, str, bool, date, aware datetime, or None."""

    value: object
    kind: Kind


@dataclass(frozen=True)
class Call:
    """An operator or function with its arguments.

    Functions are and, or, not, =, <>, <, <=, >, >=, +, -, *, /, negate, is null, is not null, in, abs, length, lower,
    upper and coalesce.
    """

    function: str
    arguments: tuple["Node", ...]
    kind: Kind


Node = Column | Literal | Call


@dataclass(frozen=True)
class Expression:
    """A parsed row rule: its text as written, its tree, and the fields it reads in order of appearance."""

    text: str
    node: Node

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields that the expression reads."""
        return tuple(dict.fromkeys(_columns(self.node)))


def _columns(node: Node) -> list[str]:
    if isinstance(node, Column):
        return [node.name]
    if isinstance(node, Call):
        return [name for argument in node.arguments for name in _columns(argument)]
    return []
