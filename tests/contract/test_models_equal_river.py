"""On the streams that river brings along, our models earn river's own prequential metric, to the last digit."""

from collections.abc import Mapping
from typing import Any

import pytest
from river import datasets, evaluate, linear_model, metrics, optim, preprocessing

from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Inputs
from headrace.stream_processors.models.catalog import make_model


def progressive(name: str, options: Mapping[str, Any], task: Task, target: Kind, dataset: Any, metric: Any) -> float:
    """Predict and then learn each record of a dataset of numbers; return the metric."""
    rows = list(dataset)
    inputs = Inputs(task, dict.fromkeys(rows[0][0], Kind.NUMBER), target)
    model = make_model(name, options, inputs, 1)
    for x, y in rows:
        found = model.predict(x)
        best = max(found, key=found.__getitem__) if isinstance(found, Mapping) else found
        if best is not None:
            metric.update(y, best)
        model.learn(x, y)
    return float(metric.get())


def rivers(model: Any, dataset: Any, metric: Any) -> float:
    scaled = preprocessing.StandardScaler() | model
    return float(evaluate.progressive_val_score(dataset, scaled, metric).get())


def test_linear_regression_on_trump_approval() -> None:
    options = {"intercept_learning_rate": 0.1}
    found = progressive(
        "linear_regression", options, Task.REGRESSION, Kind.NUMBER, datasets.TrumpApproval(), metrics.MAE()
    )
    assert found == rivers(linear_model.LinearRegression(intercept_lr=0.1), datasets.TrumpApproval(), metrics.MAE())
    assert found == pytest.approx(0.558735, abs=1e-6)


def test_logistic_regression_on_phishing() -> None:
    options = {"learning_rate": 0.1}
    found = progressive(
        "logistic_regression", options, Task.CLASSIFICATION, Kind.BOOLEAN, datasets.Phishing(), metrics.Accuracy()
    )
    river = linear_model.LogisticRegression(optimizer=optim.SGD(0.1))
    assert found == rivers(river, datasets.Phishing(), metrics.Accuracy())


def test_softmax_regression_on_image_segments() -> None:
    options = {"intercept": False, "clip": 0.0}
    found = progressive(
        "logistic_regression", options, Task.CLASSIFICATION, Kind.TEXT, datasets.ImageSegments(), metrics.MacroF1()
    )
    assert found == rivers(linear_model.SoftmaxRegression(), datasets.ImageSegments(), metrics.MacroF1())
    assert found > 0.8
