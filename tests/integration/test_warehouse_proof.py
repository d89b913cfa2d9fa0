"""An INSERT is acknowledged if its rows are in the table, and refused for its own error only (decision 0015)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import Answer, ask

pytestmark = pytest.mark.stack
CONSTRAINT_VIOLATED = 469
UNKNOWN_TABLE = 60


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Settings:
    ask(stack.settings, "CREATE DATABASE IF NOT EXISTS proven")
    ask(stack.settings, "CREATE TABLE proven.small (a UInt32, CONSTRAINT c CHECK a < 5) ENGINE = MergeTree ORDER BY a")
    return stack.settings


def insert(settings: Settings, table: str, value: int, clause: str = "") -> Answer:
    return ask(settings, f"INSERT INTO proven.{table} {clause} FORMAT JSONEachRow", data=f'{{"a":{value}}}\n'.encode())


def count(settings: Settings) -> int:
    return int(ask(settings, "SELECT count() FROM proven.small").text)


@contextmanager
def beside(settings: Settings, table: str, value: int, code: int) -> Iterator[list[int]]:
    """Keep failing INSERTs going for the block; each must tell its own error."""
    codes: list[int] = []
    stop = threading.Event()

    def fail() -> None:
        while not stop.is_set():
            codes.append(insert(settings, table, value).code)

    thread = threading.Thread(target=fail)
    thread.start()
    try:
        yield codes
    finally:
        stop.set()
        thread.join()
    assert set(codes) == {code}


@pytest.mark.parametrize(("table", "value", "code"), [("missing", 1, UNKNOWN_TABLE), ("small", 9, CONSTRAINT_VIOLATED)])
def test_insert_beside_failing_ones_is_stored(warehouse: Settings, table: str, value: int, code: int) -> None:
    before = count(warehouse)
    with beside(warehouse, table, value, code) as codes:
        answers = [insert(warehouse, "small", 1) for _ in range(40)]
        answers += [ask(warehouse, "INSERT INTO proven.small SELECT 2") for _ in range(20)]
    assert codes
    assert {answer.status for answer in answers} == {200}
    assert count(warehouse) == before + 60


def test_insert_that_fails_in_its_last_step_beside_others_tells_its_own_error(warehouse: Settings) -> None:
    before = count(warehouse)
    with beside(warehouse, "missing", 1, UNKNOWN_TABLE):
        answers = [insert(warehouse, "small", 9) for _ in range(20)]
    assert {answer.code for answer in answers} == {CONSTRAINT_VIOLATED}
    assert "small" in answers[0].text
    assert count(warehouse) == before


@pytest.mark.parametrize(
    "setting", ["log_comment = 'other'", "log_queries = 0", "log_queries_min_type = 'QUERY_FINISH'"]
)
def test_what_tells_whose_error_it_was_is_no_clients_to_set(warehouse: Settings, setting: str) -> None:
    assert insert(warehouse, "small", 1, f"SETTINGS {setting}").status != 200
