"""headrace learn where no line is needed, or where none is there: it says so, and what to do."""

import json
import os
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from headrace.cli.learn import learn
from headrace.errors import ServiceUnreachable, WrongUse
from headrace.runtime.learners import declared, home_contracts, spec_named, why_idle
from headrace.schemas.learner_store import learner_path
from headrace.settings import Settings
from headrace.testing.learners import home_with, shipped_spec

SPEC = shipped_spec("flights_delay")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home that has one sound learner and one that cannot be followed; no line runs there."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    settings = home_with(tmp_path, SPEC)
    wrong = SPEC.text.replace("name: flights_delay", "name: wrong").replace("target: arr_delay", "target: ar_delay")
    learner_path(settings.paths(), "wrong").write_text(wrong)
    return settings


def test_lint_says_what_a_sound_learner_learns_from_what_without_a_line(home: Settings) -> None:
    done = CliRunner().invoke(learn, ["lint", str(learner_path(home.paths(), "flights_delay"))])
    assert done.exit_code == 0
    assert "flights_delay.yaml: sound" in done.output
    assert "predicts arr_delay" in done.output
    assert not home.paths().contracts.exists(), "a look writes nothing"


def test_lint_tells_every_problem_of_every_file_and_ends_with_1(home: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("name: Other\ntask: regresion\n")
    done = CliRunner().invoke(learn, ["lint", str(other), str(learner_path(home.paths(), "wrong"))])
    assert done.exit_code == 1
    assert "dataset is missing" in done.output
    assert "is not a safe name" in done.output
    assert 'did you mean "arr_delay"?' in done.output
    assert done.output.count("cannot be followed") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["models"],
        ["show", "flights_delay"],
        ["promote", "flights_delay", "hoeffding_tree", "--why", "a test"],
        ["rollback", "flights_delay", "1.0.0+x.7", "--why", "a test"],
    ],
)
def test_without_a_line_each_command_says_so_at_once(home: Settings, arguments: list[str]) -> None:
    done = CliRunner().invoke(learn, arguments)
    assert isinstance(done.exception, ServiceUnreachable)
    assert f"no line runs on the home {home.home}" in str(done.exception)


def test_promotion_and_rollback_ask_for_a_reason(home: Settings) -> None:
    for arguments in (["promote", "flights_delay", "mean"], ["rollback", "flights_delay", "x"]):
        done = CliRunner().invoke(learn, arguments)
        assert done.exit_code == 2
        assert "--why" in done.output


def test_unknown_learner_names_those_there_are_and_one_that_rests_says_why(home: Settings) -> None:
    learners = declared(home.paths())
    assert spec_named(learners, "flights_delay").version == SPEC.version
    with pytest.raises(WrongUse, match='there is no learner "nobody"') as raised:
        spec_named(learners, "nobody")
    assert "flights_delay" in raised.value.hint
    with pytest.raises(WrongUse, match='"wrong" rests') as raised:
        spec_named(learners, "wrong")
    assert "ar_delay" in str(raised.value)
    assert "headrace learn lint" in raised.value.hint


def test_homes_own_contract_is_read_before_the_one_that_comes_with_headrace(home: Settings) -> None:
    assert home_contracts(home.paths())("flights") is not None
    assert home_contracts(home.paths())("nothing_known") is None
    home.paths().contracts.mkdir()
    text = home_contracts(home.paths())("flights")
    assert text is not None
    (home.paths().contracts / "flights.odcs.yaml").write_text(text.text + "\n")
    changed = home_contracts(home.paths())("flights")
    assert changed is not None
    assert changed.version != text.version


def report(settings: Settings, pid: int, state: str = "running") -> Path:
    path = settings.paths().run / "stages/learner.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pid": pid, "state": state}))
    return path


def test_learner_that_nobody_started_is_idle_and_one_that_runs_alone_is_not(home: Settings) -> None:
    assert why_idle(home) == "it was not started"
    parent = psutil.Process().ppid()
    report(home, parent)
    assert why_idle(home) == ""
    report(home, parent, "stopped")
    assert why_idle(home) == "it was not started"


def test_report_of_a_dead_learner_whose_number_another_process_has_now_is_not_believed(home: Settings) -> None:
    path = report(home, psutil.Process().ppid())
    os.utime(path, (1.0, 1.0))
    assert why_idle(home) == "it was not started"
