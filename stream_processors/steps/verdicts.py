"""From the state of a window to its verdicts: every rule of the contract has one, or a reason why it has none. Pure.

Fail closed: a check that cannot be loaded or raises an error is not checked, and is named as a failure of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks.base import Check, Outcome, Scope, Verdict, View, not_checked
from headrace.stream_processors.checks.learned import behind
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.steps.file_facts import both, verdict_of_files
from headrace.stream_processors.steps.score import Judged
from headrace.stream_processors.steps.window_profile import ARRIVAL_CLOCK, EVENT_CLOCK, NOT_RUN
from headrace.stream_processors.steps.window_state import WindowState

CHECK_FAILED: Final = "check_failed"
"""The rule of alerts about checks that could not run."""
_EXPECTED = "could not run"


@dataclass(frozen=True)
class Known:
    """What is known of a dataset beside the window: for all rules, and for some of them by their id.

    `clock` is the window's, "" of a file; `problems` says of rules why what they compare with cannot be had.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    rule_facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    history: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    references: Mapping[str, View] = field(default_factory=dict)
    clock: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated:
    """The verdicts of a window in the contract's order; `demands` their sentences, `failures` of checks by rule.

    `idle` are rules that had nothing to look at in this window, so that it says nothing that they have no verdict;
    `waiting` those whose learner has not come to all of its records yet.
    """

    judged: tuple[Judged, ...]
    demands: Mapping[str, str]
    failures: Mapping[str, str]
    idle: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()


def evaluate(rules: Sequence[CheckRule], state: WindowState, start: int, end: int, known: Known) -> Evaluated:
    """Return the verdict of every rule on a window; `start` and `end` are in seconds since 1970."""
    judged, demands, failures, idle, waiting = [], {}, {}, set(), set()
    for rule in rules:
        try:
            check = check_named(rule.check)
            demands[rule.id] = check.sentence(rule)
            if rule.id in known.problems:
                raise ValueError(known.problems[rule.id])
            if _has_nothing_to_see(check, rule, state, known):
                idle.add(rule.id)
            if known.clock == EVENT_CLOCK and (why := learner_behind(rule, state)):
                waiting.add(rule.id)
                verdict = not_checked(why, state.rows)
            else:
                verdict = _verdict(check, rule, state, start, end, known)
        except Exception as error:  # a check may be anybody's code: whatever it raises is told, and never a pass
            failures[rule.id] = f"{type(error).__name__}: {error}"
            verdict = not_checked(f"the check {rule.check} {_EXPECTED}: {failures[rule.id]}", state.rows)
        if (skipped := state.counts.get(rule.id, {}).get(NOT_RUN, 0)) and rule.id not in failures:
            failures[rule.id] = f"it raised an error on {skipped:,} of {state.rows:,} rows"
            verdict = not_checked(f"the check {rule.check} {_EXPECTED}: {failures[rule.id]}", state.rows)
        judged.append(Judged(rule, verdict))
        demands.setdefault(rule.id, rule.description or rule.check)
    return Evaluated(tuple(judged), demands, failures, frozenset(idle | waiting), frozenset(waiting))


def learner_behind(rule: CheckRule, state: WindowState) -> str:
    """Return how far a rule's learner has come in a window of event time; "" if it is through, or no rule of one."""
    check = check_named(rule.check)
    if check.scope is not Scope.LEARNER:
        return ""
    return behind(rule.parameters["learner"], state.counts.get(check.owner(rule), {}), state.rows - state.rejected)


def _has_nothing_to_see(check: Check, rule: CheckRule, state: WindowState, known: Known) -> bool:
    """Return True for a window that a check cannot say anything of, whatever the data are."""
    if check.scope is Scope.LEARNER:
        return state.rows == state.rejected and check.owner(rule) not in state.counts
    if check.scope is Scope.FILE:
        return known.clock == EVENT_CLOCK or (known.clock == ARRIVAL_CLOCK and not state.receipts)
    return not state.rows or (check.scope is Scope.ARRIVAL and known.clock == EVENT_CLOCK)


def _verdict(check: Check, rule: CheckRule, state: WindowState, start: int, end: int, known: Known) -> Verdict:
    if known.clock == EVENT_CLOCK and check.scope in {Scope.ARRIVAL, Scope.FILE}:
        return not_checked("told in windows of arrival: what it looks at has no event time", state.rows)
    if known.clock == ARRIVAL_CLOCK and check.scope is Scope.FILE:
        return verdict_of_files(check, rule, state.receipts, start, end)
    verdict = _of_rows(check, rule, state, start, end, known)
    if known.clock != ARRIVAL_CLOCK or check.scope is not Scope.BOTH or not state.receipts:
        return verdict
    files = verdict_of_files(check, rule, state.receipts, start, end)
    return both(verdict, files, alone=len(state.files) <= 1)


def _of_rows(check: Check, rule: CheckRule, state: WindowState, start: int, end: int, known: Known) -> Verdict:
    view = View(
        start=start,
        end=end,
        rows=state.rows,
        counts=state.counts.get(check.owner(rule), {}),
        cells=state.cells_of(check.owner(rule)),
        fields=read_fields(check, rule, state),
        history=known.history.get(rule.id, ()),
        reference=known.references.get(rule.id),
        facts={**known.facts, **known.rule_facts.get(rule.id, {})},
    )
    verdict = check.verdict(rule, view)
    if not isinstance(verdict, Verdict):
        raise TypeError(f"its verdict is a {type(verdict).__name__}")
    return verdict


def read_fields(check: Check, rule: CheckRule, state: WindowState) -> dict[str, dict[str, Cell]]:
    """Return the profile cells that a check reads; raises ValueError where they do not merge."""
    found: dict[str, dict[str, Cell]] = {}
    for name, figures in check.reads(rule).items():
        cells = state.field_cells(name)
        found[name] = {figure: cells[figure] for figure in figures if figure in cells}
    return found


def failed(judged: Judged) -> bool:
    """Return True for a verdict that is a breach."""
    return judged.verdict.outcome is Outcome.FAIL
