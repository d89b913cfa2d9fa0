"""The life of an advice: a person accepts, does or dismisses what is proposed, and that stays. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from headrace.stream_processors.steps.advice_outcome import Measured

DECISIONS: Final = {"accept": "accepted", "done": "done", "dismiss": "dismissed"}
_DOUBLED: Final = 2
_MEASURED: Final = ("metric_before", "metric_after", "measured")
_SETTLED: Final = ("state", "decided_by", "decided_at", "why", *_MEASURED, "raised_at")


def fold(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return each advice as it stands, from its messages in order: one without a later decision never undoes one."""
    known: dict[str, dict[str, Any]] = {}
    for record in records:
        before = known.get(record["advice_id"])
        undone = before is not None and decided(before) > decided(record)
        settled = {name: before[name] for name in _SETTLED} if before is not None and undone else {}
        known[record["advice_id"]] = {**record, **settled}
    return known


def decided(record: Mapping[str, Any]) -> float:
    """Return when a person decided, in seconds since 1970; before all time if nobody has."""
    moment = record.get("decided_at")
    if moment is None:
        return -math.inf
    return moment / 1e6 if isinstance(moment, int) else float(moment.timestamp())


def decision(record: Mapping[str, Any], word: str, *, by: str, at: int, why: str) -> dict[str, Any]:
    """Return an advice with a person's decision (a key of DECISIONS); what it won is measured anew."""
    nothing = {"metric_before": None, "metric_after": None, "measured": ""}
    return {**record, **nothing, "state": DECISIONS[word], "decided_by": by, "decided_at": at, "why": why}


def outcome_record(record: Mapping[str, Any], found: Measured) -> dict[str, Any]:
    """Return an advice with what following it did; it stays the decision that it was measured by."""
    state = "moved" if found.moved else "not_moved"
    figures = {"metric_before": found.before, "metric_after": found.after, "measured": found.told}
    return {**record, **figures, "state": state}


def again(known: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what to publish when an advice is given again, None for nothing: it says nothing new, or is dismissed.

    A person's decision stays. Dismissed advice is proposed anew once its rows at risk have doubled.
    """
    if known is None:
        return dict(given)
    record = {**given, **{name: known[name] for name in _SETTLED}}
    record["alert_ids"] = list(dict.fromkeys([*known["alert_ids"], *given["alert_ids"]]))[-20:]
    if known["state"] == "dismissed":
        if given["rows_at_risk"] < _DOUBLED * max(known["rows_at_risk"], 1):
            return None
        record["state"] = "proposed"
    return None if record == known else record


def shown(known: Mapping[str, Any] | None, given: Mapping[str, Any]) -> bool:
    """Return False for dismissed advice whose rows at risk have not doubled: no alert points to it."""
    doubled = known is not None and given["rows_at_risk"] >= _DOUBLED * max(known["rows_at_risk"], 1)
    return known is None or known["state"] != "dismissed" or doubled
