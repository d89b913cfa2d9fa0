"""What a learner publishes: predictions in columns, standings and events as values of their messages. Pure."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from headrace.schemas.codec import polars_schema
from headrace.schemas.learner_spec import LearnerSpec, Task
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.learn import Part, Standing, State
from headrace.stream_processors.steps.prequential import likeliest

PREDICTION: Final = RecordSchema(
    "prediction",
    tuple(
        RecordField(name, kind)
        for name, kind in (
            ("learner", FieldType.STRING),
            ("version", FieldType.STRING),
            ("model", FieldType.STRING),
            ("generation", FieldType.INT),
            ("learned", FieldType.LONG),
            ("dataset", FieldType.STRING),
            ("value", FieldType.DOUBLE),
            ("label", FieldType.STRING),
            ("probability", FieldType.DOUBLE),
            ("score", FieldType.DOUBLE),
            ("anomalous", FieldType.BOOLEAN),
            ("step", FieldType.INT),
            ("about", FieldType.TIMESTAMP),
            ("reasons", FieldType.STRING),
            ("chance", FieldType.DOUBLE),
        )
    ),
)
"""prediction.avsc, as the codec of records reads it: a test holds one against the other."""
_ERRORS: Final = 2.0


def predictions_frame(
    spec: LearnerSpec, parts: Iterable[Part], files: Sequence[str], rows: Sequence[int], chances: Sequence[float]
) -> pl.DataFrame:
    """Return the predictions of records as the frame of their messages."""
    found = list(parts)
    lengths = [len(part.predictions) for part in found]
    columns = [_columns(spec, part) for part in found]
    values: dict[str, Sequence[Any]] = {"_file": files, "_row": rows, "chance": chances}
    values["learned"] = [learned for part in found for learned in part.learned]
    for name in dict.fromkeys(name for one in columns for name in one):
        values[name] = [
            value
            for one, length in zip(columns, lengths, strict=True)
            for value in one.get(name) or itertools.repeat(None, length)
        ]
    return _frame(spec, found, lengths, values)


def forecast_frame(spec: LearnerSpec, part: Part, about: Sequence[int]) -> pl.DataFrame:
    """Return a forecast as the frame of its messages, one a step; `about` is where each window starts, microseconds."""
    steps = list(part.predictions[0] or ())[: len(about)]
    values = {"value": steps, "step": list(range(1, len(steps) + 1)), "about": list(about[: len(steps)])}
    values |= {"chance": [1.0] * len(steps), "learned": part.learned * len(steps)}
    return _frame(spec, [part], [len(steps)], values)


def _frame(
    spec: LearnerSpec, parts: Sequence[Part], lengths: Sequence[int], values: Mapping[str, Sequence[Any]]
) -> pl.DataFrame:
    """Return one frame of all parts: one of each would take most of the time that learning leaves."""
    rows = sum(lengths)
    same = {"learner": spec.name, "version": spec.version, "dataset": spec.dataset}
    by_part: dict[str, list[Any]] = {
        "model": [part.model for part in parts],
        "generation": [part.generation for part in parts],
    }
    columns = []
    for name, kind in polars_schema(PREDICTION).items():
        if name in values:
            physical = pl.Int64() if kind == pl.Datetime("us") else kind
            columns.append(pl.Series(name, values[name], physical, strict=False).cast(kind))
        elif name in by_part:
            pairs = zip(by_part[name], lengths, strict=True)
            columns.append(pl.concat([pl.Series(name, [one], kind).new_from_index(0, count) for one, count in pairs]))
        else:
            columns.append(pl.Series(name, [same.get(name)], kind).new_from_index(0, rows))
    return pl.DataFrame(columns)


def _columns(spec: LearnerSpec, part: Part) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    if part.reasons:
        found["reasons"] = [_reasons(one) for one in part.reasons]
    if spec.task is Task.ANOMALY:
        return found | {"score": [_finite(one) for one in part.predictions], "anomalous": part.flags}
    if any(isinstance(one, Mapping) for one in part.predictions):
        best = [likeliest(one) for one in part.predictions]
        found["label"] = [None if one is None else str(one) for one in best]
        pairs = zip(part.predictions, best, strict=True)
        found["probability"] = [None if label is None else one[label] for one, label in pairs]
        found["value"] = [one.get(True) if one and True in one else None for one in part.predictions]
        return found
    return found | {"value": [_finite(one) for one in part.predictions]}


def _reasons(found: Iterable[tuple[str, float]]) -> str | None:
    pairs = [[field, round(effect, 6)] for field, effect in found if math.isfinite(effect)]
    return json.dumps(pairs, separators=(",", ":")) if pairs else None


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def metric_values(
    spec: LearnerSpec, state: State, rows: int, standings: Sequence[Standing], at: int, event_at: int | None
) -> list[dict[str, Any]]:
    """Return the standings after `rows` labelled records, the dummies' beside every model's."""
    best = min((one for one in standings if one.dummy), key=lambda one: one.recent.loss, default=None)
    seen = state.sampler.seen
    return [
        {
            "learner": spec.name,
            "version": spec.version,
            "dataset": spec.dataset,
            "task": spec.task.value,
            "model": one.name,
            "champion": one.champion,
            "dummy": one.dummy,
            "generation": one.generation,
            "rows": rows,
            "at": at,
            "event_at": event_at,
            "loss": _finite(one.total.loss),
            "error": _finite(one.total.error),
            "metrics": dict(one.total.metrics),
            "recent_rows": one.recent.rows,
            "recent_loss": _finite(one.recent.loss),
            "recent_error": _finite(one.recent.error),
            "recent_metrics": dict(one.recent.metrics),
            "best_dummy": best.name if best else "",
            "dummy_loss": _finite(best.recent.loss) if best else None,
            "beats_dummy": beats(one, best),
            "sampling": state.sampler.taken / seen if seen else 1.0,
            "anomalous": one.anomalous,
        }
        for one in standings
    ]


def beats(one: Standing, dummy: Standing | None) -> bool | None:
    """Return whether a model loses less than a dummy by more than the errors of both; None: it cannot be told."""
    if dummy is None or one.dummy or not one.recent.rows:
        return None
    error = float(np.hypot(one.recent.error, dummy.recent.error))
    return one.recent.loss + _ERRORS * error < dummy.recent.loss if math.isfinite(error) else None


def event_value(
    spec: LearnerSpec,
    state: State,
    turn: Turn,
    *,
    at: int,
    event_at: int | None = None,
    snapshot: str = "",
    by: str = "",
    command_id: str = "",
) -> dict[str, Any]:
    """Return what happened as the value of its message; equal happenings have equal ids."""
    told = f"{spec.name}/{spec.version}/{turn.rows}/{turn.kind}/{turn.contender}/{command_id}"
    return {
        "event_id": hashlib.sha256(told.encode()).hexdigest()[:32],
        "learner": spec.name,
        "version": spec.version,
        "dataset": spec.dataset,
        "kind": turn.kind,
        "model": turn.contender,
        "champion": state.champion,
        "snapshot": snapshot,
        "rows": turn.rows,
        "at": at,
        "event_at": event_at,
        "detail": turn.detail,
        "by": by,
        "command_id": command_id,
        "figures": {name: float(value) for name, value in turn.figures.items()},
    }
