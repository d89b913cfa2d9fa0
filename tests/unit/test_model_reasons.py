"""Reasons of naive Bayes: the right field, sums that add up, and asking changes nothing."""

import math
import random
from typing import Any

import pytest

from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Estimator, Inputs
from headrace.stream_processors.models.catalog import make_model
from headrace.stream_processors.steps.model_state import pack

FIELDS = {"a": Kind.NUMBER, "b": Kind.NUMBER, "shop": Kind.TEXT}


def rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {"a": chance.gauss(0, 1), "b": chance.gauss(0, 1), "shop": chance.choice(("north", "south"))}
        for _ in range(count)
    ]


def taught(kind: str, task: Task, target: Kind = Kind.NUMBER) -> Estimator:
    """Return a model of a label that `a` alone decides."""
    model = make_model(kind, {}, Inputs(task, FIELDS, target), 1)
    for x in rows(3_000):
        label: Any = x["a"] > 0 if target is Kind.BOOLEAN else ("high" if x["a"] > 0 else "low")
        model.learn(x, 10.0 * (x["a"] > 0) if target is Kind.NUMBER else label)
    return model


SUPERVISED = [
    (kind, task, target)
    for kind in ("naive_bayes",)
    for task, target in (
        (Task.REGRESSION, Kind.NUMBER),
        (Task.CLASSIFICATION, Kind.BOOLEAN),
        (Task.CLASSIFICATION, Kind.TEXT),
    )
    if (kind, task) != ("naive_bayes", Task.REGRESSION)
]


@pytest.mark.parametrize(("kind", "task", "target"), SUPERVISED)
def test_the_field_that_decides_is_the_first_reason_with_its_sign(kind: str, task: Task, target: Kind) -> None:
    model = taught(kind, task, target)
    before = pack(model)
    for a in (-1.5, 1.5):
        first = model.explain({"a": a, "b": 0.1, "shop": "north"}, 3)[0]
        assert first.field == "a"
        # Of names the likeliest is explained, which `a` speaks for in either case.
        assert (first.effect > 0) is (a > 0 or target is Kind.TEXT)
    assert pack(model) == before, "asking changes nothing"
    assert all(one.field != "a" for one in model.explain({"b": 0.1, "shop": "north"}, 3))


def test_what_naive_bayes_says_of_true_adds_up_to_its_log_odds() -> None:
    model = taught("naive_bayes", Task.CLASSIFICATION, Kind.BOOLEAN)
    x = {"a": 0.4, "b": -0.3, "shop": "south"}
    told = model.predict(x)
    assert isinstance(told, dict)
    share = sum(row["a"] > 0 for row in rows(3_000)) / 3_000
    prior = math.log(share / (1 - share))
    odds = math.log(told[True] / told[False])
    assert sum(one.effect for one in model.explain(x, 9)) == pytest.approx(odds - prior, abs=1e-9)
