"""The HTTP interface of predictions: which path and method does what, and how answers and refusals look."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn

from anyio import lowlevel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.core.hosts import from_here, names_of
from headrace.embedded.predict.health import health
from headrace.embedded.predict.inputs import Problem, read_features
from headrace.embedded.predict.openapi import document
from headrace.embedded.predict.page import page
from headrace.embedded.predict.rack import Rack
from headrace.observability.events import RequestFailed, emit
from headrace.observability.learner_events import PredictionsAnswered
from headrace.schemas.learner_spec import Task
from headrace.settings import LOOPBACK

MOST_RECORDS = 1_000
MOST_BYTES = 4 * 2**20
_MOST_PROBLEMS = 100
_TURN = 16
"""Records that are predicted before others are answered."""
_SHOWN = 200
_JSON = "application/json"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": _POLICY}

_LATER = {"Retry-After": "1"}
Answer = Callable[..., Awaitable[Response]]


class Refused(Exception):
    """A request that cannot be answered: its status, what is wrong, and what to do."""

    def __init__(
        self,
        status: int,
        error: str,
        hint: str = "",
        problems: list[Problem] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.error, self.hint = status, error, hint
        self.problems = problems
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Fence:
    """An ASGI middleware: a name that a stranger's DNS points at us and foreign origins get 403."""

    app: ASGIApp
    names: frozenset[str] = names_of(LOOPBACK)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 403."""
        if from_here(scope["headers"], self.names):
            await self.app(scope, receive, send)
            return
        refusal = Refused(403, "this service answers this machine only", "ask it as 127.0.0.1 or localhost")
        await _refusal(refusal)(scope, receive, send)


class PredictApp:
    """The ASGI application. All is answered from memory, on the event loop; a long list makes way for others."""

    def __init__(self, rack: Rack) -> None:
        self._rack = rack
        # (first part of the path, how many follow) -> method and answer
        self._routes: Mapping[tuple[str, int], tuple[str, Answer]] = {
            ("", 0): ("GET", self._page),
            ("openapi.json", 0): ("GET", self._openapi),
            ("health", 0): ("GET", self._health),
            ("models", 0): ("GET", self._models),
            ("models", 1): ("GET", self._model),
            ("predict", 1): ("POST", self._predict),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong inside, the caller gets JSON and the log gets the reason."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        except Refused as refusal:
            response = _refusal(refusal)
        except Exception as error:
            emit(RequestFailed(service="predict", method=request.method, cause=repr(error)))
            response = _refusal(Refused(500, "the prediction failed", "see predict.log"))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        kind, *rest = request.url.path.strip("/").split("/")
        found = self._routes.get((kind, len(rest)))
        if found is None:
            raise Refused(404, f"there is no {request.url.path}", "GET / shows what there is")
        method, answer = found
        asked = "GET" if request.method == "HEAD" else request.method
        if asked != method:
            raise Refused(
                405, f"{request.url.path} is asked by {method}, not by {request.method}", headers={"Allow": method}
            )
        return await answer(request, *rest)

    async def _page(self, request: Request) -> Response:
        return Response(page(self._rack.shelf, request.url.netloc), media_type="text/html", headers=_HEADERS)

    async def _openapi(self, _request: Request) -> Response:
        return _json(document(self._rack.shelf))

    async def _health(self, _request: Request) -> Response:
        return _json(health(self._rack))

    async def _models(self, _request: Request) -> Response:
        return _json([one.about() for _, one in sorted(self._rack.shelf.served.items())])

    async def _model(self, _request: Request, name: str) -> Response:
        one = self._served(name)
        return _json(one.about() | {"fields": one.fields()})

    async def _predict(self, request: Request, name: str) -> Response:
        one = self._served(name)
        given = await _body(request)
        forecast = one.spec.task is Task.FORECAST
        if forecast and given != {}:
            raise Refused(422, f'learner "{name}" forecasts: it looks at no record', "send {}")
        records = _records(given)
        readings = [read_features(record, one.kinds, row) for row, record in enumerate(records)]
        if problems := [problem for reading in readings for problem in reading.problems]:
            raise Refused(422, _told(problems), f"GET /models/{name} has the fields and their kinds", problems)
        predictions: list[dict[str, Any]] = []
        for row, reading in enumerate(readings):
            if row and row % _TURN == 0:
                await lowlevel.checkpoint()
            predictions += one.answer(reading.features)
        emit(PredictionsAnswered(learner=name, count=len(predictions)))
        return _json(one.head() | {"predictions": predictions})

    def _served(self, name: str) -> Any:
        shelf = self._rack.shelf
        if name in shelf.served:
            return shelf.served[name]
        if name in shelf.declared:
            cause = shelf.problems.get(name) or "it has no snapshot yet"
            raise Refused(503, f'learner "{name}": {cause}', "headrace learn status", headers=_LATER)
        if not shelf.read_at:
            cause = self._rack.problem or "the snapshots are being read"
            raise Refused(503, f"nothing is served yet: {cause}", "ask again", headers=_LATER)
        names = ", ".join(shelf.names) or "none"
        raise Refused(404, f'there is no learner "{name[:_SHOWN]}"', f"learners: {names}")


async def _body(request: Request) -> Any:
    """Return the body as JSON values."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _JSON:
        raise Refused(415, f'the body is "{media_type or "nothing that is named"}"', f"send Content-Type: {_JSON}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(413, f"the body is larger than {MOST_BYTES:,} bytes", "send fewer records")
    try:
        return json.loads(bytes(body), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}", "send one object of fields, or a list of them") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _records(given: Any) -> list[dict[str, Any]]:
    records = given if isinstance(given, list) else [given]
    if len(records) > MOST_RECORDS:
        raise Refused(413, f"{len(records):,} records at once", f"send {MOST_RECORDS:,} at most")
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            where = f"record {row}" if isinstance(given, list) else "the body"
            raise Refused(422, f"{where} is no object of fields", "send {FIELD: VALUE, ...}, or a list of such")
    return records


def _told(problems: list[Problem]) -> str:
    fields = sorted({problem.field for problem in problems})
    shown = ", ".join(f'"{field[:_SHOWN]}"' for field in fields[:10])
    return f"{len(problems)} values cannot be read, of {shown}" if len(problems) > 1 else f"{shown} cannot be read"


def _problem(problem: Problem) -> dict[str, Any]:
    plain = isinstance(problem.value, (bool, int)) or (isinstance(problem.value, float) and isfinite(problem.value))
    value = problem.value if plain else str(problem.value)[:_SHOWN]
    return problem._asdict() | {"field": problem.field[:_SHOWN], "value": value}


def _refusal(refusal: Refused) -> Response:
    found: dict[str, Any] = {"error": refusal.error}
    found |= {"hint": refusal.hint} if refusal.hint else {}
    if refusal.problems is not None:
        found["problems"] = [_problem(one) for one in refusal.problems[:_MOST_PROBLEMS]]
    return _json(found, refusal.status, refusal.headers)


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(content, status, media_type=_JSON, headers=_HEADERS | dict(headers or {}))
