"""What one contract changes against another, and which changes break those who read the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headrace.schemas.contract import Contract, ContractField
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

    kind: Literal["field", "rule", "setting"]
    name: str
    breaking: bool
    text: str


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Return what `new` changes: fields first, then rules, then settings. Equal meaning gives nothing.

    A rule that comes or goes changes which rows are stored, never what a stored row looks like: it breaks nobody.
    """
    return (*_fields(old, new), *_rules(old, new), *_settings(old, new))


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
    }
    return [
        Change("field", name, False, f'field {name} {what} "{after}", before "{before}"')
        for what, (before, after) in pairs.items()
        if before != after
    ]


def _rules(old: Contract, new: Contract) -> list[Change]:
    before = {rule.id: rule for rule in old.rules}
    after = {rule.id: rule for rule in new.rules}
    found = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found.append(Change("rule", name, False, f"rule {name} is gone ({_demand(before[name])})"))
        elif name not in before:
            found.append(Change("rule", name, False, f"rule {name} is new: {_demand(after[name])}"))
        elif _demand(before[name]) != _demand(after[name]):
            text = f"rule {name} was {_demand(before[name])}, is {_demand(after[name])}"
            found.append(Change("rule", name, False, text))
    return found


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
    }
    fewer = new.partitions < old.partitions
    return [
        Change("setting", name, name == "dataset" or (name == "partitions" and fewer), f"{name} was {a!r}, is {b!r}")
        for name, (a, b) in pairs.items()
        if a != b
    ]
