"""Queries that show how line and data are: sinks/views/NAME.sql, for `headrace sql --view`, Grafana and the page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from headrace.errors import WrongUse

Panel = Literal["timeseries", "table", "barchart"]
_ABOUT = re.compile(r"-- dashboard: (?P<board>[a-z-]+)  panel: (?P<panel>[a-z]+)(?:  unit: (?P<unit>[a-z]+))?")
_PARAMETER = re.compile(r"\{([a-z]+):String\}")


@dataclass(frozen=True)
class View:
    """One query. A parameter that is left out is the empty text, which asks for everything."""

    name: str
    shows: str
    dashboard: str
    panel: Panel
    unit: str
    query: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names that the query binds."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self.query)))

    def bound(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the value of each parameter; WrongUse names one that the view does not have."""
        if unknown := set(given) - set(self.parameters):
            raise WrongUse(
                f'view "{self.name}" has no parameter {", ".join(sorted(unknown))}',
                hint=f"it has {', '.join(self.parameters) or 'none'}: --param NAME=VALUE",
            )
        return {name: given.get(name, "") for name in self.parameters}


def views() -> dict[str, View]:
    """Return all views by their names; raises ValueError if a file does not say what it shows and where."""
    folder = resources.files("headrace.sinks").joinpath("views")
    texts = {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.name.endswith(".sql")}
    return {name.removesuffix(".sql"): _view(name.removesuffix(".sql"), texts[name]) for name in sorted(texts)}


def view(name: str) -> View:
    """Return a view by its name; WrongUse shows the names there are."""
    found = views()
    if name not in found:
        raise WrongUse(f'there is no view "{name}"', hint=f"choose from {', '.join(found)}; headrace sql --views")
    return found[name]


def _view(name: str, text: str) -> View:
    shows, about, query = text.split("\n", 2)
    match = _ABOUT.fullmatch(about)
    if not shows.startswith("-- ") or match is None or match["panel"] not in {"timeseries", "table", "barchart"}:
        raise ValueError(f"sinks/views/{name}.sql must begin with what it shows, then its dashboard and panel")
    panel: Panel = match["panel"]  # type: ignore[assignment]
    return View(name, shows.removeprefix("-- "), match["board"], panel, match["unit"] or "", query.strip())
