"""Who may ask at all: no web page through a browser, nobody without the password where one is set."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.embedded.registry.app import refused
from headrace.embedded.registry.refusals import Refusal
from headrace.embedded.registry.requests import MEDIA_TYPES

USER = "headrace"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="headrace"'}


@dataclass(frozen=True)
class Fence:
    """An ASGI middleware. A name that a stranger's DNS points at us (rebinding) and foreign origins get 403.

    `any_host` is for an address beyond loopback: there the password protects.
    """

    app: ASGIApp
    password: str = ""
    any_host: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 403 or 401."""
        headers = Headers(scope=scope)
        if not self._from_here(headers):
            response = refused(Refusal(403, 403, "HTTP 403 Forbidden"), MEDIA_TYPES[0])
        elif self.password and not self._known(headers.get("authorization", "")):
            response = refused(Refusal(401, 401, "HTTP 401 Unauthorized"), MEDIA_TYPES[0], _CHALLENGE)
        else:
            await self.app(scope, receive, send)
            return
        await response(scope, receive, send)

    def _from_here(self, headers: Headers) -> bool:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or (not self.any_host and _name(hosts[0]) not in LOOPBACK_NAMES):
            return False
        return all(origin.partition("://")[2] == hosts[0] for origin in origins)

    def _known(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            found = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(found, f"{USER}:{self.password}".encode())


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
