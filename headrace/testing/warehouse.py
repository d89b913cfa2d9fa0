"""One request to a running warehouse, byte for byte as curl does it, and a warehouse of one's own for rough tests."""

import http.client
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

from headrace.core.child import Child, wait_until
from headrace.embedded.ports import pick_ports
from headrace.embedded.services import SERVICES, child_environment
from headrace.settings import Settings

START_LIMIT_SECS = 30.0


@dataclass(frozen=True)
class Answer:
    """What the warehouse answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> int:
        """ClickHouse's error code, 0 if there was none."""
        return int(self.headers.get("x-clickhouse-exception-code", "0"))

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def summary(self) -> dict[str, str]:
        """X-ClickHouse-Summary."""
        found: dict[str, str] = json.loads(self.headers["x-clickhouse-summary"])
        return found


def pipeline_user(settings: Settings) -> dict[str, str]:
    """Return the headers that make a request the pipeline's."""
    password = settings.paths().pipeline_password_file.read_text()
    return {"X-ClickHouse-User": "pipeline", "X-ClickHouse-Key": password}


def ask(
    settings: Settings,
    statement: str = "",
    *,
    method: str = "POST",
    data: bytes | None = None,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    secs: float = 60,
    **parameters: Any,
) -> Answer:
    """Send one request over a connection of its own.

    The statement goes in the URL when there are data or the method is not POST, else in the body.
    """
    connection = http.client.HTTPConnection(urlsplit(settings.warehouse_address()).netloc, timeout=secs)
    body: bytes | None = data
    if statement and (data is not None or method != "POST"):
        parameters = {"query": statement, **parameters}
    elif data is None and method == "POST":
        body = statement.encode("utf-8", "surrogatepass")
    try:
        connection.request(method, f"{path}?{urlencode(parameters)}", body, dict(headers or {}))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def own_settings(home: Path) -> Settings:
    """Return settings for a warehouse on a free port in a home."""
    return Settings(home=home, warehouse_url="").model_copy(update=pick_ports())


def start_warehouse(settings: Settings, *, wait: bool = True, name: str = "warehouse") -> Child:
    """Start a warehouse process; return when it answers, or has left."""
    program = [sys.executable, "-m", SERVICES["warehouse"].module]
    child = Child(name, program, child_environment(settings), settings.paths().logs / f"{name}.out")
    if wait:
        ready = SERVICES["warehouse"].ready
        wait_until(lambda: child.exit_code() is not None or ready(settings), START_LIMIT_SECS)
    return child


class OwnWarehouse:
    """A warehouse in a temporary home, for a test that kills it. Use it in a `with` block."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="headrace-warehouse-")
        self.settings = own_settings(Path(self._folder.name))
        self.child = start_warehouse(self.settings)

    def __enter__(self) -> "OwnWarehouse":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kill what runs and remove the home."""
        self.child.kill()
        self._folder.cleanup()

    def kill_and_start(self) -> None:
        """Kill it as kill -9 does and start it again; return when it answers, or has left."""
        self.child.kill()
        self.child = start_warehouse(self.settings)
