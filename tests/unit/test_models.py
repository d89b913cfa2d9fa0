"""What single kinds of models promise beyond the laws."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from river import linear_model, optim, time_series

from headrace.errors import WrongUse
from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Inputs
from headrace.stream_processors.models.catalog import make_model, model_kind
from headrace.stream_processors.steps.contenders import walk
from headrace.stream_processors.steps.model_state import pack
from headrace.testing.model_cases import Case, cases
from headrace.testing.model_laws import run

STREAMS: Mapping[str, Case] = {case.name: case for case in cases(300)}


def taught(name: str, stream: str, **options: object) -> Estimator:
    case = STREAMS[stream]
    model = make_model(name, options, case.inputs, 1)
    run(model, case.rows)
    return model


def forecast(model: Estimator) -> list[float]:
    found = model.predict({})
    assert isinstance(found, Sequence)
    return list(found)


def test_a_linear_regression_does_not_diverge_on_records_that_are_far_out_in_many_fields() -> None:
    fields = [f"x{number}" for number in range(8)]
    inputs = Inputs(Task.REGRESSION, dict.fromkeys(fields, Kind.NUMBER))
    # Most days are quiet; on every fiftieth all fields are hundreds of deviations from their mean at once.
    rows = [dict.fromkeys(fields, 1_000.0 if number % 50 == 49 else number % 2) for number in range(2_000)]
    bound, unbound = (make_model("linear_regression", {"most_step": most}, inputs, 1) for most in (1.0, 0.0))
    for model in (bound, unbound):
        for x in rows:
            model.learn(x, sum(x.values()))
    assert abs(float(bound.predict(rows[0]))) < 10_000  # type: ignore[arg-type]
    assert not abs(float(unbound.predict(rows[0]))) < 1e9  # type: ignore[arg-type]


def test_the_reasons_of_a_linear_regression_sum_to_what_it_predicts() -> None:
    model = taught("linear_regression", "numbers")
    base = model.predict({})
    assert isinstance(base, float)
    for x, _ in STREAMS["numbers"].rows[:20]:
        assert sum(one.effect for one in model.explain(x, 99)) == pytest.approx(float(model.predict(x)) - base)  # type: ignore[arg-type]


def test_the_reasons_of_a_logistic_regression_sum_to_its_log_odds() -> None:
    model = taught("logistic_regression", "yes and no")

    def log_odds(x: dict[str, object]) -> float:
        found = model.predict(x)
        assert isinstance(found, Mapping)
        return math.log(found[True] / found[False])

    for x, _ in STREAMS["yes and no"].rows[:20]:
        assert sum(one.effect for one in model.explain(x, 99)) == pytest.approx(log_odds(x) - log_odds({}))


def test_the_first_reason_among_classes_is_the_field_that_made_the_class() -> None:
    model = taught("logistic_regression", "missing texts")
    x = STREAMS["missing texts"].rows[0][0]
    assert model.explain(x | {"distance": 2_500.0}, 1)[0].field == "distance"


def test_logistic_regression_learns_classes_as_they_come() -> None:
    model = make_model("logistic_regression", {}, Inputs(Task.CLASSIFICATION, {"a": Kind.NUMBER}, Kind.TEXT), 1)
    assert model.predict({"a": 1.0}) is None
    model.learn({"a": 1.0}, "first")
    model.learn({"a": 2.0}, "second")
    found = model.predict({"a": 1.0})
    assert isinstance(found, Mapping)
    assert set(found) == {"first", "second"}


def test_robust_z_says_which_field_is_how_far_off() -> None:
    model = taught("robust_z", "strange records")
    x = {"distance": 3_000.0, "seats": 170}
    first, *_ = model.explain(x, 5)
    assert first.field == "distance"
    assert first.effect == model.predict(x)
    assert first.effect > 10
    assert model.explain({"distance": -1_000.0}, 1)[0].effect < -10


def test_robust_z_judges_a_field_that_is_mostly_one_value() -> None:
    model = make_model("robust_z", {}, Inputs(Task.ANOMALY, {"rain": Kind.NUMBER}), 1)
    for number in range(100):
        model.learn({"rain": 0.4 if number % 10 == 0 else 0.0}, None)
    assert float(model.predict({"rain": 0.0})) < 0.1  # type: ignore[arg-type]
    assert 3 < float(model.predict({"rain": 0.4})) < 10  # type: ignore[arg-type]
    assert 100 < float(model.predict({"rain": 9.0})) < 300  # type: ignore[arg-type]


def test_robust_z_says_nothing_of_a_field_that_it_hardly_knows() -> None:
    model = make_model("robust_z", {"after": 10}, Inputs(Task.ANOMALY, {"rain": Kind.NUMBER}), 1)
    for number in range(9):
        model.learn({"rain": float(number)}, None)
    assert model.predict({"rain": 1e6}) == 0.0
    assert model.explain({"rain": 1e6}, 1) == ()


@pytest.mark.parametrize("name", ["holt_winters", "snarimax", "last_season"])
def test_before_the_first_season_is_full_the_last_value_is_forecast(name: str) -> None:
    model = make_model(name, {}, Inputs(Task.FORECAST, {}, horizon=3, season=12), 1)
    assert model.predict({}) is None
    for value in (5.0, 6.0, 7.0):
        model.learn({}, value)
    assert model.predict({}) == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("name", ["holt_winters", "snarimax"])
def test_a_missing_value_is_passed_over(name: str) -> None:
    model = taught(name, "series")
    before = model.predict({})
    model.learn({}, None)
    assert model.predict({}) == before


def test_holt_winters_survives_a_series_of_zeros_by_which_it_would_divide() -> None:
    inputs = Inputs(Task.FORECAST, {}, horizon=2, season=4)
    model = make_model("holt_winters", {"multiplicative": True}, inputs, 1)
    for value in [0.0] * 20 + [1.0, 2.0, 3.0, 4.0] * 20:
        model.learn({}, value)
    assert all(math.isfinite(value) for value in forecast(model))


def test_holt_winters_knows_an_added_season_once_it_has_seen_it() -> None:
    season = [10.0, 90.0, 60.0, 10.0]
    model = make_model("holt_winters", {}, Inputs(Task.FORECAST, {}, horizon=4, season=4), 1)
    for value in season:
        model.learn({}, value)
    assert forecast(model) == pytest.approx(season)


@pytest.mark.parametrize("multiplicative", [True, False])
def test_holt_winters_is_rivers_where_seasons_multiply(multiplicative: bool) -> None:
    case = STREAMS["series"]
    ours = make_model("holt_winters", {"multiplicative": multiplicative}, case.inputs, 1)
    river = time_series.HoltWinters(alpha=0.3, beta=0.1, gamma=0.6, seasonality=12, multiplicative=multiplicative)
    for _, y in case.rows:
        ours.learn({}, y)
        river.learn_one(y)
    assert (forecast(ours) == river.forecast(3)) is multiplicative


def test_the_last_season_is_what_was_a_season_ago() -> None:
    model = make_model("last_season", {}, Inputs(Task.FORECAST, {}, horizon=5, season=3), 1)
    for value in (1.0, 2.0, 3.0, 4.0):
        model.learn({}, value)
    assert model.predict({}) == [2.0, 3.0, 4.0, 2.0, 3.0]


def test_dummies_say_what_their_names_say() -> None:
    inputs = Inputs(Task.CLASSIFICATION, {}, Kind.TEXT)
    models = {name: make_model(name, {}, inputs, 1) for name in ("last_value", "majority", "prior")}
    for label in ("a", "b", "b", "a", "b", "a", "a"):
        for model in models.values():
            model.learn({}, label)
    assert models["last_value"].predict({}) == {"a": 1.0, "b": 0.0}
    assert models["majority"].predict({}) == {"a": 1.0, "b": 0.0}
    assert models["prior"].predict({}) == {"a": 4 / 7, "b": 3 / 7}


def test_half_space_trees_that_judge_and_learn_at_once_do_what_they_do_one_after_the_other() -> None:
    chance = random.Random(3)
    inputs = Inputs(Task.ANOMALY, dict.fromkeys("abcd", Kind.NUMBER))
    # Values that stretch the scale now and then, missing ones, and several windows.
    rows = [{name: chance.gauss(0, 1 + n / 500) for name in "abcd" if chance.random() < 0.8} for n in range(900)]
    apart, at_once = (make_model("half_space_trees", {"window": 70}, inputs, 1) for _ in range(2))
    scores = []
    for x in rows:
        scores.append(apart.predict(x))
        apart.learn(x, None)
    assert walk(at_once, rows, [None] * len(rows)) == scores
    assert pack(at_once) == pack(apart)


@pytest.mark.parametrize("options", [{}, {"l2": 0.01, "loss": "absolute"}, {"most_step": 0.0, "clip_gradient": 3.0}])
def test_a_step_of_linear_regression_is_rivers_to_the_last_digit(options: Mapping[str, Any]) -> None:
    inputs = STREAMS["numbers"].inputs
    model: Any = make_model("linear_regression", options, inputs, 1)
    losses = {"absolute": optim.losses.Absolute}
    river = linear_model.LinearRegression(
        optimizer=optim.SGD(0.01),
        l2=options.get("l2", 0.0),
        loss=losses.get(options.get("loss", ""), optim.losses.Squared)(),
        clip_gradient=options.get("clip_gradient", 1e12),
    )
    for x, y in STREAMS["numbers"].rows:
        encoded = {name: min(1.0, max(-1.0, float(value))) for name, value in x.items() if isinstance(value, float)}
        model.model.learn_one(encoded, y, 0.5)
        river.learn_one(encoded, y, 0.5)
        assert model.model.predict_one(encoded) == river.predict_one(encoded)
    assert model.model.weights == river.weights
    assert model.model.intercept == river.intercept


def test_half_space_trees_have_branches_for_fields_that_the_first_record_lacks() -> None:
    fields = {"a": Kind.NUMBER, "b": Kind.NUMBER}
    model = make_model("half_space_trees", {"window": 20}, Inputs(Task.ANOMALY, fields), 1)
    model.learn({"a": 0.5}, None)
    for number in range(200):
        model.learn({"a": 0.5, "b": 0.5 + (number % 7) / 100}, None)
    model.learn({"a": 0.5, "b": 1.0}, None)
    model.learn({"a": 0.5, "b": 0.0}, None)
    assert float(model.predict({"a": 0.5, "b": 0.1})) > float(model.predict({"a": 0.5, "b": 0.52}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "inputs", "told"),
    [
        ("kmeans", Inputs(Task.REGRESSION, {"a": Kind.NUMBER}), "does no regression"),
        ("no_such", Inputs(Task.REGRESSION, {}), 'no model "no_such" is installed'),
        ("linear_regression", Inputs(Task.IMPUTATION, {"a": Kind.NUMBER}, Kind.TEXT), "predicts numbers"),
        ("naive_bayes", Inputs(Task.IMPUTATION, {"a": Kind.NUMBER}, Kind.NUMBER), "predicts classes"),
        ("robust_z", Inputs(Task.ANOMALY, {"a": Kind.TEXT}), "no feature to learn from"),
        ("half_space_trees", Inputs(Task.ANOMALY, {}), "no feature to learn from"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_to_do(name: str, inputs: Inputs, told: str) -> None:
    with pytest.raises(WrongUse, match=told) as refused:
        make_model(name, {}, inputs, 1)
    assert refused.value.hint


def test_every_option_of_every_kind_has_a_description() -> None:
    for name in ("linear_regression", "adaptive_forest", "half_space_trees", "snarimax", "kmeans"):
        options = model_kind(name).Options.model_fields
        assert options
        assert [key for key, field in options.items() if not field.description] == []
