"""What `headrace learn ... --json` prints of learners, models and histories."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

from headrace.cli.learn_views import role, verdict
from headrace.embedded.predict.served import predicted
from headrace.runtime.learners import History, Known
from headrace.schemas.learner_spec import LearnerSpec
from headrace.stream_processors.snapshots import Snapshot

_MICROS = 1_000_000
Figures = Mapping[str, Any]


class LearnerStatus(TypedDict):
    """One learner in `headrace learn status --json`."""

    learner: Annotated[str, "Its name."]
    version: Annotated[str, "Version of its YAML and of what it is made of by the contract."]
    dataset: Annotated[str, "The dataset."]
    task: Annotated[str, "What it does."]
    predicts: Annotated[str, "The field, expression or figure; empty: the task has none."]
    champion: Annotated[str, "The model whose predictions are published; empty: it has not begun."]
    generation: Annotated[int, "How often drift replaced that model by a fresh one."]
    rows: Annotated[int, "Labelled records learned."]
    sampling: Annotated[float, "Records taken of all that came, so far: 1 within the budget."]
    loss: Annotated[float | None, "The champion's mean loss over all; null: no figures yet, or the task has no labels."]
    error: Annotated[float | None, "Its standard error."]
    dummy_loss: Annotated[float | None, "The best dummy's mean loss over all."]
    recent_rows: Annotated[int, "Records in the rolling window."]
    recent_loss: Annotated[float | None, "The champion's mean loss over the rolling window."]
    recent_error: Annotated[float | None, "Its standard error."]
    recent_dummy_loss: Annotated[float | None, "The best dummy's mean loss over the rolling window."]
    best_dummy: Annotated[str, "The dummy that lost least over the rolling window; empty: the task has none."]
    beats_dummy: Annotated[bool | None, "Whether the champion beats it by more than the error; null: not known yet."]
    verdict: Annotated[str, "The same in words."]
    anomalous: Annotated[float | None, "Share of records beyond the threshold; anomalies only."]
    lag: Annotated[int, "Offsets of its topics that it has not learned; markers count."]
    snapshot: Annotated[str, "Name of its newest snapshot; empty: none."]
    snapshot_at: Annotated[str | None, "When the broker took the last record in it, ISO 8601."]


class RefusedLearner(TypedDict):
    """A learner's file that cannot be followed."""

    file: Annotated[str, "The file, in HOME/learners."]
    problems: Annotated[list[str], "What is wrong with it."]
    goes_on: Annotated[bool, "Whether the learner goes on as the file was before; false: it rests."]


class LearnStatus(TypedDict):
    """`headrace learn status --json`."""

    running: Annotated[bool, "Whether the process learner runs."]
    idle_because: Annotated[str, "Why it does not; empty: it runs."]
    learners: Annotated[list[LearnerStatus], "The learners of the home."]
    refused: Annotated[list[RefusedLearner], "Files that cannot be followed."]


class ModelFigures(TypedDict):
    """One entry of `headrace learn models --json`."""

    learner: Annotated[str, "The learner."]
    model: Annotated[str, "The model."]
    role: Annotated[str, "champion, challenger or dummy."]
    generation: Annotated[int, "How often drift replaced it by a fresh model."]
    rows: Annotated[int, "Labelled records of which it was tested before it learned them."]
    loss: Annotated[float | None, "Mean loss over all: absolute error, or log loss of classes."]
    error: Annotated[float | None, "Its standard error."]
    metrics: Annotated[dict[str, float], "Metrics over all, by name."]
    recent_rows: Annotated[int, "Records in the rolling window."]
    recent_loss: Annotated[float | None, "Mean loss over the rolling window."]
    recent_error: Annotated[float | None, "Its standard error."]
    recent_metrics: Annotated[dict[str, float], "Metrics over the rolling window, by name."]
    best_dummy: Annotated[str, "The dummy that lost least over the rolling window; empty: the task has none."]
    recent_dummy_loss: Annotated[float | None, "Its loss there."]
    beats_dummy: Annotated[
        bool | None, "Whether it beats that dummy by more than the error; null: not known, or itself."
    ]
    verdict: Annotated[str, "The same in words."]
    anomalous: Annotated[float | None, "Share of records beyond the threshold; anomalies only."]


class Feature(TypedDict):
    """A field that a learner is given."""

    name: Annotated[str, "The field."]
    kind: Annotated[str, "What it holds, by the contract."]


class PromotionRule(TypedDict):
    """When a challenger becomes champion."""

    every: Annotated[int, "It is asked each so many labelled rows."]
    over: Annotated[int, "Rows that are looked back on."]
    errors: Annotated[float, "How many standard errors of the difference it must be better by."]
    after: Annotated[int, "How many times in a row."]


class ShownSnapshot(TypedDict):
    """A snapshot that is still there."""

    snapshot: Annotated[str, "Its name, as headrace learn rollback takes it."]
    version: Annotated[str, "Version of the learner that made it."]
    champion: Annotated[str, "The champion in it."]
    rows: Annotated[int, "Labelled records learned."]
    predicted: Annotated[int, "Records predicted."]
    sha256: Annotated[str, "Digest of the packed state."]
    kept: Annotated[bool, "Whether it stays when newer ones come."]
    at: Annotated[str, "When the broker took the last record in it, ISO 8601."]


class CurvePoint(TypedDict):
    """A point of the champion's curve."""

    rows: Annotated[int, "Labelled records learned."]
    at: Annotated[str, "When the broker took the last of them, ISO 8601."]
    loss: Annotated[float, "The champion's mean loss over the rolling window."]
    dummy_loss: Annotated[float | None, "The best dummy's."]


class ShownLearner(TypedDict):
    """`headrace learn show --json`, but for its events."""

    learner: Annotated[str, "Its name."]
    file: Annotated[str, "Its YAML."]
    version: Annotated[str, "Version of its YAML and of what it is made of by the contract."]
    dataset: Annotated[str, "The dataset."]
    task: Annotated[str, "What it does."]
    predicts: Annotated[str, "The field, expression or figure; empty: the task has none."]
    description: Annotated[str, "Its own words."]
    models: Annotated[list[str], "Its models, the first champion first."]
    features: Annotated[list[Feature], "What models are given of a record."]
    promotion: Annotated[PromotionRule, "The rule of promotion."]
    snapshots: Annotated[list[ShownSnapshot], "Oldest first."]
    curve: Annotated[list[CurvePoint], "Rolling loss over time, 60 points at most."]


def status_of(known: Known) -> LearnerStatus:
    """Return a learner as `--json` prints it."""
    one, snapshot = known.champion, known.snapshot
    dummies = {figures["model"]: figures for figures in known.figures if figures["dummy"]}
    best = dummies.get(one["best_dummy"]) if one else None
    return {
        "learner": known.spec.name,
        "version": known.spec.version,
        "dataset": known.spec.dataset,
        "task": known.spec.task.value,
        "predicts": predicted(known.spec),
        "champion": snapshot.champion if snapshot else one["model"] if one else "",
        "generation": one["generation"] if one else 0,
        "rows": max(one["rows"] if one else 0, snapshot.rows if snapshot else 0),
        "sampling": one["sampling"] if one else 1.0,
        "loss": one["loss"] if one else None,
        "error": one["error"] if one else None,
        "dummy_loss": best["loss"] if best else None,
        "recent_rows": one["recent_rows"] if one else 0,
        "recent_loss": one["recent_loss"] if one else None,
        "recent_error": one["recent_error"] if one else None,
        "recent_dummy_loss": one["dummy_loss"] if one else None,
        "best_dummy": one["best_dummy"] if one else "",
        "beats_dummy": one["beats_dummy"] if one else None,
        "verdict": verdict(one),
        "anomalous": one["anomalous"] if one else None,
        "lag": known.lag,
        "snapshot": snapshot.name if snapshot else "",
        "snapshot_at": iso(snapshot.at) if snapshot else None,
    }


def model_of(one: Figures) -> ModelFigures:
    """Return a model as `--json` prints it."""
    return {
        "learner": one["learner"],
        "model": one["model"],
        "role": role(one),
        "generation": one["generation"],
        "rows": one["rows"],
        "loss": one["loss"],
        "error": one["error"],
        "metrics": dict(one["metrics"]),
        "recent_rows": one["recent_rows"],
        "recent_loss": one["recent_loss"],
        "recent_error": one["recent_error"],
        "recent_metrics": dict(one["recent_metrics"]),
        "best_dummy": one["best_dummy"],
        "recent_dummy_loss": one["dummy_loss"],
        "beats_dummy": one["beats_dummy"],
        "verdict": verdict(one),
        "anomalous": one["anomalous"],
    }


def shown_of(spec: LearnerSpec, file: str, found: History) -> ShownLearner:
    """Return all that is known of one learner as `--json` prints it, without the events."""
    return {
        "learner": spec.name,
        "file": file,
        "version": spec.version,
        "dataset": spec.dataset,
        "task": spec.task.value,
        "predicts": predicted(spec),
        "description": spec.description,
        "models": [one.name for one in spec.models],
        "features": [{"name": name, "kind": str(spec.kinds[name])} for name in spec.features],
        "promotion": {
            "every": spec.promotion.every,
            "over": spec.promotion.over,
            "errors": spec.promotion.errors,
            "after": spec.promotion.after,
        },
        "snapshots": [_snapshot(one) for one in found.snapshots],
        "curve": [
            {"rows": one.rows, "at": iso(one.at), "loss": one.loss, "dummy_loss": one.dummy_loss} for one in found.curve
        ],
    }


def _snapshot(one: Snapshot) -> ShownSnapshot:
    return {
        "snapshot": one.name,
        "version": one.version,
        "champion": one.champion,
        "rows": one.rows,
        "predicted": one.predicted,
        "sha256": one.sha256,
        "kept": one.kept,
        "at": iso(one.at),
    }


def iso(micros: int) -> str:
    """Return a time as ISO 8601."""
    return datetime.fromtimestamp(micros / _MICROS, UTC).isoformat()
