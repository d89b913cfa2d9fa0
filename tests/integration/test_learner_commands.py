"""What people ask of a learner: every command is answered once, by whoever runs next, and can be undone."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headrace.core.child import wait_until
from headrace.errors import ServiceUnreachable
from headrace.runtime.learner_commands import Wish, ask
from headrace.runtime.learners import home_contracts, lag_of
from headrace.schemas.learner_file import parse_learner
from headrace.schemas.topics import COMMANDS, SNAPSHOTS
from headrace.testing.learner import LIMIT_SECS, LearnerHome
from headrace.testing.stack import EmbeddedStack
from headrace.transport.plain import write_plainly

pytestmark = pytest.mark.stack
FILE = "00000000000000aa"
ROWS = 3_000
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: {dataset}
version: 1.0.0
status: active
schema:
  - name: {dataset}
    properties:
      - name: a
        logicalType: number
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - {{name: y, logicalType: number}}
"""
LEARNER = """
name: {name}
version: "{version}"
dataset: {dataset}
task: regression
target: y
models:
  - {{name: line, model: linear_regression}}
  - {{name: tree, model: hoeffding_tree}}
budget: {{rowsPerSecond: 0}}
rolling: 2048
"""


@pytest.fixture
def home(stack: EmbeddedStack, tmp_path: Path) -> Iterator[LearnerHome]:
    with LearnerHome(stack.settings, tmp_path / "home") as found:
        yield found


class Learned:
    """A learner that has learned some records, on a home of its own."""

    def __init__(self, home: LearnerHome, turn: int = 10**9) -> None:
        tail = uuid4().hex[:8]
        self.home, self.dataset, self.name = home, f"asked_{tail}", f"asker_{tail}"
        self.contract = home.dataset(CONTRACT.format(dataset=self.dataset))
        self.write("1.0.0")
        chance = random.Random(3)
        a = [chance.gauss(0, 1) for _ in range(max(ROWS, turn + ROWS) if turn < 10**9 else ROWS)]
        y = [value * (2 if number < turn else 50 * value) for number, value in enumerate(a)]
        self.rows = len(a)
        home.publish(self.contract, FILE, {"a": a, "y": y})

    def write(self, version: str) -> None:
        self.home.learner(self.name, LEARNER.format(name=self.name, dataset=self.dataset, version=version))

    def learn(self) -> str:
        self.home.start()
        return self.home.wait_for_rows(self.name, self.rows).name

    def ask(self, command: str, patience_secs: float = LIMIT_SECS, **what: Any) -> dict[str, Any]:
        wish = Wish(self.name, command, "ann", "a test", **what)
        # A learner that was started is not there at once on a busy machine.
        return ask(self.home.settings, wish, lambda _secs: None, limit_secs=LIMIT_SECS, patience_secs=patience_secs)

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.home.events(self.name)]


def test_promotion_is_answered_and_undone_by_a_rollback_to_the_state_just_before_it(home: LearnerHome) -> None:
    one = Learned(home)
    before = one.learn()
    event = one.ask("promote", model="tree")
    assert (event["kind"], event["model"], event["champion"], event["by"]) == ("promotion", "tree", "tree", "ann")
    assert event["detail"] == "asked for by ann: a test"
    promoted = home.snapshots(one.name)[-1]
    assert (promoted.name, promoted.champion, promoted.kept) == (event["snapshot"], "tree", True)
    assert before in {found.name for found in home.snapshots(one.name)}
    event = one.ask("rollback", snapshot=before)
    assert (event["kind"], event["champion"]) == ("rollback", "line")
    assert home.snapshots(one.name)[-1].champion == "line"
    assert home.snapshots(one.name)[-1].name == event["snapshot"]


def test_command_without_a_learner_that_runs_says_so_and_is_followed_when_one_does(home: LearnerHome) -> None:
    one = Learned(home)
    one.learn()
    home.kill(signal.SIGTERM)
    with pytest.raises(ServiceUnreachable, match="the process learner does not run") as raised:
        one.ask("promote", patience_secs=0.0, model="tree")
    assert "stays on ml.commands" in str(raised.value)
    home.start()
    assert wait_until(lambda: "promotion" in one.kinds(), LIMIT_SECS, every_secs=0.3), home.log()[-2000:]
    assert home.snapshots(one.name)[-1].champion == "tree"


def test_command_that_was_answered_is_not_followed_again_by_a_learner_that_begins_anew(home: LearnerHome) -> None:
    one = Learned(home)
    one.learn()
    one.ask("promote", model="tree")
    one.write("2.0.0")

    def begun() -> bool:
        newest = home.snapshots(one.name)[-1]
        return newest.version.startswith("2.0.0") and newest.predicted == ROWS

    assert wait_until(begun, LIMIT_SECS, every_secs=0.3), home.log()[-2000:]
    home.kill(signal.SIGTERM)
    home.start()
    event = one.ask("promote", model="nobody")
    assert event["kind"] == "refused"
    assert home.snapshots(one.name)[-1].champion == "line"
    assert one.kinds().count("promotion") == 1


def test_learner_whose_yaml_cannot_be_followed_any_more_goes_on_as_it_was_over_a_restart(home: LearnerHome) -> None:
    one = Learned(home)
    one.learn()
    home.learner(one.name, "name: nothing\n")
    assert wait_until(lambda: "refused" in one.kinds(), LIMIT_SECS, every_secs=0.3), home.log()[-2000:]
    (told,) = [event for event in home.events(one.name) if event["kind"] == "refused"]
    assert told["detail"].startswith("its YAML cannot be followed, so it goes on as it was: ")
    assert "learner goes on as it was" in home.log()
    home.kill(signal.SIGTERM)
    home.start()
    home.publish(one.contract, "00000000000000bb", {"a": [1.0] * 10, "y": [2.0] * 10})
    assert home.wait_for_rows(one.name, ROWS + 10).version.startswith("1.0.0")
    assert one.ask("promote", model="tree")["champion"] == "tree"


def test_command_for_a_learner_that_rests_or_is_not_there_is_refused_with_the_reason(home: LearnerHome) -> None:
    one = Learned(home)
    home.learner(one.name, "name: nothing\n")
    home.start()
    assert wait_until(lambda: "learner refused" in home.log(), LIMIT_SECS)
    assert "its YAML cannot be followed" in one.ask("promote", model="tree")["detail"]
    (home.settings.paths().learners / f"{one.name}.yaml").unlink()
    assert wait_until(lambda: "there is no learner" in one.ask("promote", model="tree")["detail"], LIMIT_SECS)


def test_foreign_message_among_the_commands_is_passed_over_and_told_once(home: LearnerHome) -> None:
    one = Learned(home)
    write_plainly(home.client, COMMANDS, f"{one.name}/foreign".encode(), b"no command")
    one.learn()
    assert one.ask("promote", model="tree")["kind"] == "promotion"
    assert home.log().count(f"{one.name}/foreign") == 1


def test_foreign_messages_among_the_snapshots_are_passed_over_and_told(home: LearnerHome) -> None:
    one = Learned(home)
    for key in (f"{one.name}/x/0".encode(), f"{one.name}/\xff/0".encode("latin-1"), b"\xff"):
        write_plainly(home.client, SNAPSHOTS, key, b"no snapshot")
    before = one.learn()
    one.ask("promote", model="tree")
    assert one.ask("rollback", snapshot=before)["kind"] == "rollback"
    assert "snapshot unreadable" in home.log()


def test_every_snapshot_that_an_event_names_was_written(home: LearnerHome) -> None:
    one = Learned(home, turn=6_000)
    one.learn()
    one.ask("promote", model="tree")
    named = [event["snapshot"] for event in home.events(one.name) if event["snapshot"]]
    assert "swap" in one.kinds()
    assert len(named) > 1
    assert set(named) <= {snapshot.name for snapshot in home.snapshots(one.name)}


def test_lag_is_what_is_not_learned_yet(home: LearnerHome) -> None:
    one = Learned(home)
    text = (home.settings.paths().learners / f"{one.name}.yaml").read_text()
    spec = parse_learner(text, home_contracts(home.settings.paths()))
    assert lag_of(home.client, spec) >= ROWS
    one.learn()
    assert wait_until(lambda: lag_of(home.client, spec) == 0, LIMIT_SECS, every_secs=0.3)
