"""What the forecasting models share: a series of numbers, and an answer before there can be a good one."""

import math
from collections.abc import Sequence
from typing import Any

from headrace.stream_processors.models.base import Effect, Features, Label, Prediction


class SeriesModel:
    """A forecaster of river's. Until it can forecast, or where its forecast is no number, the last value stands."""

    def __init__(self, model: Any, horizon: int, needed: int) -> None:
        self.model = model
        self.horizon = horizon
        self.needed = needed
        self.learned = 0
        self.last: float | None = None

    def predict(self, x: Features) -> Prediction:
        """Return the next values, the nearest first; None before anything was learned."""
        last = self.last
        if last is None:
            return None
        if self.learned < self.needed:
            return [last] * self.horizon
        found = self.model.forecast(horizon=self.horizon)
        return [float(value) if math.isfinite(value) else last for value in found]

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn the next value of the series; a missing one is passed over."""
        if y is None:
            return
        self.last = float(y)
        self.model.learn_one(self.last)
        self.learned += 1

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return nothing: a forecast has no fields."""
        return ()
