"""Rows a second of the process `learner` through real Kafka, beside river alone on the same rows in the same run."""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from river import anomaly, linear_model, preprocessing

from headrace.testing.learner import LearnerHome
from headrace.testing.stack import EmbeddedStack
from headrace.transport.follow import read_topic

_FIELDS = ("a", "b", "c")
_FILE = "00000000000000ab"
_PUBLISHED = 20_000
_RIVER_ROWS = 50_000
_CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: made_{name}
version: 1.0.0
status: active
schema:
  - name: made_{name}
    properties:
{fields}
      - {{name: y, logicalType: number}}
"""
_FIELD = """      - name: {name}
        logicalType: number
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]"""
_LEARNER = """
name: speed_{name}
dataset: made_{name}
task: {task}
models: [{{model: {model}}}]
budget: {{rowsPerSecond: 0}}
explain: 0
"""
CASES = {
    "linear": ("regression\ntarget: y", "linear_regression"),
    "half_space": ("anomaly\nfeatures: [a, b, c]", "half_space_trees"),
}


def speed(rows: int) -> dict[str, Any]:
    """Return the figures of each case; the load of the machine stands beside them."""
    with EmbeddedStack(("kafka", "registry")) as stack, tempfile.TemporaryDirectory() as folder:
        return {"load_before": psutil.getloadavg()[0]} | {
            name: _case(stack, Path(folder) / name, name, rows) for name in CASES
        }


def columns(rows: int, seed: int = 1) -> dict[str, list[float]]:
    """Return numbers and a target that depends on them; equal seeds give equal ones."""
    chance = random.Random(seed)
    made = {name: [chance.gauss(0, 1) for _ in range(rows)] for name in _FIELDS}
    return made | {"y": [2 * a - b + chance.gauss(0, 1) for a, b in zip(made["a"], made["b"], strict=True)]}


def rivers_micros(name: str, rows: int) -> float:
    """Return the microseconds of CPU that river takes to predict and learn one of the rows."""
    made = columns(rows)
    ys = made.pop("y")
    xs = [dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True)]
    started = time.process_time()
    _RIVERS[name](xs, ys)
    return (time.process_time() - started) * 1e6 / rows


def _linear(xs: list[dict[str, float]], ys: list[float]) -> None:
    model = preprocessing.StandardScaler() | linear_model.LinearRegression()
    for x, y in zip(xs, ys, strict=True):
        model.predict_one(x)
        model.learn_one(x, y)


def _half_space(xs: list[dict[str, float]], ys: list[float]) -> None:
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1)
    for x in xs:
        model.score_one(x)
        model.learn_one(x)


Rows = list[dict[str, float]]
_RIVERS: dict[str, Callable[[Rows, list[float]], None]] = {"linear": _linear, "half_space": _half_space}


def _case(stack: EmbeddedStack, folder: Path, name: str, rows: int) -> dict[str, Any]:
    task, model = CASES[name]
    with LearnerHome(stack.settings, folder) as home:
        fields = "\n".join(_FIELD.format(name=field) for field in _FIELDS)
        contract = home.dataset(_CONTRACT.format(name=name, fields=fields))
        for first in range(0, rows, _PUBLISHED):
            home.publish(contract, _FILE, columns(min(_PUBLISHED, rows - first), first), first)
        home.learner(f"speed_{name}", _LEARNER.format(name=name, task=task, model=model))
        home.start()
        home.wait_for_rows(f"speed_{name}", rows)
        times = psutil.Process(home.pid).cpu_times()
        own = (times.user + times.system) * 1e6 / rows
        published = [message.published_at_ms for message in read_topic(home.client, "ml.predictions")]
    published = published[-rows:]
    river = rivers_micros(name, min(rows, _RIVER_ROWS))
    return {
        "rows": rows,
        "rows_per_s": round((rows - _first_batch(published)) * 1e3 / max(1, published[-1] - published[0])),
        "process_cpu_micros_a_row": round(own, 1),
        "river_cpu_micros_a_row": round(river, 1),
        "rows_per_cpu_s": round(1e6 / own),
        "times_river": round(own / river, 2),
        "load_after": psutil.getloadavg()[0],
    }


def _first_batch(published: list[int]) -> int:
    """Return how many predictions came within the first 50 ms: the clock of the rest begins after them."""
    return sum(1 for at in published if at - published[0] <= 50)
