"""One query from its statement to the end of its answer."""

import asyncio
import functools
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from headrace.embedded.warehouse.access import User
from headrace.embedded.warehouse.body import Body, Receive, Statement, read_statement
from headrace.embedded.warehouse.compression import Decoder, decode, encoder_for
from headrace.embedded.warehouse.engine import Answer
from headrace.embedded.warehouse.faults import CANNOT_DECOMPRESS, Fault
from headrace.embedded.warehouse.fence import Act
from headrace.embedded.warehouse.formats import DEFAULT_FORMAT, output_of
from headrace.embedded.warehouse.job import CHECKED_VALUES_BYTES, Job, Jobs, choose_format, evaluates_data
from headrace.embedded.warehouse.pipes import ResultPipe
from headrace.embedded.warehouse.reply import Reply
from headrace.embedded.warehouse.requests import HttpQuery

T = TypeVar("T")

# An answer up to this size has its true status and counts even when it fails late.
_HELD_BACK_BYTES: Final = 2**20
_SPOOLED_BYTES: Final = 8 * 2**20
_KILL_SECS: Final = 0.1


@dataclass(frozen=True)
class Workshop:
    """What every execution shares: the jobs, a folder for pipes, and two kinds of threads.

    `control` runs what is short (handles, settings, the fence, kills), so that it never waits behind `work`, which
    runs statements.
    """

    jobs: Jobs
    pipes: Path
    control: ThreadPoolExecutor
    work: ThreadPoolExecutor


class Execution:
    """One query of one user."""

    def __init__(
        self, shop: Workshop, query: HttpQuery, user: User, body: Body, decoder: Decoder, reply: Reply
    ) -> None:
        self._shop = shop
        self._query = query
        self._user = user
        self._body = body
        self._decoder = decoder
        self._reply = reply

    async def run(self, receive: Receive) -> None:
        """Do it. Raises Fault before the answer has begun, or after (then the caller drops the connection)."""
        statement = await read_statement(self._query.query, self._body, self._decoder)
        job = await _on(self._shop.control, self._shop.jobs.begin, self._query, self._user, statement)
        try:
            if statement.inserts:
                await self._reply.answer(await self._insert(job, statement), "")
            elif job.statement.root.kind.startswith("Select"):
                await self._select(job, receive)
            else:
                await self._other(job)
        finally:
            await asyncio.shield(_on(self._shop.control, self._shop.jobs.end, job))

    async def _other(self, job: Job) -> None:
        """Run what has a small answer or none."""
        output = output_of(job.statement)
        shown = job.statement.act is Act.READ
        output_format = choose_format(self._query, output, DEFAULT_FORMAT) if shown else ""
        text = output.as_format(output_format) if shown and output.named else job.statement.text
        answer = await _on(self._shop.work, self._shop.jobs.run, job, text, output_format or DEFAULT_FORMAT)
        await self._reply.answer(answer, output_format)

    async def _insert(self, job: Job, statement: Statement) -> Answer:
        """Hand the data to the engine as they come; a client that leaves cancels the INSERT."""
        jobs, work = self._shop.jobs, self._shop.work
        first = bytearray(b"".join(statement.data))
        whole = False
        if evaluates_data(job.statement):
            whole = await self._read_on(first)
        await _on(work, jobs.begin_insert, job, bytes(first) if whole else None)
        if first:
            await _on(work, jobs.append, job, [bytes(first)])
        while not whole and (raw := await self._body.chunk()):
            await _on(work, jobs.append, job, decode(self._decoder, raw))
        if not self._decoder.complete:
            raise Fault(CANNOT_DECOMPRESS, "Cannot decompress the body: it ends too early")
        return await _on(work, jobs.finish_insert, job)

    async def _read_on(self, data: bytearray) -> bool:
        """Read the body up to the size that is checked; return whether that was all."""
        while len(data) <= CHECKED_VALUES_BYTES:
            raw = await self._body.chunk()
            if not raw:
                return True
            for piece in decode(self._decoder, raw):
                data += piece
        return False

    async def _select(self, job: Job, receive: Receive) -> None:
        """Send a result while it is made; a client that leaves has its query killed."""
        output = output_of(job.statement)
        output_format = choose_format(self._query, output, DEFAULT_FORMAT)
        pipe = ResultPipe(self._shop.pipes)
        statement = output.into(str(pipe.path), output_format)
        queued = self._shop.work.submit(self._shop.jobs.select, job, statement)
        running = asyncio.wrap_future(queued)
        leaving = asyncio.ensure_future(_until_left(receive))
        leaving.add_done_callback(functools.partial(_abandon, pipe))
        try:
            await self._stream(pipe, running, output_format)
        finally:
            leaving.cancel()
            await asyncio.shield(self._leave(job, queued, running, pipe))

    async def _leave(
        self, job: Job, queued: "Future[Answer]", running: "asyncio.Future[Answer]", pipe: ResultPipe
    ) -> None:
        """Remove the pipe once nothing will write to it: the engine would make a file of its name, and fill the disk.

        A query that nobody waits for is not begun; one that has begun is killed, again if that was too early.
        """
        if not queued.cancel():
            while not queued.done():
                await _on(self._shop.control, self._shop.jobs.kill, job)
                pipe.drain()
                await asyncio.wait([running], timeout=_KILL_SECS)
        await asyncio.gather(running, return_exceptions=True)
        pipe.close()

    async def _stream(self, pipe: ResultPipe, running: "asyncio.Future[Answer]", output_format: str) -> None:
        encoder = encoder_for(self._reply.encoding)
        with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES, dir=str(self._shop.pipes)) as spool:
            while piece := await pipe.piece(running):
                spool.write(piece)
                if spool.tell() >= _HELD_BACK_BYTES and not self._query.whole_answer_first:
                    break
            answer = running.result() if running.done() else Answer(b"")
            await self._reply.begin(answer, output_format)
            spool.seek(0)
            while block := spool.read(_HELD_BACK_BYTES):
                await self._reply.piece(encoder.encode(block))
        while piece := await pipe.piece(running):
            await self._reply.piece(encoder.encode(piece))
        running.result()
        await self._reply.finish(encoder.finish())


async def _on(threads: ThreadPoolExecutor, call: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, functools.partial(call, *arguments))


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _abandon(pipe: ResultPipe, leaving: "asyncio.Future[None]") -> None:
    if not leaving.cancelled():
        pipe.abandon()
