"""clickhouse-connect, unmodified, sees a ClickHouse server."""

import asyncio
import datetime
import decimal
import io
import ipaddress
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from clickhouse_connect.driver.external import ExternalData

from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack

pytestmark = pytest.mark.stack

NOON = datetime.datetime(2013, 1, 1, 12, 0, 0, 123456)  # noqa: DTZ001 - what a DateTime64 without a zone gives
ROWS: list[list[Any]] = [
    [1, "x", 1.5, NOON, ["a", "b"], None],
    [2, "größer\t\n'", -0.25, NOON, [], uuid.UUID(int=7)],
]
COLUMNS = ["a", "b", "c", "d", "e", "f"]


def connect(settings: Settings, **options: Any) -> Client:
    address = urlsplit(settings.warehouse_address())
    return clickhouse_connect.get_client(host=address.hostname, port=address.port, **options)


@pytest.fixture(scope="module")
def settings(stack: EmbeddedStack) -> Settings:
    """The running warehouse, with a database of these tests' own."""
    client = connect(stack.settings)
    client.command("CREATE DATABASE IF NOT EXISTS clients")
    client.close()
    return stack.settings


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[Client]:
    """A client of user default."""
    client = connect(settings)
    yield client
    client.close()


@pytest.fixture
def table(client: Client) -> str:
    client.command(
        "CREATE OR REPLACE TABLE clients.t (a UInt32, b LowCardinality(String), c Float64, d DateTime64(6), "
        "e Array(String), f Nullable(UUID)) ENGINE = MergeTree ORDER BY a"
    )
    return "clients.t"


def test_client_sees_a_server(client: Client) -> None:
    assert str(client.server_version).startswith("26.")
    assert str(client.server_tz) == "UTC"
    assert client.ping()
    assert client.command("SELECT 1 + 1") == 2
    assert "max_threads" in client.server_settings


def test_client_inserts_and_queries_every_type_it_sent(client: Client, table: str) -> None:
    summary = client.insert(table, ROWS, column_names=COLUMNS)
    assert summary.written_rows == 2
    found = client.query(f"SELECT * FROM {table} ORDER BY a")
    assert [list(row) for row in found.result_rows] == ROWS
    assert found.column_names == tuple(COLUMNS)
    assert int(found.summary["read_rows"]) == 2


@pytest.mark.parametrize("compression", [True, False, "lz4", "zstd", "gzip"])
def test_client_compresses_as_it_likes(settings: Settings, compression: Any) -> None:
    client = connect(settings, compress=compression)
    try:
        client.command("CREATE OR REPLACE TABLE clients.z (a UInt64, b String) ENGINE = Memory")
        client.insert("clients.z", [[number, "x" * 50] for number in range(20_000)], column_names=["a", "b"])
        found = client.query("SELECT sum(a), count(), any(b) FROM clients.z").first_row
        assert found == (199_990_000, 20_000, "x" * 50)
        assert len(client.query("SELECT * FROM clients.z").result_rows) == 20_000
    finally:
        client.close()


def test_client_reads_frames_and_arrow(client: Client, table: str) -> None:
    client.insert(table, ROWS, column_names=COLUMNS)
    query = f"SELECT a, b, c FROM {table} ORDER BY a"
    pandas = client.query_df(query)
    assert pandas["b"].tolist() == ["x", ROWS[1][1]]
    arrow = client.query_arrow(query)
    assert arrow.column("a").to_pylist() == [1, 2]
    polars = client.query_df_arrow(query, dataframe_library="polars")
    assert polars["c"].to_list() == [1.5, -0.25]
    assert client.query_np("SELECT number FROM numbers(3)").tolist() == [[0], [1], [2]]


def test_client_writes_frames_and_arrow(client: Client, table: str) -> None:
    client.insert_df(table, pd.DataFrame({"a": [10], "b": ["pandas"], "c": [1.0]}), column_names=["a", "b", "c"])
    client.insert_arrow(table, pa.table({"a": pa.array([11], pa.uint32()), "b": ["arrow"]}))
    client.insert_df_arrow(table, pl.DataFrame({"a": pl.Series([12], dtype=pl.UInt32), "b": ["polars"]}))
    assert client.query(f"SELECT a, b FROM {table} ORDER BY a").result_rows == [
        (10, "pandas"),
        (11, "arrow"),
        (12, "polars"),
    ]


def test_client_sends_raw_formats(client: Client, table: str) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    avro, parquet = io.BytesIO(), io.BytesIO()
    frame.write_avro(avro, name="row")
    frame.write_parquet(parquet)
    for output_format, data in [
        ("Avro", avro.getvalue()),
        ("Parquet", parquet.getvalue()),
        ("CSV", b"1,x\n2,y\n"),
        ("JSONEachRow", b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'),
    ]:
        client.command(f"TRUNCATE TABLE {table}")
        summary = client.raw_insert(table, ["a", "b"], data, fmt=output_format)
        assert summary.written_rows == 2, output_format
        assert client.query(f"SELECT a, b FROM {table} ORDER BY a").result_rows == [(1, "x"), (2, "y")], output_format
    assert client.raw_query(f"SELECT a FROM {table} ORDER BY a", fmt="CSV") == b"1\n2\n"


def test_client_streams_rows_blocks_and_arrow(client: Client) -> None:
    query = "SELECT number, toString(number) AS s FROM numbers(300000)"
    with client.query_rows_stream(query) as rows:
        assert sum(row[0] for row in rows) == 44_999_850_000
    with client.query_row_block_stream(query) as blocks:
        assert sum(len(block) for block in blocks) == 300_000
    with client.query_arrow_stream(query) as batches:
        assert sum(batch.num_rows for batch in batches) == 300_000
    with client.query_df_stream(query) as frames:
        assert sum(len(frame) for frame in frames) == 300_000
    with client.raw_stream(query, fmt="CSV") as stream:
        assert stream.read().count(b"\n") == 300_000


def test_client_that_drops_a_stream_can_go_on(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(100000000)") as blocks:
        next(iter(blocks))
    assert client.command("SELECT 7") == 7


def test_client_binds_parameters(client: Client) -> None:
    nasty = "it's\t\\ 'quoted' \n; DROP"
    found = client.query(
        "SELECT {a:Int32}, {s:String}, {l:Array(String)}", parameters={"a": 3, "s": nasty, "l": [nasty]}
    )
    assert found.first_row == (3, nasty, [nasty])
    assert client.query("SELECT %(s)s", parameters={"s": nasty}).first_row == (nasty,)


# More than 4 KiB of parameters: the client sends them in a form.
MANY = [f'it\'s\t\\ "{number}" \r\n--größer' for number in range(5000)]
OF_MANY = "SELECT count(), {s:String} FROM (SELECT arrayJoin({l:Array(String)}) AS s) WHERE s IN {l:Array(String)}"


def test_client_binds_more_than_a_url_holds(client: Client) -> None:
    asked = {"l": MANY, "s": MANY[7]}
    assert client.query(OF_MANY, parameters=asked).first_row == (5000, MANY[7])
    assert client.query_df("SELECT {l:Array(String)} AS l", parameters=asked)["l"][0] == MANY
    assert client.raw_query("SELECT length({l:Array(String)})", parameters=asked, fmt="CSV") == b"5000\n"
    found = client.query(OF_MANY, parameters=asked, settings={"session_timezone": "Asia/Tokyo"})
    assert found.row_count == 1
    columns = client.query("SELECT {s:String} AS a WHERE {s:String} IN {l:Array(String)} LIMIT 0", parameters=asked)
    assert columns.column_names == ("a",)


def test_client_that_sends_every_query_as_a_form_can(settings: Settings) -> None:
    client = connect(settings, form_encode_query_params=True)
    try:
        assert client.query("SELECT {a:Int32}", parameters={"a": 3}).first_row == (3,)
        with pytest.raises(DatabaseError, match="headrace's fence") as refused:
            client.query("SELECT file({p:String})", parameters={"p": "/etc/hostname"})
        assert refused.value.code == 497
    finally:
        client.close()


def test_asynchronous_client_binds_more_than_a_url_holds(settings: Settings) -> None:
    address = urlsplit(settings.warehouse_address())

    async def ask_all() -> list[Any]:
        client = await clickhouse_connect.get_async_client(host=address.hostname, port=address.port)
        try:
            found = await asyncio.gather(*(client.query(OF_MANY, parameters={"l": MANY, "s": s}) for s in MANY[:4]))
            raw = await client.raw_query("SELECT length({l:Array(String)})", parameters={"l": MANY}, fmt="CSV")
            return [*(one.first_row for one in found), raw]
        finally:
            await client.close()

    assert asyncio.run(ask_all()) == [*((5000, s) for s in MANY[:4]), b"5000\n"]


VALUES: list[tuple[str, Any]] = [
    ("Int8", -5),
    ("UInt64", 2**64 - 1),
    ("Int128", -(2**100)),
    ("UInt256", 2**200),
    ("Float32", 1.5),
    ("Float64", float("inf")),
    ("Decimal(18, 4)", decimal.Decimal("1.2345")),
    ("String", "größe\t\n'\\"),
    ("FixedString(4)", b"abcd"),
    ("Date", datetime.date(2020, 1, 2)),
    ("Date32", datetime.date(1930, 1, 2)),
    ("DateTime", NOON.replace(microsecond=0)),
    ("DateTime64(6)", NOON),
    ("UUID", uuid.UUID(int=7)),
    ("IPv4", ipaddress.ip_address("1.2.3.4")),
    ("IPv6", ipaddress.ip_address("::1")),
    ("Enum8('a' = 1, 'b' = 2)", "b"),
    ("Bool", True),
    ("Nullable(Int32)", None),
    ("LowCardinality(Nullable(String))", None),
    ("Array(Array(String))", [["a"], []]),
    ("Array(Nullable(String))", ["a", None]),
    ("Map(String, UInt64)", {"a": 1}),
    ("Tuple(Int8, String)", (1, "x")),
    ("JSON", {"a": 1, "b": {"c": "x"}}),
    ("Variant(Int64, String)", "x"),
    ("Point", (1.0, 2.0)),
    ("Time", datetime.timedelta(seconds=5)),
    ("Array(Tuple(String, Array(UInt8)))", [("a", [1])]),
    ("SimpleAggregateFunction(sum, UInt64)", 5),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[kind for kind, _ in VALUES])
def test_client_gets_back_the_value_it_stored(client: Client, kind: str, value: Any) -> None:
    client.command(f"CREATE OR REPLACE TABLE clients.v (k Int8, v {kind}) ENGINE = MergeTree ORDER BY k")
    assert client.insert("clients.v", [[1, value]], column_names=["k", "v"]).written_rows == 1
    assert client.query("SELECT v FROM clients.v").result_rows == [(value,)]
    assert client.query_df("SELECT v FROM clients.v").shape == (1, 1)
    assert client.query_arrow("SELECT v FROM clients.v").num_rows == 1


# A Map is not among them: clickhouse-connect writes it as JSON, which no ClickHouse reads as a Map's parameter.
PARAMETERS = [
    ("Int64", -7),
    ("UInt64", 2**64 - 1),
    ("Float64", 1.5),
    ("String", "a'b\\\t\n{x}"),
    ("Bool", True),
    ("Date", datetime.date(2020, 1, 2)),
    ("DateTime", NOON.replace(microsecond=0)),
    ("DateTime64(6)", NOON),
    ("Nullable(String)", None),
    ("Array(String)", ["x'y", "z\t"]),
    ("Array(Nullable(Int32))", [1, None]),
    ("Tuple(Int8, String)", (1, "x")),
    ("UUID", uuid.UUID(int=9)),
    ("Decimal(10, 2)", decimal.Decimal("1.25")),
    ("IPv4", ipaddress.ip_address("1.2.3.4")),
    ("Enum8('a' = 1)", "a"),
]


@pytest.mark.parametrize(("kind", "value"), PARAMETERS, ids=[kind for kind, _ in PARAMETERS])
def test_client_binds_a_parameter_of_every_type(client: Client, kind: str, value: Any) -> None:
    assert client.query(f"SELECT {{p:{kind}}}", parameters={"p": value}).first_row == (value,)


def test_client_names_a_table_by_a_parameter(client: Client) -> None:
    found = client.query("SELECT * FROM system.{t:Identifier}", parameters={"t": "one"})
    assert found.result_rows == [(0,)]


def test_client_sets_settings_for_itself_and_for_one_query(settings: Settings) -> None:
    client = connect(settings, query_limit=3)
    try:
        client.set_client_setting("max_block_size", 77)
        asked = "SELECT getSetting('max_block_size'), getSetting('max_threads')"
        assert client.query(asked, settings={"max_threads": 2}).first_row == (77, 2)
        client.set_client_setting("max_threads", 3)
        assert client.query(asked).first_row == (77, 3)
        assert client.query("SELECT number FROM numbers(10)").row_count == 3
        with pytest.raises(DatabaseError) as unknown:
            client.query("SELECT 1", settings={"nothing": 1})
        assert unknown.value.code == 115
    finally:
        client.close()


def test_client_is_told_what_is_not_there(settings: Settings, client: Client) -> None:
    table = ExternalData(file_name="e", data=b"1\n", fmt="CSV", structure="a Int8")
    with pytest.raises(DatabaseError, match="no external tables") as external:
        client.query("SELECT * FROM e", external_data=table)
    with pytest.raises(DatabaseError, match="roles are not supported") as role:
        client.query("SELECT 1", settings={"role": "reader"})
    with pytest.raises(DatabaseError, match="Database nothing does not exist") as database:
        connect(settings, database="nothing")
    assert [found.value.code for found in (external, role, database)] == [48, 48, 81]


def test_error_of_syntax_speaks_of_the_clients_text_only(client: Client) -> None:
    with pytest.raises(DatabaseError, match="Multi-statements are not allowed") as caught:
        client.command("SELECT 1; SELECT 2")
    assert "formatQuery" not in str(caught.value)


def test_client_keeps_a_session(settings: Settings) -> None:
    client = connect(settings, session_id=f"clients-{uuid.uuid4()}")
    try:
        client.command("CREATE TEMPORARY TABLE mine (a Int32)")
        client.insert("mine", [[1], [2]], column_names=["a"])
        assert client.query("SELECT sum(a) FROM mine", settings={"max_threads": 1}).first_row == (3,)
    finally:
        client.close()


def test_client_gets_codes_and_names_of_errors(client: Client) -> None:
    for statement, code in [("SELECT * FROM nothing", 60), ("SELEC", 62), ("SELECT file('/etc/hostname')", 497)]:
        with pytest.raises(DatabaseError) as caught:
            client.command(statement)
        assert caught.value.code == code


def test_client_without_the_password_is_refused(settings: Settings) -> None:
    with pytest.raises(ClickHouseError, match="516"):
        connect(settings, username="pipeline", password="wrong")


def test_columns_of_an_empty_result_are_known(client: Client, table: str) -> None:
    assert client.query(f"SELECT * FROM {table}").result_rows == []
    assert client.query(f"SELECT a FROM {table} LIMIT 0").column_names == ("a",)
    assert client.query_df(f"SELECT a, b FROM {table}").empty


def test_async_client_inserts_queries_and_streams(settings: Settings, table: str) -> None:
    async def work() -> None:
        address = urlsplit(settings.warehouse_address())
        client = await clickhouse_connect.get_async_client(
            host=address.hostname, port=address.port, autogenerate_session_id=False
        )
        try:
            await client.insert(table, ROWS, column_names=COLUMNS)
            found = await client.query(f"SELECT a FROM {table} ORDER BY a")
            assert found.result_rows == [(1,), (2,)]
            answers = await asyncio.gather(*(client.query(f"SELECT {number}, sleep(0.2)") for number in range(8)))
            assert [answer.result_rows[0][0] for answer in answers] == list(range(8))
            assert (await client.query_arrow("SELECT number FROM numbers(10)")).num_rows == 10
            assert len(await client.query_df("SELECT number FROM numbers(10)")) == 10
            stream = await client.query_row_block_stream("SELECT number FROM numbers(200000)")
            async with stream:
                assert sum([len(block) async for block in stream]) == 200_000
        finally:
            await client.close()

    asyncio.run(work())
