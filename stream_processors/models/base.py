"""What a model is: a kind that a learner names, and an estimator that predicts and learns one record at a time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task

Features = Mapping[str, Any]
"""What is known of a record at prediction time, by field: float, int, str or bool; dates and timestamps are `datetime`
in UTC without a zone. A missing value has no key."""

Label = float | str | bool
"""What is to be predicted: a number, a class, or true and false."""

Prediction = float | Mapping[Any, float] | Sequence[float] | None
"""A number (regression, imputation of numbers, the score of an anomaly, a cluster); probabilities by class; numbers by
step ahead (forecast). None: nothing was learned yet that a prediction could be made from."""


class Effect(NamedTuple):
    """One reason for a prediction: how far a field moved it, in the prediction's own unit, signed."""

    field: str
    effect: float


class Estimator(Protocol):
    """A model under way. Its whole state must be reachable as attributes (`steps.model_state` packs it).

    Deterministic: equal calls in equal order give equal predictions and equal state, on any machine and after packing
    and unpacking. Randomness comes from the seed that it was made with. No I/O, no clock. Fields that it was not made
    for are not looked at; a field may be missing from any record, and a text may be one never seen before.

    One that has a method `predict_then_learn(x, y)` is asked that instead of `predict` and `learn` where a record is
    learned right after it was predicted; it must do exactly what the two would.
    """

    def predict(self, x: Features) -> Prediction:
        """Return the prediction for a record; changes nothing.

        Classes of equal probability are for the caller to choose from: the order of keys says nothing. A forecast is
        of the `horizon` steps after the last value that was learned, and `x` is not looked at.
        """

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn a record; `y` is None for the tasks that have no target."""

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return what moved the prediction for `x` most, greatest first; () where the model cannot say."""


@dataclass(frozen=True)
class Inputs:
    """What a model is made for.

    Its task, the kinds of the fields that it is given, the kind of what it predicts (of the field itself for an
    imputation), how many steps ahead it forecasts, and how many steps a season of the series has (1: none).
    """

    task: Task
    fields: Mapping[str, Kind]
    target: Kind = Kind.NUMBER
    horizon: int = 1
    season: int = 1

    @property
    def of_numbers(self) -> bool:
        """True where a number is predicted, False where a class is; for the tasks that have a target.

        >>> Inputs(Task.IMPUTATION, {}, Kind.TEXT).of_numbers, Inputs(Task.REGRESSION, {}).of_numbers
        (False, True)
        """
        number = self.target in {Kind.NUMBER, Kind.WHOLE}
        return self.task is Task.REGRESSION or (self.task is Task.IMPUTATION and number)


class ModelOptions(BaseModel):
    """The options of a kind of model, as the learner's YAML may write them; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


OptionsT = TypeVar("OptionsT", bound=ModelOptions)


class ModelKind(ABC, Generic[OptionsT]):
    """A kind of model: a plug-in. Stateless.

    Class attributes: `name` as learners write it, `tasks` what it can do, `summary` one line for the catalogue,
    `Options` its strict options, whose field texts become its reference, `packages` those beside its own module whose
    objects its estimators hold (`sklearn`): without them their state cannot be kept.
    """

    name: ClassVar[str]
    tasks: ClassVar[frozenset[Task]]
    summary: ClassVar[str]
    Options: ClassVar[type[ModelOptions]] = ModelOptions
    packages: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def make(self, inputs: Inputs, options: OptionsT, seed: int) -> Estimator:
        """Return a new estimator that has learned nothing; raises WrongUse for options that do not fit the inputs."""
