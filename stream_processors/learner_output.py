"""What learners publish: one transaction a step, with the offsets it stands for, and the files of models/ after it."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import polars as pl

from headrace.core.files import write_atomically
from headrace.core.identity import stable_slot
from headrace.observability.notes import tell_not_written
from headrace.observability.tracing import FileTracer
from headrace.schemas.codec import encode
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import (
    LEARNER_PARTITIONS,
    METRICS,
    MODELS,
    PREDICTIONS,
    PROFILES,
    QUALITY_PARTITIONS,
    SNAPSHOTS,
)
from headrace.settings import Paths
from headrace.stream_processors import snapshots
from headrace.stream_processors.learner_line import LearnerLine, Outputs
from headrace.stream_processors.learner_spans import LearnSpans
from headrace.stream_processors.snapshots import Snapshot, messages_of, outdated, write_snapshot
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.learner_findings import finding_values
from headrace.stream_processors.steps.learner_records import PREDICTION
from headrace.transport.kafka import Headers, TransactionalWriter

_MOST_DELTA_BYTES = 512 * 1024
_SUFFIX = ".json.zz"


class Publisher:
    """Writes what learners made. Not for use from several threads; raises TransactionFailed, ProducerFenced.

    A learner whose state cannot be kept raises StateRefused, and nothing of its step is written.
    """

    def __init__(self, writer: TransactionalWriter, registry: Registry, tracer: FileTracer, paths: Paths) -> None:
        self._writer = writer
        self._registry = registry
        self._tracer = tracer
        self._paths = paths
        self._told: dict[str, dict[Any, int]] = {}

    def begin(self, line: LearnerLine) -> None:
        """Commit the empty state of a learner that begins, and the offsets where it does."""
        out = Outputs(snapshot=True)
        line.tell(Turn("created", "", line.learner.state.rows, "it begins with what its topics hold"), out)
        self.publish(line, out)

    def publish(self, line: LearnerLine, out: Outputs) -> None:
        """Commit a step; does nothing where there is nothing to tell and no offset moved."""
        if not out.snapshot and self._told.get(line.spec.name) == line.positions:
            return
        spans = LearnSpans(line.spec)
        # Before the transaction: a state that cannot be kept leaves no half of one behind.
        packed = _packed(line, out) if out.snapshot else None
        self._writer.begin()
        self._write(line, out, spans)
        before = line.snapshots
        saved = self._save(line, packed) if packed else None
        if line.positions:
            line.reader.record_in(self._writer, line.positions)
        self._writer.commit()
        self._told[line.spec.name] = dict(line.positions)
        spans.record(self._tracer, out.predictions)
        if saved is not None:
            line.note(saved[0])
            self._keep_file(*saved)
            self._drop_files(line, before)

    def refuse(self, event: Mapping[str, Any]) -> None:
        """Commit the answer to a command that no learner can follow."""
        self._writer.begin()
        self._event(event)
        self._writer.commit()

    def _event(self, event: Mapping[str, Any]) -> None:
        framed = frame_system("model_event", self._registry.system_id(MODELS, "model_event"), event)
        self._writer.write(MODELS, [framed], partition=0, key=event["event_id"].encode())

    def _write(self, line: LearnerLine, out: Outputs, spans: LearnSpans) -> None:
        key, slot = line.spec.name.encode(), stable_slot(line.spec.name, LEARNER_PARTITIONS)
        for frame, trace in _by_trace(out.predictions):
            values = encode(frame, PREDICTION, self._registry.system_id(PREDICTIONS, "prediction"))
            context = spans.context(trace)
            headers: Headers | None = [("traceparent", context)] if context else None
            self._writer.write(PREDICTIONS, values, partition=slot, key=key, headers=headers)
        if out.metrics:
            schema_id = self._registry.system_id(METRICS, "model_metric")
            framed = [frame_system("model_metric", schema_id, value) for value in out.metrics]
            self._writer.write(METRICS, framed, partition=slot, key=key)
        for event in out.events:
            self._event(event)

        self._write_findings(line, out)

    def _write_findings(self, line: LearnerLine, out: Outputs) -> None:
        """Tell the windows what was found, on the partition that has all of the dataset's deltas."""
        dataset, deltas = line.spec.dataset, out.findings.deltas(line.spec.name)
        if not deltas:
            return
        schema_id, slot = self._registry.system_id(PROFILES, "profile_delta"), stable_slot(dataset, QUALITY_PARTITIONS)
        for value in finding_values(dataset, line.contract_version, deltas, _MOST_DELTA_BYTES):
            framed = frame_system("profile_delta", schema_id, value)
            self._writer.write(PROFILES, [framed], partition=slot, key=dataset.encode())

    def _save(self, line: LearnerLine, packed: tuple[Snapshot, list[bytes]]) -> tuple[Snapshot, bytes]:
        found, bodies = packed
        schema_id = self._registry.system_id(SNAPSHOTS, snapshots.SCHEMA)
        for key, value in messages_of(found, bodies, schema_id):
            self._writer.write(SNAPSHOTS, [value], partition=0, key=key)
        same = [one for one in line.snapshots if one.name == found.name]
        line.snapshots = [one for one in line.snapshots if one.name != found.name]
        stale = [key for one in same for key in one.keys[found.parts :]]
        old = outdated([*line.snapshots, found])
        line.snapshots = [one for one in line.snapshots if one not in old]
        for key in (*stale, *(key for one in old for key in one.keys)):
            self._writer.write(SNAPSHOTS, [None], partition=0, key=key)  # type: ignore[list-item]
        return found, b"".join(bodies)

    def _keep_file(self, snapshot: Snapshot, body: bytes) -> None:
        """Leave the state in models/ too, for people: MODEL.json.zz is what the topic holds, never read back."""
        path = self._paths.models / snapshot.learner / f"{snapshot.name}{_SUFFIX}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, body)
        except OSError as error:  # a full disk: the topic has it all the same
            tell_not_written(path, error)

    def _drop_files(self, line: LearnerLine, before: Iterable[Snapshot]) -> None:
        """Delete the files of snapshots that are on the topic no more; those that people deleted are no fault."""
        # Names on the topic may be anybody's: none but those of files in this folder are looked for.
        gone = {one.name for one in before} - {one.name for one in line.snapshots}
        for path in (self._paths.models / line.spec.name).glob(f"*{_SUFFIX}"):
            if path.name.removesuffix(_SUFFIX) in gone:
                path.unlink(missing_ok=True)


def _packed(line: LearnerLine, out: Outputs) -> tuple[Snapshot, list[bytes]]:
    return write_snapshot(
        line.spec, line.learner.state, line.positions, kept=out.kept, at=line.at, packages=line.packages
    )


def _by_trace(predictions: Iterable[tuple[pl.DataFrame, bytes]]) -> list[tuple[pl.DataFrame, bytes]]:
    """Return neighbouring predictions of one trace as one frame: to encode one costs milliseconds before its rows."""
    grouped = groupby(predictions, key=lambda one: one[1])
    return [(pl.concat([frame for frame, _ in found]), trace) for trace, found in grouped]
