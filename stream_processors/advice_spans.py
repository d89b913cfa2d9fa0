"""The span `advise`: the advisor looked into an alert of a file, in that file's trace."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.observability.conventions import sent
from headrace.observability.tracing import FileTracer, Kind
from headrace.schemas.topics import ALERTS


def record_advised(tracer: FileTracer, told: Sequence[tuple[Mapping[str, Any], int]]) -> None:
    """Record what was told again of alerts, each with when it was begun; one that is of no file has no trace."""
    for alert, start_ns in told:
        if alert["file"]:
            known = {"headrace.rule": alert["rule"], "headrace.alert": alert["alert_id"]}
            tracer.record(
                "advise",
                dataset=alert["dataset"],
                file=alert["file"],
                start_ns=start_ns,
                end_ns=time.time_ns(),
                attributes=sent(ALERTS, None, 1) | known,
                kind=Kind.PRODUCER,
            )
