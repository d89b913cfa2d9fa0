"""ClickHouse's HTTP interface as an ASGI application."""

import uuid
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from headrace.core.hosts import from_here
from headrace.embedded.warehouse.access import Doorkeeper
from headrace.embedded.warehouse.body import Body, ClientLeft, Receive
from headrace.embedded.warehouse.compression import choose_encoding, decoder_for
from headrace.embedded.warehouse.engine import Engine, Role
from headrace.embedded.warehouse.execution import Execution, Workshop
from headrace.embedded.warehouse.faults import (
    ACCESS_DENIED,
    HTTP_LENGTH_REQUIRED,
    LOGICAL_ERROR,
    TOO_MANY_QUERIES,
    Fault,
)
from headrace.embedded.warehouse.fence import Fence
from headrace.embedded.warehouse.form import is_form, read_form
from headrace.embedded.warehouse.job import Jobs
from headrace.embedded.warehouse.reply import Reply, Send
from headrace.embedded.warehouse.requests import HttpQuery, add_fields, read_query, refuse_unsupported
from headrace.observability.events import StatementRefused, WarehouseRequestBroke, emit

_WORKERS: Final = 16
_CONTROLLERS: Final = 8
_MOST_QUERIES: Final = 200
# What is read of a body after an error, so that the client can finish sending and read the answer.
_DRAINED_CHUNKS: Final = 256
_OK: Final = b"Ok.\n"


class WarehouseApp:
    """Answers requests: fixed paths at once, queries on worker threads. The pipeline has workers of its own."""

    def __init__(self, engine: Engine, doorkeeper: Doorkeeper, pipes: Path) -> None:
        self._engine = engine
        self._doorkeeper = doorkeeper
        jobs = Jobs(engine, Fence(engine.table_functions, engine.functions))
        control = ThreadPoolExecutor(_CONTROLLERS, "control")
        self._clients = Workshop(jobs, pipes, control, ThreadPoolExecutor(_WORKERS, "query"))
        self._pipeline = Workshop(jobs, pipes, control, ThreadPoolExecutor(_WORKERS, "pipeline"))
        self._running = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request; the boundary where errors become answers."""
        query = read_query(scope["method"], scope["path"], scope["query_string"], scope["headers"])
        query_id = query.options.get("query_id") or query.headers.get("x-clickhouse-query-id") or str(uuid.uuid4())
        reply = Reply(
            send,
            method=query.method,
            query_id=query_id,
            version=self._engine.version,
            timezone=self._engine.timezone,
        )
        body = Body(receive)
        try:
            if not from_here(scope["headers"], self._doorkeeper.names):
                raise Fault(ACCESS_DENIED, "Host or Origin is not this service's own: web pages may not query it")
            await self._serve(query, body, receive, reply)
        except ClientLeft:
            return
        except Fault as fault:
            await _refuse(fault, body, reply)
        except Exception as error:
            emit(WarehouseRequestBroke(query_id=query_id, cause=repr(error)))
            await _refuse(Fault(LOGICAL_ERROR, f"The warehouse failed: {error!r}"), body, reply)

    def close(self) -> None:
        """Close the sessions and the workers; running queries are waited for."""
        for shop in (self._clients, self._pipeline):
            shop.work.shutdown()
            shop.control.shutdown()
        self._clients.jobs.sessions.close()

    async def _serve(self, query: HttpQuery, body: Body, receive: Receive, reply: Reply) -> None:
        if query.path in {"/ping", "/replicas_status"} or query.greets:
            await reply.text(200, _OK)
        elif query.method == "OPTIONS":
            await reply.text(204, b"", [("Allow", "GET, HEAD, POST, OPTIONS")])
        elif query.path != "/":
            text = f"There is no handle {query.path}\n\nUse / or /ping for health checks.\nSend queries to /\n"
            await reply.text(404, text.encode(errors="replace"))
        elif self._running >= _MOST_QUERIES:
            raise Fault(TOO_MANY_QUERIES, f"Too many simultaneous queries. Maximum: {_MOST_QUERIES}")
        else:
            self._running += 1
            try:
                await self._serve_query(query, body, receive, reply)
            finally:
                self._running -= 1

    async def _serve_query(self, query: HttpQuery, body: Body, receive: Receive, reply: Reply) -> None:
        user = self._doorkeeper.identify(query)
        refuse_unsupported(query)
        if query.method == "POST" and not {"content-length", "transfer-encoding"} & query.headers.keys():
            raise Fault(
                HTTP_LENGTH_REQUIRED, "The Transfer-Encoding is not chunked and there is no Content-Length header"
            )
        decoder = decoder_for(query.headers.get("content-encoding", ""))
        content_type = query.headers.get("content-type", "")
        if is_form(content_type):
            query = add_fields(query, await read_form(content_type, body, decoder))
            refuse_unsupported(query)
        if query.compressed:
            reply.encoding = choose_encoding(query.headers.get("accept-encoding", ""))
        shop = self._pipeline if user.role is Role.PIPELINE else self._clients
        try:
            await Execution(shop, query, user, body, decoder, reply).run(receive)
        except Fault as fault:
            if fault.code == ACCESS_DENIED:
                emit(StatementRefused(user=user.name, reason=fault.text))
            raise


async def _refuse(fault: Fault, body: Body, reply: Reply) -> None:
    """Tell the error; once the answer has begun only its abrupt end can (the server then drops the connection)."""
    if reply.started:
        raise ConnectionAbortedError(str(fault)) from fault
    try:
        for _ in range(_DRAINED_CHUNKS):
            if not await body.chunk():
                break
        await reply.refuse(fault)
    except ClientLeft:
        return
