"""The windows of a contract: which field is event time, how long a window is, how long it waits for late records."""

from collections.abc import Mapping, Sequence

from headrace.schemas.check_rules import WindowSpec
from headrace.schemas.contract_fields import ContractField
from headrace.schemas.contract_findings import Findings, known_properties
from headrace.schemas.durations import parse_duration
from headrace.schemas.odcs import Document
from headrace.schemas.problems import Place
from headrace.schemas.record import FieldType

TIME_FIELD = "headrace.timeField"
WINDOW = "window"
LATENESS = "allowedLateness"
_DAY_SECS = 86_400
_LONGEST_SECS = 366 * _DAY_SECS
_TIMES = frozenset({FieldType.TIMESTAMP, FieldType.DATE})


def read_window(document: Document, fields: Sequence[ContractField], place: Place, findings: Findings) -> WindowSpec:
    """Return how the records are put into windows; what cannot be followed is added to the problems.

    Event time is `headrace.timeField`, else the only timestamp of the primary key, else the only timestamp, else
    `slaDefaultElement`. A dataset without any has windows of arrival only.
    """
    schema = document.schema_[0]
    found = known_properties(schema.custom_properties, (WINDOW, LATENESS, TIME_FIELD), place, findings)
    kinds = {field.name: field.type.type for field in fields}
    keys = [prop.name for prop in schema.properties if prop.primary_key]
    name = _named_time(found, kinds, findings)
    if not name:
        name = _only_time(keys, kinds) or _only_time(list(kinds), kinds) or _default_time(document, kinds, findings)
    default = _DAY_SECS if kinds.get(name) is FieldType.DATE else WindowSpec().size_secs
    size = _length(found, WINDOW, default, 1, findings)
    if kinds.get(name) is FieldType.DATE and size % _DAY_SECS:
        hint = f"{name} is a date: write whole days, e.g. P1D, or name a timestamp as {TIME_FIELD}"
        findings.refuse(found[WINDOW][1], "is no length for a window of days", found[WINDOW][0], hint)
    return WindowSpec(name, size, _length(found, LATENESS, 0, 0, findings))


def element_name(element: str, schema_name: str) -> str:
    """Return the field that an element of a service level names: `readings.event_time` or `event_time`.

    >>> element_name("readings.event_time", "readings"), element_name("event_time", "readings")
    ('event_time', 'event_time')
    """
    return element.strip().removeprefix(f"{schema_name}.")


def _named_time(found: Mapping[str, tuple[object, Place]], kinds: Mapping[str, FieldType], findings: Findings) -> str:
    if TIME_FIELD not in found:
        return ""
    value, where = found[TIME_FIELD]
    if isinstance(value, str) and kinds.get(value) in _TIMES:
        return value
    times = ", ".join(name for name, kind in kinds.items() if kind in _TIMES) or "none in this contract"
    findings.refuse(where, f"{TIME_FIELD} is not a timestamp or date field", value, f"name one of: {times}")
    return ""


def _only_time(names: Sequence[str], kinds: Mapping[str, FieldType]) -> str:
    times = [name for name in names if kinds[name] is FieldType.TIMESTAMP]
    return times[0] if len(times) == 1 else ""


def _default_time(document: Document, kinds: Mapping[str, FieldType], findings: Findings) -> str:
    if document.sla_default_element is None:
        return ""
    name = element_name(document.sla_default_element, document.schema_[0].name)
    if name not in kinds:
        hint = "write DATASET.FIELD or FIELD"
        findings.refuse(("slaDefaultElement",), "is not a field of the contract", document.sla_default_element, hint)
    return name if kinds.get(name) in _TIMES else ""


def _length(found: Mapping[str, tuple[object, Place]], name: str, default: int, least: int, findings: Findings) -> int:
    if name not in found:
        return default
    value, where = found[name]
    seconds = parse_duration(value)
    if seconds is None:
        hint = "write an ISO 8601 duration of weeks, days, hours, minutes and seconds, e.g. PT5M, PT1H or P1D"
        findings.refuse(where, f"wrong value of {name}", value, hint)
    elif not least <= seconds <= _LONGEST_SECS:
        hint = f"write a length from {least} second to 366 days" if least else "write a length of at most 366 days"
        findings.refuse(where, f"wrong value of {name}", value, hint)
    else:
        return seconds
    return default
