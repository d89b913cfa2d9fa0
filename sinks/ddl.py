"""The platform's own tables: numbered files in sinks/ddl, each applied once and recorded in headrace.applied_ddl."""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

from headrace.errors import WarehouseRefused
from headrace.observability.events import emit
from headrace.observability.sink_events import DdlApplied
from headrace.transport.warehouse import Warehouse

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
BOOTSTRAP = (
    "CREATE DATABASE IF NOT EXISTS headrace",
    "CREATE TABLE IF NOT EXISTS headrace.applied_ddl (`number` UInt32, `name` String, `sha256` String, "
    "`applied_at` DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplacingMergeTree ORDER BY `number`",
)


@dataclass(frozen=True)
class DdlFile:
    """One numbered file. Its statements can run again: a kill may fall between them and the record of them."""

    number: int
    name: str
    text: str

    @property
    def statements(self) -> tuple[str, ...]:
        """Return the statements, without comments and final semicolons."""
        parts = _COMMENT.sub("", self.text).split(";\n")
        return tuple(part.strip().removesuffix(";").strip() for part in parts if part.strip().removesuffix(";").strip())

    @property
    def sha256(self) -> str:
        """Return the digest of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def ddl_files() -> tuple[DdlFile, ...]:
    """Return the files in order; raises ValueError if two have one number or one is missing."""
    folder = resources.files("headrace.sinks").joinpath("ddl")
    found = []
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if match := _NAME.fullmatch(entry.name):
            found.append(DdlFile(int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    if [file.number for file in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"sinks/ddl is not numbered 1 to {len(found)}: {[file.name for file in found]}")
    return tuple(found)


def apply_ddl(warehouse: Warehouse) -> None:
    """Bring the database headrace up to date. Two processes may do it at once.

    Raises WarehouseRefused if a file changed after it was applied: tables are changed by a new file, never by editing.
    """
    for statement in BOOTSTRAP:
        warehouse.execute(statement)
    applied = dict(warehouse.rows("SELECT `number`, any(`sha256`) FROM headrace.applied_ddl GROUP BY `number`"))
    for file in ddl_files():
        if file.number not in applied:
            _apply(warehouse, file)
        elif applied[file.number] != file.sha256:
            raise WarehouseRefused(
                f"sinks/ddl/{file.name} is not the text that was applied to this warehouse",
                hint="restore the file, and put the change into a new file with the next number",
            )


def _apply(warehouse: Warehouse, file: DdlFile) -> None:
    for statement in file.statements:
        warehouse.execute(statement)
    warehouse.execute(
        "INSERT INTO headrace.applied_ddl (`number`, `name`, `sha256`) "
        "SELECT {number:UInt32}, {name:String}, {sha256:String}",
        {"number": file.number, "name": file.name, "sha256": file.sha256},
    )
    emit(DdlApplied(name=file.name))
