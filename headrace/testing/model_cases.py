"""Easy streams, one a task: what any model of the task should learn from a few hundred records."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Inputs, Label, Prediction

Row = dict[str, Any]
FIELDS: Mapping[str, Kind] = {
    "distance": Kind.NUMBER,
    "seats": Kind.WHOLE,
    "carrier": Kind.TEXT,
    "heavy": Kind.BOOLEAN,
    "at": Kind.TIMESTAMP,
    "day": Kind.DATE,
}
_CARRIERS = {"UA": 9.0, "AA": -4.0, "DL": 2.0, "B6": 0.0}
_START = datetime(2013, 1, 1)  # noqa: DTZ001  features have moments without a zone, in UTC


@dataclass(frozen=True)
class Case:
    """A stream to learn, and what a prediction costs that says `found` where it was `wanted`.

    `dummy` is the opponent that must be beaten. For anomalies and clusters `truth` says what the labels do not.
    """

    name: str
    inputs: Inputs
    rows: Sequence[tuple[Row, Label | None]]
    truth: Sequence[Any] = ()
    dummy: str = ""


def cases(rows: int = 500) -> tuple[Case, ...]:
    """Return a case for each task, two where numbers and classes may be predicted."""
    records = list(_records(rows))
    delays = [_delay(x, random.Random(n)) for n, x in enumerate(records)]  # noqa: S311  noise, no secret
    late: list[Label] = [delay > 6 for delay in delays]
    graded: list[Label] = ["early" if delay < 0 else "late" if delay > 9 else "due" for delay in delays]
    given = {name: kind for name, kind in FIELDS.items() if name != "carrier"}
    carriers: list[Label] = ["big" if x["distance"] > 1_000 else "small" for x in records]

    def supervised(name: str, inputs: Inputs, labels: Sequence[Label], dummy: str) -> Case:
        return Case(name, inputs, list(zip(records, labels, strict=True)), dummy=dummy)

    return (
        supervised("numbers", Inputs(Task.REGRESSION, FIELDS), delays, "mean"),
        supervised("yes and no", Inputs(Task.CLASSIFICATION, FIELDS, Kind.BOOLEAN), late, "prior"),
        supervised("classes", Inputs(Task.CLASSIFICATION, FIELDS, Kind.TEXT), graded, "prior"),
        supervised("missing numbers", Inputs(Task.IMPUTATION, FIELDS, Kind.NUMBER), delays, "mean"),
        supervised("missing texts", Inputs(Task.IMPUTATION, given, Kind.TEXT), carriers, "prior"),
        _anomalies(rows),
        _clusters(rows),
        _series(rows),
    )


def loss(found: Prediction, wanted: Any) -> float:
    """Return what a prediction costs: the absolute error, or what the right class's probability lacks to 1.

    Of a forecast the nearest step counts. Not the log loss: some models here are right and far too sure of it, and
    learn nevertheless.
    """
    if found is None:
        return abs(float(wanted)) if isinstance(wanted, float) else 1.0
    if isinstance(found, Mapping):
        return 1.0 - float(found.get(wanted, 0.0))
    return abs((found[0] if isinstance(found, Sequence) else found) - float(wanted))


def _records(rows: int) -> Iterator[Row]:
    chance = random.Random(5)  # noqa: S311
    for number in range(rows):
        at = _START + timedelta(minutes=37 * number)
        yield {
            "distance": chance.uniform(200, 2_500),
            "seats": chance.randint(50, 350),
            "carrier": chance.choice(list(_CARRIERS)),
            "heavy": chance.random() < 0.3,
            "at": at,
            "day": at.replace(hour=0, minute=0),
        }


def _delay(x: Row, chance: random.Random) -> float:
    planned: float = _CARRIERS[x["carrier"]] + 6 * x["heavy"] + (x["distance"] - 1_350) / 120
    return planned + 4 * math.sin(x["at"].hour * math.tau / 24) + chance.gauss(0, 1)


def _anomalies(rows: int) -> Case:
    chance = random.Random(6)  # noqa: S311
    strange = [number > 0.6 * rows and number % 25 == 0 for number in range(rows)]
    found: list[tuple[Row, Label | None]] = []
    for odd in strange:
        x = {"distance": chance.gauss(1_000, 80), "seats": chance.randint(150, 190), "carrier": chance.choice("ABC")}
        far = {"distance": chance.choice((100.0, 3_000.0)) + chance.gauss(0, 200), "seats": chance.choice((20, 400))}
        found.append((x | far if odd else x, None))
    return Case("strange records", Inputs(Task.ANOMALY, {name: FIELDS[name] for name in found[0][0]}), found, strange)


def _clusters(rows: int) -> Case:
    chance = random.Random(7)  # noqa: S311
    centres = ((0.0, 0.0), (20.0, 0.0), (0.0, 20.0))
    groups = [chance.randrange(3) for _ in range(rows)]
    fields = {"east": Kind.NUMBER, "north": Kind.NUMBER, "carrier": Kind.TEXT}
    found: list[tuple[Row, Label | None]] = [
        ({"east": chance.gauss(centres[one][0], 1), "north": chance.gauss(centres[one][1], 1), "carrier": "UA"}, None)
        for one in groups
    ]
    return Case("groups", Inputs(Task.CLUSTERING, fields), found, groups)


def _series(rows: int) -> Case:
    chance = random.Random(8)  # noqa: S311
    season = 12
    found: list[tuple[Row, Label | None]] = [
        ({}, 100 + 0.05 * n + 20 * math.sin(n * math.tau / season) + chance.gauss(0, 0.5)) for n in range(rows)
    ]
    return Case("series", Inputs(Task.FORECAST, {}, horizon=3, season=season), found, dummy="last_value")
