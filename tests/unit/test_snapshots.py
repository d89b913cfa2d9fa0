"""Snapshots that cannot be used are passed over: the learner goes on from an older one, and a rollback is refused."""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pytest

from headrace.schemas.contract import Contract
from headrace.stream_processors.learner_commands import follow
from headrace.stream_processors.learner_feed import Feed
from headrace.stream_processors.learner_line import LearnerLine
from headrace.stream_processors.learner_models import make_learner, packages_of
from headrace.stream_processors.snapshots import SnapshotRefused
from headrace.testing.learners import SnapshotTopic, law, shipped_spec, taught
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
