"""The registry without Kafka and without a socket, for tests of its operations and its REST interface.

`ask` speaks to a running one, byte for byte as curl does.
"""

import asyncio
import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message

from headrace.embedded.registry.app import RegistryApp
from headrace.embedded.registry.fence import Fence
from headrace.embedded.registry.records import Record
from headrace.embedded.registry.service import RegistryService
from headrace.embedded.registry.store import Store

JSON_TYPE = "application/vnd.schemaregistry.v1+json"


class MemoryLog:
    """The `_schemas` topic as a list; every record goes through its bytes, as on the real topic."""

    def __init__(self, store: Store) -> None:
        self.records: list[Record] = []
        self.failure: Exception | None = None
        self._store = store

    def sync(self) -> None:
        """Everything is applied at once here; raises `failure` if a test has set one."""
        if self.failure is not None:
            raise self.failure

    def write(self, written: Sequence[Record]) -> None:
        """Append and apply records."""
        for key, value in written:
            self.records.append((key, value))
            self._store.apply(key, value)

    def compacted(self) -> list[Record]:
        """Return what Kafka keeps: the last record of each key, in the order of their offsets, without tombstones."""
        last = {key: offset for offset, (key, _) in enumerate(self.records)}
        return [self.records[offset] for offset in sorted(last.values()) if self.records[offset][1] is not None]


@dataclass(frozen=True)
class Answer:
    """What the registry answered; `body` is None for an empty answer."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> tuple[int, int, str]:
        """Return status, code and text of a refusal."""
        return self.status, self.body["error_code"], self.body["message"]


class MemoryRegistry:
    """The whole REST interface over a MemoryLog. Use it in a `with` block."""

    def __init__(self, *, password: str = "", records: Sequence[Record] = ()) -> None:
        self.store = Store()
        self.log = MemoryLog(self.store)
        self.log.write(records)
        self.service = RegistryService(self.store, self.log)
        self.app: ASGIApp = Fence(RegistryApp(self.service), password)
        self._runner = asyncio.Runner()

    def __enter__(self) -> "MemoryRegistry":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the event loop."""
        self._runner.close()

    def call(
        self, method: str, target: str, body: Any = None, headers: Sequence[tuple[str, str]] | None = None
    ) -> Answer:
        """Send one request; a body that is not bytes goes as JSON. `headers` replace the usual ones."""
        usual = [("host", "127.0.0.1:8081"), ("content-type", JSON_TYPE)]
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self._runner.run(self._call(method, target, content, usual if headers is None else headers))

    def register(self, subject: str, text: str) -> Answer:
        """Register a schema the way Confluent's client does."""
        return self.call("POST", f"/subjects/{subject}/versions?normalize=False", {"schema": text})

    async def _call(self, method: str, target: str, content: bytes, headers: Sequence[tuple[str, str]]) -> Answer:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            "server": ("127.0.0.1", 8081),
            "client": ("127.0.0.1", 50_000),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = b"".join(message.get("body", b"") for message in sent[1:])
        names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], names, json.loads(found) if found else None)


def ask(
    address: str, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None, secs: float = 60
) -> Answer:
    """Send one request over a connection of its own. Raises OSError or HTTPException where nothing answers."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=secs)
    try:
        content = None if body is None else json.dumps(body).encode()
        usual = {"User-Agent": "curl/8.5.0", "Accept": "*/*"} | ({"Content-Type": JSON_TYPE} if content else {})
        connection.request(method, target, content, usual | dict(headers or {}))
        response = connection.getresponse()
        found = response.read()
        return Answer(response.status, dict(response.getheaders()), json.loads(found) if found else None)
    finally:
        connection.close()
