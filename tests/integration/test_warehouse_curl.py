"""The warehouse answers curl: each request here is the bytes that curl 7.88 sends for the command above it."""

import base64
import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest
import zstandard

from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import ask

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Settings:
    """A table of these tests' own, curled.t."""
    for statement in (
        "CREATE DATABASE IF NOT EXISTS curled",
        "CREATE OR REPLACE TABLE curled.t (a Int32, b String) ENGINE = MergeTree ORDER BY a",
    ):
        assert ask(stack.settings, statement).status == 200
    return stack.settings


def curl(
    settings: Settings, target: str, data: bytes | None = None, *, method: str = "", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send what curl sends; as curl does it, wait for 100 Continue before a body that was announced with Expect."""
    address = urlsplit(settings.warehouse_address())
    lines = [f"{method or ('GET' if data is None else 'POST')} {target} HTTP/1.1", f"Host: {address.netloc}"]
    if authorization := headers.pop("authorization", ""):
        lines.append(f"Authorization: {authorization}")
    lines += ["User-Agent: curl/7.88.1", "Accept: */*"]
    if data is not None:
        lines += [f"Content-Length: {len(data)}", "Content-Type: application/x-www-form-urlencoded"]
    if "content_type" in headers:
        lines.pop()
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    with socket.create_connection((address.hostname, address.port or 0), timeout=60) as connection:
        if "expect" in headers:
            connection.sendall(head)
            assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(data or b"")
        else:
            connection.sendall(head + (data or b""))
        with http.client.HTTPResponse(connection, method=lines[0].split()[0]) as response:
            response.begin()
            return response, response.read()


def test_curl_of_a_path_and_of_a_query(warehouse: Settings) -> None:
    # curl http://127.0.0.1:8123/ping
    assert curl(warehouse, "/ping")[1] == b"Ok.\n"
    # curl 'http://127.0.0.1:8123/?query=SELECT%201'
    assert curl(warehouse, "/?query=SELECT%201")[1] == b"1\n"


def test_curl_with_data_is_a_statement(warehouse: Settings) -> None:
    # curl http://127.0.0.1:8123 -d 'SELECT 1 AS a FORMAT JSONEachRow'
    assert curl(warehouse, "/", b"SELECT 1 AS a FORMAT JSONEachRow")[1] == b'{"a":1}\n'
    assert b"Code: 60." in curl(warehouse, "/", b"SELECT * FROM nothing")[1]
    shown = json.loads(curl(warehouse, "/", b"SHOW TABLES FROM curled FORMAT JSON")[1])
    assert shown["rows"] == 1


def test_curl_of_a_large_file_waits_for_100_continue(warehouse: Settings) -> None:
    # curl 'http://127.0.0.1:8123/?query=INSERT%20INTO%20curled.t%20FORMAT%20CSV' --data-binary @rows.csv
    large = b"".join(b"%d,%s\n" % (number, b"y" * 60) for number in range(50_000))
    assert len(large) > 2**20
    target = "/?query=INSERT%20INTO%20curled.t%20FORMAT%20CSV"
    response, body = curl(warehouse, target, large, expect="100-continue")
    assert (response.status, body) == (200, b"")
    assert curl(warehouse, "/", b"SELECT count(), any(length(b)) FROM curled.t WHERE a < 50000")[1] == b"50000\t60\n"


def test_curl_compressed_gets_an_encoding_it_offered(warehouse: Settings) -> None:
    # curl --compressed 'http://127.0.0.1:8123/?enable_http_compression=1&query=SELECT%202'
    target = "/?enable_http_compression=1&query=SELECT%202"
    response, body = curl(warehouse, target, accept_encoding="deflate, gzip, br, zstd")
    assert response.headers["Content-Encoding"] == "zstd"
    assert zstandard.ZstdDecompressor().decompressobj().decompress(body) == b"2\n"


def test_curl_head_and_user(warehouse: Settings) -> None:
    # curl -I 'http://127.0.0.1:8123/?query=SELECT%201'
    response, body = curl(warehouse, "/?query=SELECT%201", method="HEAD")
    assert (response.version, response.status, body) == (11, 200, b"")
    # curl -u pipeline:PASSWORD http://127.0.0.1:8123 -d 'SELECT 3'
    password = warehouse.paths().pipeline_password_file.read_text()
    known = "Basic " + base64.b64encode(f"pipeline:{password}".encode()).decode()
    assert curl(warehouse, "/", b"SELECT 3", authorization=known)[1] == b"3\n"


def curl_form(**fields: str) -> tuple[bytes, str]:
    """Return the body that curl makes of -F options, and its type."""
    boundary = "------------------------d74496d66958873e"
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return f"{''.join(parts)}--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_curl_of_a_form(warehouse: Settings) -> None:
    # curl -F 'query=SELECT {a:Int32}, {s:String}' -F param_a=3 -F "param_s=it's" 'http://127.0.0.1:8123/'
    data, kind = curl_form(query="SELECT {a:Int32}, {s:String}", param_a="3", param_s="it's")
    response, body = curl(warehouse, "/", data, content_type=kind)
    assert (response.status, body) == (200, b"3\tit\\'s\n")
    # curl -F param_a=3 'http://127.0.0.1:8123/?query=SELECT%20%7Ba:Int32%7D'
    data, kind = curl_form(param_a="3")
    assert curl(warehouse, "/?query=SELECT%20%7Ba:Int32%7D", data, content_type=kind)[1] == b"3\n"
    # curl -F "query=INSERT INTO curled.t VALUES (410000, 'form')" 'http://127.0.0.1:8123/'
    data, kind = curl_form(query="INSERT INTO curled.t VALUES (410000, 'form')")
    assert curl(warehouse, "/", data, content_type=kind)[0].status == 200
    assert ask(warehouse, "SELECT b FROM curled.t WHERE a = 410000").text == "form\n"


def test_fence_holds_for_a_form_as_for_a_url(warehouse: Settings) -> None:
    path = "/etc/hostname"
    for statement, value in (
        ("SELECT * FROM {t:Identifier}", path),
        ("SELECT * FROM {t:Identifier}", "x\\nFunction lower"),
        ("SELECT file({t:String})", path),
        ("SELECT * FROM file({t:String})", path),
        ("SELECT {t:Int32}", "1; SELECT file('/etc/hostname')"),
        ("SELECT {t:Int32}", "file('/etc/hostname')"),
        ("SELECT 1; SELECT file({t:String})", path),
    ):
        data, kind = curl_form(query=statement, param_t=value)
        formed, body = curl(warehouse, "/", data, content_type=kind)
        by_url = ask(warehouse, statement, param_t=value)
        assert formed.status == by_url.status >= 400, statement
        assert formed.headers["X-ClickHouse-Exception-Code"] == str(by_url.code)
        assert body == by_url.body


@pytest.mark.parametrize("name", ["max_threads", "readonly", "user", "e_structure"])
def test_form_has_nothing_but_query_and_parameters(warehouse: Settings, name: str) -> None:
    data, kind = curl_form(query="SELECT 1", **{name: "1"})
    response, body = curl(warehouse, "/", data, content_type=kind)
    assert response.status == 501
    assert f"the part '{name}'".encode() in body
