"""The fields of a contract: from an ODCS property's logical and physical type to a field of the record schema."""

import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.schemas.contract_masking import Masking, read_masking
from headrace.schemas.names import SAFE_NAME
from headrace.schemas.odcs import CustomProperty, Property
from headrace.schemas.problems import Place, Problem
from headrace.schemas.record import FieldType, RecordField

FIELD_NULLS = "headrace.nullValues"
MISSING_MEANS = "headrace.missingMeans"
KNOWN_AT_PREDICTION = "headrace.knownAtPrediction"
# logical type -> the physical types it may have; the first is what an empty physicalType means.
PHYSICAL: dict[str, tuple[FieldType, ...]] = {
    "string": (FieldType.STRING, FieldType.ENUM, FieldType.UUID, FieldType.BYTES, FieldType.FIXED),
    "integer": (FieldType.LONG, FieldType.INT),
    "number": (FieldType.DOUBLE, FieldType.FLOAT, FieldType.DECIMAL),
    "boolean": (FieldType.BOOLEAN,),
    "date": (FieldType.DATE,),
    "timestamp": (FieldType.TIMESTAMP,),
    "time": (FieldType.TIME,),
}
_FORMATS = {
    "i32": FieldType.INT,
    "i64": FieldType.LONG,
    "f32": FieldType.FLOAT,
    "f64": FieldType.DOUBLE,
}
_PHYSICAL = re.compile(r"([a-z0-9-]+)\s*(?:\(\s*([^()]*?)\s*\))?")
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_PRECISION = 38


@dataclass(frozen=True)
class ContractField:
    """One field of a contract.

    `name` is the safe name everywhere downstream, `source_name` what the file calls it, `type` the field of the record
    schema. `zone` is the time zone that timestamps without one are in; empty: such a value does not fit. `null_values`
    are the spellings, next to the empty one, that mean a missing value in this field; `missing_means` says in words
    what has happened where it is missing. `masking` is how values are shown beside sample rows; those of `personal`
    fields (all that is not shown as it is) are counted, and no figure or sentence shows them. `known_at_prediction`
    says that the value is there when a learner predicts: only then may it be a feature of something that comes later.
    """

    name: str
    source_name: str
    type: RecordField
    required: bool = False
    description: str = ""
    zone: str = ""
    null_values: tuple[str, ...] = ()
    missing_means: str = ""
    masking: Masking = Masking.SHOW
    critical: bool = False
    known_at_prediction: bool = False

    @property
    def personal(self) -> bool:
        """Return True for a field whose values are not shown as they are."""
        return self.masking is not Masking.SHOW


def read_field(found: Property, nulls: tuple[str, ...], place: Place, problems: list[Problem]) -> ContractField:
    """Return the field of a property; what cannot be followed is added to `problems`."""
    if not SAFE_NAME.fullmatch(found.name):
        hint = "use a lower-case letter, then up to 62 of a-z, 0-9 and _; physicalName holds what the file calls it"
        problems.append(Problem((*place, "name"), "is not a safe name", found.name, hint))
    source_name = found.name if found.physical_name is None else found.physical_name
    doc = source_name if source_name != found.name else ""
    own_nulls = read_strings(find_property(found.custom_properties, FIELD_NULLS), place, problems)
    return ContractField(
        name=found.name,
        source_name=source_name,
        type=_record_field(found, doc, place, problems),
        required=found.required,
        description=" ".join((found.description or "").split()),
        zone=_zone(found, place, problems),
        null_values=tuple(dict.fromkeys((*nulls, *own_nulls))),
        missing_means=_missing_means(found, place, problems),
        masking=read_masking(found, place, problems),
        critical=bool(found.critical_data_element),
        known_at_prediction=_known_at_prediction(found, place, problems),
    )


def _missing_means(found: Property, place: Place, problems: list[Problem]) -> str:
    said = find_property(found.custom_properties, MISSING_MEANS)
    if said is None:
        return ""
    if not isinstance(said.value, str) or not said.value.strip():
        hint = 'write words that go on from "it is empty because", e.g. "the flight was cancelled"'
        problems.append(Problem((*place, "customProperties"), f"{MISSING_MEANS} has a wrong value", said.value, hint))
        return ""
    return " ".join(said.value.split())


def _known_at_prediction(found: Property, place: Place, problems: list[Problem]) -> bool:
    said = find_property(found.custom_properties, KNOWN_AT_PREDICTION)
    if said is None:
        return False
    if not isinstance(said.value, bool):
        what, where = f"{KNOWN_AT_PREDICTION} has a wrong value", (*place, "customProperties")
        problems.append(Problem(where, what, said.value, "write true or false, without quotes"))
        return False
    return said.value


def find_property(properties: Sequence[CustomProperty], name: str) -> CustomProperty | None:
    """Return the custom property of a name."""
    return next((found for found in properties if found.property == name), None)


def read_strings(found: CustomProperty | None, place: Place, problems: list[Problem]) -> tuple[str, ...]:
    """Return a custom property that is a list of texts."""
    if found is None:
        return ()
    if not isinstance(found.value, list) or not all(isinstance(value, str) for value in found.value):
        hint = 'write a list of quoted texts, e.g. ["NA", "-"]'
        problems.append(Problem((*place, "customProperties"), f"{found.property} has a wrong value", found.value, hint))
        return ()
    return tuple(found.value)


def _record_field(found: Property, doc: str, place: Place, problems: list[Problem]) -> RecordField:
    fallback = RecordField(found.name, FieldType.STRING, doc)
    allowed = PHYSICAL.get(found.logical_type)
    if allowed is None:
        hint = "nested data is not read yet: make it string, which holds the JSON text"
        problems.append(Problem((*place, "logicalType"), "not supported", found.logical_type, hint))
        return fallback
    chosen = _FORMATS.get(found.logical_type_options.format or "", allowed[0])
    text = found.physical_type
    if text is None:
        return RecordField(found.name, chosen if chosen in allowed else allowed[0], doc)
    match = _PHYSICAL.fullmatch(text)
    names = {"timestamp": "timestamp-micros", "time": "time-micros"}
    kind = names.get(match[1], match[1]) if match else ""
    if kind not in allowed:
        problems.append(Problem((*place, "physicalType"), "not allowed here", text, f"write one of {_named(allowed)}"))
        return fallback
    try:
        return _with_parameters(found.name, FieldType(kind), doc, (match[2] or "") if match else "")
    except ValueError as error:
        problems.append(Problem((*place, "physicalType"), "cannot be read", text, str(error)))
        return fallback


def _with_parameters(name: str, kind: FieldType, doc: str, text: str) -> RecordField:
    parts = [part.strip() for part in text.split(",")] if text else []
    if kind is FieldType.DECIMAL:
        if len(parts) != 2 or not all(part.isdigit() for part in parts):
            raise ValueError("write decimal(precision, scale)")
        precision, scale = int(parts[0]), int(parts[1])
        if not 1 <= precision <= _MAX_PRECISION or scale > precision:
            raise ValueError(f"precision is 1 to {_MAX_PRECISION}, scale at most the precision")
        return RecordField(name, kind, doc, precision=precision, scale=scale)
    if kind is FieldType.FIXED:
        if len(parts) != 1 or not parts[0].isdigit() or parts[0] == "0":
            raise ValueError("write fixed(bytes)")
        return RecordField(name, kind, doc, size=int(parts[0]))
    if kind is FieldType.ENUM:
        if not parts or len(set(parts)) != len(parts) or not all(_SYMBOL.fullmatch(part) for part in parts):
            raise ValueError("write enum(FIRST, SECOND, ...): distinct letters, digits and _")
        return RecordField(name, kind, doc, symbols=tuple(parts))
    if parts:
        raise ValueError(f"{kind} takes no parameters")
    return RecordField(name, kind, doc)


def _named(allowed: tuple[FieldType, ...]) -> str:
    shapes = {FieldType.DECIMAL: "decimal(10, 2)", FieldType.FIXED: "fixed(16)", FieldType.ENUM: "enum(A, B)"}
    return ", ".join(shapes.get(kind, kind.value) for kind in allowed)


def _zone(found: Property, place: Place, problems: list[Problem]) -> str:
    zone = found.logical_type_options.default_timezone
    if zone is None or found.logical_type != "timestamp":
        return ""
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = "write a name of the tz database, e.g. Europe/Berlin"
        problems.append(Problem((*place, "logicalTypeOptions", "defaultTimezone"), "unknown time zone", zone, hint))
    return zone
