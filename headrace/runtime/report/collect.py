"""Everything that a report is made of, read from the warehouse. Blocks; what is not to be shown is masked here."""

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from headrace.embedded.predict.served import predicted
from headrace.errors import WrongUse
from headrace.runtime.learners import declared
from headrace.runtime.quality_store import MOST_WINDOWS, QualityStore, law_of_values, no_windows, with_score
from headrace.runtime.report.data import ReportData, by_urgency, covered, unresolved
from headrace.runtime.report.masking import Mask
from headrace.runtime.report.models import LearnerFigures
from headrace.runtime.report.samples import SampleRows, sample_rows
from headrace.schemas.contract import Contract
from headrace.schemas.durations import parse_duration
from headrace.settings import Settings
from headrace.stream_processors.steps.roll_up import roll_up
from headrace.stream_processors.steps.score import trend

_MICROS = 1_000_000
_MOST_ADVICE, _MOST_SAMPLED = 24, 12
_UNMOVED = 0.05


def collect(store: QualityStore, settings: Settings, dataset: str, clock: str | None, since: str) -> ReportData:
    """Return all that the report on a dataset needs; raises WrongUse if no window is closed yet."""
    return _with_details(store, settings, *_overview(store, settings, dataset, clock, since))


def collect_all(
    store: QualityStore, settings: Settings, clock: str | None, since: str
) -> tuple[list[ReportData], list[str]]:
    """Return what the page of all datasets needs, and the datasets that have no closed window yet."""
    found, without = [], []
    for dataset in store.datasets():
        try:
            found.append(_overview(store, settings, dataset, clock, since)[0])
        except WrongUse:
            without.append(dataset)
    return found, without


def _overview(
    store: QualityStore, settings: Settings, dataset: str, clock: str | None, since: str
) -> tuple[ReportData, Contract | None]:
    chosen = clock or store.clock_of(dataset)
    newest = store.newest(dataset, chosen)
    if newest is None:
        raise no_windows(dataset, chosen, settings.paths())
    start = _since(since, newest["end"]) if since else 0
    windows = store.windows(dataset, chosen, start, MOST_WINDOWS)
    if not windows:
        raise WrongUse(f'no closed window of "{dataset}" begins after {since}', hint="give an earlier --since")
    contract = law_of_values(settings, dataset, newest["contract_version"])
    critical = [one.name for one in contract.fields if one.critical] if contract else []
    return ReportData(
        dataset=dataset,
        clock=chosen,
        made_at=time.time_ns() // 1000,
        windows=windows,
        newest=with_score(newest, critical),
        fields=(),
        alerts=store.alerts(dataset),
        advice=store.advice(dataset, _MOST_ADVICE),
        names=[one.name for one in contract.fields] if contract else [one["name"] for one in newest["fields"]],
        critical=critical,
        description=contract.description if contract else "",
        owner=contract.owner if contract else "",
        kinds=kinds_of(contract),
        mask=mask_of(contract),
        learners=learners_of(store, settings, dataset),
    ), contract


def learners_of(store: QualityStore, settings: Settings, dataset: str) -> list[LearnerFigures]:
    """Return how the learners of the home that predict a dataset's records stand."""
    return [
        LearnerFigures(
            one.name,
            one.task.value,
            predicted(one),
            store.champion(one.name, one.version),
            store.model_turn(one.name),
            store.losses(one.name, one.version),
        )
        for one in declared(settings.paths()).specs
        if one.dataset == dataset
    ]


def _with_details(store: QualityStore, settings: Settings, data: ReportData, contract: Contract | None) -> ReportData:
    since = data.windows[0]["start"]
    rolled = roll_up(store.cells(data.dataset, data.clock, since, MOST_WINDOWS), data.mask.fields)
    known = {one["name"] for one in rolled.fields}
    # A window too large for a message has no states: then its own profile is better than none.
    fields = [*rolled.fields, *(one for one in data.newest["fields"] if one["name"] not in known)]
    order = {name: at for at, name in enumerate(data.names)}
    shown = unresolved(data.alerts)
    now = {one["subject"] for one in shown}
    past = by_urgency(one for one in store.worst(data.dataset, data.clock, since) if one["subject"] not in now)
    rules = sorted({one["rule"] for one in [*shown, *past]} | {one["rule"] for one in data.newest["verdicts"]})
    return data.with_details(
        fields=sorted(fields, key=lambda one: (order.get(one["name"], len(order)), one["name"])),
        files=store.files(data.dataset),
        history=store.history(data.dataset, data.clock, since, rules),
        samples=_samples(store, contract, [*shown, *past]),
        past=past,
        outside=(
            outside(data, contract.version, store.stored(contract, since)) if contract and data.clock == "event" else {}
        ),
    )


def outside(data: ReportData, version: str, stored: Mapping[int, int]) -> dict[int, int]:
    """Return how many rows of closed windows are stored and in no verdict, by the window's start.

    They came when the window's state was gone. `stored` is by the windows of one contract version: those that were
    judged by another may be of another field or length, and are not compared.
    """
    judged = {one["start"]: one["rows"] - one["rejected"] for one in data.windows if one["contract_version"] == version}
    missing = {start: stored.get(start, 0) - rows for start, rows in judged.items()}
    return {start: rows for start, rows in missing.items() if rows > 0}


def _samples(store: QualityStore, contract: Contract | None, alerts: list[Mapping[str, Any]]) -> dict[str, SampleRows]:
    key, found = secrets.token_bytes(32), {}
    for one in [alert for alert in alerts if alert["samples"]][:_MOST_SAMPLED]:
        rows = sample_rows(store, contract, one, key)
        if rows is not None:
            found[str(one["alert_id"])] = rows
    return found


def standing(store: QualityStore, window: Mapping[str, Any], contract: Contract | None) -> dict[str, Any]:
    """Return what a window is worth: score and trend, the worst critical field, and what was not looked at."""
    critical = [one.name for one in contract.fields if one.critical] if contract else []
    scored = with_score(window, critical)
    windows = store.windows(window["dataset"], window["clock"])
    scores = [one["score"] for one in windows if one["score"] is not None and one["start"] <= window["start"]]
    names = [one.name for one in contract.fields] if contract else [one["name"] for one in window["fields"]]
    checked, others = covered(names, window["verdicts"])
    told = {name: scored[name] for name in ("score", "dimensions", "worst_field", "worst_score")}
    moved = trend(scores) if scores and scored["score"] is not None else None
    return told | {"trend": moved, "fields_checked": checked, "fields_not_checked": others}


def said(found: Mapping[str, Any]) -> str:
    """Return a standing in one line; a score never stands alone.

    >>> said({"score": 93.25, "trend": -2.0, "worst_field": "mass", "worst_score": 60.0, "fields_checked": ["mass"],
    ...       "fields_not_checked": ["who"]})
    'score 93.2 of 100, 2.0 worse than usual; worst field mass 60.0; 1 of 2 fields checked; not checked: who'
    """
    checked, others = found["fields_checked"], found["fields_not_checked"]
    score = "no score: no rule had a verdict" if found["score"] is None else f"score {found['score']:.1f} of 100"
    parts = [f"{score}, {_against(found['trend'])}" if found["score"] is not None else score]
    if found["worst_score"] is not None:
        parts.append(f"worst field {found['worst_field']} {found['worst_score']:.1f}")
    parts.append(f"{len(checked)} of {len(checked) + len(others)} fields checked")
    return "; ".join(parts + ([f"not checked: {', '.join(others)}"] if others else []))


def _against(moved: float | None) -> str:
    if moved is None:
        return "no earlier windows to compare with"
    if abs(moved) < _UNMOVED:
        return "as usual"
    return f"{abs(moved):.1f} {'better' if moved > 0 else 'worse'} than usual"


def mask_of(contract: Contract | None) -> Mask:
    """Return what is not shown; without a contract nothing is, since nobody can say what is personal."""
    if contract is None:
        return Mask(all_fields=True)
    return Mask(frozenset(one.name for one in contract.fields if one.personal))


def kinds_of(contract: Contract | None) -> dict[str, str]:
    """Return the type of each field."""
    return {one.name: one.type.type.value for one in contract.fields} if contract else {}


def _since(text: str, end: int) -> int:
    seconds = parse_duration(text)
    return max(0, end - seconds * _MICROS) if seconds else moment_of(text, "--since")


def moment_of(text: str, option: str) -> int:
    """Return the time that an option names, in microseconds since 1970; UTC unless it says otherwise."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongUse(f'{option} "{text}" is no time', hint="write 2013-02-08 or 2013-02-08T05:00Z") from error
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * _MICROS)
