"""The runtime under faults: kill -9 of the broker and of the supervisor, second starts, taken ports, broken folders."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from headrace.core.child import wait_until
from headrace.embedded.services import child_environment
from headrace.runtime.home import is_held, process_of, read_report
from headrace.runtime.status import ServiceStatus, stack_status
from headrace.schemas.topics import LEDGER, SYSTEM_TOPICS
from headrace.settings import LOOPBACK, Settings
from headrace.testing.stack import EmbeddedStack
from headrace.transport.follow import read_topic
from headrace.transport.kafka import CompactedTopic, Topics, TransactionalWriter

pytestmark = pytest.mark.stack
LIMIT_SECS = 60.0


class Home:
    """One home and the commands that are given on it."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(home=folder, kafka_heap_mb=256)
        self.paths = self.settings.paths()

    def headrace(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from headrace.cli import main; main()", *arguments],
            env={**os.environ, **child_environment(self.settings), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECS * 2,
        )

    def up(self) -> None:
        came = self.headrace("up", "--detach", "--ports", "auto", "--services", "kafka")
        assert came.returncode == 0, came.stderr

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.headrace("status", "--json").stdout)
        return found

    def kafka(self) -> ServiceStatus:
        return stack_status(self.settings)["services"]["kafka"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose line runs; every test leaves it running."""
    made = Home(tmp_path_factory.mktemp("home"))
    made.up()
    yield made
    stopped = made.headrace("down")
    assert stopped.returncode == 0, stopped.stderr
    assert not is_held(made.paths)
    assert not made.paths.stack_file.exists()
    assert "not running" in made.headrace("status").stdout


def test_status_tells_the_address_and_memory_of_a_running_service(home: Home) -> None:
    status = home.status()
    kafka = status["services"]["kafka"]
    assert kafka["state"] == "running"
    assert kafka["address"] == home.settings.kafka_client()["bootstrap.servers"]
    assert kafka["memory_bytes"] > 100_000_000
    assert status["memory_bytes"] > kafka["memory_bytes"]
    assert status["services"]["registry"]["state"] == "stopped"


def test_second_start_on_the_same_home_is_refused_in_one_line_with_the_pid(home: Home) -> None:
    refused = home.headrace("up", "--ports", "auto", "--services", "kafka")
    assert refused.returncode == 1
    first, hint = refused.stderr.splitlines()
    assert str(home.status()["pid"]) in first
    assert "headrace down" in hint
    assert home.kafka()["state"] == "running"


def test_taken_port_is_one_line_that_names_the_port_and_the_setting(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = str(server.getsockname()[1])
        refused = Home(tmp_path).headrace("up", "--services", "kafka", HEADRACE_KAFKA_PORT=port)
    assert refused.returncode == 1
    first, hint = refused.stderr.splitlines()
    assert port in first
    assert "HEADRACE_KAFKA_PORT" in hint


def test_killed_broker_comes_back_with_what_was_committed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.transport.follow._CALL_SECS", LIMIT_SECS)
    client = home.settings.kafka_client()
    Topics(client).ensure(SYSTEM_TOPICS)
    writer = TransactionalWriter(client, "test-runtime")
    writer.begin()
    writer.write(LEDGER, [b"kept"], partition=0, key=b"key")
    writer.commit()
    before = home.kafka()
    os.kill(before["pid"], signal.SIGKILL)
    assert wait_until(lambda: home.kafka()["state"] != "running", LIMIT_SECS)
    with ThreadPoolExecutor(1) as thread:
        begun_without_broker = thread.submit(lambda: [message.value for message in read_topic(client, LEDGER)])
        assert wait_until(lambda: home.kafka()["state"] == "running", LIMIT_SECS)
        # Its marker may not be written yet: then it is not there for a reader.
        assert begun_without_broker.result(LIMIT_SECS) in ([], [b"kept"])
    after = home.kafka()
    assert after["restarts"] == before["restarts"] + 1
    assert after["address"] == before["address"]
    assert "signal 9" in after["error"]
    # The commit was promised, but its marker may not have been written yet: initialising waits for it.
    TransactionalWriter(client, "test-runtime")
    view = CompactedTopic(client, LEDGER)
    assert view.refresh() == {"key": b"kept"}
    view.close()


def test_commit_that_was_acknowledged_before_a_kill_is_read_after_it(tmp_path: Path) -> None:
    with EmbeddedStack(["kafka"], tmp_path) as started:
        client = started.settings.kafka_client()
        for number in range(3):
            writer = TransactionalWriter(client, "test-commits")
            writer.begin()
            writer.write(LEDGER, [b"kept"], partition=0, key=f"{number}".encode())
            writer.commit()
            started.kill("kafka")
            started.restart("kafka")
        TransactionalWriter(client, "test-commits")
        view = CompactedTopic(client, LEDGER)
        assert view.refresh() == {"0": b"kept", "1": b"kept", "2": b"kept"}
        view.close()


def test_killed_supervisor_leaves_no_process_and_the_next_start_works(home: Home) -> None:
    report = read_report(home.paths)
    assert report is not None
    kafka = report["processes"]["kafka"]
    os.kill(report["pid"], signal.SIGKILL)
    assert wait_until(lambda: process_of(kafka["pid"], kafka["created_at"]) is None, LIMIT_SECS)
    stale = home.headrace("status")
    assert stale.returncode == 3
    assert "not running" in stale.stdout
    assert home.headrace("down").returncode == 0
    home.up()
    assert home.kafka()["state"] == "running"


def test_supervisor_killed_while_the_folder_is_formatted_leaves_no_process(tmp_path: Path) -> None:
    made = Home(tmp_path)
    starting = subprocess.Popen(
        [sys.executable, "-c", "from headrace.cli import main; main()", "up", "--ports", "auto", "--services", "kafka"],
        env={**os.environ, **child_environment(made.settings)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        formats = (tmp_path / "kafka" / "format.properties").exists
        assert wait_until(formats, LIMIT_SECS, every_secs=0.01)
        family = psutil.Process(starting.pid).children(recursive=True)
    finally:
        starting.kill()
        starting.wait()
    _gone, alive = psutil.wait_procs(family, timeout=LIMIT_SECS)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    made.up()
    assert made.headrace("down").returncode == 0


def test_half_formatted_folder_is_formatted_anew(tmp_path: Path) -> None:
    half = tmp_path / "kafka" / "data.formatting"
    half.mkdir(parents=True)
    (half / "meta.properties").write_text("version=1\n")
    with EmbeddedStack(["kafka"], tmp_path) as started:
        assert LEDGER in Topics(started.settings.kafka_client()).partitions()
    assert not half.exists()


def test_missing_jar_stops_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    jars = tmp_path / "jars"
    jars.mkdir()
    refused = Home(tmp_path / "home").headrace(
        "up", "--detach", "--ports", "auto", "--services", "kafka", HEADRACE_KAFKA_JARS=str(jars)
    )
    assert refused.returncode == 1
    assert "missing" in refused.stderr
    assert "kafka.lock" in refused.stderr
