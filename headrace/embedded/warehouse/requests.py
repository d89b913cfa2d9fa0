"""One HTTP request as ClickHouse understands it: who asks, what, with which settings, parameters and encodings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl

from headrace.embedded.access import basic_credentials
from headrace.embedded.warehouse.faults import AUTHENTICATION_FAILED, BAD_ARGUMENTS, NOT_IMPLEMENTED, Fault

# Parameters that are the HTTP interface's own; every other one is a setting of the engine.
_RESERVED = frozenset(
    {
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "query_id",
        "role",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "wait_end_of_query",
        "compress",
        "decompress",
        "readonly",
        "enable_http_compression",
        "http_wait_end_of_query",
        "http_write_exception_in_output_format",
        "http_x_clickhouse_format_overrides_output_format",
        "client_protocol_version",
    }
)
# From this revision on a block says of each column how it is serialised, and a client that asks for it reads no other.
_CUSTOM_SERIALISATION: Final = 54_454
# What a server's HTTP interface reads and this one takes without following it, and why no answer changes by that.
PASSED_OVER: Final = {
    "add_http_cors_header": "other origins are refused, whatever a request says",
    "buffer_size": "the first megabyte of every answer is held back",
    "cancel_http_readonly_queries_on_client_close": "the query of a client that leaves is always stopped",
    "http_headers_progress_interval_ms": "there are no progress headers",
    "http_response_buffer_size": "the first megabyte of every answer is held back",
    "http_zlib_compression_level": "the level is fixed",
    "quota_key": "there are no quotas",
    "send_progress_in_http_headers": "there are no progress headers",
    "stacktrace": "errors have no stack traces",
}
# Settings that this interface reads before there is a statement: in one they would come too late.
WIRE_SETTINGS: Final = frozenset(
    {
        "default_format",
        "enable_http_compression",
        "http_wait_end_of_query",
        "http_write_exception_in_output_format",
        "http_x_clickhouse_format_overrides_output_format",
        *(name for name in PASSED_OVER if "http" in name),
    }
)
# How a client names the user, in HTTP's headers and in the URL.
_HEADER_AUTH, _BASIC_AUTH, _URL_AUTH = "header", "basic", "url"


@dataclass(frozen=True)
class HttpQuery:
    """What the URL and the headers say."""

    method: str
    path: str
    headers: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[tuple[str, str], ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """The query of the URL; it may be empty, whole, or the beginning of what the body goes on with."""
        return self.options.get("query", "")

    @property
    def database(self) -> str:
        """The database that unqualified names are in; empty: the default."""
        return self.headers.get("x-clickhouse-database") or self.options.get("database", "")

    @property
    def greets(self) -> bool:
        """Whether it only asks if somebody is there."""
        return self.path == "/" and not self.query and self.method in {"GET", "HEAD"}

    @property
    def readonly(self) -> bool:
        """Whether nothing may be changed: every method but POST, and clients that ask for it."""
        return self.method != "POST" or self.options.get("readonly", "0") != "0"

    @property
    def whole_answer_first(self) -> bool:
        """Whether the answer's head waits for its end, so that a late error still gets its status."""
        return self.flag("wait_end_of_query") or self.flag("http_wait_end_of_query")

    @property
    def compressed(self) -> bool:
        """Whether the client allows an HTTP-compressed answer."""
        return self.flag("enable_http_compression")

    def formats(self, named: str, default: str) -> list[str]:
        """Return the output formats that are wished for, the strongest first; `named` is the statement's, or empty.

        The header beats the statement, unless the client asks for the order of servers before 26.8.
        """
        header = self.headers.get("x-clickhouse-format", "")
        first = (
            [header, named] if self.flag("http_x_clickhouse_format_overrides_output_format", "1") else [named, header]
        )
        return [one for one in (*first, self.options.get("default_format", ""), default) if one]

    def flag(self, name: str, default: str = "0") -> bool:
        """Return an option that is 1 or 0."""
        return self.options.get(name, default).lower() not in {"0", "", "false"}

    def credentials(self) -> tuple[str, str]:
        """Return user and password. Only one way to tell them may be used in a request."""
        ways = {}
        if "x-clickhouse-user" in self.headers or "x-clickhouse-key" in self.headers:
            ways[_HEADER_AUTH] = (
                self.headers.get("x-clickhouse-user", "default"),
                self.headers.get("x-clickhouse-key", ""),
            )
        if "authorization" in self.headers:
            ways[_BASIC_AUTH] = _basic(self.headers["authorization"])
        if "user" in self.options or "password" in self.options:
            ways[_URL_AUTH] = (self.options.get("user", "default"), self.options.get("password", ""))
        if len(ways) > 1:
            raise Fault(AUTHENTICATION_FAILED, "Invalid authentication: it is not allowed to use two ways at once")
        return next(iter(ways.values()), ("default", ""))


def read_query(method: str, path: str, query_string: bytes, headers: Iterable[tuple[bytes, bytes]]) -> HttpQuery:
    """Return the request that a URL and its headers make.

    >>> query = read_query("GET", "/", b"query=SELECT+1&max_threads=2&param_a=x", [(b"Host", b"h")])
    >>> query.query, query.settings, query.parameters
    ('SELECT 1', (('max_threads', '2'),), {'a': 'x'})
    """
    options: dict[str, str] = {}
    settings: list[tuple[str, str]] = []
    parameters: dict[str, str] = {}
    pairs = parse_qsl(
        query_string.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="surrogateescape"
    )
    for name, value in pairs:
        if name == "query":
            options["query"] = options.get("query", "") + value
        elif name in _RESERVED:
            options[name] = value
        elif name.startswith("param_"):
            parameters[name.removeprefix("param_")] = value
        elif name and name not in PASSED_OVER:
            settings.append((name, value))
    lowered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return HttpQuery(method, path, lowered, options, tuple(settings), parameters)


def add_fields(query: HttpQuery, fields: Mapping[str, str]) -> HttpQuery:
    """Return a request with the fields `query` and `param_*` of its form, as if they stood at the end of its URL.

    A parameter that the URL has too is the Fault 36: nobody could say which of the two was meant.
    """
    parameters = {name.removeprefix("param_"): value for name, value in fields.items() if name != "query"}
    for name in parameters.keys() & query.parameters.keys():
        raise Fault(BAD_ARGUMENTS, f"The parameter '{name}' is in the URL and in the form")
    options = {**query.options, "query": query.query + fields.get("query", "")}
    return replace(query, options=options, parameters={**query.parameters, **parameters})


def refuse_unsupported(query: HttpQuery) -> None:
    """Say at once what this interface does not have; nothing is ignored in silence that would change an answer."""
    given = {"database": query.database} | dict(query.settings)
    for name, value in (given | {f"param_{name}": value for name, value in query.parameters.items()}).items():
        if not _text(name) or not _text(value):
            raise Fault(BAD_ARGUMENTS, f"{name.encode(errors='replace').decode()} is not UTF-8")
    if query.flag("compress") or query.flag("decompress"):
        raise Fault(
            NOT_IMPLEMENTED,
            "compress=1 and decompress=1 (ClickHouse's own block compression) are not supported here: "
            "use Content-Encoding, and Accept-Encoding with enable_http_compression=1",
        )
    if (revision := query.options.get("client_protocol_version", "0")).isdecimal() and int(
        revision
    ) >= _CUSTOM_SERIALISATION:
        raise Fault(
            NOT_IMPLEMENTED,
            f"client_protocol_version={revision} is not supported here: Native is of revision 0. "
            "clickhouse-go needs a ClickHouse server; clickhouse-connect, or any other format, can be used",
        )
    if "role" in query.options:
        raise Fault(NOT_IMPLEMENTED, "roles are not supported here")
    if query.flag("http_write_exception_in_output_format"):
        raise Fault(
            NOT_IMPLEMENTED,
            "http_write_exception_in_output_format=1 is not supported here: an error is plain text with its status, "
            "also a late one with wait_end_of_query=1",
        )
    if query.headers.get("x-clickhouse-ssl-certificate-auth", "off").lower() not in {"off", ""}:
        raise Fault(AUTHENTICATION_FAILED, "Invalid authentication: certificates are not supported here")


def _text(value: str) -> bool:
    """Return whether a value was UTF-8: other bytes have become surrogates."""
    return not any("\ud800" <= sign <= "\udfff" for sign in value)


def _basic(header: str) -> tuple[str, str]:
    found = basic_credentials(header)
    if found is None:
        raise Fault(AUTHENTICATION_FAILED, "Invalid authentication: only the Basic scheme is supported")
    return found[0] or "default", found[1]
