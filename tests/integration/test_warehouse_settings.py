"""What a request's settings do to its answer: followed, refused with a reason, or without effect on any answer."""

from typing import Any

import pytest

from headrace.embedded.warehouse.faults import STATUSES
from headrace.embedded.warehouse.requests import PASSED_OVER, WIRE_SETTINGS
from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import Answer, ask

pytestmark = pytest.mark.stack

FIVE = "SELECT number FROM numbers(5)"


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Settings:
    """A table of these tests' own, sets.t."""
    for statement in (
        "CREATE DATABASE IF NOT EXISTS sets",
        "CREATE OR REPLACE TABLE sets.t (a Int32, b String) ENGINE = MergeTree ORDER BY a",
    ):
        assert ask(stack.settings, statement).status == 200
    return stack.settings


def session(settings: Settings, statement: str, name: str, **parameters: Any) -> Answer:
    return ask(settings, statement, session_id=name, **parameters)


def test_names_of_errors_with_a_status_are_this_engines_own(warehouse: Settings) -> None:
    """A new engine may give a number another name: then read ClickHouse's map again."""
    named = ask(warehouse, "SELECT errorCodeToName(number), number FROM numbers(2000)").text.splitlines()
    engine = dict(line.split("\t") for line in named)
    for codes in STATUSES.values():
        for name, code in codes.items():
            assert engine[name] == str(code)


@pytest.mark.parametrize(
    ("settings", "statement", "expected"),
    [
        ({"limit": "2"}, FIVE, "0\n1\n"),
        ({"offset": "3"}, FIVE, "3\n4\n"),
        ({"limit": "1", "offset": "2"}, FIVE, "2\n"),
        ({"limit": "2", "page": "2"}, FIVE, "2\n3\n"),
        ({"extremes": "1"}, FIVE, "0\n1\n2\n3\n4\n\n0\n4\n"),
        ({"session_timezone": "Asia/Tokyo"}, "SELECT toDateTime(0)", "1970-01-01 09:00:00\n"),
        ({"date_time_output_format": "iso"}, "SELECT toDateTime(0)", "1970-01-01T00:00:00Z\n"),
        ({"format_csv_delimiter": "|"}, "SELECT 1, 2 FORMAT CSV", "1|2\n"),
        ({"output_format_json_quote_64bit_integers": "1"}, "SELECT toUInt64(1) AS a FORMAT JSONEachRow", '{"a":"1"}\n'),
        ({"empty_result_for_aggregation_by_empty_set": "1"}, "SELECT count() FROM numbers(0)", ""),
        (
            {"join_use_nulls": "1"},
            "SELECT b FROM numbers(1) a LEFT JOIN (SELECT 5 AS number, 'x' AS b) c USING number",
            "\\N\n",
        ),
    ],
)
def test_setting_of_the_url_shapes_the_answer(
    warehouse: Settings, settings: dict[str, Any], statement: str, expected: str
) -> None:
    found = ask(warehouse, statement, **settings)
    assert (found.status, found.text) == (200, expected)


@pytest.mark.parametrize(
    "settings", [{"limit": "1"}, {"offset": "1"}, {"limit": "0", "offset": "9"}, {"extremes": "1"}]
)
def test_settings_that_shape_results_do_not_shape_what_the_fence_reads(
    warehouse: Settings, settings: dict[str, Any]
) -> None:
    for statement in (
        "ALTER TABLE sets.t FREEZE",
        "SELECT file('/etc/hostname')",
        "SELECT * FROM `/etc/hostname`",
        "INSERT INTO sets.t SELECT 1, file('/etc/hostname')",
    ):
        refused = ask(warehouse, statement, **settings)
        assert (refused.status, refused.code) == (403, 497), refused.text


@pytest.mark.parametrize(
    ("settings", "statement", "data", "stored"),
    [
        ({"input_format_allow_errors_num": "1"}, "INSERT INTO sets.t FORMAT TSV", b"bad\tx\n5\ty\n", "5\ty\n"),
        ({"format_csv_delimiter": ";"}, "INSERT INTO sets.t FORMAT CSV", b"7;x\n", "7\tx\n"),
        ({"input_format_skip_unknown_fields": "1"}, "INSERT INTO sets.t FORMAT JSONEachRow", b'{"a":1,"c":2}', "1\t\n"),
        ({"async_insert": "1", "wait_for_async_insert": "0"}, "INSERT INTO sets.t FORMAT TSV", b"9\tz\n", "9\tz\n"),
    ],
)
def test_setting_of_the_url_shapes_an_insert(
    warehouse: Settings, settings: dict[str, Any], statement: str, data: bytes, stored: str
) -> None:
    assert ask(warehouse, "TRUNCATE TABLE sets.t").status == 200
    found = ask(warehouse, statement, data=data, **settings)
    assert found.status == 200, found.text
    assert ask(warehouse, "SELECT * FROM sets.t").text == stored


def test_unknown_field_of_an_insert_is_refused_when_it_is_to_be(warehouse: Settings) -> None:
    found = ask(
        warehouse,
        "INSERT INTO sets.t FORMAT JSONEachRow",
        data=b'{"a":1,"c":2}',
        input_format_skip_unknown_fields="0",
    )
    assert (found.status, found.code) == (400, 117)


@pytest.mark.parametrize("name", sorted(PASSED_OVER))
def test_what_is_passed_over_changes_no_answer(warehouse: Settings, name: str) -> None:
    url: dict[str, Any] = {name: "1"}
    found = ask(warehouse, FIVE, **url)
    assert (found.status, found.body) == (200, ask(warehouse, FIVE).body)
    assert "x-clickhouse-progress" not in found.headers
    assert "access-control-allow-origin" not in found.headers


@pytest.mark.parametrize("name", sorted(WIRE_SETTINGS))
def test_setting_of_the_wire_is_refused_in_a_statement_and_told_where_it_belongs(
    warehouse: Settings, name: str
) -> None:
    for statement in (f"SELECT 1 SETTINGS {name} = 1", f"SET {name} = 1", f"SELECT 1 SETTINGS {name.upper()} = 1"):
        refused = ask(warehouse, statement)
        assert (refused.status, refused.code) == (501, 48), refused.text
        assert f"{name}=..." in refused.text


def test_header_of_the_format_gives_way_when_the_client_says_so(warehouse: Settings) -> None:
    header = {"X-ClickHouse-Format": "JSONEachRow"}
    for value, named, expected in [
        ("1", " FORMAT CSV", b'{"x":1}\n'),
        ("0", " FORMAT CSV", b"1\n"),
        ("0", "", b'{"x":1}\n'),
    ]:
        for method in ("POST", "GET"):
            found = ask(
                warehouse,
                f"SELECT 1 AS x{named}",
                method=method,
                headers=header,
                http_x_clickhouse_format_overrides_output_format=value,
            )
            assert (found.status, found.body) == (200, expected), found.text
    assert ask(warehouse, "TRUNCATE TABLE sets.t").status == 200
    inserted = ask(
        warehouse,
        "INSERT INTO sets.t FORMAT CSV",
        data=b"3,csv\n",
        headers=header,
        http_x_clickhouse_format_overrides_output_format="0",
    )
    assert inserted.status == 200, inserted.text
    assert ask(warehouse, "SELECT * FROM sets.t").text == "3\tcsv\n"


def test_exception_in_the_output_format_is_refused_and_an_error_stays_plain(warehouse: Settings) -> None:
    refused = ask(warehouse, FIVE, http_write_exception_in_output_format="1")
    assert (refused.status, refused.code) == (501, 48)
    plain = ask(warehouse, "SELECT * FROM nothing FORMAT JSON", http_write_exception_in_output_format="0")
    assert (plain.status, plain.code) == (404, 60)
    assert plain.text.startswith("Code: 60.")


def test_late_error_has_its_status_by_either_name_of_waiting(warehouse: Settings) -> None:
    query = "SELECT throwIf(number = 1500000), toString(number) FROM numbers(2000000)"
    waited = ask(warehouse, query, http_wait_end_of_query="1")
    assert (waited.status, waited.code) == (500, 395)


def test_external_tables_are_refused_before_anything_runs(warehouse: Settings) -> None:
    body = (
        b"--x\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nINSERT INTO sets.t VALUES (404, '')\r\n"
        b'--x\r\nContent-Disposition: form-data; name="e"; filename="e"\r\n\r\n1\r\n--x--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for statement in ("SELECT * FROM e", "INSERT INTO sets.t VALUES (404, '')"):
        refused = ask(warehouse, statement, data=body, headers=headers, e_structure="a Int32")
        assert (refused.status, refused.code) == (501, 48), refused.text
        assert "the part 'e' of the multipart/form-data body is a file" in refused.text
    assert ask(warehouse, "SELECT count() FROM sets.t WHERE a = 404").text == "0\n"


def test_database_of_one_request_does_not_stay_in_its_session(warehouse: Settings) -> None:
    assert session(warehouse, "SELECT currentDatabase()", "sets-1", database="system").text == "system\n"
    assert session(warehouse, "SELECT currentDatabase()", "sets-1").text == "default\n"
    assert session(warehouse, "SELECT currentDatabase()", "sets-1", database="nothing").code == 81
    assert session(warehouse, "USE sets", "sets-1", database="system").status == 200
    assert session(warehouse, "SELECT currentDatabase()", "sets-1").text == "sets\n"


def test_set_stays_in_a_session_whatever_its_own_request_said(warehouse: Settings) -> None:
    assert session(warehouse, "SET max_threads = 2", "sets-2", max_threads="3").status == 200
    assert session(warehouse, "SELECT getSetting('max_threads')", "sets-2", max_threads="5", limit="1").text == "5\n"
    assert session(warehouse, "SELECT getSetting('max_threads')", "sets-2").text == "2\n"


@pytest.mark.parametrize("name", ["limit", "offset", "page", "extremes", "param_a"])
def test_what_holds_for_one_query_is_not_set_for_a_session(warehouse: Settings, name: str) -> None:
    refused = session(warehouse, f"SET {name} = 1", "sets-3")
    assert (refused.status, refused.code) == (501, 48), refused.text
    assert session(warehouse, FIVE, "sets-3").text.count("\n") == 5


@pytest.mark.parametrize("statement", ["SELECT 1 SETTINGS nothing = 1", "SET nothing = 1"])
def test_unknown_setting_is_never_passed_over(warehouse: Settings, statement: str) -> None:
    assert (ask(warehouse, statement).status, ask(warehouse, statement).code) == (404, 115)
    for name in ("nothing", "max_thread", "Query", "QUERY", "paramx"):
        url: dict[str, Any] = {name: "1"}
        refused = ask(warehouse, FIVE, **url)
        assert (refused.status, refused.code) == (404, 115), name
