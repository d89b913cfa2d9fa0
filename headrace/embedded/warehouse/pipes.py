"""Results as they are made: the engine writes into a named pipe, we read it, and neither holds more than a piece.

`send_query` of chDB gives every block as a whole document of its own, which only some formats survive; one long
INTO OUTFILE gives exactly the bytes that a server would send, in every format (docs/decisions/0003).
"""

import asyncio
import contextlib
import fcntl
import os
import uuid
from pathlib import Path
from typing import Any, Final

from headrace.embedded.warehouse.body import ClientLeft

PIECE_BYTES: Final = 2**18
_PIPE_BYTES: Final = 2**20


class ResultPipe:
    """A named pipe in a folder of ours, held open at both ends so that it never ends before the query does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{uuid.uuid4().hex}.pipe"
        os.mkfifo(self.path, 0o600)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # the kernel may allow less to a user; then pieces are smaller
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._abandoned = False

    async def piece(self, query: "asyncio.Future[Any]") -> bytes:
        """Return the next bytes of the query's result; empty when the query has ended and all is read.

        An error of the query is left in its future.
        """
        while True:
            if self._abandoned:
                raise ClientLeft
            ended = query.done()
            try:
                return os.read(self._descriptor, PIECE_BYTES)
            except BlockingIOError:
                if ended:
                    return b""
            await self._wait(query)

    async def _wait(self, query: "asyncio.Future[Any]") -> None:
        self._readable.clear()
        self._loop.add_reader(self._descriptor, self._readable.set)
        query.add_done_callback(self._wake)
        try:
            await self._readable.wait()
        finally:
            query.remove_done_callback(self._wake)
            self._loop.remove_reader(self._descriptor)

    def _wake(self, _query: "asyncio.Future[Any]") -> None:
        self._readable.set()

    def abandon(self) -> None:
        """Wake the reader with ClientLeft: nobody wants the rest."""
        self._abandoned = True
        self._readable.set()

    def drain(self) -> None:
        """Throw away what is in the pipe, so that a query which waits for room goes on to its end."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, PIECE_BYTES):
                pass

    def close(self) -> None:
        """Remove the pipe. No query may write to it any more."""
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
