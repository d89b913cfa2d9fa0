"""A learner as its YAML says it: what is predicted, from which fields, by which models, at what cost.

A learner is a file of its own beside the contract, because it is tried and changed far more often than the law of the
data; what may be a feature is the contract's word (`headrace.knownAtPrediction`), so that no learner looks ahead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from headrace.schemas.expression import Column, Expression, Kind


class Task(StrEnum):
    """What a learner does."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    ANOMALY = "anomaly"
    CLUSTERING = "clustering"
    FORECAST = "forecast"
    IMPUTATION = "imputation"


# Tasks whose models learn from a target that the record (or a later one) has.
SUPERVISED = frozenset({Task.REGRESSION, Task.CLASSIFICATION, Task.IMPUTATION})
TICK = 256
"""Errors, drift and promotion are looked at every so many labelled rows, counted in the state of the learner."""
LEAST_TICKS = 8
"""The fewest ticks from which a challenger is said to be better than the champion."""
MAX_MODELS = 8
OPPONENTS = frozenset({"last_value", "last_season", "mean", "majority", "prior"})
"""The dummies that models are held against: always there, so that no model has the name of one."""
WINDOW_FIGURES = ("rows", "rejected", "score")
"""What a forecast may be about: figures of a closed window (schemas/avro/system/window.avsc)."""
FIELD_FIGURES = ("mean", "std", "minimum", "maximum", "distinct", "nulls")
"""What a forecast may be about: figures of a field in a closed window."""


@dataclass(frozen=True)
class Pace:
    """By how many of its `unit` a task is looked at: `tick` together, and the spans where the YAML says nothing."""

    unit: str
    tick: int
    rolling: int
    every: int
    over: int


_ROWS = Pace("rows", TICK, 4_096, 1_024, 4_096)
_WINDOWS = Pace("windows", 8, 64, 8, 64)


def pace_of(task: Task | None) -> Pace:
    """Return the pace of a task: closed windows come far more slowly than records.

    >>> pace_of(Task.REGRESSION).tick, pace_of(Task.FORECAST).tick
    (256, 8)
    """
    return _WINDOWS if task is Task.FORECAST else _ROWS


@dataclass(frozen=True)
class ModelSpec:
    """One contender: its name within the learner, its kind (a plug-in) and that kind's options."""

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Promotion:
    """When a challenger becomes champion.

    Every `every` labelled rows it is asked whether the challenger's mean loss over the last `over` rows is lower than
    the champion's by more than `errors` standard errors of the difference; `after` times yes in a row, and it is.
    """

    every: int = _ROWS.every
    over: int = _ROWS.over
    errors: float = 3.0
    after: int = 3


@dataclass(frozen=True)
class LateLabels:
    """Where labels come from that are not in the record: another dataset's records, joined by equal keys.

    `keys` maps this dataset's fields to the other's. A record waits for its label while no more than `most` wait and no
    label is `wait_secs` of arrival time younger; then it is given up and counted.
    """

    dataset: str
    keys: tuple[tuple[str, str], ...]
    wait_secs: int
    most: int = 100_000


@dataclass(frozen=True)
class Series:
    """What a forecast is about: a figure of closed windows by event time. `field` is empty for the window's own."""

    figure: str
    field: str = ""

    def value_of(self, window: Mapping[str, Any]) -> float | None:
        """Return the figure of a closed window (a record of quality.windows), None where it has none.

        >>> Series("mean", "delay").value_of({"fields": [{"name": "delay", "mean": 12.5}]})
        12.5
        """
        records = [one for one in window["fields"] if one["name"] == self.field] if self.field else [window]
        found = records[0].get(self.figure) if records else None
        return None if found is None else float(found)


@dataclass(frozen=True)
class LearnerSpec:
    """One learner. `version` names its text and what it is made of by the contract: features, and kinds of fields.

    `label` gives the target from a record, of the dataset that `late` names if it is there: a field or an expression;
    None where the task has none. `features` are marked as known at prediction by the contract, or, for anomalies and
    clusters, any; `kinds` says what they are. `rows_per_second` is the budget, 0 for none: above it rows are sampled.
    `threshold` is the share of records an anomaly may be (by score) for models whose score has no natural bound. `over`
    is the rolling window of metrics in labelled rows. Of forecasts every labelled row is a closed window.
    """

    name: str
    dataset: str
    task: Task
    version: str
    text: str
    models: tuple[ModelSpec, ...]
    features: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict, hash=False)
    label: Expression | None = None
    late: LateLabels | None = None
    series: Series | None = None
    horizon: int = 1
    season: int = 1
    rows_per_second: int = 10_000
    over: int = _ROWS.rolling
    threshold: float = 0.01
    explain: int = 3
    snapshot_rows: int = 50_000
    promotion: Promotion = Promotion()
    seed: int = 1
    description: str = ""

    @property
    def tick(self) -> int:
        """Return how many labelled rows are looked at together."""
        return pace_of(self.task).tick

    @property
    def target(self) -> str:
        """Return the field that is to be predicted; empty where the task has none, or the label is computed."""
        node = self.label.node if self.label else None
        return node.name if isinstance(node, Column) else ""

    @property
    def label_kind(self) -> Kind | None:
        """Return what the label is, None where the task has none."""
        return self.label.node.kind if self.label else None
