"""The models of a learner, made from the plug-ins that it names, with the opponents that are always there."""

from functools import partial

from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import LearnerSpec, ModelSpec, Task
from headrace.stream_processors.models.base import Inputs
from headrace.stream_processors.models.catalog import make_model, model_kind
from headrace.stream_processors.steps.learn import Learner, State, predicts_classes

_OF_NUMBERS, _OF_CLASSES, _OF_SERIES = ("mean", "last_value"), ("majority", "prior"), ("last_value", "last_season")


def dummies_of(spec: LearnerSpec) -> tuple[str, ...]:
    """Return the kinds of the opponents of a task; anomalies and clusters have none, for nothing judges them."""
    if spec.task in {Task.ANOMALY, Task.CLUSTERING}:
        return ()
    if spec.task is Task.FORECAST:
        return _OF_SERIES if spec.season > 1 else _OF_SERIES[:1]
    return _OF_CLASSES if predicts_classes(spec) else _OF_NUMBERS


def inputs_of(spec: LearnerSpec) -> Inputs:
    """Return what a learner's models are made for."""
    kinds = {name: spec.kinds[name] for name in spec.features}
    return Inputs(spec.task, kinds, spec.label_kind or Kind.NUMBER, spec.horizon, spec.season)


def make_learner(spec: LearnerSpec, state: State | None = None) -> Learner:
    """Return a learner that has learned nothing, or one that goes on from a state."""
    inputs = inputs_of(spec)
    dummies = [ModelSpec(kind, kind) for kind in dummies_of(spec)]
    makers = {
        one.name: partial(make_model, one.kind, one.options, inputs, spec.seed) for one in (*spec.models, *dummies)
    }
    names = frozenset(one.name for one in dummies)
    return Learner.new(spec, makers, names) if state is None else Learner(spec, makers, names, state)


def packages_of(spec: LearnerSpec) -> tuple[str, ...]:
    """Return the modules whose objects the state of a learner's models may hold beside ours: those of its plug-ins.

    A plug-in's own module, and what its class attribute `packages` lists.
    """
    kinds = [model_kind(one.kind) for one in spec.models]
    found = {name for kind in kinds for name in (type(kind).__module__, *kind.packages)}
    return tuple(sorted(found))
