"""Linear regression by stochastic gradient descent."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from river import linear_model, optim, utils

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Effect, Estimator, Features, Inputs, Label, ModelKind
from headrace.stream_processors.models.features import FieldEncoder, encoder_for
from headrace.stream_processors.models.linear import LinearOptions, optimizer_of
from headrace.stream_processors.models.river_model import NumberModel, by_field, need_numbers


class LinearRegressionOptions(LinearOptions):
    """Options of `linear_regression`."""

    loss: Literal["squared", "absolute", "huber"] = Field(
        default="squared",
        description="What is made small: `squared` aims at the mean, `absolute` at the median, `huber` at the mean "
        "with outliers held back.",
    )
    intercept_learning_rate: float = Field(default=0.01, gt=0, description="How far the intercept follows the error.")
    clip_gradient: float = Field(default=1e12, gt=0, description="Greatest step that one record may ask for.")
    most_step: float = Field(
        default=1.0,
        ge=0,
        description="How much of its own error a record may take away at most (`sgd` and `squared`); 0: no bound. "
        "Beyond 2 a step makes the error greater, and records far from the mean throw the weights away.",
    )


class _Linear(linear_model.LinearRegression):
    """River's linear regression, to the last digit; one weight can be asked for without a copy of all.

    A step of plain gradient descent is written out here: the calls that lead to it in river take twice its time.
    """

    def predict_one(self, x: Mapping[str, float]) -> float:
        found: float = self._weights.dot(x) + self.intercept
        return found

    def learn_one(self, x: Mapping[str, float], y: Any, w: float = 1.0) -> None:
        optimizer = self.optimizer
        if type(optimizer) is not optim.SGD or self.l1:
            super().learn_one(x, y, w)
            return
        weights, most = utils.VectorDict(self._weights, self.initializer, x), self.clip_gradient
        slope = self.loss.gradient(y_true=y, y_pred=weights.dot(x) + self.intercept) * w
        slope = float(max(min(slope, most), -most))
        gradient = utils.VectorDict.from_scaled(x, slope)
        if self.l2:
            gradient.iadd_scaled(weights, self.l2)
        self.intercept -= self.intercept_lr.get(optimizer.n_iterations) * slope
        weights.isub_scaled(gradient, optimizer.learning_rate)
        optimizer.n_iterations += 1

    def weight(self, column: str) -> float:
        found: float = self._weights.get(column, 0.0)
        return found


class LinearEstimator(NumberModel):
    """A linear regression with its encoder. `rate` and `intercept_rate` bound its steps, if they are not 0.

    A step along the squared error takes away twice the learning rate times the squared length of the record: one with
    a few columns at ten deviations takes away several times its error, and the next one more of what that left.
    """

    def __init__(self, encoder: FieldEncoder, model: Any, rate: float = 0.0, intercept_rate: float = 0.0) -> None:
        super().__init__(encoder, model)
        self.rate = rate
        self.intercept_rate = intercept_rate

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn a record with its number, at a lower weight where the step would go too far."""
        if y is None:
            return
        encoder = self.encoder
        encoded = encoder.learn_transform_one(x)
        weight = 1.0
        if self.rate:
            step = self.intercept_rate
            for value in encoded.values():
                step += self.rate * value * value
            weight = 1.0 / step if step > 1.0 else 1.0
        self.model.learn_one(encoded, y, weight)
        if encoder.targets:
            encoder.learn_target(x, y)
        self.learned += 1

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return weight times value by field: how far each moved the prediction from that of a mean record."""
        weight = self.model.weight
        encoded = self.encoder.transform_one(x)
        return by_field(((column, weight(column) * value) for column, value in encoded.items()), most)


class LinearRegression(ModelKind[LinearRegressionOptions]):
    """A weight for every column, moved a little by the error at each record.

    The fastest of the models that use fields, and its reasons are exact: weight times value, summed by field.
    """

    name = "linear_regression"
    tasks = frozenset({Task.REGRESSION, Task.IMPUTATION})
    summary = "a weight a column, by stochastic gradient descent; exact reasons"
    Options = LinearRegressionOptions

    def make(self, inputs: Inputs, options: LinearRegressionOptions, seed: int) -> Estimator:
        """Return a regression without weights."""
        need_numbers(inputs, self.name)
        losses = {"squared": optim.losses.Squared, "absolute": optim.losses.Absolute, "huber": optim.losses.Huber}
        model = _Linear(
            optimizer=optimizer_of(options),
            loss=losses[options.loss](),
            l2=options.l2,
            intercept_lr=options.intercept_learning_rate,
            clip_gradient=options.clip_gradient,
        )
        encoder = encoder_for(inputs, options, seed, texts="one_hot")
        if not options.most_step or options.optimizer != "sgd" or options.loss != "squared":
            return LinearEstimator(encoder, model)
        rates = (options.learning_rate, options.intercept_learning_rate)
        return LinearEstimator(encoder, model, *(2.0 * rate / options.most_step for rate in rates))
