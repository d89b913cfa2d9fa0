"""Events of the process that looks at the line itself."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class PlatformAlertsLost(Event):
    """More alerts about the line were waiting for Kafka than are kept; the oldest are lost."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "platform alerts lost"
    metric: ClassVar[str] = "headrace_platform_alerts_lost_total"
    quantity: ClassVar[str] = "count"
    count: int
