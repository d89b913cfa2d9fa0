"""Who may come in: users, passwords, and the Host and Origin headers of browsers."""

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from headrace.core.files import write_atomically
from headrace.embedded.warehouse.engine import Role
from headrace.embedded.warehouse.faults import AUTHENTICATION_FAILED, Fault
from headrace.embedded.warehouse.requests import HttpQuery
from headrace.errors import WrongUse
from headrace.settings import PIPELINE_USER

READER_USER = "default"


@dataclass(frozen=True)
class User:
    """Who asks, and the most that a handle of theirs may do."""

    name: str
    role: Role


@dataclass(frozen=True)
class Doorkeeper:
    """The passwords of the two users and the names this service answers to."""

    default_password: str
    pipeline_password: str
    hosts: frozenset[str]

    def identify(self, query: HttpQuery) -> User:
        """Return the user of a request, or raise the Fault 516 that tells nothing about which part was wrong."""
        name, password = query.credentials()
        expected = {READER_USER: self.default_password, PIPELINE_USER: self.pipeline_password}.get(name)
        if expected is None or not hmac.compare_digest(password.encode(), expected.encode()):
            raise Fault(
                AUTHENTICATION_FAILED,
                f"{name}: Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return User(name, Role.PIPELINE if name == PIPELINE_USER else Role.WRITER)

    def admits_page(self, headers: Mapping[str, str]) -> bool:
        """Return whether Host names this service and Origin, if a browser sent one, is this service itself.

        Without it any web page could have its visitor's browser query us (DNS rebinding, cross-site requests).
        """
        host = headers.get("host", "")
        if self.hosts and _host_name(host) not in self.hosts:
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == host


def hosts_of(bind_host: str) -> frozenset[str]:
    """Return the names a client may call this service by; empty: any, which only a wildcard address has."""
    if bind_host in {"0.0.0.0", "::"}:  # noqa: S104 - a comparison; main refuses such an address without passwords
        return frozenset()
    return frozenset({"localhost", "127.0.0.1", "::1", bind_host.lower()})


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("db.example")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def pipeline_password(path: Path) -> str:
    """Return the pipeline's password; the first start makes a random one, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(32).encode(), mode=0o600)
    password = path.read_text().strip()
    if not password:
        raise WrongUse(f"the password file {path} is empty", hint="delete it; the next start makes a new one")
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return password


def _host_name(host: str) -> str:
    """Return the host of a Host header without its port.

    >>> _host_name("127.0.0.1:8123"), _host_name("[::1]:8123"), _host_name("localhost")
    ('127.0.0.1', '::1', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
