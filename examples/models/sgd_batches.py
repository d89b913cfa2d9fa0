"""A model of one's own that is not river's: scikit-learn's linear models, which learn small batches by partial_fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field
from sklearn.linear_model import SGDClassifier, SGDRegressor

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Effect, Estimator, Features, Inputs, Label, ModelKind, Prediction
from headrace.stream_processors.models.features import FieldEncoder, FieldOptions, encoder_for
from headrace.stream_processors.models.river_model import by_field


class SgdBatchesOptions(FieldOptions):
    batch: int = Field(default=32, ge=1, description="Records that are gathered before they are learned together.")
    columns: int = Field(default=64, ge=1, description="Columns that weights are kept for; later ones are passed over.")
    most_classes: int = Field(default=8, ge=2, description="Classes that are learned; later ones are passed over.")


class BatchEstimator:
    """Gathers rows and learns them together. The batch is part of the state: it goes where the model goes."""

    def __init__(self, encoder: FieldEncoder, inputs: Inputs, options: SgdBatchesOptions, seed: int) -> None:
        self.encoder = encoder
        self.numbers = inputs.of_numbers
        self.batch, self.width, self.most_classes = options.batch, options.columns, options.most_classes
        self.seed = seed
        self.columns: dict[str, int] = {}
        self.classes: list[Label] = []
        self.rows: list[list[float]] = []
        self.labels: list[float] = []
        self.model: Any = SGDRegressor(random_state=seed) if self.numbers else None

    def predict(self, x: Features) -> Prediction:
        if self.model is None or not hasattr(self.model, "coef_"):
            return 0.0 if self.numbers else None
        row = np.array([self._row(x, learn=False)])
        if self.numbers:
            return float(self.model.predict(row)[0])
        told = zip(self.classes, self.model.predict_proba(row)[0], strict=False)
        # A little of each, since all classes may be refused at once: they are fitted one against the rest.
        shares = {name: float(share) + 1e-9 for name, share in told}
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()}

    def learn(self, x: Features, y: Label | None) -> None:
        if y is None:
            return
        if not self.numbers and y not in self.classes:
            if len(self.classes) == self.most_classes:
                return
            self.classes.append(y)
        self.encoder.learn_one(x)
        self.rows.append(self._row(x, learn=True))
        self.encoder.learn_target(x, y)
        self.labels.append(float(y) if self.numbers else float(self.classes.index(y)))
        if len(self.rows) == self.batch:
            self._learn_batch()

    def explain(self, x: Features, most: int) -> Sequence[Effect]:
        if not self.numbers or not hasattr(self.model, "coef_"):
            return ()
        effects = self.model.coef_ * np.array(self._row(x, learn=False))
        return by_field(zip(self.columns, (float(one) for one in effects), strict=False), most)

    def _learn_batch(self) -> None:
        rows, labels = np.array(self.rows), np.array(self.labels)
        if self.numbers:
            self.model.partial_fit(rows, labels)
        else:
            if self.model is None:
                self.model = SGDClassifier(loss="log_loss", random_state=self.seed)
            # The classes must be told beforehand: there is room for those that are to come.
            self.model.partial_fit(rows, labels, classes=np.arange(float(self.most_classes)))
        self.rows, self.labels = [], []

    def _row(self, x: Features, *, learn: bool) -> list[float]:
        row = [0.0] * self.width
        for column, value in self.encoder.transform_one(x).items():
            if learn and len(self.columns) < self.width:
                self.columns.setdefault(column, len(self.columns))
            place = self.columns.get(column)
            if place is not None:
                # Steps of a whole batch go far where a value lies far outside: a bound keeps the weights finite.
                row[place] = min(max(value, -10.0), 10.0)
        return row


class SgdBatches(ModelKind[SgdBatchesOptions]):
    """Scikit-learn's `SGDRegressor` and `SGDClassifier`, which learn a batch at a time."""

    name = "sgd_batches"
    tasks = frozenset({Task.REGRESSION, Task.CLASSIFICATION, Task.IMPUTATION})
    summary = "scikit-learn's linear models, learned in small batches"
    Options = SgdBatchesOptions
    packages = ("sklearn",)

    def make(self, inputs: Inputs, options: SgdBatchesOptions, seed: int) -> Estimator:
        return BatchEstimator(encoder_for(inputs, options, seed, texts="one_hot"), inputs, options, seed)
