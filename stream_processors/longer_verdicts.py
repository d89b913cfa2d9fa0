"""A contract's verdicts on windows longer than its own: the states of closed windows merged, no row read again."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from headrace.errors import WrongUse
from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.schemas.durations import spoken_duration
from headrace.stream_processors.checks.base import Scope, not_checked
from headrace.stream_processors.steps.score import Judged
from headrace.stream_processors.steps.stored_past import Past
from headrace.stream_processors.steps.stored_state import (
    Kept,
    facts_together,
    keeps_own_figures,
    longer,
    owners_of,
    same_figures,
)
from headrace.stream_processors.steps.verdicts import Known, evaluate
from headrace.stream_processors.steps.window_state import WindowState
from headrace.stream_processors.warehouse_verdicts import Basis, Given, Judgement

ByVersion = Callable[[str], Contract | None]


def check_length(contract: Contract, size_secs: int) -> None:
    """Raise WrongUse if windows of a contract do not make up windows of this length."""
    own = contract.window.size_secs
    if size_secs % own or size_secs <= own:
        message = f"windows of {spoken_duration(own)} do not make up {spoken_duration(size_secs)}"
        raise WrongUse(message, hint=f"name a multiple of {spoken_duration(own)}, e.g. {spoken_duration(24 * own)}")


def owners_needed(rules: Iterable[CheckRule]) -> list[str]:
    """Return whose state the verdicts of rules read; a check that cannot be loaded is told by its verdict."""
    found: set[str] = set()
    for rule in rules:
        try:
            found |= owners_of(check_named(rule.check), rule)
        except Exception:  # a check may be anybody's code: `evaluate` asks the same of it, and tells what it raised
            found.add(rule.id)
    return sorted(found)


def longer_judgements(
    contract: Contract, by_version: ByVersion, clock: str, windows: Sequence[Kept], size_secs: int
) -> list[Judgement]:
    """Return the verdicts on windows of `size_secs`, oldest first, from closed windows of one clock, oldest first.

    A rule has none where its figures say nothing of the longer window: where they depend on the order of rows, where
    one of its windows was closed by a contract that kept other figures for it, or none, or where several closed them.
    """
    states = longer(windows, size_secs, contract.checks)
    members = {start: list(found) for start, found in groupby(windows, lambda one: one.start // size_secs * size_secs)}
    past, found = Past(contract.checks), []
    for start, state in states.items():
        end, own = start + size_secs, members[start]
        known = past.known(start, end, facts_together(own), clock)
        given = tuple(
            _given(rule, _obstacle(rule, own, by_version), state, start, end, known) for rule in contract.checks
        )
        found.append(Judgement(start, end, "", state.rows, given))
        merged = Kept(start, state.version, 0, state.merged())
        past.learn(start, end, [one.judged for one in given], merged)
    return found


def _obstacle(rule: CheckRule, windows: Sequence[Kept], by_version: ByVersion) -> str:
    try:
        check = check_named(rule.check)
        if check.order_bound:
            return "it depends on the order of rows, which windows by themselves do not tell"
        if check.scope is Scope.FILE or not keeps_own_figures(check, rule):
            return ""
    except Exception:  # as above: its verdict tells it
        return ""
    versions = sorted({one.version for one in windows})
    for version in versions:
        law = by_version(version)
        kept = next((one for one in law.checks if one.id == rule.id), None) if law else None
        if not same_figures(rule, kept):
            return f"contract {version}, which a window was closed by, kept no figures for this demand"
    if len(versions) > 1:
        return f"its windows were closed by contracts {', '.join(versions)}, whose figures are not put together"
    return ""


def _given(rule: CheckRule, why: str, state: WindowState, start: int, end: int, known: Known) -> Given:
    if why:
        demand = evaluate([rule], WindowState(), 0, 0, Known()).demands[rule.id]
        return Given(Judged(rule, not_checked(why, state.rows)), demand, Basis.NOTHING)
    evaluated = evaluate([rule], state, start, end, known)
    return Given(evaluated.judged[0], evaluated.demands[rule.id], Basis.STATE)
