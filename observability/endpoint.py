"""The HTTP endpoint of a process: /metrics, /live and /ready on loopback, told in HOME/run/telemetry.json."""

import contextlib
import fcntl
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil

from headrace.core.files import write_atomically
from headrace.core.hosts import from_here, names_of
from headrace.observability.events import RequestFailed, emit
from headrace.observability.health import Health
from headrace.observability.metric_events import EndpointMoved
from headrace.observability.notes import tell_not_written
from headrace.settings import LOOPBACK, Paths, Settings

# In the order of the plan: with a fixed base port each has the port at its place.
PROCESSES = (
    "watcher",
    "judge",
    "sink",
    "receipts",
    "quality",
    "advisor",
    "learner",
    "monitor",
    "notify",
    "predict",
    "registry",
    "warehouse",
    "supervisor",
)
_READ_SECS = 5.0
_MOST_REQUESTS = 8
_TEXT = "text/plain; charset=utf-8"

Text = Callable[[str], tuple[bytes, str]]


class Endpoint:
    """Answers from its start to `close`, in threads of its own. `text` makes the metrics for an Accept header."""

    def __init__(self, settings: Settings, process: str, health: Health, text: Text) -> None:
        self._paths, self._process = settings.paths(), process
        self._server = _bound(settings, process, _handler(settings, health, text))
        self.address = f"{LOOPBACK}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()
        _note(self._paths, process, self.address)

    def close(self) -> None:
        """Answer no more."""
        _note(self._paths, self._process, "")
        leaving = threading.Thread(target=self._server.shutdown)
        leaving.start()
        with contextlib.suppress(OSError):  # it wakes the server, which else looks twice a second only
            socket.create_connection((LOOPBACK, self._server.server_port), timeout=1).close()
        leaving.join()
        self._server.server_close()


def addresses(paths: Paths) -> dict[str, str]:
    """Return where each process of a home answers (host:port by name); empty where none does.

    Who was killed could not take its address back: it is left out.
    """
    return {name: one["address"] for name, one in _noted(paths).items() if psutil.pid_exists(one["pid"])}


def _noted(paths: Paths) -> dict[str, dict[str, Any]]:
    """Return address and process id as they were noted. Who notes must not judge: containers count processes anew."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(_file(paths).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def forget_addresses(paths: Paths) -> None:
    """Forget what killed processes left behind; for the supervisor, before it starts any."""
    _file(paths).unlink(missing_ok=True)


def port_of(settings: Settings, process: str) -> int:
    """Return the port that a process is to have, 0 for any free one.

    >>> port_of(Settings(telemetry_port=9400), "judge"), port_of(Settings(telemetry_port=9400), "judge-1")
    (9401, 0)
    >>> port_of(Settings(), "judge")
    0
    """
    if not settings.telemetry_port or process not in PROCESSES:
        return 0
    return settings.telemetry_port + PROCESSES.index(process)


class _Server(ThreadingHTTPServer):
    """Takes a few requests at a time; more are turned away, so that nobody can fill the process with threads."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_MOST_REQUESTS)
        super().__init__((LOOPBACK, port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or hang up while too many are answered."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell an error of ours; a client that has gone is no matter of ours."""
        error = sys.exception()
        if not isinstance(error, OSError):
            emit(RequestFailed(service="metrics", method="GET", cause=repr(error)))


def _bound(settings: Settings, process: str, handler: type[BaseHTTPRequestHandler]) -> _Server:
    wanted = port_of(settings, process)
    try:
        return _Server(wanted, handler)
    except OSError as error:
        if not wanted:
            raise
        server = _Server(0, handler)
        emit(EndpointMoved(process=process, wanted=wanted, port=server.server_port, cause=str(error)))
        return server


def _handler(settings: Settings, health: Health, text: Text) -> type[BaseHTTPRequestHandler]:
    names = names_of(LOOPBACK)

    class Handler(BaseHTTPRequestHandler):
        timeout = _READ_SECS

        def do_GET(self) -> None:
            if not from_here(_raw(self.headers.items()), names):
                self._send(HTTPStatus.FORBIDDEN, b"not asked by a name of this machine\n", _TEXT)
            elif self.path == "/metrics":
                body, content_type = text(self.headers.get("Accept", ""))
                self._send(HTTPStatus.OK, body, content_type)
            elif self.path == "/live":
                self._verdict(health.dead_because(settings.live_secs))
            elif self.path == "/ready":
                self._verdict(health.unready_because(settings.live_secs, settings.ready_lag))
            else:
                self._send(HTTPStatus.NOT_FOUND, b"there are /metrics, /live and /ready\n", _TEXT)

        def _verdict(self, problem: str) -> None:
            status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
            self._send(status, f"{problem or 'ok'}\n".encode(), _TEXT)

        def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def version_string(self) -> str:
            return "headrace"

        def log_message(self, *_arguments: object) -> None:
            """Requests are not logged: a scraper comes for ever."""

    return Handler


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _file(paths: Paths) -> Any:
    return paths.run / "telemetry.json"


def _note(paths: Paths, process: str, address: str) -> None:
    """Write down where a process answers, "" for nowhere. A full disk costs the note, and not the process."""
    try:
        _write_note(paths, process, address)
    except OSError as error:
        tell_not_written(_file(paths), error)


def _write_note(paths: Paths, process: str, address: str) -> None:
    """Change the file; processes that start together take turns."""
    paths.run.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(paths.run / "telemetry.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        known = {name: one for name, one in _noted(paths).items() if name != process}
        if address:
            known[process] = {"address": address, "pid": os.getpid()}
        write_atomically(_file(paths), json.dumps(known).encode())
    finally:
        os.close(descriptor)
