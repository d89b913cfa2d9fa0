"""The life of an alert over successive windows: open, still, resolved. A pure state machine, one state a subject.

A subject is a rule on a clock of a dataset (or a rule on a file). Windows must come in order and once each: a window
that was stepped before changes nothing, and a revision of a closed window is not stepped at all, so a late record
changes no earlier transition.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from headrace.core.identity import digest_of
from headrace.core.vocabulary import AlertState
from headrace.stream_processors.checks.base import Outcome


@dataclass(frozen=True)
class Life:
    """How quickly alerts come and go, in windows.

    An alert opens after `open_after` failing windows in a row, is told again every `still_every` failing windows, and
    is resolved after `resolve_after` passing ones. A subject that changed `flaps` times within `flap_windows` is
    flapping: it then takes `damped` times as many passing windows to resolve it. A rule that had no verdict in
    `unchecked_after` windows is an alert of its own (`unchecked`).
    """

    open_after: int = 1
    still_every: int = 12
    resolve_after: int = 2
    flaps: int = 4
    flap_windows: int = 24
    damped: int = 4
    unchecked_after: int = 24


@dataclass(frozen=True)
class LifeState:
    """What is known of a subject. `last` is the start of the newest stepped window, `turns` counts stepped windows."""

    open: bool = False
    failing: int = 0
    passing: int = 0
    told: int = 0
    opened_at: int = 0
    last: int | None = None
    turns: int = 0
    changes: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values, for a table's changelog."""
        return asdict(self) | {"changes": list(self.changes)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LifeState":
        """Return the state of `to_json`."""
        return cls(**(values | {"changes": tuple(values["changes"])}))


def step(state: LifeState, outcome: Outcome, start: int, life: Life = Life()) -> tuple[LifeState, AlertState | None]:
    """Return the state after one more window and the transition to publish, if there is one.

    `start` is the window's start in seconds. A window without a verdict neither opens nor resolves anything.

    >>> state, told = step(LifeState(), Outcome.FAIL, 0)
    >>> told, step(state, Outcome.FAIL, 0)[1]
    (<AlertState.OPEN: 'open'>, None)
    """
    if state.last is not None and start <= state.last:
        return state, None
    after = replace(state, last=start, turns=state.turns + 1)
    if outcome is Outcome.NOT_CHECKED:
        return after, None
    if outcome is Outcome.FAIL:
        return _failed(replace(after, failing=state.failing + 1, passing=0), start, life)
    return _passed(replace(after, failing=0, passing=state.passing + 1), life)


def _failed(state: LifeState, start: int, life: Life) -> tuple[LifeState, AlertState | None]:
    if not state.open:
        if state.failing < life.open_after:
            return state, None
        return replace(_changed(state, life), open=True, opened_at=start, told=0), AlertState.OPEN
    if state.told + 1 >= life.still_every:
        return replace(state, told=0), AlertState.STILL
    return replace(state, told=state.told + 1), None


def _passed(state: LifeState, life: Life) -> tuple[LifeState, AlertState | None]:
    needed = life.resolve_after * (life.damped if flapping(state, life) else 1)
    if not state.open or state.passing < needed:
        return state, None
    return replace(_changed(state, life), open=False, told=0), AlertState.RESOLVED


def flapping(state: LifeState, life: Life = Life()) -> bool:
    """Return True if the subject opened and resolved too often lately."""
    return len([turn for turn in state.changes if turn > state.turns - life.flap_windows]) >= life.flaps


def _changed(state: LifeState, life: Life) -> LifeState:
    kept = [turn for turn in (*state.changes, state.turns) if turn > state.turns - life.flap_windows]
    return replace(state, changes=tuple(kept))


def subject_of(dataset: str, rule: str, where: str) -> str:
    """Return the id that all transitions of one alert share; `where` is a clock or a file's id."""
    return digest_of(dataset, rule, where)


def transition_id(subject: str, start: int, state: AlertState) -> str:
    """Return the id of one transition: the same finding has the same id, so a repeat overwrites."""
    return digest_of(subject, str(start), state.value)
