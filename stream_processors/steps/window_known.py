"""What earlier windows leave behind for the verdicts of later ones: schemas, sources and contents seen, references.

Pure. Bounded: sources and contents by number, references by days and by hours of the week.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.durations import parse_duration
from headrace.schemas.pinned import pinned_range
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
PINNED: Final = "pinned:"
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
    known = (HOUR_OF_WEEK, TRAILING, PINNED)
    return found if isinstance(found, str) and found.startswith(known) else ""


def compared_rules(rules: Sequence[CheckRule]) -> dict[str, tuple[CheckRule, str]]:
    """Return the rules that have a reference, with it, by id."""
    found = {rule.id: (rule, _reference_or_why(rule)[0]) for rule in rules}
    return {name: (rule, reference) for name, (rule, reference) in found.items() if reference}


def unreadable_references(rules: Sequence[CheckRule]) -> dict[str, str]:
    """Return the rules of which it cannot be said what they compare with, with the reason, by id."""
    found = {rule.id: _reference_or_why(rule)[1] for rule in rules}
    return {name: why for name, why in found.items() if why}


def _reference_or_why(rule: CheckRule) -> tuple[str, str]:
    try:
        return reference_of(rule), ""
    except Exception as error:  # a check may be anybody's code, or not be installed: the rule is not checked, and told
        return "", f"what it compares with cannot be read: {type(error).__name__}: {error}"


def sees_silence(rule: CheckRule) -> bool:
    """Return True for a rule that says something of a window without records."""
    try:
        return bool(check_named(rule.check).sees_silence)
    except Exception:  # as above: `evaluate` loads the check as well, and tells what it raised
        return False


def labels_to_learn(references: Iterable[str], start: int, size: int) -> set[str]:
    """Return the names of the pieces of reference that a closed window is added to.

    >>> sorted(labels_to_learn(["trailing:P7D", "hour_of_week", "pinned:1970-01-02/P1D", "pinned:good"], 90_000, 3600))
    ['p1970-01-02/P1D', 't1', 'w25']
    """
    found = {_label(name, start, size) for name in references if not name.startswith(PINNED)}
    return found | {_label(name, start, size) for name in references if in_pinned_range(name, start)}


def _label(reference: str, start: int, size: int) -> str:
    if reference == HOUR_OF_WEEK:
        return f"w{start % _WEEK // (_HOUR if size < _DAY else _DAY)}"
    if reference.startswith(PINNED):
        return pinned_label(reference.removeprefix(PINNED))
    return f"t{start // _DAY}"


def pinned_label(name: str) -> str:
    """Return the name of the piece of reference that is pinned under a name or a range."""
    return f"p{name}"


def is_pinned_name(reference: str) -> bool:
    """Return True for a reference that somebody keeps under a name.

    >>> is_pinned_name("pinned:good"), is_pinned_name("pinned:2013-01-01/P7D")
    (True, False)
    """
    return reference.startswith(PINNED) and pinned_range(reference.removeprefix(PINNED)) is None


def in_pinned_range(reference: str, start: int) -> bool:
    """Return True for a window that begins in the range that a reference pins, and so is a part of it.

    >>> in_pinned_range("pinned:1970-01-02/P1D", 90_000), in_pinned_range("pinned:good", 90_000)
    (True, False)
    """
    found = pinned_range(reference.removeprefix(PINNED)) if reference.startswith(PINNED) else None
    return found is not None and found[0] <= start < found[1]


def labels_to_read(reference: str, start: int, size: int) -> list[str]:
    """Return the names of the pieces that make up a reference, newest first.

    >>> labels_to_read("trailing:P1D", 90_000, 3600)
    ['t1', 't0']
    """
    if reference == HOUR_OF_WEEK or reference.startswith(PINNED):
        return [_label(reference, start, size)]
    secs = parse_duration(reference.removeprefix(TRAILING)) or 7 * _DAY
    days = min(max(-(-secs // _DAY), 1), MOST_DAYS)
    # A window of a day is all of its own day: a revision must not be compared with itself.
    return [f"t{start // _DAY - back}" for back in range(1 if size >= _DAY else 0, days + 1)]


def stale_labels(labels: Iterable[str], start: int) -> list[str]:
    """Return the pieces of days that no reference of a window reads any more."""
    oldest = start // _DAY - MOST_DAYS
    return sorted(label for label in labels if label[0] == "t" and int(label[1:]) < oldest)


def reference_part(state: WindowState, compared: Mapping[str, tuple[CheckRule, str]]) -> Part:
    """Return of a window what its references read. Cells that do not merge are left out, and named in `unmerged`."""
    fields: dict[str, dict[str, bytes]] = {}
    cells, unmerged = {}, dict[str, str]()
    for rule, _ in compared.values():
        try:
            for name, found in read_fields(check_named(rule.check), rule, state).items():
                fields.setdefault(name, {}).update(packed(found))
            if own := state.cells_of(rule.id):
                cells[rule.id] = packed(own)
        except ValueError as error:
            unmerged[rule.id] = f"a window of the reference had figures that do not merge: {error}"
    counts = {rule: state.counts[rule] for rule in compared if rule in state.counts}
    return Part(state.offset, state.version, state.rows, counts=counts, cells=cells, fields=fields, unmerged=unmerged)


def reference_view(rule: CheckRule, parts: Sequence[Part], start: int, end: int) -> View | None:
    """Return the view of a rule's reference, None where there is nothing; raises ValueError if it does not merge."""
    state = WindowState(parts)
    if not state.rows:
        return None
    fields = read_fields(check_named(rule.check), rule, state)
    return View(start, end, state.rows, state.counts.get(rule.id, {}), state.cells_of(rule.id), fields)


def reference_views(
    compared: Mapping[str, tuple[CheckRule, str]], parts_of: Callable[[str], Sequence[Part]], start: int, end: int
) -> tuple[dict[str, View], dict[str, str]]:
    """Return the view of each rule's reference by id, and why there is none of others; `parts_of` gives its pieces.

    A window that is a part of what is pinned is compared with nothing.
    """
    views, problems = {}, {}
    for name, (rule, reference) in compared.items():
        if in_pinned_range(reference, start):
            continue
        try:
            view = reference_view(rule, parts_of(reference), start, end)
        except Exception as error:  # a check may be anybody's code: the rule is not checked, and that is told
            problems[name] = f"the figures of {reference} cannot be compared with: {error}"
            continue
        if view is not None:
            views[name] = view
    return views, problems
