"""What earlier windows leave behind for the verdicts of later ones: schemas, sources and contents seen, references.

Pure. Bounded: sources and contents by number, references by days and by hours of the week.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.durations import parse_duration
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import View, given
from headrace.stream_processors.checks.replayed_file import rows_by_content
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.seen import LastSeen
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.steps.verdicts import read_fields
from headrace.stream_processors.steps.window_state import Part, WindowState, packed

MOST_CONTENTS: Final = 2_000
MOST_DAYS: Final = 35
HOUR_OF_WEEK: Final = "hour_of_week"
TRAILING: Final = "trailing:"
_HOUR, _DAY, _WEEK = 3_600, 86_400, 604_800
_FACTS = {
    "schema_change": facts.KNOWN_SCHEMAS,
    "silent_source": facts.KNOWN_SOURCES,
    "replayed_file": facts.KNOWN_CONTENT,
}

Carried = dict[str, dict[str, Any]]
"""By rule id, what was seen: JSON values."""


def carried_facts(
    rules: Sequence[CheckRule], carried: Mapping[str, Mapping[str, Any]], start: int
) -> dict[str, dict[str, Any]]:
    """Return by rule id the facts that other windows left for the one that begins at `start`.

    A source that a later window had counts as seen just before this one: that is all a revision can know.
    """
    found: dict[str, dict[str, Any]] = {}
    for rule in rules:
        if rule.check in _FACTS:
            seen = carried.get(rule.id, {})
            known: Any = dict(seen)
            if rule.check == "schema_change":
                known = {int(name) for name in seen}
            elif rule.check == "silent_source":
                known = {source: min(last, start - 1) for source, last in seen.items()}
            found[rule.id] = {_FACTS[rule.check]: known}
    return found


def learned(carried: Carried, rules: Sequence[CheckRule], state: WindowState) -> Carried:
    """Return what was seen with a closed window added."""
    after = dict(carried)
    for rule in rules:
        if rule.check not in _FACTS:
            continue
        try:
            cells = state.cells_of(rule.id)
        except ValueError:  # its verdict says so
            continue
        after[rule.id] = _with_cells(rule, after.get(rule.id, {}), cells)
    return after


def _with_cells(rule: CheckRule, seen: Mapping[str, Any], cells: Mapping[str, Cell]) -> dict[str, Any]:
    if rule.check == "schema_change" and isinstance(schemas := cells.get("schemas"), Tally):
        return dict(seen) | dict.fromkeys(schemas.counts, 1)
    if rule.check == "silent_source" and isinstance(sources := cells.get("seen"), LastSeen):
        return dict(LastSeen(dict(seen)).merge(LastSeen(sources.times)).times)
    if rule.check == "replayed_file" and isinstance(files := cells.get("files"), Tally):
        found = {digest: file for file, (digest, _) in sorted(rows_by_content(files).items())}
        return _rolled(seen, found)
    return dict(seen)


def _rolled(seen: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    new = {digest: file for digest, file in found.items() if digest not in seen}
    return dict(list({**seen, **new}.items())[-MOST_CONTENTS:])


def reference_of(rule: CheckRule) -> str:
    """Return what a rule compares a window with, "" if it has no reference."""
    found = getattr(given(check_named(rule.check).Model, rule), "reference", "")
    return found if isinstance(found, str) and (found == HOUR_OF_WEEK or found.startswith(TRAILING)) else ""


def compared_rules(rules: Sequence[CheckRule]) -> dict[str, tuple[CheckRule, str]]:
    """Return the rules that have a reference, with it, by id."""
    found = {rule.id: (rule, _reference_or_none(rule)) for rule in rules}
    return {name: (rule, reference) for name, (rule, reference) in found.items() if reference}


def _reference_or_none(rule: CheckRule) -> str:
    try:
        return reference_of(rule)
    except Exception:  # a check may be anybody's code, or not be installed; its verdict names what is wrong with it
        return ""


def labels_to_learn(references: Iterable[str], start: int, size: int) -> set[str]:
    """Return the names of the pieces of reference that a closed window is added to.

    >>> sorted(labels_to_learn(["trailing:P7D", "hour_of_week"], 90_000, 3600))
    ['t1', 'w25']
    """
    return {
        f"w{start % _WEEK // (_HOUR if size < _DAY else _DAY)}" if name == HOUR_OF_WEEK else f"t{start // _DAY}"
        for name in references
    }


def labels_to_read(reference: str, start: int, size: int) -> list[str]:
    """Return the names of the pieces that make up a reference, newest first.

    >>> labels_to_read("trailing:P1D", 90_000, 3600)
    ['t1', 't0']
    """
    if reference == HOUR_OF_WEEK:
        return sorted(labels_to_learn([reference], start, size))
    secs = parse_duration(reference.removeprefix(TRAILING)) or 7 * _DAY
    days = min(max(-(-secs // _DAY), 1), MOST_DAYS)
    return [f"t{start // _DAY - back}" for back in range(days + 1)]


def stale_labels(labels: Iterable[str], start: int) -> list[str]:
    """Return the pieces of days that no reference of a window reads any more."""
    oldest = start // _DAY - MOST_DAYS
    return sorted(label for label in labels if label[0] == "t" and int(label[1:]) < oldest)


def reference_part(state: WindowState, compared: Mapping[str, tuple[CheckRule, str]]) -> Part:
    """Return of a window what its references read. Cells that do not merge are left out: their verdict says so."""
    fields: dict[str, dict[str, bytes]] = {}
    cells = {}
    for rule, _ in compared.values():
        try:
            for name, found in read_fields(check_named(rule.check), rule, state).items():
                fields.setdefault(name, {}).update(packed(found))
            if own := state.cells_of(rule.id):
                cells[rule.id] = packed(own)
        except ValueError:
            continue
    counts = {rule: state.counts[rule] for rule in compared if rule in state.counts}
    return Part(state.offset, state.version, state.rows, counts=counts, cells=cells, fields=fields)


def reference_view(rule: CheckRule, parts: Sequence[Part], start: int, end: int) -> View | None:
    """Return the view of a rule's reference; None where there is nothing, or figures that no longer merge."""
    state = WindowState(parts)
    if not state.rows:
        return None
    try:
        fields = read_fields(check_named(rule.check), rule, state)
        return View(start, end, state.rows, state.counts.get(rule.id, {}), state.cells_of(rule.id), fields)
    except ValueError:
        return None
