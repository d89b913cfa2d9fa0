"""How the registry and the warehouse listen: address, socket, server."""

import contextlib
import signal
import socket
from collections.abc import Generator
from types import FrameType
from typing import Any, Literal
from urllib.parse import urlsplit

import uvicorn

from headrace.core.hosts import is_loopback
from headrace.embedded.ports import port_taken
from headrace.errors import WrongUse
from headrace.settings import Settings

_KEEP_ALIVE_SECS = 75


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


def listening_address(settings: Settings, service: str) -> tuple[str, int]:
    """Return where a service listens; beyond loopback only with a password."""
    own = settings.model_copy(update={f"{service}_url": ""})
    found = urlsplit(getattr(own, f"{service}_address")())
    host, port = found.hostname or "", found.port or getattr(settings, f"{service}_port")
    if not is_loopback(host) and not getattr(settings, f"{service}_password").get_secret_value():
        raise WrongUse(
            f"the {service} does not listen on {host} without a password",
            hint=f"set HEADRACE_{service.upper()}_PASSWORD, or let it listen on 127.0.0.1",
        )
    return host, port


def bound_socket(service: str, host: str, port: int) -> socket.socket:
    """Return a socket that holds the address but does not answer yet: clients see a closed port until all is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol spelled out, asyncio switches Nagle's delay off: 8 ms a request instead of 50.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise port_taken(f"{service}_port", port) from error
    return found


def answer(app: Any, listener: socket.socket, *, loop: Literal["asyncio", "uvloop"], stop_secs: int) -> None:
    """Answer requests with an ASGI application until SIGTERM or SIGINT; those under way get `stop_secs` to end."""
    config = uvicorn.Config(
        app,
        loop=loop,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECS,
        timeout_graceful_shutdown=stop_secs,
    )
    Server(config).run(sockets=[listener])
