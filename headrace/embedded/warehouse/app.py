"""ClickHouse's HTTP interface as an ASGI application."""

import asyncio
import functools
import tempfile
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from headrace.embedded.warehouse.access import Doorkeeper
from headrace.embedded.warehouse.body import Body, ClientLeft, Receive, Statement, read_statement
from headrace.embedded.warehouse.compression import Decoder, choose_encoding, decode, decoder_for, encoder_for
from headrace.embedded.warehouse.engine import Answer, Engine, Role
from headrace.embedded.warehouse.faults import ACCESS_DENIED, HTTP_LENGTH_REQUIRED, TOO_MANY_QUERIES, Fault
from headrace.embedded.warehouse.fence import Fence
from headrace.embedded.warehouse.formats import DEFAULT_FORMAT, content_type, output_of
from headrace.embedded.warehouse.job import Job, Jobs, choose_format
from headrace.embedded.warehouse.pipes import ResultPipe
from headrace.embedded.warehouse.requests import HttpQuery, read_query, refuse_unsupported

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

_HELD_BACK_BYTES: Final = 2**20
_SPOOLED_BYTES: Final = 8 * 2**20
_WORKERS: Final = 16
_WAITING: Final = 200
_OK: Final = b"Ok.\n"
_EXPOSED: Final = (
    "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,X-ClickHouse-Format,"
    "X-ClickHouse-Timezone,X-ClickHouse-Exception-Code"
)


@dataclass
class Reply:
    """What the headers of an answer need to know."""

    query_id: str
    encoding: str = ""
    started: bool = False


class WarehouseApp:
    """Answers requests: fixed paths at once, queries on worker threads. The pipeline has workers of its own."""

    def __init__(self, engine: Engine, doorkeeper: Doorkeeper, pipes: Path) -> None:
        self._engine = engine
        self._doorkeeper = doorkeeper
        self._pipes = pipes
        self._jobs = Jobs(engine, Fence(engine.table_functions))
        self._workers = ThreadPoolExecutor(_WORKERS, "query")
        self._pipeline_workers = ThreadPoolExecutor(_WORKERS, "pipeline")
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        query = read_query(scope["method"], scope["path"], scope["query_string"], scope["headers"])
        reply = Reply(query.options.get("query_id") or query.headers.get("x-clickhouse-query-id") or str(uuid.uuid4()))
        try:
            await self._serve(query, receive, send, reply)
        except Fault as fault:
            await self._refuse(fault, query, send, reply)
        except ClientLeft:
            return

    def close(self) -> None:
        """Close the sessions and the workers; running queries are waited for."""
        self._workers.shutdown()
        self._pipeline_workers.shutdown()
        self._jobs.sessions.close()

    async def _serve(self, query: HttpQuery, receive: Receive, send: Send, reply: Reply) -> None:
        if not self._doorkeeper.admits_page(query.headers):
            raise Fault(ACCESS_DENIED, "Host or Origin is not this service's own: web pages may not query it")
        if query.path in {"/ping", "/replicas_status"} or (
            query.path == "/" and not query.query and query.method in {"GET", "HEAD"}
        ):
            await self._send_text(query, send, 200, _OK)
        elif query.method == "OPTIONS":
            await self._send_text(query, send, 204, b"", [("Allow", "GET, HEAD, POST, OPTIONS")])
        elif query.path != "/":
            text = f"There is no handle {query.path}\n\nUse / or /ping for health checks.\nSend queries to /\n"
            await self._send_text(query, send, 404, text.encode(errors="replace"))
        else:
            await self._serve_query(query, receive, send, reply)

    async def _serve_query(self, query: HttpQuery, receive: Receive, send: Send, reply: Reply) -> None:
        user = self._doorkeeper.identify(query)
        refuse_unsupported(query)
        if query.method == "POST" and not {"content-length", "transfer-encoding"} & query.headers.keys():
            raise Fault(
                HTTP_LENGTH_REQUIRED, "The Transfer-Encoding is not chunked and there is no Content-Length header"
            )
        if query.compressed:
            reply.encoding = choose_encoding(query.headers.get("accept-encoding", ""))
        if self._running >= _WAITING:
            raise Fault(TOO_MANY_QUERIES, f"Too many simultaneous queries. Maximum: {_WAITING}")
        workers = self._pipeline_workers if user.role is Role.PIPELINE else self._workers
        body = Body(receive)
        decoder = decoder_for(query.headers.get("content-encoding", ""))
        self._running += 1
        try:
            statement = await read_statement(query.query, body, decoder)
            job = await _on(workers, self._jobs.begin, query, user, statement)
            try:
                await self._execute(_Request(query, job, statement, body, decoder, receive, send, reply, workers))
            finally:
                await asyncio.shield(_on(workers, self._jobs.end, job))
        finally:
            self._running -= 1

    async def _execute(self, request: "_Request") -> None:
        admitted = request.job.admitted
        assert admitted is not None  # noqa: S101 - begin set it
        if request.statement.inserts:
            answer = await self._insert(request)
            await self._send_answer(request, answer, "")
        elif admitted.root.kind.startswith("Select"):
            await self._select(request)
        else:
            output = output_of(admitted)
            output_format = choose_format(request.query, output, DEFAULT_FORMAT)
            answer = await _on(request.workers, self._jobs.run, request.job, output.named or output_format)
            shown = admitted.root.kind not in {"Set", "UseQuery"} and admitted.act.value == "read"
            await self._send_answer(request, answer, (output.named or output_format) if shown else "")

    async def _insert(self, request: "_Request") -> Answer:
        jobs, workers = self._jobs, request.workers
        first = b"".join(request.statement.data)
        if not first:
            first = b"".join(decode(request.decoder, await request.body.chunk()))
        await _on(workers, jobs.begin_insert, request.job, first)
        await _on(workers, jobs.append, request.job, [first] if first else [])
        while raw := await request.body.chunk():
            await _on(workers, _append_raw, jobs, request.job, request.decoder, raw)
        if not request.decoder.complete:
            raise Fault(271, "Cannot decompress the body: it ends too early", "CANNOT_DECOMPRESS")
        return await _on(workers, jobs.finish_insert, request.job)

    async def _select(self, request: "_Request") -> None:
        assert request.job.admitted is not None  # noqa: S101 - begin set it
        output = output_of(request.job.admitted)
        output_format = choose_format(request.query, output, DEFAULT_FORMAT)
        pipe = ResultPipe(self._pipes)
        running = asyncio.ensure_future(
            _on(request.workers, self._jobs.select, request.job, output.into(str(pipe.path), output_format))
        )
        leaving = asyncio.ensure_future(_left(request.receive))
        leaving.add_done_callback(functools.partial(_abandon, pipe))
        try:
            await self._stream(request, pipe, running, output_format)
        finally:
            leaving.cancel()
            pipe.close()
            if not running.done():
                await asyncio.shield(_on(request.workers, self._jobs.kill, request.job))
            await asyncio.wait([running])

    async def _stream(
        self, request: "_Request", pipe: ResultPipe, running: "asyncio.Future[Answer]", output_format: str
    ) -> None:
        spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES, dir=str(self._pipes))
        with spool:
            held = 0
            while piece := await pipe.piece(running):
                spool.write(piece)
                held += len(piece)
                if held >= _HELD_BACK_BYTES and not request.query.whole_answer_first:
                    break
            answer = running.result() if running.done() else Answer(b"")
            headers = self._headers(request.query, request.reply, output_format, answer)
            encoder = encoder_for(request.reply.encoding)
            await _start(request.send, 200, headers, request.reply)
            spool.seek(0)
            while block := spool.read(_HELD_BACK_BYTES):
                await _send_piece(request, encoder.encode(block))
        while piece := await pipe.piece(running):
            await _send_piece(request, encoder.encode(piece))
        running.result()
        await request.send({"type": "http.response.body", "body": _unless_head(request.query, encoder.finish())})

    async def _send_answer(self, request: "_Request", answer: Answer, output_format: str) -> None:
        encoder = encoder_for(request.reply.encoding if answer.body else "")
        if not answer.body:
            request.reply.encoding = ""
        body = encoder.encode(answer.body) + encoder.finish()
        headers = self._headers(request.query, request.reply, output_format, answer)
        headers.append(("Content-Length", str(len(body))))
        await _start(request.send, 200, headers, request.reply)
        await request.send({"type": "http.response.body", "body": _unless_head(request.query, body)})

    async def _refuse(self, fault: Fault, query: HttpQuery, send: Send, reply: Reply) -> None:
        """Tell the error. Once the answer has begun only its abrupt end can: the connection is dropped."""
        if reply.started:
            raise ConnectionAbortedError(str(fault)) from fault
        body = f"{fault} (version {self._engine.version} (official build))\n".encode(errors="replace")
        reply.encoding = ""
        headers = self._headers(query, reply, "", None)
        headers.append(("X-ClickHouse-Exception-Code", str(fault.code)))
        headers.append(("Content-Length", str(len(body))))
        headers.append(("Connection", "close"))
        if fault.status == 401:
            headers.append(("WWW-Authenticate", 'Basic realm="ClickHouse server HTTP API"'))
        await _start(send, fault.status, headers, reply)
        await send({"type": "http.response.body", "body": _unless_head(query, body)})

    def _headers(
        self, query: HttpQuery, reply: Reply, output_format: str, answer: Answer | None
    ) -> list[tuple[str, str]]:
        headers = [
            ("X-ClickHouse-Query-Id", _header_text(reply.query_id)),
            ("X-ClickHouse-Server-Display-Name", "headrace"),
            ("X-ClickHouse-Timezone", self._engine.timezone),
            ("Access-Control-Expose-Headers", _EXPOSED),
            ("Content-Type", content_type(output_format) if output_format else "text/plain; charset=UTF-8"),
        ]
        if output_format:
            headers.append(("X-ClickHouse-Format", output_format))
        if answer is not None:
            headers.append(("X-ClickHouse-Summary", answer.summary()))
        if reply.encoding:
            headers.append(("Content-Encoding", reply.encoding))
        return headers

    async def _send_text(
        self, query: HttpQuery, send: Send, status: int, body: bytes, more: list[tuple[str, str]] | None = None
    ) -> None:
        headers = [("Content-Type", "text/html; charset=UTF-8"), *(more or [])]
        if status != 204:
            headers.append(("Content-Length", str(len(body))))
        await _start(send, status, headers, Reply(""))
        await send({"type": "http.response.body", "body": _unless_head(query, body)})


@dataclass
class _Request:
    """All that belongs to one query under way."""

    query: HttpQuery
    job: Job
    statement: Statement
    body: Body
    decoder: Decoder
    receive: Receive
    send: Send
    reply: Reply
    workers: ThreadPoolExecutor


async def _on(workers: ThreadPoolExecutor, call: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(workers, functools.partial(call, *arguments))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _abandon(pipe: ResultPipe, leaving: "asyncio.Future[None]") -> None:
    if not leaving.cancelled():
        pipe.abandon()


async def _start(send: Send, status: int, headers: list[tuple[str, str]], reply: Reply) -> None:
    reply.started = True
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _send_piece(request: _Request, data: bytes) -> None:
    if data and request.query.method != "HEAD":
        await request.send({"type": "http.response.body", "body": data, "more_body": True})


def _append_raw(jobs: Jobs, job: Job, decoder: Decoder, raw: bytes) -> None:
    jobs.append(job, decode(decoder, raw))


def _unless_head(query: HttpQuery, body: bytes) -> bytes:
    return b"" if query.method == "HEAD" else body


def _header_text(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
