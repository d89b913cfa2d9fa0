"""What closed windows left in the warehouse, as state that verdicts are made of; and what a check needs of it. Pure."""

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import Check
from headrace.stream_processors.steps.window_facts import facts_of
from headrace.stream_processors.steps.window_record import ALL_LEFT_OUT
from headrace.stream_processors.steps.window_state import Part, WindowState, added, field_owner

_FIELD = field_owner("")
NOT_FITTED = "the state of a window was too large for its record: it is left out there"


@dataclass(frozen=True)
class Kept:
    """The state of one closed window; `closed_at` is in microseconds since 1970, `facts` what was known beside rows."""

    start: int
    version: str
    closed_at: int
    part: Part
    facts: Mapping[str, Any] = field(default_factory=dict)


def kept_of(row: Mapping[str, Any], owners: Iterable[str] = ()) -> Kept:
    """Return the state of a row that `stored_sql.STORED_STATE` gives; what its record lacks is `unmerged`."""
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
    known, receipts = facts_of(row["facts"])
    left_out = {name.rpartition("/")[0] for name in row["left_out"]}
    missing = dict.fromkeys(owners if ALL_LEFT_OUT in row["left_out"] else left_out, NOT_FITTED)
    part = Part(
        start,
        version,
        int(row["judged"]),
        counts=counts,
        cells=cells,
        fields=fields,
        unmerged=missing,
        receipts=receipts,
    )
    return Kept(start, version, int(row["closed"]), part, known)


def keeps_own_figures(check: Check, rule: CheckRule) -> bool:
    """Return True for a check that has figures of its own, which the stream keeps under the rule's id."""
    return bool(check.figures(rule)) or (type(check).cells is not Check.cells and not check.reads(rule))


def needs_state(check: Check, rule: CheckRule) -> bool:
    """Return True for a check whose verdict takes figures that no SQL gives."""
    if check.owner(rule) != rule.id:
        return True
    return check.sql(rule) is None and (keeps_own_figures(check, rule) or bool(check.reads(rule)))


def owners_of(check: Check, rule: CheckRule) -> set[str]:
    """Return whose cells a verdict of the rule reads."""
    return {check.owner(rule), *map(field_owner, check.reads(rule))}


def same_figures(rule: CheckRule, other: CheckRule | None) -> bool:
    """Return True if two rules keep the same figures: bounds and words may differ."""
    return other is not None and (rule.check, rule.fields, dict(rule.parameters)) == (
        other.check,
        other.fields,
        dict(other.parameters),
    )


def facts_together(windows: Iterable[Kept]) -> dict[str, Any]:
    """Return what was known of several windows, oldest first, as of one: the newest moment, rows added up."""
    found: dict[str, Any] = {}
    for one in windows:
        known = dict(one.facts)
        if facts.UNREADABLE_ROWS in known:
            known[facts.UNREADABLE_ROWS] = added([found.get(facts.UNREADABLE_ROWS, {}), known[facts.UNREADABLE_ROWS]])
        for name in (facts.SKIPPED_FILES, facts.SCHEMA_CHANGES):
            if name in known:
                known[name] = {**found.get(name, {}), **known[name]}
        found |= known
    return found


def longer(windows: Iterable[Kept], size_secs: int, rules: Sequence[CheckRule]) -> dict[int, WindowState]:
    """Return the states of longer windows by start: minutes become hours, and hours days, without a row read again.

    Two kinds of figures are left out, so that their checks are not checked rather than wrong: those of order-bound
    checks, since windows do not say how their rows lay between each other's in a file, and all of a span whose windows
    were closed by several contracts, where one rule's id may name several demands.
    """
    bound = {rule.id for rule in rules if _order_bound(rule)}
    spans: dict[int, list[Part]] = {}
    for one in windows:
        spans.setdefault(one.start // size_secs * size_secs, []).append(one.part)
    return {start: WindowState(_that_merge(parts, bound)) for start, parts in sorted(spans.items())}


def _order_bound(rule: CheckRule) -> bool:
    """Return True for a check that depends on the order of rows, and for one that cannot be asked."""
    try:
        return bool(check_named(rule.check).order_bound)
    except Exception:  # a check may be anybody's code, and gone: its verdict tells what it raised
        return True


def _that_merge(parts: list[Part], bound: Collection[str]) -> list[Part]:
    if len({part.version for part in parts}) > 1:
        return [replace(part, counts={}, cells={}) for part in parts]
    return [
        replace(
            part,
            counts={rule: counts for rule, counts in part.counts.items() if rule not in bound},
            cells={rule: cells for rule, cells in part.cells.items() if rule not in bound},
        )
        for part in parts
    ]
