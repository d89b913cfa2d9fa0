"""Test, then train: what a learner makes of records, one after the other. Pure; `state` is all that it remembers.

Predictions of record n come from models that have learned the records before it and no other, whatever batches they
came in. All that looks at several records (losses, drift, promotion) happens at ticks of a fixed number of labelled
records (`LearnerSpec.tick`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import SUPERVISED, LearnerSpec, Task
from headrace.stream_processors.models.base import Effect, Estimator, Features, Label
from headrace.stream_processors.steps.contenders import Contender, Tick, Turn
from headrace.stream_processors.steps.label_join import Case, Waiting
from headrace.stream_processors.steps.prequential import Figures, Sums, advantage
from headrace.stream_processors.steps.sampling import Sampler

SLICE_ROWS: Final = 1_024
"""Records are taken so many at a time, and after as many labelled ones the standings are told: four ticks."""
_TOLD: Final = 4
_COUNTED = frozenset({*SUPERVISED, Task.FORECAST})


@dataclass
class State:
    """Everything a learner remembers; `steps.model_state` packs it.

    `rows` counts labelled records, `predicted` all. `leads` counts how often in a row a challenger was found better.
    `since` is the start of the last window that a forecast learned. `commands` are those of people that were followed.
    `told` are offsets by partition up to which the learner's findings were told by its file as it was before.
    """

    contenders: dict[str, Contender]
    champion: str
    sampler: Sampler
    tick: Tick = field(default_factory=Tick)
    rows: int = 0
    predicted: int = 0
    leads: dict[str, int] = field(default_factory=dict)
    waiting: Waiting = field(default_factory=Waiting)
    since: int = -(2**62)
    commands: list[str] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """Records in the order of the log: features, label (None: it has none yet), and weight (1 / chance) of each."""

    xs: Sequence[Features]
    ys: Sequence[Label | None]
    weights: Sequence[float]

    def __getitem__(self, part: slice) -> "Rows":
        return Rows(self.xs[part], self.ys[part], self.weights[part])

    def __len__(self) -> int:
        return len(self.xs)


@dataclass
class Part:
    """Predictions of neighbouring records by one champion; `learned` are the labelled records learned before each.

    `reasons` are empty where the learner asks for none, `flags` (anomalous or not, None: no telling yet) where the task
    has none.
    """

    model: str
    generation: int
    learned: list[int] = field(default_factory=list)
    predictions: list[Any] = field(default_factory=list)
    reasons: list[tuple[Effect, ...]] = field(default_factory=list)
    flags: list[bool | None] = field(default_factory=list)


@dataclass(frozen=True)
class Standing:
    """How one model stands: over all rows and over the last ones; `champion` and `dummy` say what it is."""

    name: str
    champion: bool
    dummy: bool
    generation: int
    total: Figures
    recent: Figures
    anomalous: float | None = None


def predicts_classes(spec: LearnerSpec) -> bool:
    """Return True where the learner predicts classes, False where it predicts numbers or nothing that can be judged."""
    number = spec.label_kind in {Kind.NUMBER, Kind.WHOLE}
    return spec.task is Task.CLASSIFICATION or (spec.task is Task.IMPUTATION and not number)


Maker = Callable[[], Estimator]


class Learner:
    """Drives the models of one learner. `makers` make a new estimator of each model, dummies included.

    `dummies` names the opponents that are there for comparison and never become champion. `tellings` collects the
    standings that are due, by labelled records; whoever publishes them empties it.
    """

    def __init__(self, spec: LearnerSpec, makers: Mapping[str, Maker], dummies: frozenset[str], state: State) -> None:
        self.spec = spec
        self.state = state
        self._makers = makers
        self._dummies = dummies
        self.tellings: list[tuple[int, list[Standing]]] = []

    @classmethod
    def new(cls, spec: LearnerSpec, makers: Mapping[str, Maker], dummies: frozenset[str]) -> "Learner":
        """Return a learner that has learned nothing."""
        ticks = max(spec.over, spec.promotion.over) // spec.tick
        classes = predicts_classes(spec)
        contenders = {name: Contender(name, make(), ticks, classes=classes) for name, make in makers.items()}
        state = State(contenders, spec.models[0].name, Sampler(spec.rows_per_second, spec.seed))
        return cls(spec, makers, dummies, state)

    @property
    def champion(self) -> Contender:
        """Return the contender whose predictions are published."""
        return self.state.contenders[self.state.champion]

    def take(self, rows: Rows) -> tuple[list[Part], list[Turn]]:
        """Predict and learn records; return the champion's predictions, in parts, and what happened to models."""
        parts: list[Part] = []
        turns: list[Turn] = []
        start = 0
        while start < len(rows):
            stop = self._stop(rows.ys, start)
            part = Part(self.champion.name, self.champion.generation, self._learned_before(rows.ys[start:stop]))
            if self.spec.explain:
                self._walk_explained(rows[start:stop], part)
            else:
                part.predictions += self._walk(rows[start:stop])
            if not self._judged:
                part.flags += map(self.champion.anomalous, part.predictions)
            parts.append(part)
            turns += self._end_tick()
            start = stop
        return parts, turns

    def guess(self, x: Features) -> dict[str, Any]:
        """Return every contender's prediction of a record whose label is not known, without learning it."""
        self.state.predicted += 1
        return {name: one.estimator.predict(x) for name, one in self.state.contenders.items()}

    def learn_late(self, case: Case, y: Label) -> list[Turn]:
        """Learn a record by the label that came later; it is judged by what was predicted then."""
        for name, one in self.state.contenders.items():
            one.late(case.x, y, case.guesses.get(name))
        self._label([y], [case.weight])
        return self._end_tick()

    def standings(self) -> list[Standing]:
        """Return how every model stands now."""
        tick = self.state.tick if self._judged else Tick()
        found = []
        for name, one in self.state.contenders.items():
            rest = one.rest(tick).sums() if self._judged else Sums()
            leads, dummy = name == self.state.champion, name in self._dummies
            total, recent = one.record.all_rows(rest), one.record.last_rows()
            found.append(Standing(name, leads, dummy, one.generation, total, recent, one.scores.flagged))
        return found

    def may_lead(self, name: str) -> bool:
        """Return True for a contender that is no dummy."""
        return name in self.state.contenders and name not in self._dummies

    def promote(self, name: str, why: str) -> Turn:
        """Make a contender champion."""
        self.state.champion, self.state.leads = name, {}
        return Turn("promotion", name, self.state.rows, why)

    @property
    def _judged(self) -> bool:
        return self.spec.task in _COUNTED

    def _stop(self, ys: Sequence[Label | None], start: int) -> int:
        """Return where the part ends that fills the tick under way at most."""
        room = self.spec.tick - len(self.state.tick.labels)
        if not self._judged:
            return min(len(ys), start + room)
        stop = start + room
        missing = ys[start:stop].count(None)
        while missing and stop < len(ys):
            more = ys[stop : stop + missing]
            stop, missing = stop + len(more), more.count(None)
        return min(len(ys), stop)

    def _learned_before(self, ys: Sequence[Label | None]) -> list[int]:
        """Return how many records are learned before each of the next ones."""
        if not self._judged or None not in ys:
            return list(range(self.state.rows, self.state.rows + len(ys)))
        return [self.state.rows + learned for learned in accumulate((y is not None for y in ys[:-1]), initial=0)]

    def _walk(self, part: Rows) -> list[Any]:
        if self._judged and None in part.ys:
            return self._walk_one_by_one(part)
        self.state.predicted += len(part)
        found = {name: one.run(part.xs, part.ys) for name, one in self.state.contenders.items()}
        self._label(part.ys, part.weights)
        return found[self.state.champion]

    def _walk_one_by_one(self, part: Rows) -> list[Any]:
        """Walk rows of which some have no label: those are predicted by the champion and not learned."""
        found = []
        for x, y, weight in zip(part.xs, part.ys, part.weights, strict=True):
            self.state.predicted += 1
            if y is None:
                found.append(self.champion.estimator.predict(x))
                continue
            made = {name: one.run((x,), (y,)) for name, one in self.state.contenders.items()}
            self._label((y,), (weight,))
            found += made[self.state.champion]
        return found

    def _walk_explained(self, rows: Rows, part: Part) -> None:
        """Walk rows singly, asking the champion for its reasons before it learns each."""
        for place in range(len(rows)):
            part.reasons.append(tuple(self.champion.estimator.explain(rows.xs[place], self.spec.explain)))
            part.predictions += self._walk(rows[place : place + 1])

    def _label(self, ys: Sequence[Label | None], weights: Sequence[float]) -> None:
        tick = self.state.tick
        tick.labels += ys
        tick.weights += weights
        self.state.rows += len(ys)

    def _end_tick(self) -> list[Turn]:
        tick = self.state.tick
        if len(tick.labels) < self.spec.tick:
            return []
        turns: list[Turn] = []
        for name, one in self.state.contenders.items():
            if self._judged:
                turns += one.end_tick(tick, self.state.rows, None if name in self._dummies else self._makers[name])
            else:
                one.end_scores(self.spec.threshold)
        self.state.tick = Tick()
        turns += self._consider() if self._judged else ()
        if self.state.rows % (_TOLD * self.spec.tick) == 0:
            self.tellings.append((self.state.rows, self.standings()))
        return turns

    def _consider(self) -> list[Turn]:
        """Promote the challenger that has been better than the champion for long enough."""
        rule, state = self.spec.promotion, self.state
        tick = self.spec.tick
        if state.rows % max(tick, rule.every // tick * tick):
            return []
        best: tuple[float, str, float] | None = None
        for name, one in state.contenders.items():
            if name == state.champion or name in self._dummies:
                continue
            gain, error = advantage(one.record, self.champion.record, rule.over // tick)
            better = gain > rule.errors * error and math.isfinite(error)
            state.leads[name] = state.leads.get(name, 0) + 1 if better else 0
            if state.leads[name] >= rule.after and (best is None or gain > best[0]):
                best = (gain, name, error)
        if best is None:
            return []
        gain, name, error = best
        why = f"{name} lost {gain:.4g} (± {error:.2g}) less a row than {state.champion}, {rule.after} times in a row"
        return [self.promote(name, why)]
