"""What a person reads who asks for help, or names a home, port or file that cannot be used: never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli import COMMANDS, main
from headrace.testing.line import HEADRACE


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, **settings: str
) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code, and what it printed to both outputs."""
    monkeypatch.setattr(sys, "argv", ["headrace", *arguments])
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    code = 0
    try:
        main()
    except SystemExit as left:
        code = int(left.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("group", [(), ("quarantine",), ("contract",), ("alerts",)], ids=" ".join)
def test_help_says_what_each_command_does_and_cuts_nothing_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], group: tuple[str, ...]
) -> None:
    code, printed, _ = told(monkeypatch, capsys, *group, "--help")
    assert code == 0
    assert "..." not in printed.split("Commands:")[1]
    if not group:
        assert [line.split()[0] for line in printed.split("Commands:")[1].splitlines() if line[2:3].strip()] == [
            *COMMANDS
        ]


@pytest.mark.parametrize("command", [("up",), ("demo",), ("drop", "FILE", "--dataset", "d")], ids=" ".join)
def test_home_that_cannot_be_made_is_told_by_its_name_with_the_next_action(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    home = str(file / "home")
    arguments = [str(file) if part == "FILE" else part for part in command]
    code, _, errors = told(monkeypatch, capsys, *arguments, HEADRACE_HOME=home)
    assert code == 1
    first, hint = errors.splitlines()[-2:]
    assert home in first
    assert "HEADRACE_HOME" in hint


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_home_that_is_a_file_does_not_keep_status_and_doctor_from_answering(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    file = tmp_path / "home"
    file.touch()
    code, printed, _ = told(monkeypatch, capsys, command, HEADRACE_HOME=str(file))
    assert code in {1, 3}
    assert str(file) in printed


@pytest.mark.parametrize("port", ["0", "65536", "ninety"])
def test_port_that_is_none_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    code, _, errors = told(monkeypatch, capsys, "up", HEADRACE_KAFKA_PORT=port)
    assert code == 2
    assert "HEADRACE_KAFKA_PORT" in errors


def test_folder_in_place_of_a_file_is_named_as_it_was_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, errors = told(monkeypatch, capsys, "drop", f"{tmp_path}/", "--dataset", "d")
    assert code == 2
    assert f'"{tmp_path}" is not a file' in errors


def test_reader_that_goes_away_ends_a_command_without_a_traceback() -> None:
    command = [*HEADRACE, "contract", "show", "flights", "--yaml"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.close()
        assert shown.stderr.read() == b""
        assert shown.wait(30) == 1
