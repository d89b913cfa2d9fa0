"""Events of the process that tells people of alerts."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class AlertTold(Event):
    """A receiver has taken an alert."""

    text: ClassVar[str] = "alert told"
    metric: ClassVar[str] = "headrace_alerts_told_total"
    labels: ClassVar[tuple[str, ...]] = ("target",)
    target: str
    alert_id: str


@dataclass(frozen=True, kw_only=True)
class AlertNotWanted(Event):
    """A receiver refused an alert for good; it is passed over, and stays on the topic."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "alert not wanted"
    metric: ClassVar[str] = "headrace_alerts_not_wanted_total"
    labels: ClassVar[tuple[str, ...]] = ("target",)
    target: str
    alert_id: str
    cause: str
