"""Events of the process that learns."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class RecordsLearned(Event):
    """A learner predicted and learned records; fewer than it read where its budget makes it sample."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "records learned"
    metric: ClassVar[str] = "headrace_learned_records_total"
    labels: ClassVar[tuple[str, ...]] = ("learner",)
    quantity: ClassVar[str] = "predicted"
    learner: str
    records: int
    predicted: int


@dataclass(frozen=True, kw_only=True)
class RecordsNotLearned(Event):
    """Messages that are no records of the dataset were passed over."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "records not learned"
    metric: ClassVar[str] = "headrace_not_learned_records_total"
    labels: ClassVar[tuple[str, ...]] = ("learner",)
    quantity: ClassVar[str] = "count"
    learner: str
    topic: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ModelTurned(Event):
    """Something happened to a model: created, warning, drift, swap, promotion, rollback, refused or gap."""

    text: ClassVar[str] = "model turned"
    metric: ClassVar[str] = "headrace_model_turns_total"
    labels: ClassVar[tuple[str, ...]] = ("learner", "kind")
    learner: str
    kind: str
    model: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class SnapshotPassedOver(Event):
    """A snapshot cannot be used; an older one is, or the learner begins anew."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "snapshot passed over"
    metric: ClassVar[str] = "headrace_refused_snapshots_total"
    labels: ClassVar[tuple[str, ...]] = ("learner",)
    learner: str
    snapshot: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class LearnerRefused(Event):
    """A learner's YAML cannot be followed and never could, or its model's state cannot be kept; it rests.

    It begins when its file changes.
    """

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "learner refused"
    metric: ClassVar[str] = "headrace_refused_learners_total"
    learner: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class LearnerKept(Event):
    """A learner's YAML cannot be followed any more; it goes on by the text before, `version`, until it is mended."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "learner goes on as it was"
    metric: ClassVar[str] = "headrace_kept_learners_total"
    learner: str
    version: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class CommandUnreadable(Event):
    """A message on the topics of commands and of model events is none of the platform's; it is passed over."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "command unreadable"
    metric: ClassVar[str] = "headrace_unreadable_commands_total"
    key: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class SnapshotUnreadable(Event):
    """A message on the topic of snapshots is none of the platform's; it is passed over."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "snapshot unreadable"
    metric: ClassVar[str] = "headrace_unreadable_snapshots_total"
    key: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class ChampionServed(Event):
    """Requests for predictions are answered by the champion of a newer snapshot from now on."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "champion served"
    metric: ClassVar[str] = "headrace_served_champions_total"
    labels: ClassVar[tuple[str, ...]] = ("learner",)
    learner: str
    snapshot: str
    model: str


@dataclass(frozen=True, kw_only=True)
class SnapshotNotServed(Event):
    """A learner's newest snapshot cannot be served; what was served before goes on answering."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "snapshot not served"
    metric: ClassVar[str] = "headrace_snapshots_not_served_total"
    labels: ClassVar[tuple[str, ...]] = ("learner",)
    learner: str
    snapshot: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class SnapshotReaderStopped(Event):
    """The service of predictions cannot read snapshots on, so it ends and is started again."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "the reader of snapshots stopped"
    metric: ClassVar[str] = "headrace_stopped_snapshot_readers_total"
    cause: str


@dataclass(frozen=True, kw_only=True)
class PredictionsAnswered(Event):
    """A request for predictions was answered."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "predictions answered"
    metric: ClassVar[str] = "headrace_answered_predictions_total"
    labels: ClassVar[tuple[str, ...]] = ("learner",)
    quantity: ClassVar[str] = "count"
    learner: str
    count: int
