"""Snapshots that cannot be used are passed over: the learner goes on from an older one, and a rollback is refused."""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace.schemas.contract import Contract
from headrace.stream_processors.learner_commands import follow
from headrace.stream_processors.learner_feed import Feed
from headrace.stream_processors.learner_line import LearnerLine, Outputs
from headrace.stream_processors.learner_models import make_learner, packages_of
from headrace.stream_processors.learner_output import Publisher
from headrace.stream_processors.snapshots import KEPT, SnapshotRefused
from headrace.testing.learners import SnapshotTopic, home_with, law, shipped_spec, taught
from headrace.transport.partition_reader import Place

SPEC = shipped_spec("flights_delay")
UNMAKEABLE = {
    "a module that is not there": ["o", "river.nowhere:Model", [], None, [], []],
    "what may not be made": ["r", "os:mkdir", ["nowhere"], None, [], []],
    "another object": ["l"],
}


class NoTopics:
    """A reader of topics that are not there yet."""

    def partitions(self) -> dict[str, int]:
        return {}

    def bounds(self, _places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        return {}


class Anything:
    """A writer and a registry that take whatever they are given."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_given, **_named: 1


def line() -> LearnerLine:
    contract = law(SPEC.dataset)
    assert isinstance(contract, Contract)
    nothing: Any = NoTopics()
    return LearnerLine(SPEC, nothing, Feed(SPEC, contract, nothing), partial(make_learner, SPEC), packages_of(SPEC))


def rollback(name: str) -> Mapping[str, Any]:
    return {"command_id": "1", "command": "rollback", "snapshot": name, "by": "ann", "why": "", "model": ""}


@pytest.mark.parametrize("entry", UNMAKEABLE.values(), ids=UNMAKEABLE)
def test_learner_goes_on_from_the_snapshot_before_one_whose_state_cannot_be_made(
    entry: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    topic, learner = SnapshotTopic(), taught(SPEC, rows=512)
    topic.write(learner)
    learner.state.predicted += 100
    bad = topic.forge(learner, entry)
    found = line()
    found.open(topic.snapshots)
    assert (found.began, found.learner.state.predicted) == (True, 512)
    with pytest.raises(SnapshotRefused, match=re.escape(bad.name)):
        topic.snapshots.state(bad, found.packages)
    assert [record.message for record in caplog.records] == ["snapshot passed over"]


@pytest.mark.parametrize("entry", UNMAKEABLE.values(), ids=UNMAKEABLE)
def test_rollback_to_a_snapshot_whose_state_cannot_be_made_is_refused(entry: list[Any]) -> None:
    topic, learner = SnapshotTopic(), taught(SPEC, rows=512)
    bad = topic.forge(learner, entry)
    learner.state.predicted += 100
    topic.write(learner)
    found = line()
    found.open(topic.snapshots)
    (event,) = follow(found, rollback(bad.name), topic.snapshots).events
    assert (event["kind"], event["command_id"]) == ("refused", "1")
    assert event["detail"].startswith(f'rollback: snapshot "{bad.name}"')
    assert found.learner.state.predicted == 612


def test_message_that_is_no_snapshot_is_passed_over_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    topic, learner = SnapshotTopic(), taught(SPEC, rows=512)
    good = topic.write(learner)
    first = topic.view[good.keys[0].decode()]
    foreign = {"x/0": b"no Avro", "y/0": b"", "z/0": b"\0\xff\xff\xff\xff", "0": first, "x": first, "w/\\xff/0": first}
    topic.view |= {f"{SPEC.name}/{key}": message for key, message in foreign.items()}
    topic.view |= {SPEC.name: first, "": b"no Avro"}
    found = topic.snapshots
    assert found.of(SPEC.name) == found.of(SPEC.name) == [good]
    assert found.newest(SPEC.name) == good
    told = [record.__dict__["headrace"]["key"] for record in caplog.records if record.message == "snapshot unreadable"]
    assert told == [f"{SPEC.name}/{key}" for key in foreign]
    topic.view[f"{SPEC.name}/x/0"] = b"other bytes"
    found.of(SPEC.name)
    assert len(caplog.records) == len(foreign) + 1


def test_snapshot_that_claims_more_parts_than_there_are_messages_is_not_whole() -> None:
    topic, learner = SnapshotTopic(), taught(SPEC, rows=512)
    topic.write(learner, parts=2**31 - 1)
    assert topic.snapshots.of(SPEC.name) == []


def test_foreign_message_does_not_keep_a_learner_from_going_on() -> None:
    topic, learner = SnapshotTopic(), taught(SPEC, rows=512)
    topic.write(learner)
    topic.view[f"{SPEC.name}/x/0"] = b"no Avro"
    found = line()
    found.open(topic.snapshots)
    assert found.began


def test_file_of_a_snapshot_goes_with_its_messages_and_one_that_is_gone_is_no_fault(tmp_path: Path) -> None:
    paths, anything, found = home_with(tmp_path, SPEC).paths(), Anything(), line()
    found.open(SnapshotTopic().snapshots)
    publisher = Publisher(anything, anything, anything, paths)  # type: ignore[arg-type]
    folder = paths.models / SPEC.name

    def save(predicted: int, *, kept: bool = False) -> Path:
        found.learner.state.predicted = predicted
        publisher.publish(found, Outputs(snapshot=True, kept=kept))
        return folder / f"{found.snapshots[-1].name}.json.zz"

    promoted, *others = [save(1, kept=True), *(save(number) for number in range(2, 5))]
    (folder / "notes.txt").write_text("mine")
    others[0].unlink()
    newest = [save(number) for number in range(5, 5 + KEPT)]
    assert {path.name for path in folder.iterdir()} == {"notes.txt", promoted.name, *(path.name for path in newest)}
    assert {one.name for one in found.snapshots} == {path.name.removesuffix(".json.zz") for path in [promoted, *newest]}
