"""Naive Bayes for records of numbers and texts: river's Gaussian model for the one, its multinomial for the other."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field
from river import naive_bayes

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
from headrace.stream_processors.models.encoders import Hashed, OneHot
from headrace.stream_processors.models.river_model import by_field, need_classes, need_fields

_NUMBERS = {Kind.NUMBER, Kind.WHOLE}


_log_density = naive_bayes.GaussianNB._log_gaussian_pdf  # noqa: SLF001  what its likelihoods are summed from


class NaiveBayesOptions(ModelOptions):
    """Options of `naive_bayes`."""

    categories: list[str] = Field(default=[], description="Whole-number fields that stand for categories.")
    alpha: float = Field(default=1.0, gt=0, description="Records that every value is thought to have had beforehand.")
    most_values: int = Field(
        default=256, ge=1, description="Different values of a field that are told apart; later ones share columns."
    )


class BayesEstimator:
    """Log-likelihoods of both models, added: what their independence means."""

    def __init__(self, numbers: tuple[str, ...], texts: list[OneHot], alpha: float) -> None:
        self.numbers = numbers
        self.texts = texts
        self.gaussian = naive_bayes.GaussianNB()
        self.counts = naive_bayes.MultinomialNB(alpha=alpha)

    def predict(self, x: Features) -> Prediction:
        """Return the probabilities of the classes; None before there is one."""
        likely = self._likelihoods(x)
        if not likely:
            return None
        top = max(likely.values())
        shares = {name: math.exp(value - top) for name, value in likely.items()}
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()}

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn a record with its class."""
        if y is None:
            return
        self.gaussian.learn_one(self._numbers(x), y)
        for text in self.texts:
            text.learn_one(x)
        self.counts.learn_one(self._texts(x), y)

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return by field what moved the likeliest class, in log-odds against the mean of all; of true and false: true.

        It is the difference of the log-likelihoods of the field's value; the shares of the classes are no field's.
        """
        found = self.predict(x)
        if not isinstance(found, Mapping) or len(found) < 2:
            return ()
        names = list(found)
        top = True if set(names) == {True, False} else max(names, key=lambda name: (found[name], str(name)))
        others = [False] if set(names) == {True, False} else names
        return by_field(
            [(field, told[top] - sum(told[name] for name in others) / len(others)) for field, told in self._told(x)],
            most,
        )

    def _told(self, x: Features) -> list[tuple[str, Mapping[Any, float]]]:
        """Return (field, log-likelihood of its value by class) for every field that the record has."""
        classes = list(self.gaussian.class_counts)
        found: list[tuple[str, Mapping[Any, float]]] = []
        for name, value in self._numbers(x).items():
            curves = {one: self.gaussian.gaussians.get(one, {}).get(name) for one in classes}
            found.append((name, {one: _log_density(curve, value) for one, curve in curves.items()}))
        if self.counts.n_terms:
            for column in self._texts(x):
                chances = {one: self.counts.p_feature_given_class(column, one) for one in classes}
                found.append((column, {one: math.log(chance) for one, chance in chances.items()}))
        return found

    def _likelihoods(self, x: Features) -> Mapping[Any, float]:
        found: dict[Any, float] = self.gaussian.joint_log_likelihood(self._numbers(x))
        if not self.counts.n_terms:
            return found  # no text was seen yet, and river would divide by their number
        # Both count the share of the class; once is enough.
        counts = self.counts.joint_log_likelihood(self._texts(x))
        return {name: value + counts[name] - math.log(self.counts.p_class(name)) for name, value in found.items()}

    def _numbers(self, x: Features) -> dict[str, float]:
        return {name: x[name] for name in self.numbers if name in x}

    def _texts(self, x: Features) -> dict[str, float]:
        found: dict[str, float] = {}
        for text in self.texts:
            found.update({column: 1.0 for column in text.transform_one(x)})
        return found


class NaiveBayes(ModelKind[NaiveBayesOptions]):
    """A bell curve for every number and a count for every value, by class, as if the fields were independent.

    Quick to learn from few records. A missing value says nothing; moments are not looked at. Reasons are in log-odds,
    of true, or of the likeliest of several classes against their mean.
    """

    name = "naive_bayes"
    tasks = frozenset({Task.CLASSIFICATION, Task.IMPUTATION})
    summary = "a bell curve or counts for each field and class, taken as independent"
    Options = NaiveBayesOptions

    def make(self, inputs: Inputs, options: NaiveBayesOptions, seed: int) -> Estimator:
        """Return a model that knows no class."""
        need_classes(inputs, self.name)
        fields = inputs.fields.items()
        numbers = tuple(name for name, kind in fields if kind in _NUMBERS and name not in options.categories)
        texts = [
            OneHot(name, options.most_values, Hashed(name, 64, seed))
            for name, kind in fields
            if kind in {Kind.TEXT, Kind.BOOLEAN} or (kind in _NUMBERS and name in options.categories)
        ]
        need_fields(
            [*numbers, *(text.field for text in texts)], self.name, (*sorted(_NUMBERS), Kind.TEXT, Kind.BOOLEAN)
        )
        return BayesEstimator(numbers, texts, options.alpha)
