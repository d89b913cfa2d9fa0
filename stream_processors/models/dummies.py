"""The opponents that every model has to beat: they look at no field."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import (
    Effect,
    Estimator,
    Features,
    Inputs,
    Label,
    ModelKind,
    ModelOptions,
    Prediction,
)
from headrace.stream_processors.models.river_model import need_classes, need_numbers


class _Dummy:
    """An estimator that has no reasons."""

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return nothing: no field was looked at."""
        return ()


class _LastNumber(_Dummy):
    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.last: float | None = None

    def predict(self, x: Features) -> Prediction:
        """Return the last number, for every step of a forecast."""
        return self.last if self.last is None or not self.steps else [self.last] * self.steps

    def learn(self, x: Features, y: Label | None) -> None:
        """Keep the number."""
        if y is not None:
            self.last = float(y)


class _LastClass(_Dummy):
    def __init__(self) -> None:
        self.classes: dict[Any, float] = {}

    def predict(self, x: Features) -> Prediction:
        """Return certainty of the last class."""
        return dict(self.classes) or None

    def learn(self, x: Features, y: Label | None) -> None:
        """Keep the class."""
        if y is not None:
            self.classes = dict.fromkeys(self.classes, 0.0)
            self.classes[y] = 1.0


class _Mean(_Dummy):
    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.count = 0
        self.mean = 0.0

    def predict(self, x: Features) -> Prediction:
        """Return the mean, for every step of a forecast."""
        if not self.count:
            return None
        return [self.mean] * self.steps if self.steps else self.mean

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn a number."""
        if y is not None:
            self.count += 1
            self.mean += (float(y) - self.mean) / self.count


class _Shares(_Dummy):
    def __init__(self, majority: bool) -> None:
        self.majority = majority
        self.counts: Counter[Any] = Counter()
        self.total = 0

    def predict(self, x: Features) -> Prediction:
        """Return the shares of the classes, or certainty of the most frequent (the first of equals)."""
        if not self.total:
            return None
        if not self.majority:
            return {name: count / self.total for name, count in self.counts.items()}
        top = max(self.counts, key=self.counts.__getitem__)
        return {name: 1.0 if name == top else 0.0 for name in self.counts}

    def learn(self, x: Features, y: Label | None) -> None:
        """Count a class."""
        if y is not None:
            self.counts[y] += 1
            self.total += 1


class _LastSeason(_Dummy):
    def __init__(self, horizon: int, season: int) -> None:
        self.horizon = horizon
        self.values: deque[float] = deque(maxlen=season)

    def predict(self, x: Features) -> Prediction:
        """Return the values of a season ago; the last value while no season is full."""
        values = self.values
        if not values:
            return None
        if len(values) < (values.maxlen or 1):
            return [values[-1]] * self.horizon
        return [values[step % len(values)] for step in range(self.horizon)]

    def learn(self, x: Features, y: Label | None) -> None:
        """Keep a value."""
        if y is not None:
            self.values.append(float(y))


class LastValue(ModelKind[ModelOptions]):
    """It will be as it was last time: the last number, or certainty of the last class."""

    name = "last_value"
    tasks = frozenset({Task.REGRESSION, Task.CLASSIFICATION, Task.IMPUTATION, Task.FORECAST})
    summary = "as it was last time (dummy)"

    def make(self, inputs: Inputs, options: ModelOptions, seed: int) -> Estimator:
        """Return the opponent."""
        if inputs.task is Task.FORECAST:
            return _LastNumber(inputs.horizon)
        return _LastNumber(0) if inputs.of_numbers else _LastClass()


class Mean(ModelKind[ModelOptions]):
    """It will be as it was on average."""

    name = "mean"
    tasks = frozenset({Task.REGRESSION, Task.IMPUTATION, Task.FORECAST})
    summary = "the mean of all so far (dummy)"

    def make(self, inputs: Inputs, options: ModelOptions, seed: int) -> Estimator:
        """Return the opponent."""
        if inputs.task is Task.FORECAST:
            return _Mean(inputs.horizon)
        need_numbers(inputs, self.name)
        return _Mean(0)


class Majority(ModelKind[ModelOptions]):
    """Certainty of the most frequent class: the opponent for accuracy."""

    name = "majority"
    tasks = frozenset({Task.CLASSIFICATION, Task.IMPUTATION})
    summary = "the most frequent class so far (dummy)"

    def make(self, inputs: Inputs, options: ModelOptions, seed: int) -> Estimator:
        """Return the opponent."""
        need_classes(inputs, self.name)
        return _Shares(majority=True)


class Prior(ModelKind[ModelOptions]):
    """The shares of the classes so far: the opponent for probabilities."""

    name = "prior"
    tasks = frozenset({Task.CLASSIFICATION, Task.IMPUTATION})
    summary = "the shares of the classes so far (dummy)"

    def make(self, inputs: Inputs, options: ModelOptions, seed: int) -> Estimator:
        """Return the opponent."""
        need_classes(inputs, self.name)
        return _Shares(majority=False)


class LastSeason(ModelKind[ModelOptions]):
    """It will be as it was a season ago; as last time while no season is full."""

    name = "last_season"
    tasks = frozenset({Task.FORECAST})
    summary = "as it was a season ago (dummy)"

    def make(self, inputs: Inputs, options: ModelOptions, seed: int) -> Estimator:
        """Return the opponent."""
        return _LastSeason(inputs.horizon, inputs.season)
