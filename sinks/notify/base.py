"""The seam of notifiers, and how HOME/notify.yaml is read: strictly, with secrets only from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol

from headrace.core.vocabulary import AlertState, Severity
from headrace.errors import HeadraceError, Terminal, Transient, WrongUse
from headrace.schemas.durations import parse_duration
from headrace.schemas.strict_yaml import YamlInvalid, load_yaml

GROUP = "headrace.notifiers"
_HINT = "docs/guide/alerts.md shows a notify.yaml"
_KEYS = frozenset({"name", "type", "options", "severities", "datasets", "states", "maxAge"})
_DAY = 86_400


class NotTaken(HeadraceError, Transient):
    """The receiver is away or busy: the same alert is sent again."""

    code = "not_taken"


class NotWanted(HeadraceError, Terminal):
    """The receiver refuses this alert for good: it is passed over, loudly."""

    code = "not_wanted"


class Notifier(Protocol):
    """Delivers one alert. Made from the options of notify.yaml; raises WrongUse if they cannot be followed."""

    def deliver(self, alert: Mapping[str, Any]) -> None:
        """Return when the receiver has taken the alert; raises NotTaken or NotWanted. Blocks at most 30 seconds."""


@dataclass(frozen=True)
class Target:
    """One entry of notify.yaml: who is told of what."""

    name: str
    notifier: Notifier
    severities: frozenset[str] = frozenset(Severity)
    datasets: frozenset[str] = field(default_factory=frozenset)
    states: frozenset[str] = frozenset({AlertState.OPEN.value, AlertState.RESOLVED.value})
    max_age_secs: int = _DAY

    def wants(self, alert: Mapping[str, Any], now: float) -> bool:
        """Return True for an alert that this target is told of; `now` is in seconds since 1970."""
        raised = alert["raised_at"].timestamp()
        chosen = alert["severity"] in self.severities and alert["state"] in self.states
        of_dataset = not self.datasets or alert["dataset"] in self.datasets
        return chosen and of_dataset and not alert["silenced"] and now - raised <= self.max_age_secs


def read_targets(text: str) -> list[Target]:
    """Return the targets of a notify.yaml; raises WrongUse with what cannot be followed."""
    try:
        data, _ = load_yaml(text)
    except YamlInvalid as error:
        raise WrongUse(f"notify.yaml: {error}", hint=_HINT) from error
    if not isinstance(data, list) or not data:
        raise WrongUse("notify.yaml is not a list of targets", hint=_HINT)
    targets = [_target(number, entry) for number, entry in enumerate(data, 1)]
    if len({one.name for one in targets}) < len(targets):
        raise WrongUse("notify.yaml has a name twice", hint="give each target a name of its own")
    return targets


def _target(number: int, entry: Any) -> Target:
    where = f"notify.yaml, target {number}"
    if not isinstance(entry, dict) or not {"name", "type"} <= entry.keys() <= _KEYS:
        raise WrongUse(f"{where}: it takes name, type and {', '.join(sorted(_KEYS - {'name', 'type'}))}", hint=_HINT)
    name, kind, options = entry["name"], entry["type"], entry.get("options") or {}
    if not isinstance(name, str) or not name.replace("-", "").isalnum() or not isinstance(options, dict):
        raise WrongUse(f"{where}: name is letters, digits and -, options is a mapping", hint=_HINT)
    known = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in known:
        raise WrongUse(f'{where}: type "{kind}" is not installed', hint=f"choose from {', '.join(sorted(known))}")
    age = parse_duration(entry.get("maxAge", "P1D"))
    if age is None:
        raise WrongUse(f"{where}: maxAge is no duration", hint="write PT1H or P1D")
    return Target(
        name,
        known[kind].load()(options),
        _chosen(where, entry, "severities", tuple(Severity)) or frozenset(Severity),
        _chosen(where, entry, "datasets", None),
        _chosen(where, entry, "states", tuple(AlertState)) or frozenset({"open", "resolved"}),
        age,
    )


def _chosen(where: str, entry: Mapping[str, Any], key: str, known: tuple[str, ...] | None) -> frozenset[str]:
    found = entry.get(key, [])
    if not isinstance(found, list) or not all(
        isinstance(one, str) and (known is None or one in known) for one in found
    ):
        choices = f" of {', '.join(known)}" if known else ""
        raise WrongUse(f"{where}: {key} is a list{choices}", hint=_HINT)
    return frozenset(found)


def options_of(options: Mapping[str, Any], needed: tuple[str, ...], others: tuple[str, ...] = ()) -> dict[str, str]:
    """Return options as text; raises WrongUse for a missing or unknown one."""
    if not set(needed) <= options.keys() <= {*needed, *others}:
        raise WrongUse(f"options are {', '.join(needed)}, perhaps {', '.join(others)}", hint=_HINT)
    return {name: str(value) for name, value in options.items()}


def secret_of(variable: str) -> str:
    """Return the secret in an environment variable; raises WrongUse, which names the variable alone."""
    found = os.environ.get(variable, "")
    if not found:
        raise WrongUse(f"the environment variable {variable} is empty", hint="set it where headrace up is started")
    return found


def subject_line(alert: Mapping[str, Any]) -> str:
    """Return an alert in one line."""
    return " ".join(f"[{alert['severity']}, {alert['state']}] {alert['message']}".split())
