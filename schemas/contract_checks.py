"""The checks of a contract: what it asks of many records together, each validated by the installed check it names.

A check comes from a library metric of ODCS, or from a custom entry of engine headrace, whose `implementation` holds the
check's name, the fields where the entry stands at the whole object, thresholds, unit, and the check's own parameters.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from headrace.core.vocabulary import Severity
from headrace.errors import WrongUse
from headrace.schemas.check_catalog import check_named, check_names
from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.contract_bounds import THRESHOLDS, operator_bounds, threshold_bounds
from headrace.schemas.contract_findings import Findings, close_to, known_properties
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.expression_parser import ExpressionInvalid, parse_expression
from headrace.schemas.odcs import CustomQuality, LibraryQuality, Quality
from headrace.schemas.problems import Place
from headrace.schemas.record import FieldType
from headrace.schemas.strict_yaml import YamlInvalid, load_yaml

CRITICAL_WEIGHT = 3.0
SEVERITY = {"error": Severity.CRITICAL, "warning": Severity.WARNING, "info": Severity.INFO}
FIX_HINT = "fixHint"
WEIGHT = "weight"
_GREATEST_WEIGHT = 100
_SHARES = frozenset({Unit.ROWS, Unit.PERCENT})
_OWN_KEYS = ("check", "fields", "unit", *THRESHOLDS)


@dataclass(frozen=True)
class Asked:
    """One check as the contract asks for it, before the check itself has looked at it.

    `place` is the entry, `inside` where its parameters stand. `quality` None: the standard's own promise (unique, a
    service level) that has no entry.
    """

    check: str
    place: Place
    fields: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    bounds: Bounds | None = None
    unit: Unit | None = None
    quality: Quality | None = None
    id: str = ""
    description: str = ""
    inside: Place = ()


class CheckReader:
    """Turns what a contract asks for into check rules. `critical` are its critical fields, which weigh more."""

    def __init__(self, types: Mapping[str, FieldType], critical: frozenset[str], findings: Findings) -> None:
        self._types, self._critical, self._findings = types, critical, findings
        self._kinds: Mapping[str, Kind] = {name: KIND_OF[kind] for name, kind in types.items()}

    def library(self, quality: LibraryQuality, name: str, place: Place) -> None:
        """Add the checks of a library metric at a field, or at the object where `name` is empty."""
        bounds = operator_bounds(quality.operators(), place, self._findings)
        unit = Unit.PERCENT if quality.unit == "percent" else Unit.ROWS
        if quality.metric == "rowCount" and unit is Unit.PERCENT:
            self._findings.refuse((*place, "unit"), "rowCount has no percent", quality.unit, "write unit: rows")
        if bounds is None:
            return
        for check, parameters, suffix in _library_checks(quality):
            fields = (name,) if name else self._key_fields(quality, place)
            rule_id = f"{quality.id}{suffix}" if quality.id else ""
            inside = (*place, "arguments")
            self.add(Asked(check, place, fields, parameters, bounds, unit, quality, rule_id, "", inside))

    def _key_fields(self, quality: LibraryQuality, place: Place) -> tuple[str, ...]:
        if quality.metric != "duplicateValues":
            return ()
        return self._names(quality.arguments.get("properties"), (*place, "arguments", "properties"))

    def _names(self, value: object, place: Place) -> tuple[str, ...]:
        if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
            return tuple(value)
        self._findings.refuse(place, "is not a list of fields", value, "write [A, B], fields of the contract")
        return ()

    def custom(self, quality: CustomQuality, text: Mapping[str, Any], name: str, place: Place) -> None:
        """Add the check of an `implementation` of engine headrace at a field, or at the object."""
        where = (*place, "implementation")
        parameters = {key: value for key, value in text.items() if key not in _OWN_KEYS}
        fields: tuple[str, ...] = (name,) if name else ()
        if "fields" in text and name:
            hint = "the check looks at the property it stands at; several fields go under the schema object"
            self._findings.refuse((*where, "fields"), "not allowed under a property", None, hint)
        elif "fields" in text:
            fields = self._names(text["fields"], (*where, "fields"))
        elif text["check"] == "row_rule":
            fields = self._read_fields(parameters)
        count = len(self._findings.problems)
        thresholds = {key: text[key] for key in THRESHOLDS if key in text}
        bounds = threshold_bounds(thresholds, where, self._findings)
        unit = self._unit(quality, text, where)
        if len(self._findings.problems) == count:
            asked = Asked(
                text["check"], place, fields, parameters, bounds, unit, quality, quality.id or "", "", inside=where
            )
            self.add(asked)

    def _read_fields(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        try:
            return parse_expression(str(parameters.get("expression", "")), self._kinds).fields
        except ExpressionInvalid:
            # The check itself says what is wrong with it.
            return ()

    def _unit(self, quality: CustomQuality, text: Mapping[str, Any], place: Place) -> Unit | None:
        if quality.unit is not None:
            hint = "thresholds of engine headrace stand there, and their unit with them"
            self._findings.refuse((*place[:-1], "unit"), "belongs into implementation", quality.unit, hint)
        if "unit" not in text:
            return None
        if text["unit"] not in {unit.value for unit in Unit}:
            known = f"write one of {', '.join(Unit)}"
            self._findings.refuse((*place, "unit"), "is not a unit", text["unit"], known)
            return None
        return Unit(text["unit"])

    def add(self, asked: Asked) -> None:
        """Add one check, if the installed check of its name can follow it."""
        check = self._load(asked.check, asked.inside or asked.place)
        if check is None:
            return
        count = len(self._findings.problems)
        self._look_at_fields(asked, check.needs_fields)
        parameters = self._parameters(asked, check)
        unit = self._known_unit(asked, check.unit)
        rule = self._rule(asked, parameters, unit, check.dimension)
        if len(self._findings.problems) > count:
            return
        if problem := check.problem(rule, self._kinds):
            where = asked.inside or asked.place
            hint = f'see "{asked.check}" in docs/guide/checks.md'
            self._findings.refuse(where, f"check {asked.check} cannot be followed: {problem}", None, hint)
            return
        self._findings.checks.append(rule)

    def _load(self, name: object, place: Place) -> Any:
        try:
            return check_named(str(name))
        except KeyError:
            meant = close_to(name, check_names())
            hint = f'did you mean "{meant}"?' if meant else "docs/guide/checks.md lists them all"
            self._findings.refuse((*place, "check"), "check is not known", name, hint)
        except (ImportError, AttributeError, TypeError, WrongUse) as error:
            hint = "install the package it comes from again"
            self._findings.refuse((*place, "check"), f"check cannot be loaded: {error}", name, hint)
        return None

    def _look_at_fields(self, asked: Asked, needed: int) -> None:
        where = asked.inside or asked.place
        for name in asked.fields:
            if name not in self._kinds:
                meant = close_to(name, list(self._kinds))
                hint = f'did you mean "{meant}"?' if meant else "name fields of the contract"
                self._findings.refuse(where, "is not a field of the contract", name, hint)
        if len(set(asked.fields)) < len(asked.fields):
            self._findings.refuse(where, "has a field twice", ", ".join(asked.fields), "leave one")
        if len(asked.fields) < needed:
            what = f"check {asked.check} needs {needed} field{'s' if needed > 1 else ''}"
            self._findings.refuse(where, what, None, "put it under that property, or add fields: [...]")

    def _parameters(self, asked: Asked, check: Any) -> Mapping[str, Any]:
        """Return the parameters as the check's model reads them: lists are tuples, dates are dates."""
        where = asked.inside or asked.place
        try:
            # JSON, because strict Python values have no tuples and dates to be written in YAML.
            model = check.Model.model_validate_json(json.dumps(dict(asked.parameters), default=str))
        except ValidationError as error:
            known = sorted({found.alias or name for name, found in check.Model.model_fields.items()})
            for fault in error.errors(include_url=False):
                self._refuse_parameter(asked.check, where, fault, known)
            return {}
        found: Mapping[str, Any] = model.model_dump(by_alias=True, exclude_unset=True)
        return found

    def _refuse_parameter(self, check: str, where: Place, fault: Any, known: list[str]) -> None:
        key, place = ".".join(str(part) for part in fault["loc"]), (*where, *fault["loc"])
        if fault["type"] == "extra_forbidden":
            meant = close_to(key, [*known, *_OWN_KEYS])
            hint = f'did you mean "{meant}"?' if meant else f"it knows {', '.join([*known, *_OWN_KEYS])}"
            self._findings.refuse(place, f"unknown key of check {check}", key, hint)
        elif fault["type"] == "missing":
            self._findings.refuse(where, f'check {check} needs "{key}"', None, f"add {key}: ...")
        else:
            value = fault["input"] if fault["loc"] else None
            hint = f'see "{check}" in docs/guide/checks.md'
            self._findings.refuse(place, str(fault["msg"]).removeprefix("Value error, ").lower(), value, hint)

    def _known_unit(self, asked: Asked, own: Unit) -> Unit:
        unit = asked.unit or own
        if unit is not own and not {unit, own} <= _SHARES:
            allowed = "rows or percent" if own in _SHARES else own.value
            where = (*(asked.inside or asked.place), "unit")
            self._findings.refuse(where, f"check {asked.check} does not count in it", unit.value, f"write {allowed}")
        return unit

    def _rule(self, asked: Asked, parameters: Mapping[str, Any], unit: Unit, dimension: Dimension) -> CheckRule:
        quality = asked.quality
        fix_hint, weight = self._extras(quality, asked)
        told = quality is not None and "severity" in quality.model_fields_set
        return CheckRule(
            id=asked.id or ".".join((*asked.fields[:1], asked.check)),
            check=asked.check,
            fields=asked.fields,
            parameters=parameters,
            bounds=asked.bounds,
            unit=unit,
            severity=SEVERITY[quality.severity] if quality is not None and told else Severity.WARNING,
            dimension=Dimension(quality.dimension) if quality is not None and quality.dimension else dimension,
            weight=weight,
            description=" ".join((quality.description or "").split()) if quality is not None else asked.description,
            fix_hint=fix_hint,
            business_impact=" ".join((quality.business_impact or "").split()) if quality is not None else "",
            types=self._types,
        )

    def _extras(self, quality: Quality | None, asked: Asked) -> tuple[str, float]:
        """Return the fix hint and the weight of an entry."""
        default = CRITICAL_WEIGHT if self._critical & set(asked.fields) else 1.0
        if quality is None:
            return "", default
        found = known_properties(quality.custom_properties, (FIX_HINT, WEIGHT), asked.place, self._findings)
        hint, where = found.get(FIX_HINT, ("", asked.place))
        if not isinstance(hint, str):
            self._findings.refuse(where, f"{FIX_HINT} is not text", hint, "quote it")
        weight, where = found.get(WEIGHT, (default, asked.place))
        if (
            isinstance(weight, bool)
            or not isinstance(weight, (int, float))
            or not math.isfinite(weight)
            or not 0 < weight <= _GREATEST_WEIGHT
        ):
            self._findings.refuse(where, f"wrong value of {WEIGHT}", weight, f"write a number up to {_GREATEST_WEIGHT}")
            weight = default
        return " ".join(str(hint).split()), float(weight)


def implementation(quality: CustomQuality, place: Place, findings: Findings) -> dict[str, Any] | None:
    """Return what the `implementation` of engine headrace says, None when it cannot be read."""
    where = (*place, "implementation")
    try:
        text = quality.implementation
        found = load_yaml(text)[0] if isinstance(text, str) else text
    except YamlInvalid as error:
        findings.refuse(where, f"cannot be read: {error}", None, "write check: NAME and its parameters")
        return None
    if not isinstance(found, dict) or not isinstance(found.get("check"), str):
        findings.refuse(where, "names no check", None, "write check: NAME and its parameters, e.g. check: null_rate")
        return None
    return found


def _library_checks(quality: LibraryQuality) -> list[tuple[str, dict[str, Any], str]]:
    """Return name, parameters and id suffix of each check that a library metric is."""
    arguments = quality.arguments
    if quality.metric == "invalidValues":
        both = {"validValues", "pattern"} <= arguments.keys()
        found = [("in_set", {"values": arguments["validValues"]}, "")] if "validValues" in arguments else []
        if "pattern" in arguments:
            found.append(("pattern", {"pattern": arguments["pattern"]}, ".pattern" if both else ""))
        return found
    if quality.metric == "missingValues":
        values = arguments.get("missingValues")
        # Nothing at all is always missing; the standard lists it as null.
        listed = [value for value in values if value is not None] if isinstance(values, list) else values
        return [("missing_rate", {} if values is None else {"sentinels": listed}, "")]
    names = {"rowCount": "row_count", "nullValues": "null_rate", "duplicateValues": "duplicate_key"}
    return [(names[quality.metric], {}, "")]
