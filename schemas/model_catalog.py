"""The installed kinds of models, by name: plug-ins of the entry-point group `headrace.models`, built-in ones too."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from headrace.errors import WrongUse
from headrace.schemas.learner_spec import Task

GROUP = "headrace.models"
_PARTS = ("name", "tasks", "summary", "Options", "make")
UNLOADABLE = (ImportError, AttributeError, TypeError, WrongUse)
"""What a plug-in that cannot be used raises when it is asked for."""


@cache
def model_points() -> dict[str, EntryPoint]:
    """Return the entry points of all installed kinds, by name; looked for once a process."""
    return {point.name: point for point in entry_points(group=GROUP)}


def model_names() -> tuple[str, ...]:
    """Return the names of all installed kinds of models, sorted."""
    return tuple(sorted(model_points()))


@cache
def model_named(name: str) -> Any:
    """Return an installed kind of model, a `headrace.stream_processors.models.base.ModelKind`.

    A learner is read here, on the level below the models, and knows them only through their names, tasks and options.
    Raises KeyError for a name that is not installed, one of UNLOADABLE for a plug-in that is not a kind of model.
    """
    point = model_points()[name]
    kind = point.load()()
    if getattr(kind, "name", "") != name or not all(hasattr(kind, part) for part in _PARTS):
        raise WrongUse(
            f'model plug-in "{name}" ({point.value}) is not a kind of model of that name',
            hint="it needs what headrace.stream_processors.models.base.ModelKind lists",
        )
    return kind


def models_for(task: Task) -> tuple[str, ...]:
    """Return the names of the installed kinds that can do a task; a plug-in that cannot be loaded can do none."""
    found = []
    for name in model_names():
        try:
            able = task in model_named(name).tasks
        except UNLOADABLE:
            able = False
        if able:
            found.append(name)
    return tuple(found)


def model_options(kind: Any, options: Mapping[str, Any]) -> Any:
    """Return the options of a kind of model as its `Options` read them; raises pydantic's ValidationError.

    Takes what a learner's YAML says: lists become tuples where the kind wants tuples, everything else is strict.
    """
    return kind.Options.model_validate_json(json.dumps(dict(options), default=str))
