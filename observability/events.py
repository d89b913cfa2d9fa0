"""Every event of headrace: its log text, its level and its counter. No other module knows log texts or metric names.

Components say what happened (`emit(RowsRejected(...))`), in the past tense, once a batch and never once a row.
"""

import dataclasses
import functools
import inspect
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.counters import tell, this_stage
from headrace.observability.metrics import LOGGED, Kind, Measure

LOGGER = logging.getLogger("headrace")
PROCESS_UP = Measure(
    "headrace_process_up", Kind.GAUGE, "1 while a process does its work, 0 before and after.", ("name",)
)
_CAPITALS = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. Fields are the log record's context; `labels` name those of closed sets.

    `metric` is the counter that grows by the field `quantity` (or by 1); empty: no counter. `measures` are further
    metrics, of any kind. ERROR means that a person must act.
    """

    level: ClassVar[int] = logging.INFO
    text: ClassVar[str] = ""
    metric: ClassVar[str] = ""
    labels: ClassVar[tuple[str, ...]] = ()
    quantity: ClassVar[str] = ""
    measures: ClassVar[tuple[Measure, ...]] = ()

    def context(self) -> dict[str, object]:
        """Return the event's fields by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def event_name(kind: type[Event]) -> str:
    """Return the stable name of an event: the one in log lines.

    >>> event_name(StageStarted)
    'stage_started'
    """
    return _snake_case(kind.__name__)


@functools.cache
def _snake_case(name: str) -> str:
    return _CAPITALS.sub("_", name).lower()


def emit(event: Event) -> None:
    """Log an event and count it. Never blocks on the network."""
    context = event.context()
    if LOGGER.isEnabledFor(event.level):
        about = {"headrace": context, "headrace_event": event_name(type(event)), "headrace_labels": event.labels}
        LOGGER.log(event.level, event.text, extra=about)
        tell(LOGGED, 1, {"level": logging.getLevelName(event.level).lower()})
    for measure in measures_of(type(event)):
        value = context[measure.value] if measure.value else measure.fixed
        if value is not None:
            labels = {name: str(context[name] if name in context else this_stage()) for name in measure.labels}
            tell(measure, value, labels)  # type: ignore[arg-type]


def measures_of(kind: type[Event]) -> tuple[Measure, ...]:
    """Return the metrics of an event: its counter, which the event's own meaning describes, and the further ones."""
    if not kind.metric:
        return kind.measures
    return (_own_counter(kind.metric, kind.__doc__ or "", kind.labels, kind.quantity), *kind.measures)


@functools.cache
def _own_counter(name: str, meaning: str, labels: tuple[str, ...], quantity: str) -> Measure:
    about = " ".join(inspect.cleandoc(meaning).split("\n\n", maxsplit=1)[0].split())
    told = f"Counts {quantity}: {about}" if quantity else f"Counts: {about}"
    return Measure(name, Kind.COUNTER, told, labels, quantity)


def measures_of_all() -> Iterator[Measure]:
    """Yield the metrics of every event that this process has imported."""
    waiting = [Event]
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        for kind in kinds:
            if kind.__module__.startswith("headrace."):
                yield from measures_of(kind)


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
class MemberLeftOpen(Event):
    """A member of a consumer group did not end in time; it was left to itself, and ends with its process."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "member left open"
    member: str
    after_secs: float


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
class DeltaUnreadable(Event):
    """A message on quality.profiles is no profile delta: it was left, and alerts go on without it."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "profile delta unreadable"
    metric: ClassVar[str] = "headrace_unreadable_deltas_total"
    partition: int
    offset: int
    cause: str
    hint: str


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


@dataclass(frozen=True, kw_only=True)
class StageWaits(Event):
    """Something a stage needs is away (a service, room on the disk); it tries again, and nothing is lost."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "stage waits"
    metric: ClassVar[str] = "headrace_waits_total"
    labels: ClassVar[tuple[str, ...]] = ("stage",)
    stage: str
    cause: str
    hint: str
    retry_secs: float


@dataclass(frozen=True, kw_only=True)
class ProcessStarted(Event):
    """The supervisor started a service or a stage."""

    text: ClassVar[str] = "process started"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure(
            "headrace_process_restarts_total",
            Kind.TOTAL,
            "How often the supervisor started a process again.",
            ("name",),
            "restarts",
        ),
        dataclasses.replace(PROCESS_UP, fixed=0.0),
    )
    name: str
    pid: int
    restarts: int


@dataclass(frozen=True, kw_only=True)
class ProcessReady(Event):
    """A started process does its work."""

    text: ClassVar[str] = "process ready"
    measures: ClassVar[tuple[Measure, ...]] = (PROCESS_UP,)
    name: str
    pid: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ProcessDied(Event):
    """A process ended without being asked to; the supervisor starts it again after `retry_secs`."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "process died"
    metric: ClassVar[str] = "headrace_process_deaths_total"
    labels: ClassVar[tuple[str, ...]] = ("name",)
    measures: ClassVar[tuple[Measure, ...]] = (dataclasses.replace(PROCESS_UP, fixed=0.0),)
    name: str
    code: int
    cause: str
    retry_secs: float


@dataclass(frozen=True, kw_only=True)
class ProcessKilled(Event):
    """A process did not finish in time when the line was stopped, and was killed; what it had open is done again."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "process killed at stop"
    name: str
    after_secs: float


@dataclass(frozen=True, kw_only=True)
class LeftoversBuried(Event):
    """Processes of a supervisor that was killed were still ending when the next one started."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "leftover processes ended"
    count: int


@dataclass(frozen=True, kw_only=True)
class SchemaRecordSkipped(Event):
    """A record on the registry's topic that no registry can read; what it meant is not known."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "schema record skipped"
    metric: ClassVar[str] = "headrace_skipped_schema_records_total"
    offset: int
    cause: str


@dataclass(frozen=True, kw_only=True)
class RequestFailed(Event):
    """An embedded service could not answer a request for a reason of its own; the caller got status 500."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "request failed"
    metric: ClassVar[str] = "headrace_failed_requests_total"
    labels: ClassVar[tuple[str, ...]] = ("service",)
    service: str
    method: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class RowsJudged(Event):
    """A batch's rows of one file were judged, and what became of them is committed."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "rows judged"
    metric: ClassVar[str] = "headrace_judged_rows_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset",)
    quantity: ClassVar[str] = "rows"
    dataset: str
    file: str
    rows: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class RowsRejected(Event):
    """Rows of one file went to quarantine for one reason, as the contract wants it; a row may have several reasons."""

    level: ClassVar[int] = logging.DEBUG
    text: ClassVar[str] = "rows rejected"
    metric: ClassVar[str] = "headrace_rejected_rows_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset", "reason")
    quantity: ClassVar[str] = "count"
    dataset: str
    file: str
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ForeignMessagesPutAside(Event):
    """Messages on a raw topic that are not records of its dataset went to quarantine as they are."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "foreign messages put aside"
    metric: ClassVar[str] = "headrace_foreign_messages_total"
    labels: ClassVar[tuple[str, ...]] = ("reason",)
    quantity: ClassVar[str] = "count"
    topic: str
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class StatementRefused(Event):
    """The embedded warehouse's fence, or the engine's grants, refused what a client sent."""

    text: ClassVar[str] = "statement refused"
    metric: ClassVar[str] = "headrace_refused_statements_total"
    labels: ClassVar[tuple[str, ...]] = ("user",)
    user: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class WarehouseRequestBroke(Event):
    """The embedded warehouse failed on a request in a way that nobody foresaw."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "warehouse request broke"
    query_id: str
    cause: str
