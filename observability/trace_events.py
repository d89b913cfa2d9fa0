"""Events of the telemetry itself: what could not be delivered, what could not be understood."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class SpansLost(Event):
    """Spans that an exporter could not deliver in time, or that its full queue had no room for, were dropped."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "spans lost"
    metric: ClassVar[str] = "headrace_lost_spans_total"
    labels: ClassVar[tuple[str, ...]] = ("exporter",)
    quantity: ClassVar[str] = "count"
    exporter: str
    count: int
    cause: str


@dataclass(frozen=True, kw_only=True)
class TelemetrySettingIgnored(Event):
    """A variable of OpenTelemetry has a value that means nothing here; another one is used."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "telemetry setting ignored"
    setting: str
    value: str
    used: str
