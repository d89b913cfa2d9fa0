"""How quickly alerts of a contract's windows come and go: its custom property `headrace.alerts`."""

from dataclasses import dataclass, replace

from headrace.schemas.contract_findings import Findings, close_to
from headrace.schemas.problems import Place

ALERTS = "headrace.alerts"
_MOST = 10_000
_NAMES = {
    "openAfter": "open_after",
    "stillEvery": "still_every",
    "resolveAfter": "resolve_after",
    "uncheckedAfter": "unchecked_after",
}


@dataclass(frozen=True)
class AlertLife:
    """In windows: failing ones until an alert opens, failing ones until it is told again, passing ones that end it.

    `unchecked_after` windows without a verdict of a rule open the alert that it is not checked.
    """

    open_after: int = 1
    still_every: int = 12
    resolve_after: int = 2
    unchecked_after: int = 24


def read_alert_life(value: object, place: Place, findings: Findings) -> AlertLife:
    """Return the life that a contract asks for; what cannot be followed is added to the problems."""
    found = AlertLife()
    if value is None:
        return found
    if not isinstance(value, dict):
        findings.refuse(place, f"wrong value of {ALERTS}", value, "write {openAfter: 1, stillEvery: 12}")
        return found
    for name, number in value.items():
        if name not in _NAMES:
            meant = close_to(name, list(_NAMES))
            findings.refuse(place, "unknown key", name, f'did you mean "{meant}"?' if meant else ", ".join(_NAMES))
        elif isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MOST:
            findings.refuse(place, f"wrong value of {name}", number, f"write a number of windows from 1 to {_MOST}")
        else:
            found = replace(found, **{_NAMES[name]: number})
    return found
