"""Checks that the standard's own words promise without an entry: unique, primaryKey, text formats, service levels."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from headrace.schemas.check_rules import Bounds, Unit, WindowSpec
from headrace.schemas.contract_checks import Asked, CheckReader
from headrace.schemas.contract_findings import Findings, close_to
from headrace.schemas.contract_window import element_name
from headrace.schemas.durations import UNIT_SECONDS
from headrace.schemas.odcs import Document, SchemaObject
from headrace.schemas.problems import Place

# How old the newest record may be: ODCS's word, and the one other tools still look for.
_AGES = ("latency", "freshness")
_LEVELS = (
    *_AGES,
    *("frequency", "retention", "availability", "throughput", "errorRate", "generalAvailability", "endOfSupport"),
    *("endOfLife", "timeToDetect", "timeToNotify", "timeToRepair", "timeOfAvailability"),
)


class _ServiceLevel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)
    id: str | None = None
    property: str
    value: Any = None
    value_ext: Any = None
    unit: str | None = None
    element: str | None = None
    driver: str | None = None
    description: str | None = None
    schedule: str | None = None
    scheduler: str | None = None


def promise_keys(schema: SchemaObject, place: Place, reader: CheckReader) -> None:
    """Add a check of repeated values for each `unique` field, and one for the primary key. They never reject a row."""
    keys = sorted(
        (found for found in schema.properties if found.primary_key), key=lambda found: found.primary_key_position or 0
    )
    names = tuple(found.name for found in keys)
    if names:
        text = f"No {' and '.join(names)} comes twice."
        reader.add(Asked("duplicate_key", place, names, {}, Bounds(upper=0.0), Unit.ROWS, None, "primary_key", text))
    for number, found in enumerate(schema.properties):
        if found.unique and names != (found.name,):
            where, rule = (*place, "properties", number, "unique"), f"{found.name}.unique"
            text = f"No {found.name} comes twice."
            asked = Asked("duplicate_key", where, (found.name,), {}, Bounds(upper=0.0), Unit.ROWS, None, rule, text)
            reader.add(asked)


def promise_levels(
    document: Document, window: WindowSpec, fields: Mapping[str, object], reader: CheckReader, findings: Findings
) -> None:
    """Add a latency check for each service level that says how old the newest record may be; list the others."""
    seen: set[tuple[str, float]] = set()
    entries = document.sla_properties or []
    if not isinstance(entries, list):
        findings.refuse(("slaProperties",), "is not a list", None, "write a list of {property: latency, value: 5, ...}")
        return
    for number, entry in enumerate(entries):
        place: Place = ("slaProperties", number)
        level = _level(entry, place, findings)
        if level is None:
            continue
        if level.property not in _AGES:
            _not_checked(level, place, findings)
            continue
        seconds = _seconds(level, place, findings)
        for name in _elements(level, document, window, fields, place, findings) if seconds else ():
            # `freshness` is often written beside `latency` for tools that know only that.
            if (name, seconds) not in seen:
                seen.add((name, seconds))
                rule = level.id or f"{name}.{level.property}"
                text = " ".join((level.description or "").split())
                bounds = Bounds(upper=seconds)
                reader.add(Asked("latency", place, (name,), {}, bounds, Unit.SECONDS, None, rule, text))


def _level(entry: object, place: Place, findings: Findings) -> _ServiceLevel | None:
    try:
        return _ServiceLevel.model_validate(entry)
    except ValidationError as error:
        known = sorted(field.alias or name for name, field in _ServiceLevel.model_fields.items())
        for fault in error.errors(include_url=False):
            key = str(fault["loc"][-1]) if fault["loc"] else ""
            meant = close_to(key, known) if fault["type"] == "extra_forbidden" else ""
            hint = f'did you mean "{meant}"?' if meant else f"a service level has {', '.join(known)}"
            value = fault["input"] if fault["loc"] else None
            findings.refuse((*place, *fault["loc"]), str(fault["msg"]).lower(), value, hint)
        return None


def _not_checked(level: _ServiceLevel, place: Place, findings: Findings) -> None:
    if level.property not in _LEVELS and (meant := close_to(level.property, _LEVELS, cutoff=0.75)):
        findings.refuse((*place, "property"), "unknown service level", level.property, f'did you mean "{meant}"?')
        return
    findings.unchecked.append(f"slaProperties: {level.property} {level.value}{level.unit or ''}".rstrip())


def _seconds(level: _ServiceLevel, place: Place, findings: Findings) -> float:
    value, unit = level.value, UNIT_SECONDS.get((level.unit or "").lower())
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        findings.refuse((*place, "value"), f"is no length for {level.property}", value, "write a number above 0")
        return 0.0
    if unit is None:
        hint = "write s, m (minutes), h, d or w"
        findings.refuse((*place, "unit"), f"is no unit for {level.property}", level.unit or "nothing", hint)
        return 0.0
    return float(value) * unit


def _elements(
    level: _ServiceLevel,
    document: Document,
    window: WindowSpec,
    fields: Mapping[str, object],
    place: Place,
    findings: Findings,
) -> list[str]:
    """Return the time fields that a service level speaks of: its own elements, the default, or event time."""
    text = level.element or document.sla_default_element or window.time_field
    names = [element_name(part, document.schema_[0].name) for part in text.split(",") if part.strip()]
    if not names:
        hint = "add element: DATASET.FIELD, a timestamp or date"
        findings.refuse(place, f"{level.property} names no element", None, hint)
    for name in names:
        if name not in fields:
            hint = "write DATASET.FIELD, a timestamp or date of the contract"
            findings.refuse((*place, "element"), "is not a field of the contract", name, hint)
    return [name for name in names if name in fields]
