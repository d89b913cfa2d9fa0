"""Alerts of drifts that do not say yet what the drift cost the models, because the learners have not come so far."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.core.vocabulary import AlertState
from headrace.errors import WarehouseRefused
from headrace.schemas.contract import Contract
from headrace.stream_processors.evidence import Investigator, Window
from headrace.stream_processors.measuring import micros

OWED_SECS: Final = 1_800.0
"""How long after an alert its learners are waited for."""
_MOST: Final = 1_000


@dataclass(frozen=True)
class Owed:
    """An alert as it was told last, and the partition that it is on."""

    contract: Contract
    alert: Mapping[str, Any]
    partition: int


class OwedEffects:
    """Remembers alerts until their learners are through. Calls block; they raise ServiceUnreachable."""

    def __init__(self, investigator: Investigator, clock: Callable[[], float] = time.time) -> None:
        self._investigator, self._clock = investigator, clock
        self._owed: OrderedDict[str, Owed] = OrderedDict()

    def __len__(self) -> int:
        return len(self._owed)

    def is_fresh(self, alert: Mapping[str, Any]) -> bool:
        """Return True for an alert of a window that may still come to say it."""
        told = alert["class"] == "quality" and alert["window_start"] is not None and not alert["model_effect"]
        recent = micros(alert["raised_at"]) / 1e6 + OWED_SECS > self._clock()
        return told and recent and alert["state"] != AlertState.RESOLVED

    def note(self, contract: Contract, alert: Mapping[str, Any], partition: int) -> None:
        """Remember an alert if a learner that it concerns has not come to its window."""
        if self.is_fresh(alert) and self._waits(contract, alert):
            self._owed[alert["alert_id"]] = Owed(contract, alert, partition)
            while len(self._owed) > _MOST:
                self._owed.popitem(last=False)

    def ready(self) -> list[Owed]:
        """Return the alerts whose learners are through now, and forget them; so those that are too old."""
        found = []
        for name, one in list(self._owed.items()):
            fresh = self.is_fresh(one.alert)
            if fresh and self._waits(one.contract, one.alert):
                continue
            del self._owed[name]
            found += [one] if fresh else []
        return found

    def _waits(self, contract: Contract, alert: Mapping[str, Any]) -> bool:
        rule = next((one for one in contract.checks if one.id == alert["rule"]), None)
        window = Window(micros(alert["window_start"]), micros(alert["window_end"]), alert["clock"] == "arrival")
        try:
            return rule is not None and self._investigator.waits_for_learners(contract, rule, window)
        except WarehouseRefused:  # no table yet: the alert's evidence tells that
            return False
