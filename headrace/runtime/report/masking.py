"""What a reader must not see: values of personal fields, wherever a sentence may quote them. Fails closed."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

HIDDEN = "values are not shown"
_COLUMN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=")
_VALUES = ("mean", "std", "minimum", "maximum")
_UNITS = {"percent": " %", "rows": " rows", "seconds": " s"}


@dataclass(frozen=True)
class Mask:
    """`fields` are not shown; `all_fields` where nobody can say which are personal."""

    fields: Collection[str] = ()
    all_fields: bool = False

    def covers(self, names: str) -> bool:
        """Return True if a field, or one of several parted by commas, is not shown."""
        return bool(names) and (self.all_fields or any(name.strip() in self.fields for name in names.split(",")))

    def profile(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the profile of a field without its values, if they are not shown."""
        if not self.covers(found["name"]):
            return dict(found)
        nothing = dict.fromkeys(_VALUES) | {"quantiles": {}, "histogram": [], "top": [], "shapes": []}
        return {**found, **nothing, "masked": True}

    def verdict(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return a verdict whose sentence quotes no value that is not shown."""
        if not self.covers(found["field"]):
            return dict(found)
        return {**found, "detail": _figures(found, found["upper"]), "demand": ""}

    def alert(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return an alert whose sentence and places quote no value that is not shown."""
        segments = [one for one in found["segments"] if not self.quotes(one["name"])]
        if not self.covers(found["field"]):
            return {**found, "segments": segments, "message": self.sentence(found["message"])}
        told = f"{found['dataset']}: {found['rule']} of {found['field']}: {_figures(found, found['bound'])}"
        return {**found, "segments": segments, "message": told, "hint": ""}

    def advice(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return advice whose evidence quotes no value that is not shown."""
        hidden = self.covers(found["field"]) or self.quotes(found["segment"])
        evidence = [f"{found['rows_at_risk']} rows concerned; {HIDDEN}"] if hidden else found["evidence"]
        texts = {} if hidden else {name: self.sentence(found[name]) for name in ("cause", "action")}
        kept = {"segment": "", "query": ""} | dict.fromkeys(("cause", "action"), HIDDEN) if hidden else {}
        return {**found, **texts, **kept, "evidence": [self.sentence(text) for text in evidence]}

    def unchecked(self, text: str, rules: Mapping[str, str]) -> str:
        """Return why something was not checked; `rules` are the fields of each rule."""
        name, _, _ = text.partition(":")
        return f"{name}: {HIDDEN}" if name in rules and self.covers(rules[name]) else text

    def quotes(self, text: str) -> bool:
        """Return True if a text says `field=value` of a field that is not shown."""
        return any(self.covers(name) for name in _COLUMN.findall(text))

    def sentence(self, text: str) -> str:
        """Return a sentence, or that its values are not shown."""
        return HIDDEN if self.quotes(text) else text


def _figures(found: Mapping[str, Any], bound: float | None) -> str:
    if found["observed"] is None:
        return HIDDEN
    unit = _UNITS.get(found["unit"], "")
    if not unit:
        return HIDDEN
    allowed = "" if bound is None else f", allowed {bound:.4g}{unit}"
    return f"{found['observed']:.4g}{unit} seen{allowed}; {HIDDEN}"
