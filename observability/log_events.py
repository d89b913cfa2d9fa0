"""What the logs tell of themselves."""

from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class LogsLost(Event):
    """Log lines that an exporter could not deliver were dropped from its queue; HOME/logs has them all the same."""

    text: ClassVar[str] = "log lines not exported"
    metric: ClassVar[str] = "headrace_lost_logs_total"
    labels: ClassVar[tuple[str, ...]] = ("exporter",)
    quantity: ClassVar[str] = "count"
    exporter: str
    count: int
    cause: str


@dataclass(frozen=True, kw_only=True)
class LinesRepeated(Event):
    """Lines alike came within ten seconds: they were left out, and counted on a last one, under `repeated`."""

    text: ClassVar[str] = "lines repeated"
    metric: ClassVar[str] = "headrace_suppressed_log_lines_total"
    labels: ClassVar[tuple[str, ...]] = ("severity",)
    quantity: ClassVar[str] = "repeated"
    severity: str
    repeated: int
