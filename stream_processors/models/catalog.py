"""New estimators of installed kinds of models, from what a learner's YAML says of them."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from headrace.errors import WrongUse
from headrace.schemas.model_catalog import model_named, model_names, model_options, models_for
from headrace.stream_processors.models.base import Estimator, Inputs, ModelKind, ModelOptions

__all__ = ["make_model", "model_kind", "model_names", "options_of"]


def model_kind(name: str) -> ModelKind[Any]:
    """Return an installed kind; raises WrongUse for a name that is not installed, or a plug-in that is no such kind."""
    if name not in model_names():
        raise WrongUse(f'no model "{name}" is installed', hint=f"installed are {', '.join(model_names())}")
    kind: ModelKind[Any] = model_named(name)
    return kind


def options_of(name: str, given: Mapping[str, Any]) -> ModelOptions:
    """Return the options of a kind from what a learner's YAML says; raises WrongUse that names each wrong key."""
    kind = model_kind(name)
    try:
        found: ModelOptions = model_options(kind, given)
    except ValidationError as refused:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])} ({one['input']!r}): {one['msg']}" for one in refused.errors()
        )
        known = ", ".join(kind.Options.model_fields) or "none"
        raise WrongUse(f'options of model "{name}": {wrong}', hint=f"its options are: {known}") from refused
    return found


def make_model(name: str, given: Mapping[str, Any], inputs: Inputs, seed: int) -> Estimator:
    """Return a new estimator of a kind that has learned nothing.

    Raises WrongUse for a kind that is not installed or does not do the task, and for options that do not fit.
    """
    kind = model_kind(name)
    if inputs.task not in kind.tasks:
        raise WrongUse(f'model "{name}" does no {inputs.task}', hint=f"these do: {', '.join(models_for(inputs.task))}")
    return kind.make(inputs, options_of(name, given), seed)
