"""Which transitions of alerts the verdicts of a closed window call for. Pure; lives are stepped once a window."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from headrace.core.identity import trace_id
from headrace.core.vocabulary import AlertState, Severity
from headrace.stream_processors.checks.base import Outcome, Verdict
from headrace.stream_processors.steps.alert_life import Life, LifeState, step, subject_of, transition_id
from headrace.stream_processors.steps.drift_rank import effect_of, seen
from headrace.stream_processors.steps.score import Judged
from headrace.stream_processors.steps.unchecked import Unseen
from headrace.stream_processors.steps.verdicts import CHECK_FAILED, Evaluated, failed
from headrace.stream_processors.steps.window_record import Closed, number, spoken
from headrace.stream_processors.steps.window_state import OTHER_FILES, WindowState

_MICROS: Final = 1_000_000
CONTRACT: Final = "contract"
"""The subject of `check_failed` where a window's contract itself cannot be had."""
UNCHECKED: Final = "unchecked"
"""With a rule's id the subject of `check_failed` where the rule had no verdict in window after window."""


@dataclass(frozen=True)
class Lived:
    """The life of one subject, and when its alert opened in microseconds since 1970."""

    state: LifeState = field(default_factory=LifeState)
    opened_at: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return self.state.to_json() | {"opened_at_micros": self.opened_at}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Lived":
        """Return it from `to_json`'s values."""
        left = dict(values)
        opened_at = left.pop("opened_at_micros")
        return cls(LifeState.from_json(left), opened_at)


Lives = dict[str, Lived]
"""By rule id; `check_failed:RULE` for a check that could not run."""


@dataclass(frozen=True)
class Teller:
    """What alerts say beside the verdict: whose data it is, what is masked, and whom a person asked not to be told."""

    owner: str = ""
    masked: Collection[str] = ()
    silenced: Callable[[str], bool] = lambda _: False


def step_window(
    lives: Lives, closed: Closed, state: WindowState, evaluated: Evaluated, life: Life, teller: Teller
) -> tuple[Lives, list[dict[str, Any]]]:
    """Return the lives after one more closed window, and the alerts to publish. A window that was stepped adds none.

    Rules that wait for their learner are left as they are.
    """
    after, alerts = dict(lives), []
    # The strongest finding is told first; sorting leaves the others in the contract's order.
    for one in sorted(evaluated.judged, key=lambda one: -effect_of(seen(one)) if failed(one) else 0.0):
        if one.rule.id in evaluated.waiting:
            continue
        after[one.rule.id], told = _stepped(lives.get(one.rule.id), one.verdict.outcome, closed, life)
        if told is not None:
            alerts.append(_rule_alert(one, told, after[one.rule.id], closed, state, evaluated, teller))
    wanted = {one.rule.id for one in evaluated.judged}
    failing = {f"{CHECK_FAILED}:{rule}": why for rule, why in evaluated.failures.items()}
    for subject in sorted({*failing, *(name for name in lives if name.startswith(f"{CHECK_FAILED}:"))}):
        outcome = Outcome.FAIL if subject in failing else Outcome.PASS
        after[subject], told = _stepped(lives.get(subject), outcome, closed, replace(life, open_after=1))
        if told is not None:
            alerts.append(
                _failure_alert(subject, failing.get(subject, ""), told, after[subject], closed, state, teller)
            )
    for rule in sorted(name for name in lives if name not in wanted and not name.startswith(f"{CHECK_FAILED}:")):
        if CONTRACT not in evaluated.failures:
            gone = after.pop(rule)
            if gone.state.open:
                alerts.append(_gone_alert(rule, gone, closed, state, teller))
    return after, alerts


def step_learned(
    rules: Collection[str],
    lives: Lives,
    closed: Closed,
    state: WindowState,
    evaluated: Evaluated,
    life: Life,
    teller: Teller,
) -> tuple[Lives, list[dict[str, Any]]]:
    """Return the lives after a window that was closed before, of rules whose learner has come through it since."""
    mine = {**evaluated.demands}, {name: why for name, why in evaluated.failures.items() if name in rules}
    judged = tuple(one for one in evaluated.judged if one.rule.id in rules)
    subjects = {*rules, *(f"{CHECK_FAILED}:{rule}" for rule in rules)}
    own = {name: lived for name, lived in lives.items() if name in subjects}
    after, alerts = step_window(own, closed, state, Evaluated(judged, *mine), life, teller)
    return lives | after, alerts


def _stepped(lived: Lived | None, outcome: Outcome, closed: Closed, life: Life) -> tuple[Lived, AlertState | None]:
    before = lived or Lived()
    state, told = step(before.state, outcome, closed.start, life)
    return Lived(state, closed.closed_at if told is AlertState.OPEN else before.opened_at), told


def _rule_alert(
    one: Judged,
    told: AlertState,
    lived: Lived,
    closed: Closed,
    state: WindowState,
    evaluated: Evaluated,
    teller: Teller,
) -> dict[str, Any]:
    rule, verdict = one.rule, one.verdict
    detail, demand = spoken(one, teller.masked), evaluated.demands[rule.id]
    resolved = told is AlertState.RESOLVED
    message = f"{closed.dataset}: {detail}; {'again within what is demanded' if resolved else 'demanded'}: {demand}"
    return _alert(rule.id, rule.id, told, lived, closed, state, teller) | {
        "severity": rule.severity.value,
        "observed": number(verdict.observed),
        "bound": bound_of(verdict),
        "rows": verdict.rows,
        "rows_at_risk": verdict.rows_at_risk,
        "message": message,
        "hint": rule.fix_hint or _query(closed),
        "unit": rule.unit.value,
        "error": number(verdict.error) or 0.0,
        "dimension": rule.dimension.value,
        "field": ", ".join(rule.fields),
    }


def bound_of(verdict: Verdict) -> float | None:
    """Return the bound that was broken, or is nearest to being so."""
    bounds, observed = verdict.bounds, verdict.observed
    if bounds is None:
        return None
    if bounds.upper is None or (bounds.lower is not None and observed is not None and observed <= bounds.lower):
        return number(bounds.lower)
    return number(bounds.upper)


def _failure_alert(
    subject: str, why: str, told: AlertState, lived: Lived, closed: Closed, state: WindowState, teller: Teller
) -> dict[str, Any]:
    rule = subject.partition(":")[2]
    text = f"could not be checked: {why}" if why else "is checked again"
    return _alert(CHECK_FAILED, subject, told, lived, closed, state, teller) | {
        "severity": Severity.CRITICAL.value,
        "message": f'{closed.dataset}: rule "{rule}" {text}',
        "hint": "correct the check or the contract, or restart what it asks; headrace status names the log",
        "rows": state.rows,
        "rows_at_risk": state.rows if why else 0,
    }


def unseen_alert(one: Unseen, closed: Closed, state: WindowState, teller: Teller) -> dict[str, Any]:
    """Return the alert that a rule had no verdict for long, or has verdicts again."""
    subject = f"{UNCHECKED}:{one.rule}"
    lived = Lived(LifeState(), one.opened_at)
    shared = subject_of(closed.dataset, subject, "")
    why = "what it says of the values is not shown" if set(one.fields) & set(teller.masked) else one.why
    text = f"had no verdict in {one.windows:,} windows; of the last one: {why}"
    if one.told is AlertState.RESOLVED:
        text = "is checked again" if one.why else f"is no longer asked for by contract {closed.contract_version}"
    return _alert(CHECK_FAILED, subject, one.told, lived, closed, state, teller) | {
        "alert_id": transition_id(shared, closed.start, one.told),
        "subject": shared,
        "severity": Severity.WARNING.value,
        "message": f'{closed.dataset}: rule "{one.rule}" {text}',
        "hint": "give the rule what it asks for, or take it out of the contract",
        "rows": state.rows,
        "field": ", ".join(one.fields),
    }


def _gone_alert(rule: str, lived: Lived, closed: Closed, state: WindowState, teller: Teller) -> dict[str, Any]:
    told = _alert(rule, rule, AlertState.RESOLVED, lived, closed, state, teller)
    message = f'{closed.dataset}: contract {closed.contract_version} no longer asks for rule "{rule}"'
    return told | {"severity": Severity.INFO.value, "message": message, "hint": _query(closed)}


def _query(closed: Closed) -> str:
    chosen = f"dataset = '{closed.dataset}' AND clock = '{closed.clock}' ORDER BY start DESC LIMIT 5"
    return " ".join(("headrace sql", '"SELECT start, rows, verdicts FROM headrace.windows WHERE', chosen + '"'))


def _alert(
    rule: str, subject: str, told: AlertState, lived: Lived, closed: Closed, state: WindowState, teller: Teller
) -> dict[str, Any]:
    shared = subject_of(closed.dataset, subject, closed.clock)
    files = [file for file in state.files if file != OTHER_FILES]
    file = files[0] if len(files) == 1 and len(state.files) == 1 else ""
    return {
        "alert_id": transition_id(shared, closed.start, told),
        "dataset": closed.dataset,
        "rule": rule,
        "state": told.value,
        "observed": None,
        "bound": None,
        "rows": state.rows,
        "rows_at_risk": 0,
        "file": file,
        "file_name": "",
        "reasons": {},
        "trace_id": trace_id(closed.dataset, file) if file else "",
        "contract_version": closed.contract_version,
        "owner": teller.owner,
        "raised_at": closed.closed_at,
        "subject": shared,
        "class": "quality",
        "clock": closed.clock,
        "window_start": closed.start * _MICROS,
        "window_end": closed.end * _MICROS,
        "opened_at": lived.opened_at,
        "unit": "",
        "error": 0.0,
        "dimension": "",
        "field": "",
        "segments": [],
        "samples": [],
        "advice_id": "",
        "silenced": teller.silenced(rule) or teller.silenced(subject.partition(":")[2]),
    }
