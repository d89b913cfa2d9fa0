"""Records wait for their labels by the time up to which both topics were read, whichever the learner reads first."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from confluent_kafka import Message

from headrace.schemas.contract import Contract
from headrace.schemas.learner_spec import LateLabels, Task
from headrace.stream_processors.learner_feed import LabelSlice, record_slices
from headrace.stream_processors.learner_line import LearnerLine
from headrace.stream_processors.learner_models import make_learner
from headrace.stream_processors.steps.label_join import ReadTimes
from headrace.stream_processors.steps.learn import Learner
from headrace.stream_processors.steps.learner_findings import Findings
from headrace.testing.learner_rows import spec_of
from headrace.testing.learners import law
from headrace.transport.partition_reader import Place, Poll, Run

WAIT_SECS = 10
LATE = LateLabels("answers", (("k", "k"),), WAIT_SECS)
SPEC = spec_of(Task.REGRESSION, "linear_regression", late=LATE)
RECORDS, LABELS, MORE_LABELS = Place("made.valid", 0), Place("answers.valid", 0), Place("answers.valid", 1)


def contract() -> Contract:
    found = law("flights")
    assert found is not None
    return found


def read_records(learner: Learner, keys: list[str], moments: list[int], until_ms: int | None) -> None:
    columns = {"_file": ["aa"] * len(keys), "_row": range(len(keys)), "k": keys, "a": 1.0, "b": 1.0, "c": 1.0}
    for one in record_slices(SPEC, contract(), pl.DataFrame(columns), np.asarray(moments), b"", until_ms):
        one.run(learner, [], Findings())


def read_labels(learner: Learner, keys: list[str], at_ms: int, until_ms: int | None) -> None:
    frame = pl.DataFrame({"k": keys, "y": [2.0] * len(keys)})
    LabelSlice(SPEC, LATE, frame, at_ms * 1_000, until_ms).run(learner, [], Findings())


def test_records_read_ahead_of_their_labels_wait_for_them() -> None:
    learner = make_learner(SPEC)
    read_records(learner, ["x"], [0], until_ms=0)
    read_records(learner, ["y"], [90_000], until_ms=0)
    assert (learner.state.waiting.count, learner.state.waiting.given_up) == (2, 0)
    read_labels(learner, ["x"], 5_000, until_ms=90_000)
    assert (learner.state.rows, learner.state.waiting.count) == (1, 1)


def test_label_that_does_not_come_is_given_up_once_labels_were_read_so_far() -> None:
    learner = make_learner(SPEC)
    read_records(learner, ["x"], [0], until_ms=0)
    read_labels(learner, ["other"], 11_000, until_ms=90_000)
    assert (learner.state.waiting.count, learner.state.waiting.given_up) == (0, 1)


def test_labels_that_never_come_are_given_up_by_the_time_of_the_records() -> None:
    learner = make_learner(SPEC)
    read_records(learner, ["x"], [0], until_ms=None)
    read_records(learner, ["y"], [11_000], until_ms=None)
    assert (learner.state.waiting.count, learner.state.waiting.given_up) == (1, 1)


def test_labels_read_ahead_of_their_records_wait_for_them() -> None:
    learner = make_learner(SPEC)
    read_labels(learner, ["x"], 1_000, until_ms=0)
    read_labels(learner, ["y"], 90_000, until_ms=0)
    assert learner.state.waiting.unused == 0
    read_records(learner, ["x"], [2_000], until_ms=90_000)
    assert learner.state.rows == 1


def test_slowest_of_several_partitions_counts_and_one_that_has_more_holds_again() -> None:
    times: ReadTimes[str] = ReadTimes()
    for source, at_ms in (("records", 90), ("labels", 20), ("more labels", 10)):
        times.begin(source)
        assert times.of_others("records") in {0, None, 20}
        times.note(source, at_ms)
    assert times.of_others("records") == 10
    times.end("more labels")
    assert times.of_others("records") == 20
    times.resume("more labels")
    assert times.of_others("records") == 10


class Script:
    """A reader of three partitions that gives what a test wants, and a feed that notes what it is told."""

    def __init__(self, *polls: Poll) -> None:
        self.contract = contract()
        self._polls = iter(polls)
        self.told: list[tuple[Place, int | None]] = []

    def partitions(self) -> dict[str, int]:
        return {RECORDS.topic: 1, LABELS.topic: 2}

    def reads(self, _place: Place) -> bool:
        return False

    def recorded(self, _places: list[Place]) -> dict[Place, int]:
        return {}

    def bounds(self, places: list[Place]) -> dict[Place, tuple[int, int]]:
        return dict.fromkeys(places, (0, 9))

    def start(self, _place: Place, _offset: int) -> None:
        """Begin."""

    def poll(self, _limit: int, _timeout_secs: float) -> Poll:
        return next(self._polls)

    def slices(self, run: Run, until_ms: int | None) -> Iterator[Any]:
        self.told.append((run.place, until_ms))
        return iter(())


def run(place: Place, offset: int, at_ms: int) -> Run:
    return Run(place, [Message(*place, offset=offset, value=b"x", timestamp=(1, at_ms))])


def test_line_tells_each_run_up_to_when_all_other_partitions_were_read() -> None:
    script: Any = Script(
        Poll([run(RECORDS, 0, 500)]),
        Poll([run(LABELS, 0, 100)], ended={MORE_LABELS: 0}),
        Poll([run(RECORDS, 1, 600)], ended={LABELS: 1}),
        Poll([run(RECORDS, 2, 700)]),
        Poll([run(RECORDS, 3, 800), run(LABELS, 1, 750)]),
    )
    line = LearnerLine(SPEC, script, script, lambda: make_learner(SPEC), ())
    line.look(10.0)
    assert set(line.positions) == {RECORDS, LABELS, MORE_LABELS}
    for _ in range(5):
        line.step(0.0)
    assert script.told == [(RECORDS, 0), (LABELS, 0), (RECORDS, 100), (RECORDS, None), (RECORDS, 100), (LABELS, 800)]
