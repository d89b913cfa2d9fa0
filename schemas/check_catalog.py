"""The installed checks, by name: plug-ins of the entry-point group `headrace.checks`, the built-in ones too."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from headrace.errors import WrongUse

GROUP = "headrace.checks"
_PARTS = ("name", "Model", "problem", "figures", "verdict", "sentence")


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def check_names() -> tuple[str, ...]:
    """Return the names of all installed checks, sorted."""
    return tuple(sorted(_points()))


@cache
def check_named(name: str) -> Any:
    """Return an installed check, a `headrace.stream_processors.checks.base.Check`.

    A contract is read here, on the level below the checks, and knows them only through their names, parameters and
    problems. Raises KeyError for a name that is not installed, WrongUse for a plug-in that is not a check.
    """
    point = _points()[name]
    check = point.load()()
    if getattr(check, "name", "") != name or not all(hasattr(check, part) for part in _PARTS):
        raise WrongUse(
            f'check plug-in "{name}" ({point.value}) is not a check of that name',
            hint="it needs what headrace.stream_processors.checks.base.Check lists",
        )
    return check
