"""What one contract changes against another, and which changes break those who read the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract, ContractField
from headrace.schemas.durations import spoken_duration
from headrace.schemas.record import FieldType
from headrace.schemas.rules import Rule

# A value of the first type is read as the second without a loss: the registry lets it pass.
_WIDENED = frozenset(
    {
        (FieldType.INT, FieldType.LONG),
        (FieldType.INT, FieldType.DOUBLE),
        (FieldType.FLOAT, FieldType.DOUBLE),
    }
)


@dataclass(frozen=True)
class Change:
    """One difference. `breaking`: a reader of the data may fail, or find that values are gone."""

    kind: Literal["field", "rule", "check", "setting"]
    name: str
    breaking: bool
    text: str


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Return what `new` changes: fields first, then rules, checks and settings. Equal meaning gives nothing.

    A rule that comes or goes changes which rows are stored, never what a stored row looks like: it breaks nobody. A
    check changes no row at all.
    """
    rules = _demands("rule", {rule.id: _demand(rule) for rule in old.rules}, {r.id: _demand(r) for r in new.rules})
    before, after = ({check.id: spoken_check(check) for check in found.checks} for found in (old, new))
    return (*_fields(old, new), *rules, *_demands("check", before, after), *_settings(old, new))


def _fields(old: Contract, new: Contract) -> list[Change]:
    before = {field.name: field for field in old.fields}
    after = {field.name: field for field in new.fields}
    found = []
    for name in before.keys() | after.keys():
        if name not in after:
            found.append(Change("field", name, True, f"field {name} is gone: it will be empty from now on"))
        elif name not in before:
            found.append(Change("field", name, False, f"field {name} is new, {_shape(after[name])}"))
        elif _shape(before[name]) != _shape(after[name]):
            breaking = (before[name].type.type, after[name].type.type) not in _WIDENED
            text = f"field {name} was {_shape(before[name])}, is {_shape(after[name])}"
            found.append(Change("field", name, breaking, text))
        found += _reading(name, before.get(name), after.get(name))
    return sorted(found, key=lambda change: (change.name, change.text))


def _shape(field: ContractField) -> str:
    kind = field.type
    parameters = {
        FieldType.ENUM: f"({', '.join(kind.symbols)})",
        FieldType.FIXED: f"({kind.size})",
        FieldType.DECIMAL: f"({kind.precision}, {kind.scale})",
    }
    return f"{kind.type}{parameters.get(kind.type, '')}"


def _reading(name: str, old: ContractField | None, new: ContractField | None) -> list[Change]:
    """Return changes of how a field is found and read in a file."""
    if old is None or new is None:
        return []
    pairs = {
        "is read from": (old.source_name, new.source_name),
        "has local times of": (old.zone or "no zone", new.zone or "no zone"),
        "is missing where it says": (", ".join(old.null_values) or "nothing", ", ".join(new.null_values) or "nothing"),
        "is known at prediction:": (_yes(old.known_at_prediction), _yes(new.known_at_prediction)),
    }
    return [
        Change("field", name, False, f'field {name} {what} "{after}", before "{before}"')
        for what, (before, after) in pairs.items()
        if before != after
    ]


def _yes(said: bool) -> str:
    return "yes" if said else "no"


def _demands(kind: Literal["rule", "check"], before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    found = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found.append(Change(kind, name, False, f"{kind} {name} is gone ({before[name]})"))
        elif name not in before:
            found.append(Change(kind, name, False, f"{kind} {name} is new: {after[name]}"))
        elif before[name] != after[name]:
            found.append(Change(kind, name, False, f"{kind} {name} was {before[name]}, is {after[name]}"))
    return found


def spoken_check(rule: CheckRule) -> str:
    """Return a check as one line: its plain sentence, its name and parameters, and what it weighs."""
    shown = ", ".join(f"{name} {_plain(value)}" for name, value in rule.parameters.items())
    settings = f"{rule.check}{f' with {shown}' if shown else ''}, {rule.dimension}, {rule.severity}"
    weight = "" if rule.weight == 1 else f", weight {rule.weight:g}"
    return f"{check_named(rule.check).sentence(rule)} ({settings}{weight})"


def _plain(value: object) -> str:
    return f"[{', '.join(str(part) for part in value)}]" if isinstance(value, (list, tuple)) else str(value)


def _demand(rule: Rule) -> str:
    parameters: Mapping[str, object] = rule.parameters
    shown = ", ".join(f"{name} {value}" for name, value in parameters.items())
    return f"{rule.code} of {', '.join(rule.fields)}{f' with {shown}' if shown else ''}, {rule.severity}"


def _settings(old: Contract, new: Contract) -> list[Change]:
    pairs = {
        "dataset": (old.dataset, new.dataset),
        "tolerance": (f"{old.tolerance:g}", f"{new.tolerance:g}"),
        "partitions": (str(old.partitions), str(new.partitions)),
        "owner": (old.owner, new.owner),
        "delimiter": (old.format.delimiter, new.format.delimiter),
        "time field": (old.window.time_field, new.window.time_field),
        "window": (spoken_duration(old.window.size_secs), spoken_duration(new.window.size_secs)),
        "allowed lateness": (spoken_duration(old.window.lateness_secs), spoken_duration(new.window.lateness_secs)),
    }
    notes = {"partitions": ": no effect, partitions are only ever raised"} if new.partitions < old.partitions else {}
    return [
        Change("setting", name, name == "dataset", f"{name} was {a!r}, is {b!r}{notes.get(name, '')}")
        for name, (a, b) in pairs.items()
        if a != b
    ]
