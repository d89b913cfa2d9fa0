"""Deliver alerts to one target: each alert once as far as this process knows, again until the receiver took it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from headrace.observability.events import StageWaits, emit
from headrace.observability.notify_events import AlertNotWanted, AlertTold
from headrace.sinks.notify.base import NotTaken, NotWanted, Target

_REMEMBERED = 10_000
_FIRST_SECS, _MOST_SECS = 1.0, 60.0


class Teller:
    """Remembers which alerts it told. Not for use from several threads."""

    def __init__(
        self, target: Target, stop: threading.Event, *, now: Callable[[], float] = time.time, first: float = _FIRST_SECS
    ) -> None:
        self._target, self._stop, self._now, self._first = target, stop, now, first
        self._told: OrderedDict[str, None] = OrderedDict()

    def tell(self, alert: Mapping[str, Any]) -> bool:
        """Return True when the alert is done with, False if the process was asked to stop before that."""
        name, wait_secs = alert["alert_id"], self._first
        if name in self._told or not self._target.wants(alert, self._now()):
            return True
        while not self._stop.is_set():
            try:
                self._target.notifier.deliver(alert)
            except NotTaken as error:
                emit(
                    StageWaits(
                        stage="notify", cause=f"{self._target.name}: {error}", hint=error.hint, retry_secs=wait_secs
                    )
                )
                self._stop.wait(wait_secs)
                wait_secs = min(_MOST_SECS, wait_secs * 2)
                continue
            except NotWanted as error:
                emit(AlertNotWanted(target=self._target.name, alert_id=name, cause=str(error)))
            else:
                emit(AlertTold(target=self._target.name, alert_id=name))
            self._told[name] = None
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
            return True
        return False
