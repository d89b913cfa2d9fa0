"""The warehouse over kills, second starts, taken ports and orderly stops. Each test has a warehouse of its own."""

import concurrent.futures
import json
import os
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.child import EXIT_TERMINAL, wait_until
from headrace.settings import Settings
from headrace.testing.warehouse import OwnWarehouse, ask, own_settings, pipeline_user, start_warehouse

pytestmark = pytest.mark.stack

LIMIT_SECS = 30.0


@pytest.fixture
def own() -> Iterator[OwnWarehouse]:
    """A warehouse that a test may kill."""
    with OwnWarehouse() as running:
        yield running


def text(settings: Settings, query: str) -> str:
    return ask(settings, query).text


def fill(settings: Settings) -> None:
    for statement in (
        "CREATE TABLE plain (a UInt32) ENGINE = MergeTree ORDER BY a",
        "CREATE TABLE copied (a UInt32) ENGINE = MergeTree ORDER BY a",
        "CREATE MATERIALIZED VIEW copier TO copied AS SELECT a FROM plain",
        "CREATE DATABASE other",
        "CREATE VIEW other.seen AS SELECT count() AS n FROM default.plain",
        "INSERT INTO plain VALUES (1)",
    ):
        assert ask(settings, statement).status == 200, statement
    made = "CREATE TABLE headrace.kept (a UInt32) ENGINE = MergeTree ORDER BY a"
    assert ask(settings, made, headers=pipeline_user(settings)).status == 200


def test_everything_is_back_after_kills_and_the_default_database_is_harmless_each_time(
    own: OwnWarehouse,
) -> None:
    settings = own.settings
    fill(settings)
    secret = settings.home / "secret.csv"
    secret.write_text("CANARY\n")
    for round_number in range(2, 5):
        own.kill_and_start()
        assert own.child.exit_code() is None, own.child.last_line()
        assert ask(settings, f"INSERT INTO plain VALUES ({round_number})").status == 200
        counts = "SELECT count(), (SELECT count() FROM copied), (SELECT n FROM other.seen) FROM plain"
        assert text(settings, counts) == f"{round_number}\t{round_number}\t{round_number}\n"
        assert text(settings, "SELECT count() FROM headrace.kept") == "0\n"
        assert text(settings, "SELECT engine FROM system.databases WHERE name = 'default'") == "Atomic\n"
        for path in (f"`{secret}`", f"default.`{secret}`"):
            assert "CANARY" not in text(settings, f"SELECT * FROM {path}")
    assert own.child.stop(LIMIT_SECS) == 0


def test_acknowledged_inserts_survive_a_kill_and_a_repeat_stores_nothing_twice(own: OwnWarehouse) -> None:
    settings = own.settings
    headers = pipeline_user(settings)
    made = (
        "CREATE TABLE headrace.blocks (a UInt64) ENGINE = MergeTree ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 10000"
    )
    assert ask(settings, made, headers=headers).status == 200
    seed = int.from_bytes(os.urandom(4))
    chooser = random.Random(seed)

    def insert(block: int) -> bool:
        data = "".join(f"{block * 20_000 + row}\n" for row in range(20_000)).encode()
        statement = "INSERT INTO headrace.blocks FORMAT TSV"
        try:
            found = ask(settings, statement, data=data, headers=headers, insert_deduplication_token=str(block))
        except OSError:
            return False
        return found.status == 200

    block, kills = 0, 0
    while block < 40:
        if kills < 3 and chooser.random() < 0.2:
            kills += 1
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                under_way = pool.submit(insert, block)
                wait_until(under_way.done, chooser.random() * 0.05, every_secs=0.001)
                own.child.kill()
                under_way.result()
            own.kill_and_start()
        while not insert(block):
            assert own.child.exit_code() is None, (seed, own.child.last_line())
        block += 1
    assert kills == 3, seed
    counts = text(settings, "SELECT count(), uniqExact(a), max(a) FROM headrace.blocks")
    assert counts == "800000\t800000\t799999\n", seed


def test_kill_at_any_moment_of_the_first_start_does_no_harm(tmp_path: Path) -> None:
    chooser = random.Random(7)
    settings = own_settings(tmp_path)
    for _ in range(4):
        child = start_warehouse(settings, wait=False)
        wait_until(lambda: child.exit_code() is not None, chooser.random() * 2.0, every_secs=0.01)  # noqa: B023
        child.kill()
    child = start_warehouse(settings)
    try:
        assert child.exit_code() is None, child.last_line()
        assert ask(settings, "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a").status == 200
        assert text(settings, "SELECT count() FROM t") == "0\n"
    finally:
        child.kill()


def test_leftovers_of_a_killed_process_are_removed(own: OwnWarehouse) -> None:
    settings = own.settings
    pipes = settings.paths().warehouse / "pipes"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        broken = pool.submit(ask, settings, "SELECT sleep(3)")
        assert wait_until(lambda: any(pipes.iterdir()), LIMIT_SECS)
        own.child.kill()
        assert isinstance(broken.exception(), OSError)
    assert any(pipes.iterdir())
    own.kill_and_start()
    assert not any(pipes.iterdir())
    assert text(settings, "SELECT 1") == "1\n"
    assert wait_until(lambda: not any(pipes.iterdir()), LIMIT_SECS)


def test_second_start_on_the_same_folder_is_refused_in_one_line(own: OwnWarehouse) -> None:
    settings = own.settings
    other_port = settings.model_copy(update={"warehouse_port": own_settings(settings.home).warehouse_port})
    second = start_warehouse(other_port, wait=False, name="second")
    assert second.wait(LIMIT_SECS) == EXIT_TERMINAL
    assert second.last_line().startswith(f"another warehouse runs on {settings.paths().warehouse}; next: ")
    assert second.output.read_text().count("\n") == 1
    assert text(settings, "SELECT 1") == "1\n"
    assert own.child.exit_code() is None


def test_taken_port_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    settings = own_settings(tmp_path)
    with socket.create_server(("127.0.0.1", settings.warehouse_port)):
        child = start_warehouse(settings, wait=False)
        assert child.wait(LIMIT_SECS) == EXIT_TERMINAL
    assert f"port {settings.warehouse_port} of the warehouse is taken" in child.last_line()
    assert "HEADRACE_WAREHOUSE_PORT" in child.last_line()
    assert child.output.read_text().count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_leave_it_finishes_what_runs_and_leaves_with_0(own: OwnWarehouse, number: int) -> None:
    settings = own.settings
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, settings, "SELECT sleep(1), 'finished'")
        pipes = settings.paths().warehouse / "pipes"
        assert wait_until(lambda: any(pipes.iterdir()), LIMIT_SECS)
        os.kill(own.child.pid, number)
        assert running.result().text == "0\tfinished\n"
    assert own.child.wait(LIMIT_SECS) == 0
    assert own.child.output.read_text() == ""


def test_another_address_than_loopback_needs_a_password(tmp_path: Path) -> None:
    settings = own_settings(tmp_path)
    settings.paths().run.mkdir(parents=True)
    address = f"0.0.0.0:{settings.warehouse_port}"
    settings.paths().stack_file.write_text(json.dumps({"warehouse": address}))
    child = start_warehouse(settings, wait=False)
    assert child.wait(LIMIT_SECS) == EXIT_TERMINAL
    assert "without a password" in child.last_line()
    assert "HEADRACE_WAREHOUSE_PASSWORD" in child.last_line()


def test_password_of_default_is_demanded_when_it_is_set(tmp_path: Path) -> None:
    plain = own_settings(tmp_path)
    settings = plain.model_validate(plain.model_dump() | {"warehouse_password": "open sesame"})
    child = start_warehouse(settings)
    try:
        assert ask(settings, "SELECT 1").code == 516
        assert ask(settings, "SELECT 1", password="wrong").code == 516
        assert ask(settings, "SELECT 1", password="open sesame").text == "1\n"
        assert ask(settings, method="GET", path="/ping").status == 200
        assert ask(settings, "SELECT 1", headers=pipeline_user(settings)).text == "1\n"
        log = (settings.paths().logs / "warehouse.log").read_text()
        assert "open sesame" not in log
        assert settings.paths().pipeline_password_file.stat().st_mode & 0o777 == 0o600
    finally:
        child.kill()
