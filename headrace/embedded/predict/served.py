"""A champion that is served: what it was made from, and how it answers a record. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.schemas.contract import Contract
from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import LearnerSpec, Task
from headrace.stream_processors.models.base import Effect, Features
from headrace.stream_processors.snapshots import Snapshot
from headrace.stream_processors.steps.contenders import Contender
from headrace.stream_processors.steps.learn import State, predicts_classes
from headrace.stream_processors.steps.prequential import likeliest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NONE_YET = -(2**62)
"""`State.since` of a learner that has learned no window."""


@dataclass(frozen=True)
class Served:
    """One learner as it is served. `required` are the fields that a record of the dataset always has.

    `since` is the start of the last window that a forecast learned (None: of none yet), `window_secs` how long one is.
    """

    spec: LearnerSpec
    snapshot: Snapshot
    champion: Contender
    required: frozenset[str] = frozenset()
    since: datetime | None = None
    window_secs: int = 0
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: LearnerSpec, contract: Contract, snapshot: Snapshot, state: State) -> "Served":
        """Return what is served of a snapshot's state."""
        required = frozenset(one.name for one in contract.fields if one.required and one.name in spec.features)
        return cls(
            spec,
            snapshot,
            state.contenders[state.champion],
            required,
            _EPOCH + timedelta(microseconds=state.since) if state.since > _NONE_YET else None,
            contract.window.size_secs,
            {name: spec.kinds[name] for name in spec.features},
        )

    def head(self) -> dict[str, Any]:
        """Return what every answer begins with: who answers."""
        return {
            "learner": self.spec.name,
            "version": self.snapshot.version,
            "model": self.champion.name,
            "snapshot": self.snapshot.name,
            "rows_learned": self.snapshot.rows,
        }

    def about(self) -> dict[str, Any]:
        """Return what the list of learners says of it."""
        return self.head() | {
            "dataset": self.spec.dataset,
            "task": self.spec.task.value,
            "predicts": predicted(self.spec),
            "description": self.spec.description,
        }

    def fields(self) -> list[dict[str, Any]]:
        """Return its fields for people and programs."""
        return [
            {"name": name, "kind": str(kind), "required": name in self.required} for name, kind in self.kinds.items()
        ]

    def answer(self, x: Features) -> list[dict[str, Any]]:
        """Return the prediction of a record; of a forecast one a window, and the record is not looked at."""
        estimator = self.champion.estimator
        if self.spec.task is Task.FORECAST:
            return self._forecast(estimator.predict({}))
        reasons = estimator.explain(x, self.spec.explain) if self.spec.explain else ()
        found = self._told(estimator.predict(x))
        return [found | {"reasons": _reasons(reasons)}]

    def _told(self, prediction: Any) -> dict[str, Any]:
        if self.spec.task is Task.ANOMALY:
            return {"score": _finite(prediction), "anomalous": self.champion.anomalous(prediction)}
        if isinstance(prediction, Mapping):
            best = likeliest(prediction)
            return {
                "label": None if best is None else str(best),
                "probability": None if best is None else _finite(prediction[best]),
                "probabilities": {str(label): _finite(share) for label, share in prediction.items()},
            }
        if predicts_classes(self.spec):
            return {"label": None, "probability": None, "probabilities": {}}
        return {"value": _finite(prediction)}

    def _forecast(self, steps: Any) -> list[dict[str, Any]]:
        return [
            {"value": _finite(value), "step": step, "about": self._window(step)}
            for step, value in enumerate(steps or (), start=1)
        ]

    def _window(self, step: int) -> str | None:
        """Return the start of the window so many after the last that was learned."""
        found = None if self.since is None else self.since + timedelta(seconds=self.window_secs * step)
        return None if found is None else found.isoformat()


def predicted(spec: LearnerSpec) -> str:
    """Return what a learner predicts, in a word: the label's text, or the figure of a series."""
    if spec.series is not None:
        return f"{spec.series.figure} of {spec.series.field}" if spec.series.field else spec.series.figure
    return spec.label.text if spec.label is not None else ""


def _reasons(effects: Sequence[Effect]) -> list[dict[str, Any]]:
    return [{"field": one.field, "effect": one.effect} for one in effects if math.isfinite(one.effect)]


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
