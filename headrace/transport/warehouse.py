"""ClickHouse over its HTTP interface: statements, queries, and inserts that are one block each."""

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from headrace.errors import HeadraceError, ServiceUnreachable, WarehouseRefused
from headrace.settings import LOOPBACK, Settings, without_credentials
from headrace.transport.replicas import replicated

T = TypeVar("T")

# A warehouse that is there but cannot do it just now: time, memory, connections, disk, parts, read-only, stopping.
BUSY_CODES = frozenset({159, 160, 164, 173, 198, 202, 203, 209, 210, 236, 241, 242, 243, 252, 285, 319, 425, 999})
# One INSERT is one block and so one part: nothing splits it, no second thread takes a share, nothing is put off.
ONE_BLOCK = {
    "async_insert": 0,
    "max_insert_threads": 1,
    "max_insert_block_size": 1_000_000_000,
    "min_insert_block_size_rows": 1_000_000_000,
    "min_insert_block_size_bytes": 1_000_000_000_000,
    "insert_deduplicate": 1,
}
_ONE_THREAD = {"max_threads": 1}
# What a client's library and the fence wrap around a message, and the grammar that a syntax error recites: 10 kB of it.
_WRAPPING = re.compile(r"^Received ClickHouse exception, code: \d+, server response: ")
_RECITAL = re.compile(r" Expected one of:|:? In scope SELECT formatQuerySingleLine\(")
_CODE_NAME = re.compile(r"\([A-Z][A-Z_]+\)\s*$")
_TOLD_CHARACTERS = 600
_CONNECT_SECS = 5
_CALL_SECS = 300


class Warehouse:
    """A client of one ClickHouse. Connects at its first call; calls block for a round trip.

    `person=True` works with the user's own rights, else with those of the pipeline. `session=True` keeps one session,
    with its temporary tables, until it is closed. `background=True` asks with one thread of the warehouse at a time, so
    that what nobody waits for leaves the others to what is stored. Not for use from several threads.
    Every call raises ServiceUnreachable if a repeat may succeed (no answer, too busy, disk full), WarehouseRefused if
    the statement itself is refused.
    """

    def __init__(
        self, settings: Settings, *, person: bool = False, session: bool = False, background: bool = False
    ) -> None:
        self._settings = settings
        self._asked_with = _ONE_THREAD if background else {}
        self._session = secrets.token_hex(8) if session else None
        self._person = person
        self._client: Client | None = None
        self.address = settings.warehouse_address()

    def __enter__(self) -> Self:
        """Return this client, to be closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drop the connections."""
        self.close()

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that gives no rows; what it creates is replicated if the settings say so."""
        if self._settings.warehouse_replicated:
            statement = replicated(statement)
        self._call(lambda client: client.command(statement, parameters=dict(parameters or {})))

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return a query's rows. Values go in as `{name:Type}` parameters, never as text."""
        found = self._call(lambda client: client.query(query, parameters=dict(parameters or {})).result_rows)
        return [tuple(row) for row in found]

    def stream(self, query: str, output_format: str, parameters: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """Yield a query's result in any of ClickHouse's formats; memory stays bounded."""
        settings = {"default_format": output_format}
        stream: Any = self._call(
            lambda client: client.raw_stream(query, parameters=dict(parameters or {}), settings=settings)
        )
        with stream:
            while chunk := stream.read(1 << 16):
                yield chunk

    def insert(self, table: str, columns: Sequence[str], data: bytes, *, data_format: str, token: str) -> None:
        """Insert one block. The same token again stores nothing; that is how a repeat after any fault is harmless."""
        settings = ONE_BLOCK | {"insert_deduplication_token": token}
        self._call(
            lambda client: client.raw_insert(table, list(columns), data, settings=settings, fmt=data_format),
        )

    def close(self) -> None:
        """Drop the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _call(self, function: Callable[[Client], T]) -> T:
        try:
            if self._client is None:
                self._client = self._connect()
            return function(self._client)
        except OperationalError as error:
            if error.code is None:
                # The pipeline's password changes with every start of an embedded warehouse: connect anew next time.
                self.close()
            raise self._translate(error) from error
        except ClickHouseError as error:
            raise self._translate(error) from error

    def _connect(self) -> Client:
        address = urlsplit(self.address)
        settings = self._settings
        own = (settings.warehouse_user, settings.warehouse_password.get_secret_value())
        user, password = own if self._person else settings.warehouse_credentials()
        return clickhouse_connect.get_client(
            interface=address.scheme,
            host=address.hostname or LOOPBACK,
            port=address.port or (443 if address.scheme == "https" else 8123),
            username=user,
            password=password,
            compress=address.hostname not in {LOOPBACK, "localhost"},
            connect_timeout=_CONNECT_SECS,
            send_receive_timeout=_CALL_SECS,
            session_id=self._session,
            settings=dict(self._asked_with),
            autogenerate_session_id=False,
            show_clickhouse_errors="scrub",
            client_name="headrace",
            dedicated_pool=True,
        )

    def _translate(self, error: ClickHouseError) -> HeadraceError:
        code = error.code if isinstance(error, DatabaseError) else None
        text, address = without_credentials(str(error).strip()), without_credentials(self.address)
        if code is None:
            return ServiceUnreachable(
                f"the warehouse at {address} does not answer: {text}", hint="headrace status; headrace up"
            )
        if code in BUSY_CODES:
            return ServiceUnreachable(
                f"the warehouse at {address} cannot do it now: {text}", hint="free disk or memory, or wait"
            )
        if self._person:
            text = essential(text)
        return WarehouseRefused(f"the warehouse refuses: {text}", hint="correct the statement or the rights")


def essential(text: str) -> str:
    """Return what a person needs of ClickHouse's message: code, place and first line, in at most 600 characters.

    >>> essential("Code: 62. DB::Exception: Syntax error: failed at position 1 (SELCT): SELCT 1. Expected one of: "
    ...     "Query, Query with output, EXPLAIN. (SYNTAX_ERROR)")
    'Code: 62. DB::Exception: Syntax error: failed at position 1 (SELCT): SELCT 1. (SYNTAX_ERROR)'
    """
    text = _WRAPPING.sub("", text.strip())
    name = _CODE_NAME.search(text)
    told = _CODE_NAME.sub("", text) if name else text
    first = next(iter(_RECITAL.split(told)[0].splitlines()), "").strip()
    if len(first) > _TOLD_CHARACTERS:
        first = f"{first[:_TOLD_CHARACTERS]} ..."
    return f"{first} {name.group().strip()}" if name else first
