"""Who may ask at all: no web page through a browser, nobody without the password where one is set."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.core.hosts import from_here, names_of
from headrace.embedded.access import basic_credentials, same_password
from headrace.embedded.registry.app import refused
from headrace.embedded.registry.refusals import Refusal
from headrace.embedded.registry.requests import MEDIA_TYPES
from headrace.settings import LOOPBACK

USER = "headrace"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="headrace"'}


@dataclass(frozen=True)
class Fence:
    """An ASGI middleware. A name that a stranger's DNS points at us (rebinding) and foreign origins get 403.

    `names` is what a client may call the registry; empty: anything.
    """

    app: ASGIApp
    password: str = ""
    names: frozenset[str] = names_of(LOOPBACK)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 403 or 401."""
        if not from_here(scope["headers"], self.names):
            response = refused(Refusal(403, 403, "HTTP 403 Forbidden"), MEDIA_TYPES[0])
        elif self.password and not self._known(Headers(scope=scope).get("authorization", "")):
            response = refused(Refusal(401, 401, "HTTP 401 Unauthorized"), MEDIA_TYPES[0], _CHALLENGE)
        else:
            await self.app(scope, receive, send)
            return
        await response(scope, receive, send)

    def _known(self, authorization: str) -> bool:
        user, password = basic_credentials(authorization) or ("", "")
        return user == USER and same_password(password, self.password)
