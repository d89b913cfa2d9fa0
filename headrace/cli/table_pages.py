"""The platform's own tables, read from sinks/ddl for the reference page: columns, types, meanings, and the views."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from headrace.schemas.system import system_schema
from headrace.schemas.topics import QUARANTINE, SYSTEM_TOPICS, data_topic
from headrace.sinks.base import target_of
from headrace.sinks.ddl import BOOTSTRAP, ddl_files
from headrace.sinks.tables import SYSTEM_COLUMNS

_CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS headrace\.(\w+)\s*\((.*)\)\s*ENGINE", re.DOTALL)
_ALTER = re.compile(r"ALTER TABLE headrace\.(\w+)\s+(.*)", re.DOTALL)
_VIEW = re.compile(
    r"CREATE (?:OR REPLACE |MATERIALIZED )?VIEW (?:IF NOT EXISTS )?headrace\.(\w+)\s+(?:AS\s+)?(.*)", re.DOTALL
)
_ADDED = re.compile(r"ADD COLUMN IF NOT EXISTS (.*?)(?: AFTER `(\w+)`)?$", re.DOTALL)
_COLUMN = re.compile(r"`(\w+)` (.*)", re.DOTALL)
_COMMENT = re.compile(r" COMMENT '((?:[^']|'')*)'")
_ATTRIBUTE = re.compile(r" (?:CODEC\(|DEFAULT |ALIAS |COMMENT ).*", re.DOTALL)
_MODIFIED = "MODIFY COLUMN "
_OF_ENTRIES = {"_key": "Key of the message.", "_deleted": "1: a tombstone took the entry away."}


@dataclass(frozen=True)
class Column:
    """One column; an empty meaning is one that the table does not tell."""

    name: str
    type: str
    meaning: str = ""


@dataclass(frozen=True)
class Stored:
    """A table with its columns, or a view with its query."""

    name: str
    about: str
    columns: tuple[Column, ...] = ()
    query: str = ""


@dataclass
class _Reading:
    found: dict[str, Stored] = field(default_factory=dict)

    def statement(self, about: str, text: str) -> None:
        if match := _CREATE.match(text):
            columns = tuple(_column(part) for part in split(match[2]) if part.startswith("`"))
            self.found[match[1]] = Stored(match[1], about, columns)
        elif match := _ALTER.match(text):
            table = self.found[match[1]]
            for part in split(match[2]):
                table = _widened(table, part)
            self.found[match[1]] = table
        elif match := _VIEW.match(text):
            before = self.found.get(match[1])
            self.found[match[1]] = Stored(match[1], before.about if before else about, query=match[2])
        else:
            raise ValueError(f"sinks/ddl: the reference page cannot tell what this does: {text[:80]}")


def stored() -> Mapping[str, Stored]:
    """Return every table and view of sinks/ddl as it is after all files; raises ValueError for what it cannot read."""
    reading = _Reading()
    for statement in BOOTSTRAP[1:]:  # the first one makes the database
        reading.statement("Which files of sinks/ddl were applied to this warehouse.", statement)
    for file in ddl_files():
        for about, text in _statements(file.text):
            reading.statement(about, text)
    return {name: _told(one) for name, one in reading.found.items()}


def _statements(text: str) -> Iterator[tuple[str, str]]:
    """Yield (comment, statement)."""
    for part in text.split(";\n"):
        lines = part.strip().removesuffix(";").splitlines()
        comments = [line.strip().removeprefix("--").strip() for line in lines if line.strip().startswith("--")]
        if rest := [line for line in lines if not line.strip().startswith("--")]:
            yield " ".join(comments), "\n".join(rest).strip()


def split(text: str) -> list[str]:
    """Return the parts between commas that are in no bracket and in no text.

    >>> split("`a` Tuple(x, y), `b` String COMMENT 'c, d'")
    ['`a` Tuple(x, y)', "`b` String COMMENT 'c, d'"]
    """
    parts, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [re.sub(r"\s+", " ", part).strip() for part in parts if part.strip()]


def _column(text: str) -> Column:
    match, comment = _COLUMN.fullmatch(text), _COMMENT.search(text)
    if match is None:
        raise ValueError(f"sinks/ddl: not a column: {text}")
    meaning = comment[1].replace("''", "'") if comment else ""
    kind = _ATTRIBUTE.sub("", _COMMENT.sub("", match[2])).replace("`", "").replace("( ", "(")
    return Column(match[1], kind, meaning)


def _widened(table: Stored, text: str) -> Stored:
    if text.startswith("ADD INDEX "):  # it makes queries quick and changes none
        return table
    if text.startswith(_MODIFIED):
        changed = _column(text.removeprefix(_MODIFIED))
        if changed.name not in {column.name for column in table.columns}:
            raise ValueError(f"sinks/ddl: there is no such column yet: {text}")
        return replace(table, columns=tuple(changed if one.name == changed.name else one for one in table.columns))
    added = _ADDED.fullmatch(text)
    if added is None:
        raise ValueError(f"sinks/ddl: not a new column: {text}")
    names = [column.name for column in table.columns]
    at = names.index(added[2]) + 1 if added[2] else len(names)
    return replace(table, columns=(*table.columns[:at], _column(added[1]), *table.columns[at:]))


def _told(table: Stored) -> Stored:
    """Return a table whose columns that say nothing have the meaning of the message's field, or of every table's."""
    known = {name: text for name, (_, text) in SYSTEM_COLUMNS.items()} | _OF_ENTRIES
    for topic in (*(spec.name for spec in SYSTEM_TOPICS), data_topic("any", QUARANTINE)):
        if (target := target_of(topic)) is not None and target.table == table.name:
            known |= {one["name"]: one.get("doc", "") for one in system_schema(target.system)["fields"]}
    return replace(
        table, columns=tuple(replace(one, meaning=one.meaning or known.get(one.name, "")) for one in table.columns)
    )
