"""One learner on its topics: what it reads, what it remembers, and what of it is committed together.

A state is snapshotted now and then, offsets are committed with every batch. After a kill the newest snapshot is loaded
and the records between it and the committed offsets are learned again, in silence: their predictions are published
already. So every record is predicted once and learned once, and the state is that of a run without a kill.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import polars as pl

from headrace.core.identity import stable_slot
from headrace.observability.events import emit
from headrace.observability.learner_events import ModelTurned, RecordsLearned, SnapshotPassedOver
from headrace.schemas.check_rules import WindowSpec
from headrace.schemas.contract import Contract
from headrace.schemas.learner_spec import LearnerSpec, Task
from headrace.schemas.topics import QUALITY_PARTITIONS, VALID, WINDOWS, data_topic
from headrace.stream_processors.checks.learned import asked_learners
from headrace.stream_processors.learner_feed import Feed
from headrace.stream_processors.snapshots import Snapshot, SnapshotRefused, Snapshots, snapshot_name
from headrace.stream_processors.steps.batch_pace import BatchPace
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.label_join import ReadTimes
from headrace.stream_processors.steps.learn import Learner
from headrace.stream_processors.steps.learner_findings import Findings
from headrace.stream_processors.steps.learner_records import event_value, metric_values
from headrace.transport.partition_reader import PartitionReader, Place, Run

_LOOK_SECS = 2.0
_IDLE_SECS = 2.0


@dataclass
class Outputs:
    """What one step is to publish, all of it in one transaction; `rows` of `size` bytes were predicted."""

    predictions: list[tuple[pl.DataFrame, bytes]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    rows: int = 0
    size: int = 0
    snapshot: bool = False
    kept: bool = False


def sources_of(spec: LearnerSpec, partitions: Mapping[str, int]) -> list[Place]:
    """Return the partitions that a learner reads, of topics with so many partitions each."""
    if spec.task is Task.FORECAST:
        slot = stable_slot(spec.dataset, QUALITY_PARTITIONS)
        return [Place(WINDOWS, slot)] if slot < partitions.get(WINDOWS, 0) else []
    datasets = [spec.dataset, *([spec.late.dataset] if spec.late else [])]
    topics = [data_topic(dataset, VALID) for dataset in datasets]
    return [Place(topic, number) for topic in topics for number in range(partitions.get(topic, 0))]


class LearnerLine:
    """Runs one learner. Not for use from several threads; calls block and raise ServiceUnreachable.

    `make` gives a learner that has learned nothing, or one that goes on from a state.
    """

    def __init__(
        self,
        spec: LearnerSpec,
        reader: PartitionReader,
        feed: Feed,
        make: Callable[..., Learner],
        packages: Sequence[str],
    ) -> None:
        self.spec = spec
        self.reader = reader
        self.packages = packages
        self.positions: dict[Place, int] = {}
        self.snapshots: list[Snapshot] = []
        self.learner: Learner = make()
        self.began = False
        self.at = 0
        self._event_at: int | None = None
        self._law = feed.contract
        self._make = make
        self._feed = feed
        self._published: dict[Place, int] = {}
        self._times: ReadTimes[Place] = ReadTimes()
        self._looked_at = -_LOOK_SECS
        self._worked_at = 0.0
        self._since_snapshot = 0
        self._pace = BatchPace()

    def open(self, found: Snapshots) -> None:
        """Go on from the newest snapshot that can be read; without any, begin with what the topics still hold."""
        self.snapshots = found.of(self.spec.name)
        for one in reversed([one for one in self.snapshots if one.version == self.spec.version]):
            try:
                self.learner = self._make(found.state(one, self.packages))
            except SnapshotRefused as error:
                emit(SnapshotPassedOver(learner=self.spec.name, snapshot=one.name, cause=str(error)))
                continue
            self.positions, self.at, self.began = dict(one.positions), one.at, True
            break
        self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Begin to read partitions that are new."""
        if now - self._looked_at < _LOOK_SECS:
            return
        self._looked_at = now
        found = sources_of(self.spec, self.reader.partitions())
        new = [one for one in found if not self.reader.reads(one)]
        # Of a learner that begins, offsets are those of its YAML before: what it found up to there was told.
        recorded = self.reader.recorded(new) if new else {}
        if self.began:
            self._published |= recorded
        else:
            self.learner.state.told |= {str(place): offset for place, offset in recorded.items()}
        for place, (low, _high) in self.reader.bounds(new).items():
            offset = max(low, self.positions.get(place, low))
            self.positions[place] = offset
            self._times.begin(place)
            self.reader.start(place, offset)

    def follow(self, law: Contract) -> None:
        """Go by a contract from now on: whether a rule of it asks what the learner finds, and by which windows."""
        self._law = law

    @property
    def _watched(self) -> WindowSpec | None:
        return self._law.window if self.spec.name in asked_learners(self._law.checks) else None

    @property
    def contract_version(self) -> str:
        """Return the contract that it goes by."""
        return self._law.version

    def step(self, timeout_secs: float) -> Outputs:
        """Read, predict and learn one batch; nothing is published yet."""
        out = Outputs(findings=Findings(self._watched))
        poll = self.reader.poll(self._pace.rows, timeout_secs)
        started = time.monotonic()
        for place in poll.lost:
            self._pass_over_gap(place)
        for run in poll.runs:
            self._times.resume(run.place)
        for run in poll.runs:
            for part, loud, quiet in self._split(run):
                out.findings.quiet = quiet
                self._learn(part, out if loud else Outputs())
            self.positions[run.place] = run.messages[-1].offset() + 1
            self._times.note(run.place, run.messages[-1].timestamp()[1])
            out.size += sum(map(len, run.messages))
        for place, end in poll.ended.items():
            self._times.end(place)
            self.positions[place] = max(end, self.positions.get(place, 0))
        if poll.runs:
            self._worked_at = time.monotonic()
            self._pace.took(sum(len(run.messages) for run in poll.runs), self._worked_at - started)
        out.snapshot = out.snapshot or self._snapshot_due()
        # What is snapshotted is the state at the end of the step, whenever in it a model was changed.
        name = snapshot_name(self.spec, self.learner.state)
        out.events = [event | {"snapshot": event["snapshot"] and name} for event in out.events]
        return out

    @property
    def unsaved(self) -> bool:
        """Return True if it learned something since the last snapshot."""
        return self._since_snapshot > 0

    def note(self, snapshot: Snapshot) -> None:
        """Say that a snapshot is committed."""
        self.snapshots.append(snapshot)
        self.began = True
        self._since_snapshot = 0

    def lag(self) -> int:
        """Return how many offsets are not learned yet; markers count, so it is rough."""
        return sum(self.reader.behind(place, offset) for place, offset in self.positions.items())

    def tell(self, turn: Turn, out: Outputs, by: str = "", command_id: str = "") -> None:
        """Add what happened to a model to the outputs; with another model comes a snapshot, to go back to.

        `by` asked for it with the command `command_id`; both are empty for what the learner does by itself.
        """
        state = self.learner.state
        name = snapshot_name(self.spec, state) if turn.kind in {"swap", "promotion", "rollback"} else ""
        out.snapshot = out.snapshot or bool(name)
        out.kept = out.kept or bool(name)
        event = event_value(
            self.spec,
            state,
            turn,
            at=self.at,
            event_at=self._event_at,
            snapshot=name,
            by=by,
            command_id=command_id,
        )
        out.events.append(event)
        emit(ModelTurned(learner=self.spec.name, kind=turn.kind, model=turn.contender, detail=turn.detail))

    def _split(self, run: Run) -> list[tuple[Run, bool, bool]]:
        """Return a run's messages before the committed offset, which are learned in silence, and those after it.

        The last is True for records whose findings were told before.
        """
        published, told = self._published.get(run.place, 0), self.learner.state.told.get(str(run.place), 0)
        offsets = run.offsets()
        cuts = [0, *sorted(sum(1 for offset in offsets if offset < bound) for bound in (published, told)), len(offsets)]
        return [
            (Run(run.place, run.messages[first:last]), offsets[first] >= published, offsets[first] < told)
            for first, last in pairwise(cuts)
            if first < last
        ]

    def _learn(self, run: Run, out: Outputs) -> None:
        learner = self.learner
        before = learner.state.predicted
        for slice_ in self._feed.slices(run, self._times.of_others(run.place)):
            turns = slice_.run(learner, out.predictions, out.findings)
            self.at, self._event_at = slice_.at, slice_.event_at
            for turn in turns:
                self.tell(turn, out)
            for rows, standings in learner.tellings:
                out.metrics += metric_values(self.spec, learner.state, rows, standings, self.at, self._event_at)
            learner.tellings.clear()
        learned = learner.state.predicted - before
        out.rows += learned
        self._since_snapshot += learned
        emit(RecordsLearned(learner=self.spec.name, records=len(run.messages), predicted=learned))

    def _snapshot_due(self) -> bool:
        idle = time.monotonic() - self._worked_at > _IDLE_SECS
        return self._since_snapshot >= self.spec.snapshot_rows or (idle and self._since_snapshot > 0)

    def _pass_over_gap(self, place: Place) -> None:
        """Go on where a partition begins now: what retention deleted while the learner was away is not learned."""
        low, _high = self.reader.bounds([place]).get(place, (0, 0))
        detail = f"{place} begins at {low} now, {low - self.positions.get(place, low)} offsets after what was learned"
        emit(ModelTurned(learner=self.spec.name, kind="gap", model="", detail=detail))
        self.reader.stop(place)
        self.positions[place] = low
        self._times.resume(place)
        self.reader.start(place, low)
