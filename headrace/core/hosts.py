"""Who may ask an HTTP service of this machine: the Host and Origin headers of browsers."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit


def names_of(bind_host: str) -> frozenset[str]:
    """Return the names a client may call a service by; empty: any, which only a wildcard address has."""
    if bind_host in {"0.0.0.0", "::"}:  # noqa: S104 - a comparison; no service listens there without a password
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


def from_here(headers: Iterable[tuple[bytes, bytes]], names: frozenset[str]) -> bool:
    """Return whether Host, told once, is one of the names and Origin, if a browser sent one, is this service itself.

    Without it any web page could have its visitor's browser ask us (DNS rebinding, cross-site requests).
    """
    hosts, origins = [], []
    for name, value in headers:
        if name.lower() == b"host":
            hosts.append(value.decode("latin-1"))
        elif name.lower() == b"origin":
            origins.append(value.decode("latin-1"))
    if len(hosts) != 1 or (names and _host_name(hosts[0]) not in names):
        return False
    return all(origin.partition("://")[2] == hosts[0] for origin in origins)


def _host_name(host: str) -> str:
    """Return the host of a Host header without its port, "" where it has none.

    >>> _host_name("127.0.0.1:8123"), _host_name("[::1]:8123"), _host_name("localhost"), _host_name("[")
    ('127.0.0.1', '::1', 'localhost', '')
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
