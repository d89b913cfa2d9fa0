"""The life of the platform's own alerts: findings open them, keep them open, and resolve them by being gone. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from headrace.core.identity import digest_of
from headrace.core.vocabulary import AlertState
from headrace.runtime.platform_rules import Finding, PlatformRule

STILL_SECS = 3_600.0
_MICROS = 1_000_000


@dataclass(frozen=True)
class OpenAlert:
    """An alert that is open: its last finding, and when it opened, was told and was seen last."""

    finding: Finding
    opened_at: float
    told_at: float
    seen_at: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "OpenAlert":
        """Return the alert of `to_json`."""
        finding = Finding(**(values["finding"] | {"rule": PlatformRule(values["finding"]["rule"])}))
        return cls(finding, values["opened_at"], values["told_at"], values["seen_at"])


Opened = dict[tuple[str, str], OpenAlert]


def live(opened: Opened, found: Iterable[Finding], at: float, clear_secs: float) -> tuple[Opened, list[dict[str, Any]]]:
    """Return what is open now, and the transitions to publish: alerts of quality.alerts, without `silenced`.

    A cause that comes and goes within `clear_secs` is one alert. The id of a transition follows from rule, place and
    the moments that are kept, so a repeat overwrites.
    """
    after, told = dict(opened), []
    for finding in found:
        key = (finding.rule.value, finding.place)
        known = after.get(key)
        if known is None:
            after[key] = one = OpenAlert(finding, at, at, at)
            told.append(_alert(one, AlertState.OPEN, at))
        elif at - known.told_at >= STILL_SECS:
            after[key] = one = replace(known, finding=finding, told_at=at, seen_at=at)
            told.append(_alert(one, AlertState.STILL, at))
        else:
            after[key] = replace(known, finding=finding, seen_at=at)
    for key, one in list(after.items()):
        if at - one.seen_at >= clear_secs:
            del after[key]
            told.append(_alert(one, AlertState.RESOLVED, at))
    return after, told


def _alert(one: OpenAlert, state: AlertState, at: float) -> dict[str, Any]:
    finding = one.finding
    dataset = finding.place if finding.rule is PlatformRule.FOLDER_SILENT else ""
    subject = digest_of(dataset, finding.rule, f"platform:{finding.place}")
    moment = one.told_at if state is AlertState.STILL else one.opened_at
    return {
        "alert_id": digest_of(subject, str(round(moment * _MICROS)), state),
        "dataset": dataset,
        "rule": finding.rule.value,
        "state": state.value,
        "severity": str(finding.severity),
        "observed": float(finding.observed),
        "bound": float(finding.bound),
        "rows": 0,
        "rows_at_risk": 0,
        "file": "",
        "file_name": "",
        "reasons": {},
        "message": finding.message,
        "hint": finding.hint,
        "trace_id": "",
        "contract_version": "",
        "owner": "",
        "raised_at": round(at * _MICROS),
        "subject": subject,
        "class": "platform",
        "clock": "arrival",
        "opened_at": round(one.opened_at * _MICROS),
        "unit": finding.unit,
    }
