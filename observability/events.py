"""Every event of headrace: its log text, its level and its counter. No other module knows log texts or metric names.

Components say what happened (`emit(RowsRejected(...))`), in the past tense, once a batch and never once a row.
"""

import dataclasses
import functools
import logging
from dataclasses import dataclass
from typing import ClassVar

from opentelemetry import metrics

LOGGER = logging.getLogger("headrace")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. Fields are the log record's context; `labels` name those of closed sets.

    `metric` is the counter that grows by the field `quantity` (or by 1); empty: no counter. ERROR means that a person
    must act.
    """

    level: ClassVar[int] = logging.INFO
    text: ClassVar[str] = ""
    metric: ClassVar[str] = ""
    labels: ClassVar[tuple[str, ...]] = ()
    quantity: ClassVar[str] = ""

    def context(self) -> dict[str, object]:
        """Return the event's fields by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def emit(event: Event) -> None:
    """Log an event and count it. Never blocks on the network."""
    context = event.context()
    LOGGER.log(event.level, event.text, extra={"headrace": context})
    if event.metric:
        quantity = context[event.quantity] if event.quantity else 1
        labels = {name: str(context[name]) for name in event.labels}
        _counter(event.metric).add(quantity, labels)  # type: ignore[arg-type]


@functools.cache
def _counter(name: str) -> metrics.Counter:
    return metrics.get_meter("headrace").create_counter(name)


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """A process of the pipeline is ready to work."""

    text: ClassVar[str] = "stage started"
    stage: str


@dataclass(frozen=True, kw_only=True)
class StageStopped(Event):
    """A process of the pipeline finished its batch and left."""

    text: ClassVar[str] = "stage stopped"
    stage: str


@dataclass(frozen=True, kw_only=True)
class BatchRepeated(Event):
    """A transaction or an insert did not go through; the same batch is done again with a new producer."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "batch repeated"
    metric: ClassVar[str] = "headrace_repeated_batches_total"
    labels: ClassVar[tuple[str, ...]] = ("stage",)
    stage: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class StageFailed(Event):
    """A process of the pipeline met an error that it cannot go on with."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "stage failed"
    metric: ClassVar[str] = "headrace_failed_stages_total"
    labels: ClassVar[tuple[str, ...]] = ("stage",)
    stage: str
    error: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class AlertRaised(Event):
    """A quality alert was published."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "alert raised"
    metric: ClassVar[str] = "headrace_alerts_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset", "rule", "severity")
    dataset: str
    rule: str
    severity: str
    file: str


@dataclass(frozen=True, kw_only=True)
class RowsCodedSlowly(Event):
    """Records went one by one through fastavro, because a field's type does not travel in columns."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "rows coded one by one"
    metric: ClassVar[str] = "headrace_slowly_coded_rows_total"
    labels: ClassVar[tuple[str, ...]] = ("direction",)
    quantity: ClassVar[str] = "rows"
    direction: str
    dataset: str
    rows: int
