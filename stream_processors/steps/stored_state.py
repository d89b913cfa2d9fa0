"""What closed windows left in the warehouse, as state that verdicts are made of; and what a check needs of it. Pure."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks.base import Check
from headrace.stream_processors.steps.window_state import Part, field_owner

_FIELD = field_owner("")


@dataclass(frozen=True)
class Kept:
    """The state of one closed window; `closed_at` is in microseconds since 1970."""

    start: int
    version: str
    closed_at: int
    part: Part


def kept_of(row: Mapping[str, Any]) -> Kept:
    """Return the state of a row that `stored_sql.STORED_STATE` gives."""
    cells: dict[str, dict[str, bytes]] = {}
    fields: dict[str, dict[str, bytes]] = {}
    for owner, figure, data in row["packed"]:
        own = fields if owner.startswith(_FIELD) else cells
        own.setdefault(owner.removeprefix(_FIELD), {})[figure] = base64.b64decode(data)
    counts: dict[str, dict[str, int]] = {}
    for name, count in row["counts"].items():
        rule, _, figure = name.rpartition("/")
        counts.setdefault(rule, {})[figure] = int(count)
    start, version = int(row["at"]), row["contract_version"]
    part = Part(start, version, int(row["judged"]), counts=counts, cells=cells, fields=fields)
    return Kept(start, version, int(row["closed"]), part)


def keeps_own_figures(check: Check, rule: CheckRule) -> bool:
    """Return True for a check that has figures of its own, which the stream keeps under the rule's id."""
    return bool(check.figures(rule)) or (type(check).cells is not Check.cells and not check.reads(rule))


def needs_state(check: Check, rule: CheckRule) -> bool:
    """Return True for a check whose verdict takes figures that no SQL gives."""
    return check.sql(rule) is None and (keeps_own_figures(check, rule) or bool(check.reads(rule)))


def owners_of(check: Check, rule: CheckRule) -> set[str]:
    """Return whose cells a verdict of the rule reads."""
    return {rule.id, *map(field_owner, check.reads(rule))}


def same_figures(rule: CheckRule, other: CheckRule | None) -> bool:
    """Return True if two rules keep the same figures: bounds and words may differ."""
    return other is not None and (rule.check, rule.fields, dict(rule.parameters)) == (
        other.check,
        other.fields,
        dict(other.parameters),
    )
