"""The robust z-score: how many deviations the strangest number of a record is from its median."""

from collections.abc import Sequence

from pydantic import Field
from river import stats

from headrace.schemas.expression import Kind
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
from headrace.stream_processors.models.river_model import by_field, need_fields

_NUMBERS = (Kind.NUMBER, Kind.WHOLE)
_BELL = 1.4826  # a bell curve's standard deviation in median absolute deviations
_BELL_MEAN = 1.2533  # and in mean absolute deviations
_SAME = 0.1  # the running median deviation of a field that is mostly one value nears 0 and never reaches it


class RobustZOptions(ModelOptions):
    """Options of `robust_z`."""

    after: int = Field(default=30, ge=2, description="Values of a field that are learned before it is judged.")


class FieldSpread:
    """The median of a field and how far its values are from it.

    Where more than half of the values are equal (rain) the median deviation says nothing; the mean one stands in.
    """

    def __init__(self) -> None:
        self.count = 0
        self.deviation = stats.MAD()
        self.mean_deviation = stats.Mean()

    def learn(self, value: float) -> None:
        """Learn a value."""
        self.count += 1
        self.deviation.update(value)
        self.mean_deviation.update(abs(value - self.deviation.median.get()))

    def score(self, value: float) -> float:
        """Return how many deviations a value is above the median; 0 where all values were equal."""
        spread, mean_spread = self.deviation.get() * _BELL, self.mean_deviation.get() * _BELL_MEAN
        if spread < _SAME * mean_spread:
            spread = mean_spread
        found: float = (value - self.deviation.median.get()) / spread if spread else 0.0
        return found


class RobustZEstimator:
    """The spreads of all numbers."""

    def __init__(self, fields: tuple[str, ...], after: int) -> None:
        self.fields = fields
        self.after = after
        self.spreads = {name: FieldSpread() for name in fields}

    def predict(self, x: Features) -> Prediction:
        """Return the greatest deviation of the record; 0 while nothing can be said."""
        return max((abs(score) for _, score in self._scores(x)), default=0.0)

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn the values of a record."""
        for name in self.fields:
            value = x.get(name)
            if value is not None:
                self.spreads[name].learn(value)

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return the signed deviation of each field, the greatest first."""
        return by_field(self._scores(x), most)

    def _scores(self, x: Features) -> list[tuple[str, float]]:
        found = []
        for name, spread in self.spreads.items():
            value = x.get(name)
            if value is not None and spread.count >= self.after:
                found.append((name, spread.score(value)))
        return found


class RobustZ(ModelKind[RobustZOptions]):
    """How far the strangest number is from its field's median, in robust standard deviations.

    The plain opponent of every other detector: it sees no two fields together, but it says which field it was. Median
    and deviation are river's running estimates (P²) over all that was learned.
    """

    name = "robust_z"
    tasks = frozenset({Task.ANOMALY})
    summary = "the greatest deviation from a field's median; says which field"
    Options = RobustZOptions

    def make(self, inputs: Inputs, options: RobustZOptions, seed: int) -> Estimator:
        """Return spreads of nothing."""
        fields = tuple(name for name, kind in inputs.fields.items() if kind in _NUMBERS)
        need_fields(fields, self.name, _NUMBERS)
        return RobustZEstimator(fields, options.after)
