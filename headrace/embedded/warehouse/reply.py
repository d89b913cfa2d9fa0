"""An answer on its way: headers as ClickHouse names them, pieces, the end, or an error."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from headrace.embedded.warehouse.body import ClientLeft
from headrace.embedded.warehouse.compression import encoder_for
from headrace.embedded.warehouse.engine import Answer
from headrace.embedded.warehouse.faults import Fault
from headrace.embedded.warehouse.formats import content_type

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[str, str]]

# A client that takes nothing for so long holds a worker and a query: it is let go.
_STALLED_SECS: Final = 60.0
_EXPOSED: Final = (
    "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,X-ClickHouse-Format,"
    "X-ClickHouse-Timezone,X-ClickHouse-Exception-Code"
)


class Reply:
    """One answer. After `begin` an error can only be told by dropping the connection."""

    def __init__(self, send: Send, *, method: str, query_id: str, version: str, timezone: str) -> None:
        self._send = send
        self._bodiless = method == "HEAD"
        self._query_id = "".join(part if part.isprintable() else "?" for part in query_id)
        self._version = version
        self._timezone = timezone
        self.encoding = ""
        self.started = False

    async def text(self, status: int, body: bytes, more: Headers | None = None) -> None:
        """Send a fixed text."""
        headers = [("Content-Type", "text/html; charset=UTF-8"), *(more or [])]
        if status != 204:
            headers.append(("Content-Length", str(len(body))))
        await self._start(status, headers)
        await self.finish(body)

    async def answer(self, answer: Answer, output_format: str) -> None:
        """Send a whole answer; an empty format means that there is no result set."""
        if not answer.body:
            self.encoding = ""
        encoder = encoder_for(self.encoding)
        body = encoder.encode(answer.body) + encoder.finish()
        await self._start(200, [*self._headers(output_format, answer), ("Content-Length", str(len(body)))])
        await self.finish(body)

    async def begin(self, answer: Answer, output_format: str) -> None:
        """Send the headers of an answer whose pieces follow."""
        await self._start(200, self._headers(output_format, answer))

    async def piece(self, data: bytes) -> None:
        """Send a piece; waits while the client is slow. Raises ClientLeft when it takes nothing any more."""
        if data and not self._bodiless:
            await self._bounded({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes) -> None:
        """Send the last piece."""
        await self._bounded({"type": "http.response.body", "body": b"" if self._bodiless else data})

    async def refuse(self, fault: Fault) -> None:
        """Send an error as ClickHouse does: text, code and name, and the code in a header."""
        self.encoding = ""
        body = f"{fault} (version {self._version} (official build))\n".encode(errors="replace")
        headers = [*self._headers("", None), ("X-ClickHouse-Exception-Code", str(fault.code))]
        headers.append(("Content-Length", str(len(body))))
        await self._start(fault.status, headers)
        await self.finish(body)

    def _headers(self, output_format: str, answer: Answer | None) -> Headers:
        headers = [
            ("X-ClickHouse-Query-Id", self._query_id),
            ("X-ClickHouse-Server-Display-Name", "headrace"),
            ("X-ClickHouse-Timezone", self._timezone),
            ("Access-Control-Expose-Headers", _EXPOSED),
            ("Content-Type", content_type(output_format) if output_format else "text/plain; charset=UTF-8"),
        ]
        if output_format:
            headers.append(("X-ClickHouse-Format", output_format))
        if answer is not None:
            headers.append(("X-ClickHouse-Summary", answer.summary()))
        if self.encoding:
            headers.append(("Content-Encoding", self.encoding))
        return headers

    async def _start(self, status: int, headers: Headers) -> None:
        self.started = True
        encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def _bounded(self, message: MutableMapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(_STALLED_SECS):
                await self._send(message)
        except TimeoutError as error:
            raise ClientLeft from error
