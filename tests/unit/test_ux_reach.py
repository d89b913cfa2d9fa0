"""Commands on a home without a line: they say so at once, name the home, and never take another line for this one's."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.cli import headrace
from headrace.errors import ServiceUnreachable
from headrace.runtime.home import ProcessReport, SupervisorReport, locked_home, write_report
from headrace.runtime.reach import is_watched, require_services
from headrace.settings import Paths, Settings

ASKING = ["files", "trace a.csv", "alerts", "alerts --follow", "sql SHOW", "quarantine list", "quarantine show orders"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    return Paths(tmp_path / "home")


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def report_of(*processes: str) -> SupervisorReport:
    known: ProcessReport = {
        "kind": "stage",
        "state": "running",
        "pid": 0,
        "created_at": 0.0,
        "restarts": 0,
        "error": "",
    }
    return {
        "pid": os.getpid(),
        "created_at": 0.0,
        "phase": "running",
        "processes": dict.fromkeys(processes, known),
    }


@pytest.mark.timeout(5)
@pytest.mark.parametrize("command", ASKING)
def test_command_without_a_line_names_the_home_and_the_way_out_at_once(home: Paths, command: str) -> None:
    result = CliRunner().invoke(headrace, command.split())
    assert isinstance(result.exception, ServiceUnreachable)
    assert f"no line runs on the home {home.home}" in str(result.exception)
    assert "headrace up" in result.exception.hint
    assert "HEADRACE_HOME" in result.exception.hint


def test_services_of_another_home_on_the_default_ports_are_not_taken_for_ours(home: Paths, port: int) -> None:
    settings = Settings(home=home.home, kafka_port=port)
    with pytest.raises(ServiceUnreachable, match="kafka is not there"):
        require_services(settings, "kafka")


def test_services_that_were_started_by_hand_for_this_home_are_found(home: Paths, port: int) -> None:
    home.run.mkdir(parents=True)
    home.stack_file.write_text(json.dumps({"kafka": f"127.0.0.1:{port}"}))
    require_services(Settings(home=home.home), "kafka")


def test_addresses_that_a_killed_line_left_behind_are_not_believed(home: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = server.getsockname()[1]
    home.run.mkdir(parents=True)
    home.stack_file.write_text(json.dumps({"kafka": f"127.0.0.1:{gone}"}))
    with pytest.raises(ServiceUnreachable, match="no line runs"):
        require_services(Settings(home=home.home), "kafka")


def test_services_from_elsewhere_need_no_line_here(home: Paths) -> None:
    require_services(Settings(home=home.home, kafka_bootstrap="kafka.example:9092"), "kafka")


def test_running_line_is_waited_for_while_its_service_restarts(home: Paths) -> None:
    with locked_home(home):
        require_services(Settings(home=home.home), "kafka", "registry", "warehouse")


def test_inbox_is_watched_by_a_line_with_a_watcher_or_by_a_lone_watcher(home: Paths) -> None:
    assert not is_watched(home)
    with locked_home(home):
        write_report(home, report_of("kafka", "registry"))
        assert not is_watched(home)
        write_report(home, report_of("kafka", "watcher"))
        assert is_watched(home)
    assert not is_watched(home)
    with (home.run / "watcher.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert is_watched(home)
    assert not is_watched(home)


def test_drop_without_a_line_places_the_file_and_says_that_it_waits(home: Paths, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("id\n1\n")
    result = CliRunner().invoke(headrace, ["drop", str(source), "--dataset", "orders"])
    assert result.exit_code == 0
    assert result.stdout == f"waiting {home.inbox / 'orders' / 'a.csv'}\n"
    assert f"no line runs on the home {home.home}" in result.stderr
    assert "headrace up" in result.stderr
    assert (home.inbox / "orders" / "a.csv").exists()


def test_drop_on_a_watched_home_says_dropped_and_nothing_else(home: Paths, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("id\n1\n")
    with locked_home(home):
        result = CliRunner().invoke(headrace, ["drop", str(source), "--dataset", "orders"])
    assert (result.stdout, result.stderr) == ("dropped orders/a.csv\n", "")


@pytest.mark.timeout(5)
def test_drop_and_wait_without_a_line_copies_nothing(home: Paths, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("id\n1\n")
    result = CliRunner().invoke(headrace, ["drop", str(source), "--dataset", "orders", "--wait"])
    assert isinstance(result.exception, ServiceUnreachable)
    assert "nothing was copied" in str(result.exception)
    assert not home.inbox.exists()
