"""What the process `learner` does once there is something to learn: it runs every learner, one after the other."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from headrace.errors import ContractInvalid, HeadraceError, Terminal, TransactionFailed
from headrace.observability.events import BatchRepeated, StageStarted, StageWaits, emit
from headrace.observability.learner_events import LearnerKept, LearnerRefused
from headrace.observability.metric_events import BatchDone, QueueSeen
from headrace.observability.status import StageStatus
from headrace.observability.tracing import FileTracer
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.learner_store import SUFFIX, LearnerStore
from headrace.schemas.registry import Registry
from headrace.schemas.topics import SNAPSHOTS, datasets_of
from headrace.settings import Settings
from headrace.stream_processors.learner import STAGE
from headrace.stream_processors.learner_commands import Commands, follow, refusal
from headrace.stream_processors.learner_feed import Feed
from headrace.stream_processors.learner_line import LearnerLine, Outputs
from headrace.stream_processors.learner_models import make_learner, packages_of
from headrace.stream_processors.learner_output import Publisher
from headrace.stream_processors.snapshots import Snapshots
from headrace.stream_processors.steps.batch_pace import MOST_ROWS
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.learner_records import event_value
from headrace.stream_processors.steps.model_state import StateRefused
from headrace.transport.kafka import CompactedTopic, Topics, TransactionalWriter
from headrace.transport.partition_reader import PartitionReader

GROUP = "headrace-learn"
_POLL_SECS, _LOOK_SECS = 0.2, 2.0
_RETRY_SECS, _MOST_RETRY_SECS = 0.2, 5.0


class LearnerProcess:
    """Runs all learners until `stop` is set. Not for use from several threads."""

    def __init__(self, settings: Settings, tracer: FileTracer, status: StageStatus, stop: threading.Event) -> None:
        self._settings = settings
        self._tracer = tracer
        self._stop = stop
        self._status = status
        self._client = settings.kafka_client()
        self._topics = Topics(self._client, settings.replication_factor)
        self._registry = Registry(settings)
        self._contracts = ContractStore(settings, self._client, self._registry)
        self._store = LearnerStore(settings.paths(), self._law, keep=True)
        self._lines: dict[str, LearnerLine] = {}
        self._refused: Mapping[str, tuple[str, ...]] = {}
        self._kept: Mapping[str, tuple[str, ...]] = {}
        # Learners whose state cannot be kept, with why: they rest until their file changes.
        self._resting: dict[str, tuple[LearnerSpec, str]] = {}
        self._looked_at = -_LOOK_SECS

    def run(self) -> None:
        """Learn until told to stop; the batch in hand is finished. Raises Terminal errors, retries all others."""
        retry_secs = _RETRY_SECS
        while not self._stop.is_set():
            try:
                with self._session() as publisher:
                    emit(StageStarted(stage=STAGE))
                    while not self._stop.is_set():
                        self._step(publisher)
                        retry_secs = _RETRY_SECS
                    self._leave(publisher)
            except HeadraceError as error:
                if isinstance(error, Terminal):
                    raise
                retry_secs = min(_MOST_RETRY_SECS, retry_secs * 2)
                self._tell(error, retry_secs)
                self._stop.wait(retry_secs)

    def close(self) -> None:
        """Leave the services."""
        self._contracts.close()
        self._registry.close()

    @contextmanager
    def _session(self) -> Iterator[Publisher]:
        """Give a publisher whose predecessor's transaction is settled; what was not committed is forgotten."""
        writer = TransactionalWriter(self._client, GROUP)
        self._snapshots = CompactedTopic(self._client, SNAPSHOTS)
        self._found: Snapshots | None = None
        self._commands = Commands(self._client, self._registry)
        try:
            yield Publisher(writer, self._registry, self._tracer, self._settings.paths())
        finally:
            for line in self._lines.values():
                line.reader.close()
            self._lines = {}
            self._looked_at = -_LOOK_SECS
            self._snapshots.close()
            self._commands.close()

    def _step(self, publisher: Publisher) -> None:
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECS:
            self._looked_at = now
            self._reconcile()
            self._tell_kept(publisher)
            self._follow_commands(publisher)
            unlabelled = sum(line.learner.state.waiting.count for line in self._lines.values())
            emit(QueueSeen(queue="records_without_label", depth=unlabelled))
            # The first batch of a learner that is behind may take minutes beside a busy line: it has begun before that.
            self._told(0)
        rows = 0
        for line in list(self._lines.values()):
            try:
                done = self._advance(publisher, line, now, 0.0 if rows else _POLL_SECS / len(self._lines))
                rows += done
                self._told(done)
            except StateRefused as error:
                self._rest(publisher, line, error)
        if not self._lines:
            self._stop.wait(_POLL_SECS)
            self._told(0)

    def _told(self, rows: int) -> None:
        self._status.update(rows=rows, lag=sum(line.lag() for line in self._lines.values()))

    def _advance(self, publisher: Publisher, line: LearnerLine, now: float, patience_secs: float) -> int:
        """Let a learner do one step and commit it; return how many records it predicted."""
        line.look(now)
        if not line.began:
            publisher.begin(line)
        started = time.monotonic()
        out = line.step(patience_secs)
        publisher.publish(line, out)
        if out.rows:
            emit(BatchDone(rows=out.rows, size=out.size, seconds=time.monotonic() - started))
        return out.rows

    def _rest(self, publisher: Publisher, line: LearnerLine, error: StateRefused) -> None:
        """Let a learner whose state cannot be kept rest; the others go on."""
        name, cause = line.spec.name, f"its state cannot be kept: {error}"
        emit(LearnerRefused(learner=name, cause=cause))
        self._resting[name] = line.spec, cause
        self._lines.pop(name).reader.close()
        turn = Turn("refused", "", line.learner.state.rows, cause)
        publisher.refuse(event_value(line.spec, line.learner.state, turn, at=line.at))

    def _leave(self, publisher: Publisher) -> None:
        """Leave snapshots behind, so that a start goes on at once."""
        for line in [one for one in self._lines.values() if one.unsaved]:
            try:
                publisher.publish(line, Outputs(snapshot=True))
            except StateRefused as error:
                self._rest(publisher, line, error)

    def _reconcile(self) -> None:
        """Begin learners that are new or were changed, end those that are gone."""
        for dataset in datasets_of(self._topics.partitions()):
            self._store.adopt(dataset)
        found = self._store.specs()
        for name, problems in found.problems.items():
            if self._refused.get(name) != problems and found.goes_on(name) is None:
                emit(LearnerRefused(learner=name, cause="; ".join(problems)))
        self._refused = found.problems
        wanted = {spec.name: spec for spec in found.specs}
        for name in [name for name, line in self._lines.items() if wanted.get(name) != line.spec]:
            self._lines.pop(name).reader.close()
        for name, spec in wanted.items():
            law = self._law(spec.dataset)
            if law is not None and name in self._lines:
                self._lines[name].follow(law)
            elif law is not None and self._resting.get(name, (None,))[0] != spec:
                self._lines[name] = self._open(spec, law)

    def _tell_kept(self, publisher: Publisher) -> None:
        """Tell of learners that go on although their YAML cannot be followed, once for all that is wrong with it."""
        kept = {name: told for name in self._lines if (told := self._refused.get(f"{name}{SUFFIX}"))}
        for name, problems in kept.items():
            if self._kept.get(name) != problems:
                line, cause = self._lines[name], "; ".join(problems)
                emit(LearnerKept(learner=name, version=line.spec.version, cause=cause))
                state, detail = line.learner.state, f"its YAML cannot be followed, so it goes on as it was: {cause}"
                turn = Turn("refused", "", state.rows, detail)
                publisher.refuse(event_value(line.spec, state, turn, at=line.at))
        self._kept = kept

    def _open(self, spec: LearnerSpec, law: Contract) -> LearnerLine:
        # A learner reads much slower than it is sent: queues for a tenth of a second would be too long already.
        queues = {
            "queued.min.messages": MOST_ROWS,
            "queued.max.messages.kbytes": 4_096,
            "max.partition.fetch.bytes": 1_048_576,
            "fetch.max.bytes": 2_097_152,
        }
        reader = PartitionReader(self._client, f"{GROUP}-{spec.name}", **queues)
        feed = Feed(spec, law, self._registry)
        line = LearnerLine(spec, reader, feed, partial(make_learner, spec), packages_of(spec))
        try:
            line.open(self._found_snapshots())
        except HeadraceError:
            reader.close()
            raise
        return line

    def _follow_commands(self, publisher: Publisher) -> None:
        for command in self._commands.pending():
            line = self._lines.get(command["learner"])
            if line is None:
                publisher.refuse(refusal(command, self._absence(command["learner"])))
            elif command["command_id"] not in line.learner.state.commands:
                try:
                    publisher.publish(line, follow(line, command, self._found_snapshots()))
                except StateRefused as error:
                    self._rest(publisher, line, error)
                    publisher.refuse(refusal(command, self._absence(command["learner"])))
            self._commands.note(command)

    def _found_snapshots(self) -> Snapshots:
        view = self._snapshots.refresh()
        self._found = self._found or Snapshots(view, self._registry)
        return self._found

    def _absence(self, name: str) -> str:
        """Return why no learner of a name learns."""
        problems = self._refused.get(f"{name}{SUFFIX}")
        if problems:
            return f"the learner rests, its YAML cannot be followed: {'; '.join(problems)}"
        if name in self._resting:
            return f"the learner rests, {self._resting[name][1]}"
        return f'there is no learner "{name}" here, or its dataset has no contract that can be followed'

    def _law(self, dataset: str) -> Contract | None:
        try:
            return self._contracts.current(dataset)
        except ContractInvalid:
            return None

    def _tell(self, error: HeadraceError, retry_secs: float) -> None:
        if isinstance(error, TransactionFailed):
            emit(BatchRepeated(stage=STAGE, cause=str(error)))
        else:
            emit(StageWaits(stage=STAGE, cause=str(error), hint=error.hint, retry_secs=retry_secs))
        self._status.update(state="waiting")
