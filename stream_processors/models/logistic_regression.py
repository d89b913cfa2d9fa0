"""Logistic regression: two classes by one set of weights, many by one set a class."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field
from river import linear_model

from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Effect, Estimator, Features, Inputs, Label, ModelKind, Prediction
from headrace.stream_processors.models.features import FieldEncoder, encoder_for
from headrace.stream_processors.models.linear import LinearOptions, optimizer_of
from headrace.stream_processors.models.river_model import ClassModel, by_field, need_classes

_INTERCEPT = "=1"


class LogisticRegressionOptions(LinearOptions):
    """Options of `logistic_regression`."""

    intercept: bool = Field(default=True, description="Classes have an intercept; for true and false they always do.")


class _Logistic(linear_model.LogisticRegression):
    """River's logistic regression; one weight can be asked for without a copy of all."""

    def weight(self, column: str) -> float:
        found: float = self._weights.get(column, 0.0)
        return found


class _Binary(ClassModel):
    """True or false: one as likely as the other before anything was learned."""

    def predict(self, x: Features) -> Prediction:
        """Return the probabilities of false and true."""
        found: Mapping[Any, float] = self.model.predict_proba_one(self.encoder.transform_one(x))
        return found

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return weight times value by field, in log-odds of true."""
        weight = self.model.weight
        encoded = self.encoder.transform_one(x)
        return by_field(((column, weight(column) * value) for column, value in encoded.items()), most)


class _Softmax(ClassModel):
    """Any classes, as they come: a class that was never seen begins without weights."""

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return by field what moved the likeliest class, in log-odds against the mean of all classes."""
        found = self.predict(x)
        if not isinstance(found, Mapping):
            return ()
        top = max(found, key=lambda name: (found[name], str(name)))
        weights = list(self.model.weights.values())
        own = self.model.weights[top]
        effects = [
            (column, value * (own.get(column, 0.0) - sum(one.get(column, 0.0) for one in weights) / len(weights)))
            for column, value in self.encoder.transform_one(x).items()
            if column != _INTERCEPT
        ]
        return by_field(effects, most)


class _One:
    """The column of the intercept, as a transformer."""

    def learn_one(self, x: Features) -> None:
        """Learn nothing."""

    def transform_one(self, x: Features) -> dict[str, float]:
        """Return 1 in the column of the intercept."""
        return {_INTERCEPT: 1.0}


class LogisticEstimator:
    """Becomes a model of two classes or of many: by the kind of its target, else by its first label."""

    def __init__(self, encoder: FieldEncoder, optimizer: Any, l2: float, intercept: bool) -> None:
        self.encoder = encoder
        self.optimizer = optimizer
        self.l2 = l2
        self.intercept = intercept
        self.inner: Any = None

    def predict(self, x: Features) -> Prediction:
        """Return the probabilities of the classes; None before there is one."""
        if self.inner is None:
            return None
        found: Prediction = self.inner.predict(x)
        return found

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn a record with its class."""
        if self.inner is None and y is not None:
            self.become(isinstance(y, bool))
        if self.inner is not None:
            self.inner.learn(x, y)

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return what moved the prediction, in log-odds."""
        found: Sequence[Effect] = () if self.inner is None else self.inner.explain(x, most)
        return found

    def become(self, binary: bool) -> None:
        """Become a model of two classes, or of many."""
        if binary:
            self.inner = _Binary(self.encoder, _Logistic(optimizer=self.optimizer, l2=self.l2))
            return
        if self.intercept:
            self.encoder.parts.append(_One())
        self.inner = _Softmax(self.encoder, linear_model.SoftmaxRegression(optimizer=self.optimizer, l2=self.l2))


class LogisticRegression(ModelKind[LogisticRegressionOptions]):
    """Weights for every column and class, moved a little by the error at each record.

    A label of true and false makes it river's `LogisticRegression`, any other its `SoftmaxRegression`, whose classes
    are learned as they come. Reasons are in log-odds: against a mean record, and among many classes against the mean
    of the classes.
    """

    name = "logistic_regression"
    tasks = frozenset({Task.CLASSIFICATION, Task.IMPUTATION})
    summary = "weights a column and class, by stochastic gradient descent; exact reasons"
    Options = LogisticRegressionOptions

    def make(self, inputs: Inputs, options: LogisticRegressionOptions, seed: int) -> Estimator:
        """Return a regression that knows no class."""
        need_classes(inputs, self.name)
        encoder = encoder_for(inputs, options, seed, texts="one_hot")
        made = LogisticEstimator(encoder, optimizer_of(options), options.l2, options.intercept)
        if inputs.target is Kind.BOOLEAN:
            made.become(binary=True)
        return made
