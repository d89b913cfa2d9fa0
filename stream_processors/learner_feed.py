"""From messages to what a learner takes: records of a dataset, labels that come later, or closed windows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress
from typing import Any, Protocol

import numpy as np
import polars as pl

from headrace.core.clock import micros
from headrace.observability.events import emit
from headrace.observability.learner_events import RecordsNotLearned
from headrace.schemas.codec import decode_leniently, split_by_schema
from headrace.schemas.contract import Contract
from headrace.schemas.learner_spec import LateLabels, LearnerSpec, Task
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_checked, schema_id_of
from headrace.schemas.topics import VALID, WINDOWS, data_topic
from headrace.stream_processors.lookups import registered_schema
from headrace.stream_processors.models.base import Features
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.label_join import Case, Waiting
from headrace.stream_processors.steps.learn import SLICE_ROWS, Learner, Part, Rows, predicts_classes
from headrace.stream_processors.steps.learner_findings import Findings, Labels, alarms_of
from headrace.stream_processors.steps.learner_records import forecast_frame, predictions_frame
from headrace.stream_processors.steps.learner_rows import features_of, file_numbers, keys_of, labels_of
from headrace.stream_processors.steps.prequential import row_losses
from headrace.stream_processors.steps.window_profile import EVENT_CLOCK
from headrace.transport.partition_reader import Run

Published = list[tuple[pl.DataFrame, bytes]]


class Slice(Protocol):
    """Neighbouring messages that a learner takes at once; times are in microseconds since 1970."""

    @property
    def at(self) -> int:
        """Return when the broker took the last message."""

    @property
    def event_at(self) -> int | None:
        """Return the event time of the last message, None without one."""

    def run(self, learner: Learner, published: Published, found: Findings) -> list[Turn]:
        """Predict and learn them; add the predictions with their headers' traceparent to `published`.

        What is to be told of their quality is added to `found`.
        """


@dataclass(frozen=True)
class Feed:
    """Cuts the messages of a run into slices."""

    spec: LearnerSpec
    contract: Contract
    registry: Registry

    def slices(self, run: Run, until_ms: int | None = None) -> Iterator[Slice]:
        """Yield what is in a run; messages that are none of the dataset's are counted and passed over.

        `until_ms` is the arrival time up to which everything else was read, None: to its end.
        """
        if run.place.topic == WINDOWS:
            yield from self._windows(run)
            return
        values = [value or b"" for value in run.values()]
        timestamps = np.asarray(run.timestamps(), np.int64)
        for schema_id, start, stop in split_by_schema(values):
            schema = None if schema_id is None else registered_schema(self.registry, schema_id)
            if schema is None:
                emit(RecordsNotLearned(learner=self.spec.name, topic=run.place.topic, count=stop - start))
                continue
            frame, good, bad = decode_leniently(values[start:stop], schema)
            if bad:
                emit(RecordsNotLearned(learner=self.spec.name, topic=run.place.topic, count=len(bad)))
            moments, late = timestamps[start:stop][good], self.spec.late
            if late is not None and run.place.topic == data_topic(late.dataset, VALID):
                for at in range(0, len(frame), SLICE_ROWS):
                    part = slice(at, at + SLICE_ROWS)
                    yield LabelSlice(self.spec, late, frame[part], int(moments[part][-1]) * 1_000, until_ms)
                continue
            trace = run.header(start, "traceparent")
            yield from record_slices(self.spec, self.contract, frame, moments, trace, until_ms)

    def _windows(self, run: Run) -> Iterator[Slice]:
        for message, moment in zip(run.values(), run.timestamps(), strict=True):
            text = self.registry.text_of(schema_id_of(message or b"") or 0)
            window = read_checked("window", message, text)
            if window["dataset"] == self.spec.dataset and window["clock"] == EVENT_CLOCK:
                yield WindowSlice(self.spec, window, moment * 1_000)


def record_slices(
    spec: LearnerSpec, contract: Contract, frame: pl.DataFrame, moments: Any, trace: bytes, until_ms: int | None = None
) -> Iterator["RecordSlice"]:
    """Yield the records of a dataset in slices; `moments` are the broker's times, milliseconds since 1970.

    Features and labels are made of all records together: to make them of a thousand costs as much again.
    """
    xs = features_of(frame, spec.kinds)
    ys = None if spec.late else labels_of(frame, spec.label, classes=predicts_classes(spec))
    for at in range(0, len(frame), SLICE_ROWS):
        part = slice(at, at + SLICE_ROWS)
        own, last = frame[part], int(moments[part][-1]) * 1_000
        labels = ys[part] if ys is not None else []
        yield RecordSlice(spec, own, xs[part], labels, moments[part], last, _event_time(own, contract), trace, until_ms)


def _event_time(frame: pl.DataFrame, contract: Contract) -> int | None:
    name = contract.window.time_field
    if name not in frame.columns:
        return None
    last: Any = frame[name].cast(pl.Datetime("us")).max()
    return None if last is None else round(pl.Series([last]).cast(pl.Datetime("us")).to_physical()[0])


@dataclass(frozen=True)
class Made:
    """Records of a slice that were taken into the sample: features, labels, and the chance of each."""

    frame: pl.DataFrame
    xs: list[Features]
    ys: list[Any]
    chances: Any


@dataclass(frozen=True)
class RecordSlice:
    """Records of the dataset; `ys` are empty where labels come later."""

    spec: LearnerSpec
    frame: pl.DataFrame
    xs: list[Features]
    ys: list[Any]
    moments: Any
    at: int
    event_at: int | None
    trace: bytes
    until_ms: int | None = None

    def run(self, learner: Learner, published: Published, found: Findings) -> list[Turn]:
        """Sample, predict, learn."""
        spec, frame, sampler = self.spec, self.frame, learner.state.sampler
        xs, ys = self.xs, self.ys
        taken, chances = sampler.choose(self.moments, file_numbers(frame), frame["_row"].to_numpy())
        if not taken.all():
            found.passed_over(frame.filter(pl.Series(~taken)))
            frame, chances = frame.filter(pl.Series(taken)), chances[taken]
            chosen = taken.tolist()
            xs, ys = list(compress(xs, chosen)), list(compress(ys, chosen))
        made = Made(frame, xs, ys, chances)
        if spec.task is Task.IMPUTATION:
            parts, turns, frame, chances = self._impute(learner, made, found)
        else:
            parts, turns = self._take(learner, made, found)
        if parts and len(frame):
            files, rows = frame["_file"].to_list(), frame["_row"].to_list()
            published.append((predictions_frame(spec, parts, files, rows, chances.tolist()), self.trace))
        return turns

    def _take(self, learner: Learner, made: "Made", found: Findings) -> tuple[list[Part], list[Turn]]:
        spec, frame, xs, ys = self.spec, made.frame, made.xs, made.ys
        weights = (1.0 / made.chances).tolist()
        if spec.late is None:
            champion, since = learner.champion.name, learner.state.rows
            parts, turns = learner.take(Rows(xs, ys, weights))
            labels = Labels(ys, predicts_classes(spec), turns, champion, since)
            found.scored(frame, weights, parts, labels)
            return parts, turns
        keys = keys_of(frame, [mine for mine, _ in spec.late.keys])
        cases = zip(xs, weights, keys, found.starts(frame), strict=True)
        return self._wait(learner, spec.late, cases, found)

    def _impute(
        self, learner: Learner, made: "Made", found: Findings
    ) -> tuple[list[Part], list[Turn], pl.DataFrame, Any]:
        """Learn from records that have the value; publish what is recommended for those that lack it."""
        frame, chances = made.frame, made.chances
        parts, turns = self._take(learner, made, found)
        lacks = frame[self.spec.target].is_null().to_numpy()
        kept, start = [], 0
        for part in parts:
            stop = start + len(part.predictions)
            chosen = lacks[start:stop].tolist()
            part.predictions = [one for one, lack in zip(part.predictions, chosen, strict=True) if lack]
            part.learned = list(compress(part.learned, chosen))
            part.reasons = [one for one, lack in zip(part.reasons, chosen, strict=True) if lack] if part.reasons else []
            kept += [part] if part.predictions else []
            start = stop
        return kept, turns, frame.filter(pl.Series(lacks)), chances[lacks]

    def _wait(
        self, learner: Learner, late: LateLabels, records: Iterable[tuple[Any, ...]], found: Findings
    ) -> tuple[list[Part], list[Turn]]:
        parts: list[Part] = []
        turns: list[Turn] = []
        waiting = learner.state.waiting
        for x, weight, key, start in records:
            champion = learner.champion
            if not parts or (parts[-1].model, parts[-1].generation) != (champion.name, champion.generation):
                parts.append(Part(champion.name, champion.generation))
            if self.spec.explain:
                parts[-1].reasons.append(tuple(champion.estimator.explain(x, self.spec.explain)))
            parts[-1].learned.append(learner.state.rows)
            case = Case(x, learner.guess(x), weight, self.at // 1_000, start, told=found.quiet)
            parts[-1].predictions.append(case.guesses[champion.name])
            label = None if key is None else waiting.record(key, case)
            turns += [] if label is None else _learned_late(self.spec, learner, case, label, found)
            if key is None:
                found.settled(start)
        _give_up(waiting, late, _slower(self.at // 1_000, self.until_ms), found)
        return parts, turns


@dataclass(frozen=True)
class LabelSlice:
    """Labels that come after their records, from another dataset."""

    spec: LearnerSpec
    late: LateLabels
    frame: pl.DataFrame
    at: int
    until_ms: int | None = None
    event_at: int | None = None

    def run(self, learner: Learner, published: Published, found: Findings) -> list[Turn]:
        """Learn the records that waited for these labels."""
        turns: list[Turn] = []
        labels = labels_of(self.frame, self.spec.label, classes=predicts_classes(self.spec))
        waiting, now_ms = learner.state.waiting, self.at // 1_000
        for key, label in zip(keys_of(self.frame, [theirs for _, theirs in self.late.keys]), labels, strict=True):
            if key is not None and label is not None:
                for case in waiting.label(key, label, now_ms):
                    turns += _learned_late(self.spec, learner, case, label, found)
        _give_up(waiting, self.late, _slower(now_ms, self.until_ms), found)
        return turns


def _learned_late(spec: LearnerSpec, learner: Learner, case: Case, label: Any, found: Findings) -> list[Turn]:
    """Learn a record by its label; what was predicted when it came is what it is judged by."""
    champion = learner.champion.name
    turns = learner.learn_late(case, label)
    if found.wanted and not case.told:
        loss = float(row_losses([case.guesses.get(champion)], [label], classes=predicts_classes(spec))[0])
        found.learned(case.start, case.weight, loss, alarm=bool(alarms_of(turns, champion)))
    return turns


def _slower(now_ms: int, until_ms: int | None) -> int:
    """Return the time up to which records and labels were read, both."""
    return now_ms if until_ms is None else min(now_ms, until_ms)


def _give_up(waiting: Waiting, late: LateLabels, now_ms: int, found: Findings) -> None:
    for case in waiting.expire(now_ms, late.wait_secs * 1_000, late.most):
        if not case.told:
            found.settled(case.start)


@dataclass(frozen=True)
class WindowSlice:
    """One closed window; the first telling of it counts, since a forecast was made of that."""

    spec: LearnerSpec
    window: Any
    at: int

    @property
    def event_at(self) -> int:
        """Return the start of the window."""
        return self._start

    @property
    def _start(self) -> int:
        return micros(self.window["start"])

    def run(self, learner: Learner, published: Published, found: Findings) -> list[Turn]:
        """Judge the forecast of this window, learn its figure, and forecast the next ones."""
        value = self.spec.series.value_of(self.window) if self.spec.series else None
        if value is None or self._start <= learner.state.since:
            return []
        learner.state.since = self._start
        _parts, turns = learner.take(Rows([{}], [value], [1.0]))
        size = micros(self.window["end"]) - self._start
        champion = learner.champion
        part = Part(champion.name, champion.generation, [learner.state.rows], [champion.estimator.predict({})])
        about = [self._start + size * step for step in range(1, self.spec.horizon + 1)]
        published.append((forecast_frame(self.spec, part, about), b""))
        return turns
