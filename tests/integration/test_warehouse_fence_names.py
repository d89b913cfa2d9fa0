"""A name without a database is an existing table or nothing: never a file beside the process, at any start."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import OwnWarehouse, ask

pytestmark = pytest.mark.stack

CANARY = "CANARY-4e0b77"
NAMES = ["x.csv", "x.tsv", "./x.csv", "sub/x.csv", "*.csv", "x.{csv,tsv}", "file://x.csv", "x.csv.gz", "data.json"]
UNFENCED = """
import sys
from chdb.session import Session
print(Session().query("SELECT * FROM `x.csv`", "TabSeparated").bytes().decode())
"""


def write_secrets(folder: Path) -> None:
    """Put files that a table's name could mean into a folder."""
    (folder / "sub").mkdir(parents=True)
    for name in ("x.csv", "x.tsv", "sub/x.csv", "x.csv.gz", "data.json"):
        (folder / name).write_text(f"{CANARY}\n")


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnWarehouse]:
    """A warehouse whose working folder, home and data folder hold files that no statement may show."""
    folder, before = tmp_path_factory.mktemp("beside"), Path.cwd()
    write_secrets(folder)
    os.chdir(folder)
    try:
        with OwnWarehouse() as running:
            data = running.settings.paths().warehouse / "data"
            for other in (running.settings.home, data, data / "user_files"):
                write_secrets(other)
            assert Path(f"/proc/{running.child.pid}/cwd").resolve() == folder.resolve()
            yield running
    finally:
        os.chdir(before)


def refused(settings: Settings, statement: str, **parameters: Any) -> None:
    """Ask and assert that nothing of the files comes back."""
    found = ask(settings, statement, **parameters)
    assert CANARY not in found.text, statement
    assert (found.status, found.code) in {(403, 497), (404, 60), (404, 81), (400, 62), (400, 36)}, found.text


@pytest.mark.parametrize("started", ["first", "again"])
def test_name_of_a_file_beside_the_process_is_no_table(beside: OwnWarehouse, started: str) -> None:
    if started == "again":
        beside.kill_and_start()
    for name in NAMES:
        for quoted in (f"`{name}`", f'"{name}"', f"'{name}'", f"default.`{name}`", "{t:Identifier}"):
            for statement in (f"SELECT * FROM {quoted}", f"DESCRIBE TABLE {quoted}", f"SELECT count() FROM {quoted}"):
                refused(beside.settings, statement, param_t=name)
    for database in ("default", "headrace", "system"):
        refused(beside.settings, "SELECT * FROM `x.csv`", database=database)
    refused(beside.settings, "INSERT INTO `new.csv` VALUES (1)")
    assert ask(beside.settings, "EXISTS TABLE `x.csv`").text == "0\n"


def test_file_of_that_name_is_shown_without_a_fence(tmp_path: Path) -> None:
    """The twin: a bare chDB opens it, so the refusal above is the fence's."""
    write_secrets(tmp_path / "bare")
    done = subprocess.run(
        [sys.executable, "-c", UNFENCED], cwd=tmp_path / "bare", capture_output=True, text=True, check=True, timeout=60
    )
    assert CANARY in done.stdout


def test_existing_table_may_be_named_like_a_file(stack: EmbeddedStack) -> None:
    for statement, expected in [
        ("CREATE OR REPLACE TABLE `names.csv` (a Int8) ENGINE = Memory", ""),
        ("INSERT INTO `names.csv` VALUES (7)", ""),
        ("SELECT a FROM `names.csv`", "7\n"),
        ("DROP TABLE `names.csv`", ""),
    ]:
        found = ask(stack.settings, statement)
        assert (found.status, found.text) == (200, expected), found.text


def test_every_request_has_a_handle_of_its_own(stack: EmbeddedStack) -> None:
    for statement in ("SET max_threads = 77", "USE system", "CREATE TEMPORARY TABLE left_behind (a Int8)"):
        assert ask(stack.settings, statement).status == 200
    found = ask(stack.settings, "SELECT currentDatabase(), getSetting('max_threads') = 77").text
    assert found == "default\t0\n"
    assert ask(stack.settings, "SELECT * FROM left_behind").code == 60
