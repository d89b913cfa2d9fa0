"""A request's body: read as it comes, decoded in pieces, and cut into a statement and its data."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.embedded.warehouse.compression import Decoder, decode
from headrace.embedded.warehouse.faults import QUERY_TOO_LARGE, SYNTAX_ERROR, Fault
from headrace.embedded.warehouse.insert_text import InsertHead, find_insert_head, starts_insert

MOST_STATEMENT_BYTES: Final = 4 * 2**20
_READ_BYTES: Final = 2**20
_STALLED_SECS: Final = 120.0

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientLeft(Exception):
    """The client closed its connection before its request was whole."""


class Body:
    """The raw bytes of a body, in chunks as large as the network gives them, up to a megabyte together."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def chunk(self) -> bytes:
        """Return the next bytes; empty at the end. Raises ClientLeft."""
        parts: list[bytes] = []
        length = 0
        while not self._ended and length < _READ_BYTES:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            self._ended = not message.get("more_body", False)
            parts.append(message.get("body", b""))
            length += len(parts[-1])
        return b"".join(parts)

    async def _next(self) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(_STALLED_SECS):
                return await self._receive()
        except TimeoutError as error:
            raise ClientLeft from error


@dataclass(frozen=True)
class Statement:
    """What to run: `text` is a statement; for an INSERT with data `data` holds what was read of them already."""

    text: str
    inserts: bool = False
    data: tuple[bytes, ...] = ()


async def read_statement(url_query: str, body: Body, decoder: Decoder) -> Statement:
    """Return the statement that URL and body make together: the URL's text, a line end, the body.

    Of an INSERT with inline data only the head is read here; the rest of the body stays to be read.
    """
    start = url_query.encode("utf-8", "surrogateescape")
    if start.strip():
        head = find_insert_head(start + b"\n")
        if head is not None:
            inline = (start + b"\n")[head.data_start :]
            return _insert(head, (inline,) if inline else ())
        start += b"\n"
    text = bytearray(start)
    while True:
        raw = await body.chunk()
        for piece in decode(decoder, raw):
            text += piece
            if len(text) > MOST_STATEMENT_BYTES:
                break
        if starts_insert(bytes(text[:4096])):
            head = find_insert_head(bytes(text[:MOST_STATEMENT_BYTES]))
            if head is not None and (head.settled or not raw):
                return _insert(head, (bytes(text[head.data_start :]),))
        if not raw:
            return Statement(_decoded(bytes(text)).strip())
        if len(text) > MOST_STATEMENT_BYTES:
            raise Fault(QUERY_TOO_LARGE, f"The statement is larger than {MOST_STATEMENT_BYTES} bytes.")


def _insert(head: InsertHead, data: tuple[bytes, ...]) -> Statement:
    return Statement(_decoded(head.statement), inserts=True, data=data)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise Fault(SYNTAX_ERROR, f"Syntax error: the statement is not UTF-8 ({error.reason})") from error
