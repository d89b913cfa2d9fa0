"""River's own streams through a learner, beside river's own way of judging the same models.

River leaves out records that a model does not answer; a learner counts them as wrong. So classes are learned from one
record before anybody is asked, on both sides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from river import (
    base,
    datasets,
    evaluate,
    forest,
    linear_model,
    metrics,
    naive_bayes,
    optim,
    preprocessing,
    time_series,
)
from river import tree as trees

from headrace.schemas.expression import Kind
from headrace.schemas.expression_parser import parse_value
from headrace.schemas.learner_spec import LearnerSpec, ModelSpec, Task
from headrace.stream_processors.learner_models import make_learner
from headrace.stream_processors.steps.learn import Learner, Rows, Standing

_SEASON = 12
Records = Sequence[tuple[dict[str, Any], Any]]


@dataclass(frozen=True)
class Case:
    """A kind of model of ours with its options, and the same model as river makes it; `figures` beside the stream's."""

    kind: str
    river: Callable[[], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Callable[[], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """A stream that river brings along, what is learned of it, and the figures that both sides give."""

    name: str
    task: Task
    target: Kind
    figures: Mapping[str, Callable[[], Any]]
    cases: tuple[Case, ...]

    def records(self) -> Records:
        """Return the records in order."""
        return list(getattr(datasets, self.name)())


@dataclass(frozen=True)
class Compared:
    """One figure of one model on one stream: the learner's, river's, and the best dummy's with its name."""

    stream: str
    model: str
    figure: str
    rows: int
    ours: float
    rivers: float
    dummy: float
    dummy_name: str

    @property
    def apart(self) -> float:
        """Return how far both are apart, relative to river's."""
        return abs(self.ours - self.rivers) / max(abs(self.rivers), 1e-300)


class Nowcast(base.Regressor):  # type: ignore[misc]
    """A forecaster of river's as a regressor of the next value, which `progressive_val_score` can judge.

    Until it has learned `needed` values it cannot forecast, and the last value stands: river answers 0 then, or fails.
    """

    def __init__(self, model: Any, needed: int) -> None:
        self.model = model
        self.needed = needed
        self.learned = 0
        self.last = 0.0

    def predict_one(self, x: Any) -> float:
        """Return the next value."""
        return self.last if self.learned < self.needed else float(self.model.forecast(horizon=1)[0])

    def learn_one(self, x: Any, y: Any) -> None:
        """Learn the value."""
        self.model.learn_one(float(y))
        self.last = float(y)
        self.learned += 1


def compare(stream: Stream, case: Case, rows: int | None = None, cuts: int = 1_000) -> list[Compared]:
    """Return each figure of a model on the first `rows` of a stream; the learner is given `cuts` records at a time."""
    records = stream.records()[:rows]
    before, after = (records[:1], records[1:]) if stream.task is Task.CLASSIFICATION else ([], records)
    learner = learned(stream, case, before, after, cuts)
    standings = {one.name: one for one in learner.standings()}
    found = []
    for figure, metric in {**stream.figures, **case.figures}.items():
        name, dummy = _best(standings.values(), figure)
        ours = standings[case.kind].total.metrics[figure]
        rivers = _rivers(case.river(), before, after, metric())
        found.append(Compared(stream.name, case.kind, figure, len(after), ours, rivers, dummy, name))
    return found


def learned(stream: Stream, case: Case, before: Records, after: Records, cuts: int) -> Learner:
    """Return a learner that was taught `before` in silence and judged on `after`."""
    learner = make_learner(_spec(stream, case))
    xs = [_features(x) for x, _ in after]
    ys = [_label(y) for _, y in after]
    for contender in learner.state.contenders.values():
        for x, y in before:
            contender.estimator.learn(_features(x), _label(y))
    for start in range(0, len(after), cuts):
        stop = min(len(after), start + cuts)
        learner.take(Rows(xs[start:stop], ys[start:stop], [1.0] * (stop - start)))
    return learner


def _spec(stream: Stream, case: Case) -> LearnerSpec:
    fields = {name: Kind.NUMBER for name in _features(stream.records()[0][0])}
    forecast = stream.task is Task.FORECAST
    return LearnerSpec(
        name=stream.name.lower(),
        dataset=stream.name.lower(),
        task=stream.task,
        version="1",
        text="",
        models=(ModelSpec(case.kind, case.kind, case.options),),
        features=() if forecast else tuple(fields),
        kinds={} if forecast else fields,
        label=None if forecast else parse_value("y", {"y": stream.target}),
        season=_SEASON if forecast else 1,
        explain=0,
        rows_per_second=0,
    )


def _features(x: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in x.items() if isinstance(value, (int, float))}


def _label(y: Any) -> Any:
    return y if isinstance(y, (bool, str)) else float(y)


def _rivers(model: Any, before: Records, after: Records, metric: Any) -> float:
    for x, y in before:
        model.learn_one(x, y)
    return float(evaluate.progressive_val_score(iter(after), model, metric).get())


def _best(standings: Any, figure: str) -> tuple[str, float]:
    """Return the dummy that has the best figure; of errors the smallest is."""
    dummies: list[Standing] = [one for one in standings if one.dummy and figure in one.total.metrics]
    pick = min if figure in {"mae", "rmse", "log_loss"} else max
    best = pick(dummies, key=lambda one: one.total.metrics[figure])
    return best.name, best.total.metrics[figure]


def _scaled(make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: preprocessing.StandardScaler() | make()


def _tree_of_classes() -> Any:
    return trees.HoeffdingAdaptiveTreeClassifier(grace_period=200, max_depth=12, delta=1e-7, seed=1)


def _forest_of_classes(columns: int) -> Callable[[], Any]:
    shared = {"n_models": 10, "lambda_value": 6, "grace_period": 50, "max_depth": 12, "seed": 1}
    return lambda: forest.ARFClassifier(max_features=columns, **shared)


def _leaves() -> dict[str, Any]:
    splitter, leaf = trees.splitter.QOSplitter(radius=0.25), linear_model.LinearRegression()
    return {"splitter": splitter, "leaf_model": leaf, "leaf_prediction": "adaptive", "max_depth": 12, "seed": 1}


def _tree_of_numbers() -> Any:
    return trees.HoeffdingAdaptiveTreeRegressor(grace_period=200, delta=1e-7, **_leaves())


def _forest_of_numbers() -> Any:
    shared = {"n_models": 10, "lambda_value": 6, "max_features": 2, "grace_period": 50}
    return forest.ARFRegressor(aggregation_method="mean", **shared, **_leaves())


def _softmax() -> Any:
    return linear_model.SoftmaxRegression(optimizer=optim.SGD(0.01))


def _snarimax() -> Any:
    return Nowcast(time_series.SNARIMAX(p=2, d=0, q=1, m=_SEASON, sp=1, sd=1, sq=0), _SEASON + 1)


def _holt_winters() -> Any:
    smoothing = {"alpha": 0.3, "beta": 0.1, "gamma": 0.6}
    return Nowcast(time_series.HoltWinters(seasonality=_SEASON, multiplicative=True, **smoothing), _SEASON)


# Loss of classes only where no model is ever certain: of what cannot be, river's `LogLoss` rounds otherwise, and its
# `CrossEntropy` takes the first record of each class for nothing.
_YES_NO = {"accuracy": metrics.Accuracy, "f1": metrics.F1}
_CLASSES = {"accuracy": metrics.Accuracy, "macro_f1": metrics.MacroF1}
_NUMBERS = {"mae": metrics.MAE, "rmse": metrics.RMSE, "r2": metrics.R2}

STREAMS = (
    Stream("Phishing", Task.CLASSIFICATION, Kind.BOOLEAN, _YES_NO, (
        Case("logistic_regression", _scaled(linear_model.LogisticRegression), figures={"log_loss": metrics.LogLoss}),
        Case("naive_bayes", naive_bayes.GaussianNB),
        Case("hoeffding_tree", _tree_of_classes),
        Case("adaptive_forest", _forest_of_classes(3)),
    )),
    Stream("ImageSegments", Task.CLASSIFICATION, Kind.TEXT, _CLASSES, (
        Case("logistic_regression", _scaled(_softmax), {"intercept": False, "clip": 0.0}),
        Case("naive_bayes", naive_bayes.GaussianNB),
        Case("hoeffding_tree", _tree_of_classes),
        Case("adaptive_forest", _forest_of_classes(4)),
    )),
    Stream("TrumpApproval", Task.REGRESSION, Kind.NUMBER, _NUMBERS, (
        Case("linear_regression", _scaled(lambda: linear_model.LinearRegression(intercept_lr=0.1)),
             {"intercept_learning_rate": 0.1}),
        Case("hoeffding_tree", _scaled(_tree_of_numbers)),
        Case("adaptive_forest", _scaled(_forest_of_numbers)),
    )),
    Stream("AirlinePassengers", Task.FORECAST, Kind.NUMBER, _NUMBERS, (
        Case("snarimax", _snarimax),
        Case("holt_winters", _holt_winters, {"multiplicative": True}),
    )),
)  # fmt: skip
"""Every stream with the kinds of models that are a model of river's."""
