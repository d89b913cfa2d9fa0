"""Models of river as estimators of ours: an encoder and a river model, called without a pipeline between them.

What they do is what `encoder | model` does as a pipeline of river's, in the same order; a pipeline looks up its plan
for every record, which costs more than these few lines.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headrace.errors import WrongUse
from headrace.schemas.expression import Kind
from headrace.stream_processors.models.base import Effect, Features, Inputs, Label, Prediction
from headrace.stream_processors.models.features import FieldEncoder, field_of


class Supervised:
    """An estimator that learns a target from encoded fields; `predict` is what the tasks differ in."""

    def __init__(self, encoder: FieldEncoder, model: Any) -> None:
        self.encoder = encoder
        self.model = model
        self.learned = 0

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn a record with its label; one without a label teaches nothing."""
        if y is None:
            return
        encoder = self.encoder
        self.model.learn_one(encoder.learn_transform_one(x), y)
        if encoder.targets:
            encoder.learn_target(x, y)
        self.learned += 1

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return nothing: these models do not say what moved a prediction at a price that a stream can pay."""
        return ()


class NumberModel(Supervised):
    """A regressor of river's."""

    def predict(self, x: Features) -> Prediction:
        """Return the number; 0 before anything was learned (a forest of river's would change itself if asked)."""
        if not self.learned:
            return 0.0
        found: float = self.model.predict_one(self.encoder.transform_one(x))
        return found


class ClassModel(Supervised):
    """A classifier of river's."""

    def predict(self, x: Features) -> Prediction:
        """Return the probabilities of the classes that were learned; None before there is one."""
        if not self.learned:
            return None
        found: Mapping[Any, float] = self.model.predict_proba_one(self.encoder.transform_one(x))
        return found


class AnomalyModel:
    """A detector of river's: the score is higher for stranger records."""

    def __init__(self, encoder: FieldEncoder, model: Any) -> None:
        self.encoder = encoder
        self.model = model

    def predict(self, x: Features) -> Prediction:
        """Return the score."""
        found: float = self.model.score_one(self.encoder.transform_one(x))
        return found

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn a record as one that may be."""
        self.model.learn_one(self.encoder.learn_transform_one(x))

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return nothing: the model cannot say."""
        return ()


class ClusterModel:
    """A clustering of river's over a fixed list of columns.

    The columns go in under their numbers: river's models walk over sets of names, whose order Python changes from
    process to process for texts, and never for small whole numbers. A missing value counts as 0, the mean.
    """

    def __init__(self, encoder: FieldEncoder, columns: tuple[str, ...], model: Any) -> None:
        self.encoder = encoder
        self.columns = columns
        self.model = model
        self.learned = 0

    def predict(self, x: Features) -> Prediction:
        """Return the number of the cluster; None before anything was learned."""
        if not self.learned:
            return None
        found: int = self.model.predict_one(self._row(x))
        return found

    def learn(self, x: Features, y: Label | None) -> None:
        """Learn a record."""
        self.encoder.learn_one(x)
        self.model.learn_one(self._row(x))
        self.learned += 1

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        """Return nothing: a cluster has no single reason."""
        return ()

    def _row(self, x: Features) -> dict[int, float]:
        encoded = self.encoder.transform_one(x)
        return {number: encoded.get(name, 0.0) for number, name in enumerate(self.columns)}


def by_field(effects: Iterable[tuple[str, float]], most: int) -> Sequence[Effect]:
    """Return the effects of columns as those of their fields, the greatest first; what has no effect is left out.

    >>> by_field([("carrier=UA", 2.0), ("distance", -3.0), ("at=hour_sin", 1.0), ("at=hour_cos", -1.0)], 5)
    (Effect(field='distance', effect=-3.0), Effect(field='carrier', effect=2.0))
    """
    total: dict[str, float] = {}
    for column, effect in effects:
        name = field_of(column)
        total[name] = total.get(name, 0.0) + effect
    found = [Effect(name, effect) for name, effect in total.items() if effect]
    found.sort(key=lambda one: (-abs(one.effect), one.field))
    return tuple(found[:most])


def need_numbers(inputs: Inputs, name: str) -> None:
    """Raise WrongUse where a class is to be predicted by a model of numbers."""
    if not inputs.of_numbers:
        raise WrongUse(
            f'model "{name}" predicts numbers, and the target is of kind "{inputs.target}"',
            hint="take a model whose tasks have classification",
        )


def need_classes(inputs: Inputs, name: str) -> None:
    """Raise WrongUse where a number is to be predicted by a model of classes."""
    if inputs.of_numbers:
        raise WrongUse(
            f'model "{name}" predicts classes, and the target is of kind "{inputs.target}"',
            hint="take a model whose tasks have regression",
        )


def need_fields(fields: Iterable[str], name: str, kinds: Sequence[Kind]) -> None:
    """Raise WrongUse where a model has no field that it could learn from."""
    if not list(fields):
        raise WrongUse(
            f'model "{name}" has no feature to learn from',
            hint=f"give the learner a field of kind {', '.join(kinds)}",
        )
