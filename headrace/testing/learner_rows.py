"""Streams and learners for tests of learning without services."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from headrace.schemas.expression import Column, Expression, Kind
from headrace.schemas.learner_spec import LearnerSpec, ModelSpec, Promotion, Task
from headrace.stream_processors.learner_models import make_learner
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.learn import Learner, Part, Rows


def spec_of(task: Task, *kinds: str, **more: Any) -> LearnerSpec:
    """Return a learner of numbers `a`, `b`, `c` with models of these kinds; `more` are fields of LearnerSpec."""
    label = Kind.BOOLEAN if task is Task.CLASSIFICATION else Kind.NUMBER
    given = {
        "name": "tried",
        "dataset": "made",
        "task": task,
        "version": "1",
        "text": "",
        "models": tuple(ModelSpec(kind, kind) for kind in kinds),
        "features": ("a", "b", "c"),
        "kinds": dict.fromkeys(("a", "b", "c"), Kind.NUMBER),
        "label": None if task in {Task.ANOMALY, Task.CLUSTERING} else Expression("y", Column("y", label)),
        "explain": 0,
        "rows_per_second": 0,
        "promotion": Promotion(every=512, over=4_096, errors=3.0, after=2),
    }
    return LearnerSpec(**(given | more))


def stream(rows: int, law: Callable[[int, dict[str, float]], Any], seed: int = 1) -> Rows:
    """Return rows of three features and the label that `law` gives by row and features."""
    chance = random.Random(seed)  # noqa: S311
    xs: list[dict[str, Any]] = [
        {"a": chance.gauss(0, 1), "b": chance.random(), "c": chance.random()} for _ in range(rows)
    ]
    return Rows(xs, [law(number, x) for number, x in enumerate(xs)], [1.0] * rows)


def learned(spec: LearnerSpec, rows: Rows, cuts: Sequence[int] = ()) -> tuple[Learner, list[Part], list[Turn]]:
    """Return a learner that has taken rows, in batches that end at `cuts`, with what it predicted and what happened."""
    learner, parts, turns = make_learner(spec), [], []
    ends = [*cuts, len(rows)]
    for start, stop in zip([0, *ends], ends, strict=False):
        found, happened = learner.take(rows[start:stop])
        parts += found
        turns += happened
    return learner, parts, turns
