"""Who may do what on the warehouse, and how much: users, roles, readonly handles, bounds, web pages."""

from typing import Any

import pytest

from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import ask, pipeline_user

pytestmark = pytest.mark.stack

NOT_GRANTED = 497


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Settings:
    """A table of user default, and one of the pipeline's."""
    settings = stack.settings
    for statement in (
        "CREATE DATABASE IF NOT EXISTS rights",
        "CREATE OR REPLACE TABLE rights.t (a Int32, b String) ENGINE = MergeTree ORDER BY a",
    ):
        assert ask(settings, statement).status == 200, statement
    own = "CREATE OR REPLACE TABLE headrace.rights_t (a Int32) ENGINE = MergeTree ORDER BY a"
    assert ask(settings, own, headers=pipeline_user(settings)).status == 200
    return settings


CHANGES_OF_THE_PIPELINES = [
    "INSERT INTO headrace.rights_t VALUES (1)",
    "INSERT INTO headrace.rights_t SELECT 1",
    "CREATE TABLE headrace.intruder (a Int8) ENGINE = Memory",
    "CREATE VIEW headrace.intruder AS SELECT 1",
    "DROP TABLE headrace.rights_t",
    "TRUNCATE TABLE headrace.rights_t",
    "ALTER TABLE headrace.rights_t ADD COLUMN b Int8",
    "DELETE FROM headrace.rights_t WHERE 1",
    "OPTIMIZE TABLE headrace.rights_t FINAL",
    "RENAME TABLE headrace.rights_t TO rights.stolen",
    "RENAME TABLE rights.t TO headrace.intruder",
    "EXCHANGE TABLES rights.t AND headrace.rights_t",
    "DROP DATABASE headrace",
    "TRUNCATE DATABASE headrace",
    "CREATE MATERIALIZED VIEW rights.mv TO headrace.rights_t AS SELECT a FROM rights.t",
    "CREATE TABLE rights.buffer AS headrace.rights_t ENGINE = Buffer(headrace, rights_t, 1, 0, 0, 0, 0, 0, 0)",
    "DROP DATABASE default",
    "DROP DATABASE system",
    "CREATE TABLE system.intruder (a Int8) ENGINE = Memory",
]


@pytest.mark.parametrize("statement", CHANGES_OF_THE_PIPELINES)
def test_default_may_not_change_what_is_the_pipelines(warehouse: Settings, statement: str) -> None:
    refused = ask(warehouse, statement)
    assert (refused.status, refused.code) == (403, NOT_GRANTED), refused.text
    assert ask(warehouse, "SELECT count() FROM headrace.rights_t").text == "0\n"


def test_default_may_not_write_there_by_making_it_the_current_database(warehouse: Settings) -> None:
    for statement in (
        "INSERT INTO rights_t VALUES (1)",
        "DROP TABLE rights_t",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
    ):
        assert ask(warehouse, statement, database="headrace").code == NOT_GRANTED
    assert ask(warehouse, "USE headrace", session_id="rights-use").status == 200
    assert ask(warehouse, "INSERT INTO rights_t VALUES (1)", session_id="rights-use").code == NOT_GRANTED
    assert ask(warehouse, "SELECT count() FROM rights_t", session_id="rights-use").text == "0\n"


def test_pipeline_may_write_there(warehouse: Settings) -> None:
    own = pipeline_user(warehouse)
    assert (
        ask(warehouse, "CREATE OR REPLACE TABLE headrace.rights_own (a Int8) ENGINE = Memory", headers=own).status
        == 200
    )
    assert ask(warehouse, "INSERT INTO headrace.rights_own VALUES (1)", headers=own).status == 200
    assert ask(warehouse, "SELECT a FROM headrace.rights_own").text == "1\n"
    assert ask(warehouse, "DROP TABLE headrace.rights_own", headers=own).status == 200


def test_get_is_readonly(warehouse: Settings) -> None:
    for statement in (
        "INSERT INTO rights.t SELECT 1, ''",
        "DROP TABLE rights.t",
        "CREATE TABLE rights.g (a Int8) ENGINE = Log",
    ):
        for refused in (ask(warehouse, statement, method="GET"), ask(warehouse, statement, readonly="1")):
            assert (refused.status, refused.code) == (500, 164), refused.text
    assert ask(warehouse, "SELECT 2", method="GET").text == "2\n"
    assert ask(warehouse, "INSERT INTO rights.t SELECT 1, ''").status == 200


def test_a_reader_holds_a_readonly_handle(warehouse: Settings) -> None:
    found = ask(warehouse, "SELECT getSetting('readonly'), currentRoles()", headers=pipeline_user(warehouse))
    assert found.text == "2\t['reader']\n"
    assert ask(warehouse, "SELECT 1 SETTINGS readonly = 0").status >= 400


def test_time_memory_and_result_are_bounded(warehouse: Settings) -> None:
    slow = ask(warehouse, "SELECT count() FROM system.numbers SETTINGS max_execution_time = 1")
    assert (slow.status, slow.code) == (408, 159)
    large = ask(warehouse, "SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 100000000")
    assert (large.status, large.code) == (500, 241)
    long = ask(warehouse, "SELECT number FROM numbers(1000000) SETTINGS max_result_bytes = 100000")
    assert long.code == 396
    for setting in ("max_execution_time", "max_memory_usage", "max_result_bytes"):
        for value in ("0", "99999999999"):
            url: dict[str, Any] = {setting: value}
            for refused in (
                ask(warehouse, f"SELECT 1 SETTINGS {setting} = {value}"),
                ask(warehouse, "SELECT 1", **url),
            ):
                assert (refused.status, refused.code) == (500, 452), refused.text
        assert ask(warehouse, f"SELECT 1 SETTINGS {setting} = 200").status == 200


def test_host_and_origin_are_checked(warehouse: Settings) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        for path in ("/", "/ping"):
            assert ask(warehouse, "SELECT 1", method="GET", path=path, headers=headers).status == 403
    assert ask(warehouse, "SELECT 1", headers={"Host": "localhost:1"}).status == 200


def test_passwords_are_demanded(warehouse: Settings) -> None:
    for headers in (
        {"X-ClickHouse-User": "pipeline"},
        {"X-ClickHouse-User": "pipeline", "X-ClickHouse-Key": "wrong"},
        {"X-ClickHouse-User": "nobody"},
        {"X-ClickHouse-Key": "not-empty"},
        {"Authorization": "Basic cGlwZWxpbmU6d3Jvbmc="},
        {"Authorization": "Bearer token"},
    ):
        refused = ask(warehouse, "SELECT 1", headers=headers)
        assert (refused.status, refused.code) == (403, 516)
    assert ask(warehouse, "SELECT 1", headers=pipeline_user(warehouse)).text == "1\n"
