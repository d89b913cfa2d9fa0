"""The REST interface: which path and method does what, and how answers and refusals look on the wire."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headrace.embedded.registry import refusals
from headrace.embedded.registry.endpoints import ENDPOINTS, Call, Text
from headrace.embedded.registry.refusals import Refusal
from headrace.embedded.registry.requests import MEDIA_TYPES, json_object, refuse_unsupported, segments
from headrace.embedded.registry.service import RegistryService
from headrace.observability.events import RequestFailed, emit

_WITH_BODY = frozenset({"POST", "PUT"})
_HEADERS = {"Cache-Control": "no-cache, no-store, must-revalidate", "X-Content-Type-Options": "nosniff"}
_THREADS = 8

Endpoint = Callable[[RegistryService, Call], Any]


@dataclass(frozen=True)
class Route:
    """One path pattern with what its methods do; `{name}` stands for any one segment."""

    pattern: tuple[str, ...]
    methods: dict[str, Endpoint]

    def match(self, path: list[str]) -> dict[str, str] | None:
        """Return the named segments if the path fits, else None."""
        if len(path) != len(self.pattern):
            return None
        found: dict[str, str] = {}
        for wanted, given in zip(self.pattern, path, strict=True):
            if wanted.startswith("{"):
                found[wanted[1:-1]] = given
            elif wanted != given:
                return None
        return found if all(found.values()) else None


class RegistryApp:
    """The ASGI application. Reads are answered at once from memory, all else in a thread, since Kafka may block."""

    def __init__(self, service: RegistryService) -> None:
        self._service = service
        self._routes = [Route(tuple(path.split("/")), methods) for path, methods in ENDPOINTS.items()]
        self._limiter: CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong inside, the caller gets JSON and the log gets the reason."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        except Refusal as refusal:
            response = refused(refusal, _media_type(request) or MEDIA_TYPES[0])
        except Exception as error:
            emit(RequestFailed(service="registry", method=request.method, cause=repr(error)))
            response = refused(Refusal(500, 500, "Internal Server Error"), MEDIA_TYPES[0])
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        media_type = _media_type(request)
        if media_type is None:
            raise refusals.http_refusal(406, "Not Acceptable")
        endpoint, named = self._find(request)
        refuse_unsupported(request)
        method = request.method
        call = Call(
            request, named, await json_object(request) if method in _WITH_BODY and request.url.path != "/" else {}
        )
        if method in {"GET", "HEAD"}:
            found = endpoint(self._service, call)
        else:
            # Made here, as it belongs to the running event loop.
            self._limiter = self._limiter or CapacityLimiter(_THREADS)
            found = await to_thread.run_sync(endpoint, self._service, call, limiter=self._limiter)
        content = found if isinstance(found, Text) else _json(found)
        return Response(content, media_type=media_type, headers=_HEADERS)

    def _find(self, request: Request) -> tuple[Endpoint, dict[str, str]]:
        path = segments(request)
        if path[:1] == ["contexts"] and len(path) > 2:
            if path[1].strip(":") != ".":
                raise refusals.invalid_subject(path[1], "Contexts are not supported by this registry")
            path = path[2:]
        for route in self._routes:
            named = route.match(path)
            if named is None:
                continue
            endpoint = route.methods.get("GET" if request.method == "HEAD" else request.method)
            if endpoint is None:
                raise refusals.http_refusal(405, "Method Not Allowed")
            return endpoint, named
        raise refusals.no_such_path()


def refused(refusal: Refusal, media_type: str, headers: dict[str, str] | None = None) -> Response:
    """Return a refusal as Confluent's error body."""
    content = _json({"error_code": refusal.code, "message": refusal.message})
    return Response(content, status_code=refusal.status, media_type=media_type, headers=_HEADERS | (headers or {}))


def _media_type(request: Request) -> str | None:
    """Return the first of our media types that the caller likes best, None if it takes none of them."""
    wishes = [wish.split(";") for wish in request.headers.get("accept", "*/*").split(",")]
    ranked = sorted(wishes, key=lambda wish: -_quality(wish[1:]))
    for name, *parameters in ranked:
        wanted = name.strip().lower()
        if _quality(parameters) <= 0:
            continue
        if wanted in MEDIA_TYPES:
            return wanted
        if wanted in {"*/*", "application/*", ""}:
            return MEDIA_TYPES[0]
    return None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
