"""Rules that have no verdict in window after window: an alert of their own, since a check that never runs is no pass.

Pure. Counted over both clocks of a dataset: what one clock tells, nobody has to tell on the other. A window in which a
rule had nothing to look at does not count. The alert opens once a rule went `after` windows without a verdict, is told
again every `still` such spans, and is resolved by `resolve_after` verdicts in a row; it must be earned anew to open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.core.vocabulary import AlertState
from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks.base import Outcome
from headrace.stream_processors.steps.verdicts import Evaluated
from headrace.stream_processors.steps.window_known import HOUR_OF_WEEK, reference_of

AFTER: Final = 24
"""Windows without a verdict that are one too many."""
LEARNING_SECS: Final = 42 * 86_400
"""How long a rule may take that compares with the same hour of earlier weeks, or with its own history."""
_STILL: Final = 12


@dataclass(frozen=True)
class Unchecked:
    """Of one rule: windows without a verdict, verdicts in a row since, when its alert opened (0: it is not open)."""

    without: int = 0
    verdicts: int = 0
    opened_at: int = 0


@dataclass(frozen=True)
class Unseen:
    """One transition to tell: of which rule, which, and the reason that the window gives."""

    rule: str
    told: AlertState
    why: str
    windows: int
    opened_at: int
    fields: tuple[str, ...] = ()


def patience(rule: CheckRule, size_secs: int, after: int = AFTER) -> int:
    """Return how many windows without a verdict a rule may have: more, if it has to learn first."""
    check = check_named(rule.check)
    learns = check.reads_history or reference_of(rule) == HOUR_OF_WEEK
    return max(after, -(-LEARNING_SECS // size_secs)) if learns else after


def stepped(
    before: Mapping[str, Unchecked], evaluated: Evaluated, size_secs: int, closed_at: int, *, after: int, resolve: int
) -> tuple[dict[str, Unchecked], list[Unseen]]:
    """Return what is known after one more window, and what to tell. Rules that the contract lost are told as well."""
    known, told = dict(before), []
    for one in evaluated.judged:
        name = one.rule.id
        if name in evaluated.failures or name in evaluated.idle:
            continue  # the first has an alert of its own at once, the second had nothing to look at
        was = known.get(name, Unchecked())
        if one.verdict.outcome is Outcome.NOT_CHECKED:
            known[name], state = _without(was, patience(one.rule, size_secs, after), closed_at)
        else:
            known[name], state = _with(was, resolve)
        if state is not None:
            opened = known[name].opened_at or was.opened_at
            told.append(
                Unseen(name, state, one.verdict.detail, known[name].without or was.without, opened, one.rule.fields)
            )
    for name in sorted(known.keys() - {one.rule.id for one in evaluated.judged}):
        gone = known.pop(name)
        if gone.opened_at:
            told.append(Unseen(name, AlertState.RESOLVED, "", gone.without, gone.opened_at))
    return {name: one for name, one in known.items() if one != Unchecked()}, told


def _without(was: Unchecked, patient: int, closed_at: int) -> tuple[Unchecked, AlertState | None]:
    count = was.without + 1
    if not was.opened_at:
        opens = count >= patient
        return Unchecked(count, 0, closed_at if opens else 0), AlertState.OPEN if opens else None
    again = (count - patient) % (_STILL * patient) == 0
    return Unchecked(count, 0, was.opened_at), AlertState.STILL if again else None


def _with(was: Unchecked, resolve: int) -> tuple[Unchecked, AlertState | None]:
    if not was.opened_at:
        return Unchecked(), None
    if was.verdicts + 1 >= resolve:
        return Unchecked(), AlertState.RESOLVED
    return Unchecked(was.without, was.verdicts + 1, was.opened_at), None


def unchecked_json(known: Mapping[str, Unchecked]) -> dict[str, Any]:
    """Return what is known as JSON values."""
    return {name: [one.without, one.verdicts, one.opened_at] for name, one in known.items()}


def unchecked_of(values: Mapping[str, Any]) -> dict[str, Unchecked]:
    """Return what `unchecked_json` gave."""
    return {name: Unchecked(*found) for name, found in values.items()}
