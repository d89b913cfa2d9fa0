"""Puts where and why into an alert, and carries it over the alert's life: what is resolved still says where it was."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from headrace.core.identity import trace_id
from headrace.core.vocabulary import AlertState, Reason
from headrace.errors import WarehouseRefused
from headrace.observability.events import emit
from headrace.observability.quality_events import EvidenceMissing
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.stream_processors.evidence import SAMPLES, Evidence, Investigator, Window, finding_of, spoken_effects
from headrace.stream_processors.measuring import micros
from headrace.stream_processors.steps.advice import Advice
from headrace.stream_processors.steps.advise import Finding, advise
from headrace.transport.warehouse import Warehouse

STORED_SECS: Final = 10.0
"""How long after an alert the sink is given to store its window's rows; what is not stored then has no segment."""
_WAIT_SECS: Final = 0.3
_MOST_LIVES: Final = 20_000
_CARRIED: Final = ("segments", "samples", "advice_id", "file", "file_name", "trace_id")
_FOUND: Final = ("segments", "samples", "advice_id")
_READING: Final = frozenset(
    {Reason.TOO_FEW_FIELDS, Reason.TOO_MANY_FIELDS, Reason.TYPE_MISMATCH, Reason.BAD_ENCODING, Reason.BAD_JSON}
)
_HELD: Final = (
    "SELECT _file, _row FROM headrace.quarantine "  # noqa: S608
    "WHERE dataset = {dataset:String} AND _file = {file:String} "
    f"ORDER BY _row LIMIT {SAMPLES}"
)
Shown = Callable[[Advice], bool]


class AlertEvidence:
    """Calls block; they raise ServiceUnreachable. `lives` are alerts published before, to go on from."""

    def __init__(
        self,
        warehouse: Warehouse,
        investigator: Investigator,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._warehouse, self._investigator, self._stop, self._clock = warehouse, investigator, stop, clock
        self._lives: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def learn(self, alerts: Iterable[Mapping[str, Any]]) -> None:
        """Take over what alerts of an earlier run say."""
        for alert in alerts:
            if any(alert[name] for name in _FOUND):
                self._keep(alert)

    def enriched(
        self, contract: Contract, alert: Mapping[str, Any], shown: Shown
    ) -> tuple[dict[str, Any] | None, list[Advice]]:
        """Return the alert with where and why (None: there is nothing to add), and the advice that it calls for.

        `shown` says whether an advice may be pointed to: a person may have dismissed it.
        """
        found, given = ({}, []) if alert["state"] == AlertState.RESOLVED else self._looked(contract, alert, shown)
        said = {"message": found.pop("said")} if "said" in found else {}
        carried = self._lives.get(alert["subject"], {}) if alert["subject"] else {}
        # A later word says no less than an earlier one: what this window does not show is as it was.
        told = dict(alert) | {name: value for name, value in (carried | found).items() if value and not alert[name]}
        told |= said
        if not (said or any(told[name] for name in _CARRIED)) or told == alert:
            return None, given
        self._keep(told)
        return told, given

    def _keep(self, alert: Mapping[str, Any]) -> None:
        if alert["subject"]:
            self._lives[alert["subject"]] = {name: alert[name] for name in _CARRIED}
            self._lives.move_to_end(alert["subject"])
            while len(self._lives) > _MOST_LIVES:
                self._lives.popitem(last=False)

    def _looked(
        self, contract: Contract, alert: Mapping[str, Any], shown: Shown
    ) -> tuple[dict[str, Any], list[Advice]]:
        rule = next((one for one in contract.checks if one.id == alert["rule"]), None)
        try:
            if alert["window_start"] is None:
                return self._of_file(contract, alert, shown)
            if rule is None:
                return {}, []
            evidence = self._of_window(contract, rule, alert)
        except WarehouseRefused as error:
            # A dataset without a table yet, or a rule that its rows cannot answer: the alert stays as it is.
            emit(EvidenceMissing(dataset=alert["dataset"], rule=alert["rule"], cause=str(error)))
            return {}, []
        given = advise(finding_of(contract, rule, alert, evidence))
        found: dict[str, Any] = {
            "segments": [
                {"name": one.name, "rows": one.rows, "share": one.share, "lift": one.lift} for one in evidence.segments
            ],
            "samples": [{"file": file, "row": row} for file, row in evidence.samples],
            "advice_id": next((one.id for one in given if shown(one)), ""),
            "file": evidence.file,
            "file_name": evidence.file_name,
            "trace_id": trace_id(contract.dataset, evidence.file) if evidence.file else "",
        }
        if evidence.effects:
            found["model_effect"] = evidence.effects[0].share
            found["said"] = f"{alert['message']}; {spoken_effects(rule, evidence)[0]}"
        return found, given

    def _of_window(self, contract: Contract, rule: CheckRule, alert: Mapping[str, Any]) -> Evidence:
        window = Window(micros(alert["window_start"]), micros(alert["window_end"]), alert["clock"] == "arrival")
        self._wait(alert, lambda: self._investigator.stored(contract, window, rule) >= alert["rows"])
        return self._investigator.of_rule(contract, rule, window)

    def _of_file(
        self, contract: Contract, alert: Mapping[str, Any], shown: Shown
    ) -> tuple[dict[str, Any], list[Advice]]:
        """Return the rows of a file to look at, and advice if most of them could not be parsed."""
        named = {"dataset": alert["dataset"], "file": alert["file"]}
        held: list[tuple[Any, ...]] = []

        def stored() -> bool:
            held[:] = self._warehouse.rows(_HELD, named)
            return bool(held)

        if alert["reasons"]:
            self._wait(alert, stored)
        given = self._of_reading(contract, alert)
        advice_id = next((one.id for one in given if shown(one)), "")
        return {"samples": [{"file": str(file), "row": int(row)} for file, row in held], "advice_id": advice_id}, given

    def _of_reading(self, contract: Contract, alert: Mapping[str, Any]) -> list[Advice]:
        unreadable = sum(count for reason, count in alert["reasons"].items() if reason in _READING)
        if not unreadable or 2 * unreadable < sum(alert["reasons"].values()):
            return []
        rows, message = alert["rows"], alert["message"]
        finding = Finding(
            contract.dataset, alert["rule"], "parse_errors", rows=rows, rows_at_risk=unreadable, detail=message
        )
        return advise(finding)

    def _wait(self, alert: Mapping[str, Any], stored: Callable[[], bool]) -> None:
        """Wait until the rows of a fresh alert are stored: the sink writes them beside the stages that judge."""
        until = micros(alert["raised_at"]) / 1e6 + STORED_SECS
        while not stored() and self._clock() < until and not self._stop.wait(_WAIT_SECS):
            pass
