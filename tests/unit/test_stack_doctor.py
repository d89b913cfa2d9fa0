"""The doctor: every bad finding names the next action."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.cli.doctor import doctor
from headrace.cli.status import exit_code
from headrace.embedded.ports import pick_ports
from headrace.runtime.doctor import (
    check_clock,
    check_descriptors,
    check_home,
    check_jars,
    check_ports_free,
    check_watches,
    examine,
)
from headrace.runtime.status import stack_status
from headrace.settings import LOOPBACK, Settings


def test_doctor_finds_the_checks_that_a_start_depends_on(tmp_path: Path) -> None:
    findings = list(examine(Settings(home=tmp_path).model_copy(update=dict(pick_ports()))))
    assert {"Python", "home", "disk space", "Kafka's jars", "open files", "folder watches", "clock"} <= {
        finding.check for finding in findings
    }
    assert sum(finding.check.startswith("port ") for finding in findings) == 5
    assert all(finding.found for finding in findings)


def test_home_that_cannot_be_written_is_told_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    finding = check_home(Settings(home=tmp_path / "file" / "home"))
    assert not finding.ok
    assert "HEADRACE_HOME" in finding.action


def test_missing_jars_are_told_with_the_command_that_fetches_them(tmp_path: Path) -> None:
    finding = check_jars(Settings(kafka_jars=tmp_path))
    assert not finding.ok
    assert finding.action == "python -m headrace.embedded.jars"


def test_taken_port_is_told_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        ports = {**pick_ports(), "registry_port": server.getsockname()[1]}
        bad = [f for f in check_ports_free(Settings(home=tmp_path).model_copy(update=ports)) if not f.ok]
    assert len(bad) == 1
    assert "HEADRACE_REGISTRY_PORT" in bad[0].action


@pytest.mark.parametrize(("limit", "ok"), [(1_024, False), (4_096, True), (-1, True)])
def test_few_file_descriptors_are_too_few(limit: int, ok: bool) -> None:
    assert check_descriptors(limit).ok is ok


def test_few_folder_watches_are_too_few_and_none_is_no_inotify(tmp_path: Path) -> None:
    setting = tmp_path / "max_user_watches"
    assert check_watches(setting).ok
    setting.write_text("100\n")
    assert "sysctl" in check_watches(setting).action


def test_clock_of_1970_is_not_set() -> None:
    assert not check_clock(0.0).ok


def test_doctor_command_exits_with_1_and_says_what_is_next_if_something_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_KAFKA_JARS", str(tmp_path))
    ran = CliRunner().invoke(doctor)
    assert ran.exit_code == 1
    assert "NO  Kafka's jars" in ran.output
    assert "next: " in ran.output


def test_status_exits_with_3_when_nothing_runs_and_with_1_when_a_part_fails(tmp_path: Path) -> None:
    stopped = stack_status(Settings(home=tmp_path))
    assert exit_code(stopped) == 3
    stopped["phase"] = "running"
    assert exit_code(stopped) == 0
    stopped["services"]["kafka"]["state"] = "failed"
    assert exit_code(stopped) == 1
