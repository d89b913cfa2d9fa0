"""The HTTP server that the registry and the warehouse share."""

import contextlib
import signal
from collections.abc import Generator
from types import FrameType

import uvicorn


class Server(uvicorn.Server):
    """uvicorn, but SIGTERM and SIGINT end it with 0: it was asked to leave and did."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Set the handlers for as long as the server runs."""
        before = {number: signal.signal(number, self._leave) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _leave(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True
