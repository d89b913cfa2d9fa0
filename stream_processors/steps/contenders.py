"""The models that run side by side in a learner, each with its record, its drift detectors and its understudy. Pure.

Every contender predicts and learns the same rows in the same order, so their losses can be compared row by row. Drift
is looked for in a contender's own loss: a warning puts a fresh model of the same kind behind it, an alarm replaces the
contender by that understudy, if the understudy loses less from then on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from river.drift import ADWIN

from headrace.stream_processors.models.base import Estimator, Features, Label
from headrace.stream_processors.steps.prequential import Losses, Record, losses_of
from headrace.stream_processors.steps.scores import Scores

_STEPS = 8
"""Values that a tick gives the detectors, each a mean loss: a value a row costs as much as a linear model does."""
_ALARM, _WARNING = 0.002, 0.05
_LEAST_TICKS, _MOST_TICKS = 4, 64

Make = Callable[[], Estimator]


@dataclass(frozen=True)
class Turn:
    """Something that happened to a contender at a tick: `kind` is warning, drift, swap or promotion."""

    kind: str
    contender: str
    rows: int
    detail: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Tick:
    """The rows of the tick under way: labels and weights, the same for all contenders."""

    labels: list[Any] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


class Contender:
    """One model of a learner. `generation` counts how often an understudy took its place."""

    def __init__(self, name: str, estimator: Estimator, ticks: int, *, classes: bool) -> None:
        self.name = name
        self.estimator = estimator
        self.record = Record(ticks, classes=classes)
        self.scores = Scores(ticks)
        self.generation = 0
        self.pending: list[Any] = []
        self._classes = classes
        self._alarm = ADWIN(delta=_ALARM)
        self._warning = ADWIN(delta=_WARNING)
        self._behind: Estimator | None = None
        self._behind_pending: list[Any] = []
        self._duel: list[tuple[float, float]] = []
        self._alarmed = False

    def run(self, xs: Sequence[Features], ys: Sequence[Label | None]) -> list[Any]:
        """Predict and learn rows of one tick, one after the other; return the predictions."""
        found = walk(self.estimator, xs, ys)
        self.pending += found
        if self._behind is not None:
            self._behind_pending += walk(self._behind, xs, ys)
        return found

    def late(self, x: Features, y: Label, prediction: Any) -> None:
        """Learn a row that was predicted before; its label has come now."""
        self.pending.append(prediction)
        self.estimator.learn(x, y)
        if self._behind is not None:
            self._behind_pending.append(self._behind.predict(x))
            self._behind.learn(x, y)

    def end_tick(self, tick: Tick, rows: int, make: Make | None) -> list[Turn]:
        """Take a full tick into the record and look for drift; returns what happened. Without `make` nothing can."""
        losses = losses_of(self.pending, tick.labels, tick.weights, classes=self._classes)
        self.record.take(losses.sums())
        self.pending = []
        if self._behind is not None:
            behind = losses_of(self._behind_pending, tick.labels, tick.weights, classes=self._classes)
            self._duel.append((float(losses.each.mean()), float(behind.each.mean())))
            self._behind_pending = []
        return self._look(losses, rows, make) if make is not None else []

    def anomalous(self, score: Any) -> bool | None:
        """Return whether a score is beyond the model's own bound, or the limit of the last ticks; None: no telling."""
        limit = getattr(self.estimator, "bound", None) or self.scores.limit
        return None if limit is None or score is None else bool(score > limit)

    def end_scores(self, share: float) -> None:
        """Take the scores of a full tick."""
        self.scores.take(self.pending, list(map(self.anomalous, self.pending)), share)
        self.pending = []

    def rest(self, tick: Tick) -> Losses:
        """Return the losses of the tick under way."""
        return losses_of(self.pending, tick.labels, tick.weights, classes=self._classes)

    def restart(self, estimator: Estimator) -> None:
        """Put another model in this one's place; the record goes on."""
        self.estimator = estimator
        self.generation += 1
        self._dismiss()
        self._alarm, self._warning = ADWIN(delta=_ALARM), ADWIN(delta=_WARNING)

    def _dismiss(self) -> None:
        """Send the understudy away."""
        self._behind, self._behind_pending, self._duel, self._alarmed = None, [], [], False

    def _look(self, losses: Losses, rows: int, make: Make) -> list[Turn]:
        steps = losses.each.reshape(_STEPS, -1).mean(axis=1).tolist()
        warned, alarmed = _rise(self._warning, steps), _rise(self._alarm, steps)
        turns, alone, risen = [], self._behind is None, alarmed or warned
        if risen and (alarmed or alone):
            turns += [_turn("warning", self.name, rows, risen)] if alone else []
            stale = len(self._duel) > _LEAST_TICKS
            self._behind = make() if alone or stale else self._behind
            self._behind_pending, self._duel = [], []
        if alarmed:
            self._alarmed = True
            turns.append(_turn("drift", self.name, rows, alarmed))
        return [*turns, *self._settle(rows)]

    def _settle(self, rows: int) -> list[Turn]:
        """After an alarm, let the understudy take over if it does better; without one, send it away in the end.

        The later half of their ticks counts: a model that has just begun loses much at first.
        """
        ticks = len(self._duel)
        if self._behind is None or ticks < (_LEAST_TICKS if self._alarmed else _MOST_TICKS):
            return []
        mine, theirs = np.mean(self._duel[ticks // 2 :], axis=0).tolist()
        if self._alarmed and theirs < mine:
            self.restart(self._behind)
            detail = f"a model begun at the warning loses {theirs:.4g} a row, this one {mine:.4g}"
            return [Turn("swap", self.name, rows, detail, {"old": mine, "new": theirs})]
        self._dismiss()
        return []


def _rise(detector: ADWIN, losses: Sequence[float]) -> tuple[float, float] | None:
    """Return the mean loss before and after a rise that a detector finds among new losses; a fall is no drift."""
    found = None
    for loss in losses:
        before = detector.estimation
        detector.update(loss)
        if detector.drift_detected and detector.estimation > before:
            found = found or (float(before), float(detector.estimation))
    return found


def _turn(kind: str, name: str, rows: int, risen: tuple[float, float]) -> Turn:
    before, now = risen
    return Turn(
        kind, name, rows, f"its loss {'rises' if kind == 'warning' else 'has risen'}: {now:.4g} after {before:.4g}"
    )


def walk(estimator: Estimator, xs: Sequence[Features], ys: Sequence[Label | None]) -> list[Any]:
    """Predict, then learn, row after row; return the predictions. This is the inner loop: nothing else is in it."""
    at_once = getattr(estimator, "predict_then_learn", None)
    if at_once is not None:
        return list(map(at_once, xs, ys))
    predict, learn = estimator.predict, estimator.learn
    found: list[Any] = []
    append = found.append
    for x, y in zip(xs, ys, strict=True):
        append(predict(x))
        learn(x, y)
    return found
