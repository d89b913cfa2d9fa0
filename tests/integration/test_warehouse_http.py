"""ClickHouse's HTTP interface as curl sees it: paths, headers, statuses, formats, encodings, sessions, inserts."""

import contextlib
import gzip
import socket
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import lz4.frame
import psutil
import pytest
import zstandard

from headrace.core.child import wait_until
from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import Answer, ask, pipeline_user

pytestmark = pytest.mark.stack

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
}
DECOMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "lz4": lz4.frame.decompress,
}


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Settings:
    """A database of these tests' own."""
    assert ask(stack.settings, "CREATE DATABASE IF NOT EXISTS web").status == 200
    return stack.settings


@pytest.fixture
def table(warehouse: Settings) -> str:
    """An empty table web.t (a Int32, b String)."""
    made = ask(warehouse, "CREATE OR REPLACE TABLE web.t (a Int32, b String) ENGINE = MergeTree ORDER BY a")
    assert made.status == 200, made.text
    return "web.t"


def rows(settings: Settings, query: str = "SELECT * FROM web.t ORDER BY a") -> str:
    return ask(settings, query).text


@pytest.mark.parametrize("path", ["/", "/ping", "/replicas_status"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_paths_say_ok_without_a_password(warehouse: Settings, path: str, method: str) -> None:
    found = ask(warehouse, method=method, path=path, headers={"X-ClickHouse-User": "nobody"})
    assert (found.status, found.body) == (200, b"Ok.\n" if method == "GET" else b"")
    assert found.headers["content-length"] == "4"


def test_unknown_path_is_404_with_a_hint(warehouse: Settings) -> None:
    found = ask(warehouse, method="GET", path="/nothing")
    assert found.status == 404
    assert "/ping" in found.text


def test_options_names_the_methods_and_allows_no_other_origin(warehouse: Settings) -> None:
    found = ask(warehouse, method="OPTIONS")
    assert (found.status, found.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert "access-control-allow-origin" not in found.headers


def test_headers_are_clickhouses(warehouse: Settings) -> None:
    found = ask(
        warehouse, "SELECT number FROM numbers(1000) WHERE number % 100 = 0 FORMAT JSONEachRow", query_id="mine"
    )
    assert found.status == 200
    assert found.headers["x-clickhouse-query-id"] == "mine"
    assert found.headers["x-clickhouse-format"] == "JSONEachRow"
    assert found.headers["x-clickhouse-timezone"] == "UTC"
    assert found.headers["x-clickhouse-server-display-name"] == "headrace"
    assert found.headers["content-type"] == "application/x-ndjson; charset=UTF-8"
    assert (found.summary["read_rows"], found.summary["result_rows"]) == ("1000", "10")
    assert all(isinstance(value, str) for value in found.summary.values())
    other = ask(warehouse, "SELECT 1")
    assert len(other.headers["x-clickhouse-query-id"]) == 36


def test_format_header_says_if_there_is_a_result_set(warehouse: Settings, table: str) -> None:
    assert ask(warehouse, f"SELECT * FROM {table}").headers["x-clickhouse-format"] == "TabSeparated"
    assert "x-clickhouse-format" not in ask(warehouse, f"TRUNCATE TABLE {table}").headers
    assert "x-clickhouse-format" not in ask(warehouse, f"INSERT INTO {table} VALUES (1, '')").headers


@pytest.mark.parametrize(
    ("statement", "parameters", "headers", "shown"),
    [
        ("SELECT 1 AS a", {}, {}, "TabSeparated"),
        ("SELECT 1 AS a", {"default_format": "CSV"}, {}, "CSV"),
        ("SELECT 1 AS a FORMAT JSON", {"default_format": "CSV"}, {}, "JSON"),
        ("SELECT 1 AS a FORMAT JSON", {}, {"X-ClickHouse-Format": "CSV"}, "CSV"),
        ("SELECT 1 AS a FORMAT JSON SETTINGS max_threads = 1", {}, {"X-ClickHouse-Format": "XML"}, "XML"),
        ("SELECT 1 AS a SETTINGS max_threads = 1 FORMAT Vertical", {}, {}, "Vertical"),
        ("SHOW DATABASES FORMAT JSON", {}, {"X-ClickHouse-Format": "CSV"}, "CSV"),
        ("SHOW DATABASES", {"default_format": "JSON"}, {}, "JSON"),
        ("SELECT 1 AS FORMAT ORDER BY FORMAT ASC", {"default_format": "Values"}, {}, "Values"),
        ("(SELECT 1 AS a) UNION ALL (SELECT 2) FORMAT Pretty", {}, {}, "Pretty"),
    ],
)
def test_format_is_the_headers_the_statements_or_the_default(
    warehouse: Settings, statement: str, parameters: dict[str, Any], headers: dict[str, str], shown: str
) -> None:
    found = ask(warehouse, statement, headers=headers, **parameters)
    assert (found.status, found.headers["x-clickhouse-format"]) == (200, shown), found.text
    expected = ask(warehouse, statement.partition(" FORMAT ")[0] + f" FORMAT {shown}")
    if "ORDER BY" not in statement and "SHOW" not in statement and shown not in {"JSON", "XML", "Pretty"}:
        assert found.body == expected.body


@pytest.mark.parametrize(
    ("statement", "parameters", "status", "code"),
    [
        ("SELECT * FROM nothing", {}, 404, 60),
        ("SELECT nothing", {}, 404, 47),
        ("SELECT nothere()", {}, 404, 46),
        ("SELEC 1", {}, 400, 62),
        ("SELECT 1 FORMAT Nothing", {}, 404, 73),
        ("SELECT toInt8('x')", {}, 400, 6),
        ("SELECT 1", {"database": "nothing"}, 404, 81),
        ("SELECT 1", {"nothing": "1"}, 404, 115),
        ("SELECT 1", {"max_threads": "many"}, 400, 27),
        ("SELECT {a:Int8}", {}, 500, 456),
        ("SELECT {a:Int8}", {"param_a": "x"}, 500, 457),
        ("CREATE TABLE web.n (a Nothingness) ENGINE = Memory", {}, 404, 50),
        ("", {}, 400, 62),
    ],
)
def test_errors_have_clickhouses_code_name_and_status(
    warehouse: Settings, statement: str, parameters: dict[str, Any], status: int, code: int
) -> None:
    found = ask(warehouse, statement, **parameters)
    assert (found.status, found.code) == (status, code), found.text
    assert found.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "(version 26." in found.text
    assert "x-clickhouse-format" not in found.headers


def test_a_late_error_has_its_status_when_the_client_waits_for_the_end(warehouse: Settings) -> None:
    query = "SELECT throwIf(number = 1500000), toString(number) FROM numbers(2000000)"
    waited = ask(warehouse, query, wait_end_of_query="1")
    assert (waited.status, waited.code) == (500, 395)
    with pytest.raises(Exception, match="IncompleteRead"):
        ask(warehouse, query, max_block_size="10000", max_threads="1")


def test_post_without_a_length_is_refused(warehouse: Settings) -> None:
    address = urlsplit(warehouse.warehouse_address())
    with socket.create_connection((address.hostname, address.port or 0)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 411 " in connection.recv(4096)


def test_parameters_are_values_never_text(warehouse: Settings, table: str) -> None:
    assert ask(warehouse, f"INSERT INTO {table} VALUES (1, 'x')").status == 200
    nasty = "x' OR 1=1; DROP TABLE web.t --\\"
    found = ask(
        warehouse, "SELECT {s:String}, count() FROM web.t WHERE b = {s:String}", param_s=nasty.replace("\\", "\\\\")
    )
    assert found.text.split("\t")[1] == "0\n"
    assert ask(warehouse, "SELECT {n:Nullable(Int8)}", param_n="\\N").text == "\\N\n"
    assert ask(warehouse, "SELECT {a:Array(UInt8)}", param_a="[1,2]").text == "[1,2]\n"
    assert ask(warehouse, "SELECT * FROM {d:Identifier}.{t:Identifier}", param_d="web", param_t="t").text == "1\tx\n"
    inserted = ask(warehouse, "INSERT INTO web.{t:Identifier} FORMAT CSV", data=b"2,y\n", param_t="t")
    assert inserted.status == 200, inserted.text


INSERTS: list[tuple[str, bytes | None, str]] = [
    ("INSERT INTO web.t VALUES (1, 'x'), (2, upper('y'))", None, "1\tx\n2\tY\n"),
    ('INSERT INTO web.t (b, a) FORMAT CSV\n"q""r",1\n', None, '1\tq"r\n'),
    ("INSERT INTO web.t FORMAT JSONEachRow", b'{"a":1,"b":"x"}\n{"a":2}', "1\tx\n2\t\n"),
    ("INSERT INTO web.t (a, b) SETTINGS input_format_allow_errors_num = 1 FORMAT TSV", b"1\tx\nbad\n", "1\tx\n"),
    ("INSERT INTO web.t FORMAT RowBinary", b"\x0a\x00\x00\x00\x01\n", "10\t\\n\n"),
    ("INSERT INTO web.t FORMAT RowBinary", b"\x20\x00\x00\x00\x01 ", "32\t \n"),
    ("INSERT INTO web.t SELECT number, 'n' FROM numbers(2)", None, "0\tn\n1\tn\n"),
    ("INSERT INTO web.t VALUES", b"(1,'a'),\n(2,'b');", "1\ta\n2\tb\n"),
    ("INSERT INTO web.t FORMAT CSV", b"", ""),
]


@pytest.mark.parametrize(("statement", "data", "stored"), INSERTS)
def test_insert_takes_data_in_the_statement_or_in_the_body(
    warehouse: Settings, table: str, statement: str, data: bytes | None, stored: str
) -> None:
    found = ask(warehouse, statement, data=data)
    assert found.status == 200, found.text
    assert rows(warehouse) == stored
    assert found.summary["written_rows"] == str(stored.count("\n"))


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_bodies_may_be_compressed_both_ways(warehouse: Settings, table: str, encoding: str) -> None:
    data = b"".join(b"%d\trow %d\n" % (number, number) for number in range(50_000))
    headers = {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    sent = ask(warehouse, f"INSERT INTO {table} FORMAT TSV", data=COMPRESSORS[encoding](data), headers=headers)
    assert (sent.status, sent.summary["written_rows"]) == (200, "50000"), sent.text
    for query in (f"SELECT * FROM {table} ORDER BY a", f"SELECT * FROM {table} WHERE a < 3 ORDER BY a"):
        plain = ask(warehouse, query, headers={"Accept-Encoding": encoding})
        assert "content-encoding" not in plain.headers
        packed = ask(warehouse, query, headers={"Accept-Encoding": encoding}, enable_http_compression="1")
        assert packed.headers["content-encoding"] == encoding
        assert DECOMPRESSORS[encoding](packed.body) == plain.body
    statement = COMPRESSORS[encoding](b"SELECT 42")
    assert ask(warehouse, method="POST", data=statement, headers={"Content-Encoding": encoding}).text == "42\n"


def test_broken_compression_stores_nothing(warehouse: Settings, table: str) -> None:
    data = gzip.compress(b"1\tx\n" * 100_000)[:-10]
    cut = ask(warehouse, f"INSERT INTO {table} FORMAT TSV", data=data, headers={"Content-Encoding": "gzip"})
    assert (cut.status, cut.code) == (500, 271)
    unknown = ask(warehouse, f"INSERT INTO {table} FORMAT TSV", data=b"x", headers={"Content-Encoding": "br"})
    assert (unknown.status, unknown.code) == (500, 89)
    assert rows(warehouse) == ""


def test_insert_of_bad_data_stores_nothing_and_says_where(warehouse: Settings, table: str) -> None:
    found = ask(warehouse, f"INSERT INTO {table} FORMAT CSV", data=b"1,x\n" * 50_000 + b"bad,y\n")
    assert (found.status, found.code) == (400, 27)
    assert "50001" in found.text
    assert rows(warehouse) == ""


def test_insert_that_fails_in_its_last_step_is_refused(warehouse: Settings, table: str) -> None:
    """The engine's streaming INSERT says that such rows are written."""
    added = ask(warehouse, f"ALTER TABLE {table} ADD CONSTRAINT small CHECK a < 5")
    assert added.status == 200, added.text
    found = ask(warehouse, f"INSERT INTO {table} FORMAT TSV", data=b"10\tx\n")
    assert found.code == 469, found.text
    assert "small" in found.text
    assert rows(warehouse) == ""


def test_insert_of_a_client_that_leaves_is_cancelled(warehouse: Settings, table: str) -> None:
    address = urlsplit(warehouse.warehouse_address())
    with socket.create_connection((address.hostname, address.port or 0)) as connection:
        head = f"POST /?query=INSERT+INTO+{table}+FORMAT+TSV HTTP/1.1\r\nHost: localhost\r\n"
        head += "Content-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode() + b"1\tx\n" * 1000)
    processes = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO web.t%'"
    assert wait_until(lambda: rows(warehouse, processes) == "0\n", 10)
    assert rows(warehouse) == ""


def test_block_of_an_insert_is_one_part_and_a_used_token_stores_nothing(warehouse: Settings) -> None:
    own = pipeline_user(warehouse)
    made = ask(
        warehouse,
        "CREATE OR REPLACE TABLE headrace.web_blocks (a UInt64, b String) ENGINE = MergeTree ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 10000",
        headers=own,
    )
    assert made.status == 200, made.text
    data = b"".join(b"%d\t%s\n" % (number, b"x" * 40) for number in range(100_000))
    settings: dict[str, Any] = {
        "async_insert": 0,
        "max_insert_threads": 1,
        "max_insert_block_size": 1_000_000_000,
        "min_insert_block_size_rows": 1_000_000_000,
        "min_insert_block_size_bytes": 1_000_000_000_000,
    }
    insert = "INSERT INTO headrace.web_blocks FORMAT TSV"
    for token in ("one", "one", "two", "one"):
        found = ask(warehouse, insert, data=data, headers=own, insert_deduplication_token=token, **settings)
        assert found.status == 200, found.text
    assert rows(warehouse, "SELECT count(), uniqExact(a) FROM headrace.web_blocks") == "200000\t100000\n"
    parts = (
        "SELECT countIf(level = 0), max(rows) FROM system.parts WHERE database = 'headrace' AND table = 'web_blocks'"
    )
    written = rows(warehouse, parts + " AND (active OR level = 0)")
    assert written == "2\t100000\n"
    small = ask(warehouse, insert, data=data, headers=own, insert_deduplication_token="three", max_insert_block_size=9)
    assert small.status == 200
    assert ask(warehouse, "DROP TABLE headrace.web_blocks", headers=own).status == 200


def session(settings: Settings, statement: str, name: str, **parameters: Any) -> Answer:
    return ask(settings, statement, session_id=name, **parameters)


def test_session_keeps_temporary_tables_settings_and_database(warehouse: Settings) -> None:
    assert session(warehouse, "CREATE TEMPORARY TABLE mine (a Int8)", "web-1").status == 200
    assert session(warehouse, "INSERT INTO mine VALUES (7)", "web-1").status == 200
    assert session(warehouse, "SET max_threads = 1", "web-1").status == 200
    assert session(warehouse, "USE web", "web-1").status == 200
    asked = "SELECT a, getSetting('max_threads'), currentDatabase() FROM mine"
    assert session(warehouse, asked, "web-1").text == "7\t1\tweb\n"
    assert session(warehouse, asked, "web-1", session_check="1").status == 200
    assert session(warehouse, "SELECT * FROM mine", "web-2").code == 60
    assert ask(warehouse, "SELECT * FROM mine").code == 60
    assert session(warehouse, "SELECT 1", "web-1", close_session="1").status == 200
    assert session(warehouse, "SELECT 1", "web-1", session_check="1").code == 372


def test_setting_of_one_request_does_not_stay_in_its_session(warehouse: Settings) -> None:
    shown = "SELECT getSetting('max_block_size'), getSetting('max_threads')"
    before = session(warehouse, shown, "web-3").text
    assert session(warehouse, "SET max_block_size = 1000", "web-3").status == 200
    during = session(warehouse, shown, "web-3", max_block_size="2000", max_threads="1")
    assert during.text == "2000\t1\n"
    assert session(warehouse, shown, "web-3").text == f"1000\t{before.split()[1]}\n"


def test_readonly_request_leaves_its_session_as_it_was(warehouse: Settings) -> None:
    assert session(warehouse, "SELECT 1", "web-4").status == 200
    assert ask(warehouse, "SELECT 2", method="GET", session_id="web-4").text == "2\n"
    assert ask(warehouse, "CREATE TEMPORARY TABLE x (a Int8)", method="GET", session_id="web-4").code == 164
    assert session(warehouse, "CREATE TEMPORARY TABLE x (a Int8)", "web-4").status == 200


def test_session_is_locked_while_it_is_used(warehouse: Settings) -> None:
    with endless(warehouse, "session_id=web-5") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        # The answer has begun and has no end: the session stays in use until this client leaves.
        assert session(warehouse, "SELECT 1", "web-5").code == 373
    assert wait_until(lambda: session(warehouse, "SELECT 1", "web-5").text == "1\n", 10)


def endless(warehouse: Settings, more: str = "") -> socket.socket:
    """Ask for an answer that has no end, and return the connection: the query runs until it is closed."""
    address = urlsplit(warehouse.warehouse_address())
    connection = socket.create_connection((address.hostname, address.port or 0))
    request = f"GET /?query=SELECT+number+FROM+system.numbers&{more} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connection.sendall(request.encode())
    return connection


@pytest.mark.parametrize("timeout", ["0", "-1", "4000", "soon"])
def test_session_timeout_is_bounded(warehouse: Settings, timeout: str) -> None:
    assert session(warehouse, "SELECT 1", "web-6", session_timeout=timeout).code == 374


def test_queries_run_in_parallel(warehouse: Settings) -> None:
    with contextlib.ExitStack() as open_ones:
        connections = [open_ones.enter_context(endless(warehouse)) for _ in range(12)]
        # None of them ends, so all have begun only if all run at once.
        begun = [connection.recv(4096) for connection in connections]
    assert all(head.startswith(b"HTTP/1.1 200") for head in begun)


def test_short_requests_of_the_pipeline_do_not_wait_for_long_ones_of_clients(warehouse: Settings) -> None:
    with contextlib.ExitStack() as open_ones:
        # More than may run at once: some of them wait for those that never end.
        connections = [open_ones.enter_context(endless(warehouse)) for _ in range(40)]
        assert connections[0].recv(4096).startswith(b"HTTP/1.1 200")
        assert ask(warehouse, "SELECT 1", headers=pipeline_user(warehouse)).text == "1\n"
    # Clients left while their queries ran, or waited to run: none goes on, and none writes its result to the disk.
    running = (
        "SELECT count() FROM system.processes WHERE query LIKE '%system.numbers%' AND query NOT LIKE '%processes%'"
    )
    assert wait_until(lambda: ask(warehouse, running).text == "0\n", 60, every_secs=0.5)
    # The pipe of an answer goes after its last byte, that of the question above too; a file of its name would stay.
    assert wait_until(lambda: not list(warehouse.paths().warehouse.rglob("*.pipe")), 10)


@pytest.mark.parametrize("output", ["JSON", "Native", "CSVWithNames", "ArrowStream", "TabSeparatedWithNamesAndTypes"])
def test_large_result_is_streamed_in_bounded_memory(stack: EmbeddedStack, warehouse: Settings, output: str) -> None:
    process = psutil.Process(stack.children["warehouse"].pid)
    address = urlsplit(warehouse.warehouse_address())
    query = f"SELECT+number,+repeat('x',+100)+AS+s+FROM+numbers(2000000)+FORMAT+{output}"
    length, highest = 0, 0
    with socket.create_connection((address.hostname, address.port or 0)) as connection:
        connection.sendall(f"GET /?query={query} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        first = connection.recv(65536)
        before = process.memory_info().rss
        while chunk := connection.recv(1 << 20):
            length += len(chunk)
            highest = max(highest, process.memory_info().rss)
    assert first.startswith(b"HTTP/1.1 200")
    assert length > 10_000_000  # Arrow comes compressed
    assert highest - before < 100_000_000


def test_query_of_a_client_that_leaves_is_stopped(warehouse: Settings) -> None:
    address = urlsplit(warehouse.warehouse_address())
    with socket.create_connection((address.hostname, address.port or 0)) as connection:
        query = "SELECT+number,+'leaving'+FROM+system.numbers"
        connection.sendall(f"GET /?query={query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    running = "SELECT countIf(query NOT LIKE '%LIKE%') FROM system.processes WHERE query LIKE '%''leaving''%'"
    assert wait_until(lambda: rows(warehouse, running) == "0\n", 10)
