"""The rules of a contract, from the places where ODCS lets them stand; checks of many records go to `CheckReader`."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.schemas.check_rules import Bounds, Unit
from headrace.schemas.contract_bounds import THRESHOLDS
from headrace.schemas.contract_checks import SEVERITY, Asked, CheckReader, implementation
from headrace.schemas.contract_fields import ContractField
from headrace.schemas.contract_findings import Findings
from headrace.schemas.expression import KIND_OF, Kind
from headrace.schemas.expression_parser import ExpressionInvalid, parse_expression
from headrace.schemas.odcs import CustomQuality, LibraryQuality, Property, Quality, SchemaObject, SqlQuality
from headrace.schemas.patterns import PatternInvalid, linear_pattern
from headrace.schemas.problems import Place
from headrace.schemas.record import FieldType
from headrace.schemas.rules import (
    Bound,
    Check,
    Length,
    MultipleOf,
    OneOf,
    Pattern,
    Range,
    Required,
    RowRule,
    Rule,
    Scalar,
)

ENGINE = "headrace"
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OPTIONS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": frozenset({*_BOUNDS, "multipleOf", "format"}),
    "number": frozenset({*_BOUNDS, "multipleOf", "format"}),
    "date": frozenset({*_BOUNDS, "format"}),
    "timestamp": frozenset({*_BOUNDS, "format", "timezone", "defaultTimezone"}),
    "time": frozenset({"format"}),
    "boolean": frozenset(),
}
_KNOWN_FORMATS: Mapping[str, frozenset[str]] = {
    "integer": frozenset({"i32", "i64"}),
    "number": frozenset({"f32", "f64"}),
    "date": frozenset({"yyyy-MM-dd"}),
    "timestamp": frozenset(),
    "time": frozenset(),
}
_TEXT = frozenset({FieldType.STRING, FieldType.ENUM, FieldType.UUID})


class _RowRuleText(BaseModel):
    """The `implementation` of a rule of engine headrace."""

    model_config = ConfigDict(extra="forbid", strict=True)
    check: str
    expression: str


def field_rules(found: Property, known: ContractField, place: Place, reader: CheckReader, findings: Findings) -> None:
    """Add the rules and checks that stand at one property."""
    if found.required:
        findings.rules.append(Rule(f"{known.name}.required", (known.name,), Required()))
    _option_rules(found, known, (*place, "logicalTypeOptions"), reader, findings)
    for number, quality in enumerate(found.quality):
        _field_quality(quality, known, (*place, "quality", number), reader, findings)


def record_rules(
    found: SchemaObject, kinds: Mapping[str, Kind], place: Place, reader: CheckReader, findings: Findings
) -> None:
    """Add the rules and checks over whole records that stand at the schema object."""
    for number, quality in enumerate(found.quality):
        where = (*place, "quality", number)
        if isinstance(quality, CustomQuality) and quality.engine == ENGINE:
            text = implementation(quality, where, findings)
            if text is not None and text["check"] == "row_rule" and not THRESHOLDS.keys() & text.keys():
                _row_rule(quality, text, kinds, where, findings)
            elif text is not None:
                reader.custom(quality, text, "", where)
        elif isinstance(quality, LibraryQuality):
            _check_operators(quality, where, findings)
            if quality.metric not in {"rowCount", "duplicateValues"}:
                findings.refuse(where, f"metric {quality.metric} needs a field", None, "put it under that property")
                continue
            allowed = {"properties"} if quality.metric == "duplicateValues" else set()
            _check_arguments(quality, allowed, where, findings)
            reader.library(quality, "", where)
        else:
            _foreign(quality, where, findings)


def _field_quality(
    quality: Quality, known: ContractField, place: Place, reader: CheckReader, findings: Findings
) -> None:
    if not isinstance(quality, LibraryQuality):
        if isinstance(quality, CustomQuality) and quality.engine == ENGINE:
            text = implementation(quality, place, findings)
            if text is not None and text["check"] == "row_rule":
                hint = "put it into the quality list of the schema object"
                findings.refuse(place, "a row rule is no rule of one field", None, hint)
            elif text is not None:
                reader.custom(quality, text, known.name, place)
        else:
            _foreign(quality, place, findings)
        return
    _check_operators(quality, place, findings)
    allowed = {"invalidValues": {"validValues", "pattern"}, "missingValues": {"missingValues"}}
    _check_arguments(quality, allowed.get(quality.metric, set()), place, findings)
    if quality.metric == "rowCount":
        findings.refuse(place, "rowCount is a metric of the whole dataset", None, "put it under the schema object")
        return
    # Looked at in any case, so that values which cannot be compared are refused whatever the bound is.
    checks = _library_checks(quality, known, place, findings)
    if quality.metric not in {"invalidValues", "nullValues"} or quality.operators() != {"mustBe": 0}:
        reader.library(quality, known.name, place)
        return
    for suffix, check in checks:
        name = f"{quality.id or known.name}{suffix if not quality.id or suffix == '.pattern' else ''}"
        told = " ".join((quality.description or "").split())
        findings.rules.append(Rule(name, (known.name,), check, SEVERITY[quality.severity], told))


def _library_checks(
    quality: LibraryQuality, known: ContractField, place: Place, findings: Findings
) -> list[tuple[str, Check]]:
    if quality.metric == "nullValues":
        return [(".required", Required())]
    if quality.metric != "invalidValues":
        return []
    arguments, where = quality.arguments, (*place, "arguments")
    if not arguments:
        findings.refuse(
            place, "invalidValues says nothing", None, "add arguments: {validValues: [...]} or {pattern: ...}"
        )
    found: list[tuple[str, Check]] = []
    if "validValues" in arguments:
        values = _valid_values(arguments["validValues"], known, (*where, "validValues"), findings)
        found += [(".one_of", OneOf(values))] if values else []
    if "pattern" in arguments:
        pattern = _pattern(arguments["pattern"], known, (*where, "pattern"), findings)
        # Both in one entry are two rules; the second says so in its id.
        found += [(".pattern" if found or not quality.id else "", pattern)] if pattern else []
    return found


def _valid_values(values: Any, known: ContractField, place: Place, findings: Findings) -> tuple[Scalar, ...]:
    if not isinstance(values, list) or not values:
        findings.refuse(place, "is not a list of values", values, "write [A, B]")
        return ()
    wanted: Mapping[FieldType, tuple[type, ...]] = {
        FieldType.LONG: (int,),
        FieldType.INT: (int,),
        FieldType.DOUBLE: (int, float),
        FieldType.FLOAT: (int, float),
        FieldType.DECIMAL: (int, float),
        FieldType.BOOLEAN: (bool,),
    }
    kinds = wanted.get(known.type.type, (str,))
    found: list[Scalar] = []
    for value in cast(list[Scalar], values):
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            hint = (
                "quote it: YAML reads it as something else" if kinds == (str,) else "write a value of the field's type"
            )
            findings.refuse(place, f"is not a {known.type.type} value", repr(value), hint)
        elif known.type.type is FieldType.DATE:
            found += _dates(str(value), place, findings)
        elif known.type.type in {FieldType.TIMESTAMP, FieldType.TIME, FieldType.BYTES, FieldType.FIXED}:
            findings.refuse(place, f"a list of {known.type.type} values cannot be checked", value, "use a range")
            break
        else:
            found.append(value)
    if len(set(found)) != len(found):
        findings.refuse(place, "has a value twice", None, "leave one")
    return tuple(found)


def _dates(value: str, place: Place, findings: Findings) -> list[Scalar]:
    try:
        return [date.fromisoformat(value)]
    except ValueError:
        findings.refuse(place, "is not a date", value, "write YYYY-MM-DD")
        return []


def _option_rules(found: Property, known: ContractField, place: Place, reader: CheckReader, findings: Findings) -> None:
    options = found.logical_type_options.model_dump(by_alias=True, exclude_unset=True)
    allowed = _OPTIONS.get(found.logical_type, frozenset())
    for key in sorted(options.keys() - allowed):
        hint = f"{found.logical_type} knows {', '.join(sorted(allowed)) or 'no options'}"
        findings.refuse((*place, key), f"does not fit type {found.logical_type}", options[key], hint)
    for key in options.keys() - allowed:
        del options[key]
    _format_option(found.logical_type, options, known, place, reader, findings)
    if "multipleOf" in options:
        _multiple(options["multipleOf"], known, (*place, "multipleOf"), findings)
    if options.keys() & {"minLength", "maxLength"}:
        length = Length(options.get("minLength"), options.get("maxLength"))
        if known.type.type not in _TEXT:
            findings.refuse(place, f"a {known.type.type} has no length in characters", None, "remove it")
        elif length.minimum is not None and length.maximum is not None and length.minimum > length.maximum:
            findings.refuse(place, "minLength is above maxLength", length.minimum, "exchange them")
        findings.rules.append(Rule(f"{known.name}.length", (known.name,), length))
    if "pattern" in options and (pattern := _pattern(options["pattern"], known, (*place, "pattern"), findings)):
        findings.rules.append(Rule(f"{known.name}.pattern", (known.name,), pattern))
    if options.keys() & set(_BOUNDS):
        _range(options, known, place, findings)


def _format_option(
    logical: str,
    options: Mapping[str, Any],
    known: ContractField,
    place: Place,
    reader: CheckReader,
    findings: Findings,
) -> None:
    value = options.get("format")
    if value is None or value in _KNOWN_FORMATS.get(logical, ()):
        return
    if logical == "string":
        bounds, rule = Bounds(upper=0.0), f"{known.name}.format"
        reader.add(Asked("format", place, (known.name,), {"format": value}, bounds, Unit.ROWS, None, rule))
        return
    understood = ", ".join(sorted(_KNOWN_FORMATS[logical])) or "none: values are read as ISO 8601"
    findings.refuse((*place, "format"), f"is not a format of {logical} that is read", value, f"known: {understood}")


def _pattern(text: Any, known: ContractField, place: Place, findings: Findings) -> Pattern | None:
    if known.type.type not in _TEXT:
        findings.refuse(place, f"a pattern is for text, the field is {known.type.type}", text, "use a range")
        return None
    if not isinstance(text, str):
        findings.refuse(place, "is not text", text, "quote it")
        return None
    try:
        return Pattern(text, linear_pattern(text))
    except PatternInvalid as error:
        findings.refuse(place, str(error), text, "write it without; see docs/guide/contracts.md")
        return None


def _multiple(step: float, known: ContractField, place: Place, findings: Findings) -> None:
    if not math.isfinite(step) or step <= 0:
        findings.refuse(place, "is no step", step, "write a number above 0")
    else:
        findings.rules.append(Rule(f"{known.name}.multiple", (known.name,), MultipleOf(step)))


def _range(options: Mapping[str, Any], known: ContractField, place: Place, findings: Findings) -> None:
    for inclusive, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if inclusive in options and exclusive in options:
            findings.refuse(place, f"has {inclusive} and {exclusive}", options[exclusive], "leave one of the two")
    bounds = {key: _bound(options[key], known, (*place, key), findings) for key in _BOUNDS if key in options}
    low = bounds.get("minimum", bounds.get("exclusiveMinimum"))
    high = bounds.get("maximum", bounds.get("exclusiveMaximum"))
    if low is not None and high is not None and low > high:  # type: ignore[operator]
        findings.refuse(place, "the least allowed value is above the greatest", low, "exchange them")
    check = Range(low, high, above="exclusiveMinimum" in bounds, below="exclusiveMaximum" in bounds)
    findings.rules.append(Rule(f"{known.name}.range", (known.name,), check))


def _bound(value: Any, known: ContractField, place: Place, findings: Findings) -> Bound | None:
    kind = KIND_OF[known.type.type]
    if kind in {Kind.WHOLE, Kind.NUMBER}:
        if isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 2**63:
            return value
        findings.refuse(place, "is not a number", value, "write a number")
        return None
    try:
        if not isinstance(value, str):
            raise TypeError(value)
        if kind is Kind.DATE:
            return date.fromisoformat(value)
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return moment.astimezone(UTC)
    except (TypeError, ValueError):
        example = '"2024-01-31"' if kind is Kind.DATE else '"2024-01-31T00:00:00Z"'
        findings.refuse(place, f"is not a {kind}", value, f"write it as {example}")
        return None


def _row_rule(
    quality: CustomQuality, text: Mapping[str, Any], kinds: Mapping[str, Kind], place: Place, findings: Findings
) -> None:
    where = (*place, "implementation")
    if not quality.id:
        findings.refuse(place, "a row rule needs an id", None, "add id: what_it_says")
    try:
        found = _RowRuleText.model_validate(text)
        expression = parse_expression(found.expression, kinds)
    except ValidationError as error:
        faults = sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
        first = faults[0]
        key = ".".join(str(part) for part in first["loc"])
        shown = f'"{key}": ' if key else ""
        findings.refuse(
            where, f"{shown}{first['msg'].lower()}", first["input"], "it has two keys, check and expression"
        )
        return
    except ExpressionInvalid as error:
        findings.refuse(where, f"cannot be followed: {error}", None, "see docs/guide/contracts.md, row rules")
        return
    told = " ".join((quality.description or "").split())
    severity = SEVERITY[quality.severity]
    findings.rules.append(Rule(quality.id or "", expression.fields, RowRule(expression), severity, told))


def _check_operators(quality: LibraryQuality | SqlQuality, place: Place, findings: Findings) -> None:
    operators = quality.operators()
    if len(operators) != 1:
        what = f"has the operators {', '.join(operators)}" if operators else "has no operator"
        findings.refuse(place, what, None, "write one, e.g. mustBe: 0")


def _check_arguments(quality: LibraryQuality, allowed: set[str], place: Place, findings: Findings) -> None:
    for key in sorted(quality.arguments.keys() - allowed):
        known = ", ".join(sorted(allowed)) or "none"
        where = (*place, "arguments", key)
        findings.refuse(where, f"unknown argument of {quality.metric}", quality.arguments[key], f"known: {known}")


def _foreign(quality: Quality, place: Place, findings: Findings) -> None:
    if isinstance(quality, SqlQuality):
        _check_operators(quality, place, findings)
    engine = f" engine {quality.engine}" if isinstance(quality, CustomQuality) else ""
    _not_checked(quality, f"quality of type {quality.type}{engine}", findings)


def _not_checked(quality: Quality, what: str, findings: Findings) -> None:
    findings.unchecked.append(f"{quality.id}: {what}" if quality.id else what)
