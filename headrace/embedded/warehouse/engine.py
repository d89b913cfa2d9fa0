"""chDB: one engine on one folder, many handles. The only module that imports chdb."""

import fcntl
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Any

import chdb
from chdb.session import Session

from headrace.embedded.warehouse.engine_files import write_engine_files
from headrace.embedded.warehouse.faults import Fault, fault_of
from headrace.embedded.warehouse.lexer import quote_name, quote_text
from headrace.embedded.warehouse.rules import HOME_DATABASE
from headrace.errors import AlreadyRunning, WrongUse


class Role(Enum):
    """What a handle may do; the engine itself enforces it (`engine_files`)."""

    READER = "reader"
    WRITER = "writer"
    PIPELINE = "pipeline"
    STEWARD = "steward"


@dataclass(frozen=True)
class Bounds:
    """What one query may take."""

    query_secs: int
    memory_bytes: int
    result_bytes: int


@dataclass(frozen=True)
class Answer:
    """The result of a statement with its counts."""

    body: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0

    def summary(self) -> str:
        """Return X-ClickHouse-Summary's JSON: every value is a string."""
        counts = {name: str(value) for name, value in vars(self).items() if name != "body"}
        return json.dumps(counts | {"total_rows_to_read": str(self.read_rows)})


class Handle:
    """One connection to the engine: its own settings, database, temporary tables and role. One call at a time."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, sql: str, output_format: str = "TabSeparated", parameters: Mapping[str, str] | None = None) -> Answer:
        """Run one statement and return its whole answer. Blocks; raises Fault."""
        started = time.monotonic_ns()
        try:
            result = self._session.query(sql, output_format, params=dict(parameters) if parameters else None)
        except (chdb.ChdbError, RuntimeError, ValueError) as error:
            raise fault_of(str(error)) from error
        return Answer(
            body=result.bytes() or b"",
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            result_rows=result.rows_read(),
            result_bytes=result.bytes_read(),
            elapsed_ns=time.monotonic_ns() - started,
        )

    def text(self, sql: str, parameters: Mapping[str, str]) -> str:
        """Run a statement of ours and return its answer as unescaped text."""
        return self.run(sql, "TabSeparatedRaw", parameters).body.decode(errors="replace")

    def change(self, values: Mapping[str, str]) -> None:
        """SET some settings; none: does nothing."""
        if values:
            settings = ", ".join(f"{quote_name(name)} = {quote_text(value)}" for name, value in values.items())
            self.run(f"SET {settings}")

    def use(self, database: str) -> None:
        """Make a database the current one."""
        self.run(f"USE {quote_name(database)}")

    def take(self, role: Role) -> None:
        """Give up every right but one role's."""
        self.run(f"SET ROLE {role.value}")

    def insert(self, statement: str, input_format: str) -> "Insert":
        """Begin an INSERT whose data come in pieces; `statement` ends before FORMAT."""
        try:
            return Insert(self._session.send_insert(statement, input_format))
        except (chdb.ChdbError, RuntimeError) as error:
            raise fault_of(str(error)) from error

    def close(self) -> None:
        """Give the handle back; what runs on it is cancelled."""
        self._session.close()


class Insert:
    """An INSERT under way: pieces of data are parsed as they come, in constant memory."""

    def __init__(self, inserter: Any) -> None:
        self._inserter = inserter
        self._started = time.monotonic_ns()

    def append(self, data: bytes) -> None:
        """Parse and write the next bytes. Blocks; raises Fault."""
        try:
            self._inserter.append(data)
        except RuntimeError as error:
            raise fault_of(str(error)) from error

    def finish(self) -> Answer:
        """Write what is left and return the counts."""
        try:
            result = self._inserter.finish()
        except RuntimeError as error:
            raise fault_of(str(error)) from error
        return Answer(
            body=b"",
            written_rows=result.rows_written,
            written_bytes=result.bytes_written,
            elapsed_ns=time.monotonic_ns() - self._started,
        )

    def cancel(self) -> None:
        """Drop what was not written yet."""
        self._inserter.cancel()


_DEFAULT_UUID = "de7a0170-0000-4000-8000-000000000000"


class Engine:
    """The engine on one folder. One process owns it: a second one is refused by a lock that a kill releases."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self.folder = folder
        self._lock = _lock(folder)
        self._server = write_engine_files(
            folder / "config",
            query_secs=bounds.query_secs,
            memory_bytes=bounds.memory_bytes,
            result_bytes=bounds.result_bytes,
        )
        self._data = folder / "data"
        self._opening = threading.Lock()
        self._steward = self._raw_handle()
        self._replace_default()
        self._steward.run(f"CREATE DATABASE IF NOT EXISTS {HOME_DATABASE}")
        self.version, self.timezone = self._steward.text("SELECT version(), timezone()", {}).strip().split("\t")
        self.table_functions = self._names("SELECT lower(name) FROM system.table_functions")
        self.functions = self._names("SELECT lower(name) FROM system.functions")

    def open(self, role: Role) -> Handle:
        """Return a new handle that holds one role. Blocks for under a millisecond."""
        handle = self._raw_handle()
        handle.take(role)
        return handle

    def ask(self, question: str) -> str:
        """Return the answer to a question about the engine itself."""
        with self._opening:
            return self._steward.text(question, {})

    def flush_errors(self) -> None:
        """Bring every error that statements have met so far into system.query_log, which holds nothing else."""
        with self._opening:
            self._steward.run("SYSTEM FLUSH LOGS query_log")

    def kill(self, mark: str) -> None:
        """Ask the engine to stop the query that runs under a mark (its log_comment)."""
        with self._opening:
            self._steward.run(f"KILL QUERY WHERE Settings['log_comment'] = {quote_text(mark)} ASYNC")

    def close(self) -> None:
        """Close the engine and give the folder back."""
        self._steward.close()
        self._lock.close()

    def _raw_handle(self) -> Handle:
        try:
            handle = Handle(Session(f"{self._data}?config-file={self._server}"))  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise WrongUse(
                f"the warehouse's engine does not start on {self._data}: {error}",
                hint="look at the message; the folder may be damaged, full, or of another chDB version",
            ) from error
        handle.run("SET implicit_select = 0, allow_introspection_functions = 0")
        return handle

    def _replace_default(self) -> None:
        """Put an ordinary database in the place of chDB's `default`, which opens files by their path.

        chDB makes its own anew at every start. Ours has a fixed identity, by which its tables are found again; no
        metadata file is asked for it, since a plain `ATTACH DATABASE default` of one without tables fails ("Cannot
        find UUID mapping"). A kill between any two of these lines costs nothing.
        """
        self._steward.run("DETACH DATABASE default SETTINGS check_table_dependencies = 0")
        (self._data / "metadata" / "default.sql").unlink(missing_ok=True)
        self._steward.run(f"ATTACH DATABASE default UUID '{_DEFAULT_UUID}' ENGINE = Atomic")
        engine = self._steward.text("SELECT engine FROM system.databases WHERE name = 'default'", {})
        if engine.strip() != "Atomic":
            raise WrongUse(f"the warehouse's default database is {engine.strip() or 'gone'}, not Atomic")

    def _names(self, query: str) -> frozenset[str]:
        return frozenset(self._steward.text(query, {}).split())


def _lock(folder: Path) -> IO[str]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stream = (folder / "lock").open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise AlreadyRunning(
            f"another warehouse runs on {folder}", hint="stop it with `headrace down`, or use another HEADRACE_HOME"
        ) from error
    return stream


__all__ = ["Answer", "Bounds", "Engine", "Fault", "Handle", "Insert", "Role"]
