"""A JSON object as a record's features: strictly by the kinds that the learner was made for. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from headrace.schemas.contract_findings import close_to
from headrace.schemas.expression import Kind
from headrace.stream_processors.models.base import Features

_INT64 = range(-(2**63), 2**63)
_DATE_LENGTH = 10


class Problem(NamedTuple):
    """What is wrong with one field of one record; `row` counts the records from 0."""

    row: int
    field: str
    value: Any
    kind: str
    problem: str


class Unfit(ValueError):
    """A value that is not of its field's kind; the text says what would be."""


@dataclass(frozen=True)
class Reading:
    """Features, or what is wrong with them."""

    features: Features
    problems: tuple[Problem, ...] = ()


def read_features(given: Mapping[str, Any], kinds: Mapping[str, Kind], row: int = 0) -> Reading:
    """Return a record's features as models get them; a missing field and null are a missing value.

    >>> read_features({"distance": 733, "carrier": None}, {"distance": Kind.WHOLE, "carrier": Kind.TEXT}).features
    {'distance': 733}
    >>> read_features({"distance": "far"}, {"distance": Kind.WHOLE}).problems[0].problem
    'is no whole number'
    """
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        kind = kinds.get(name)
        if kind is None:
            problems.append(Problem(row, name, value, "", _unknown(name, kinds)))
        elif value is not None:
            try:
                found[name] = _READERS[kind](value)
            except Unfit as error:
                problems.append(Problem(row, name, value, str(kind), str(error)))
    # In the order of the learner's fields, as records of the dataset come: no model may see a difference.
    return Reading({name: found[name] for name in kinds if name in found}, tuple(problems))


def _unknown(name: str, kinds: Mapping[str, Kind]) -> str:
    meant = close_to(name, list(kinds))
    known = f'did you mean "{meant}"?' if meant else f"it has {', '.join(kinds) or 'none'}"
    return f"is no field of this learner: {known}"


def _whole(value: Any) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole:
        raise Unfit("is no whole number")
    if int(value) not in _INT64:
        raise Unfit("is no whole number of 64 bits")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unfit("is no number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Unfit("is too great a number")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("is no text")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit("is neither true nor false")
    return value


def _date(value: Any) -> date:
    try:
        if not isinstance(value, str) or len(value) != _DATE_LENGTH:
            raise Unfit("is no date: write 2026-01-31")
        return date.fromisoformat(value)
    except ValueError as error:
        raise Unfit("is no date: write 2026-01-31") from error


def _timestamp(value: Any) -> datetime:
    """Return the moment in UTC without a zone; a text without an offset is in UTC already."""
    try:
        if not isinstance(value, str) or len(value) <= _DATE_LENGTH:
            raise Unfit("is no timestamp: write 2026-01-31T08:00:00Z")
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError) as error:
        raise Unfit("is no timestamp: write 2026-01-31T08:00:00Z") from error


# The kinds that a feature may have (`schemas.learner_fields.FEATURE_KINDS`); a test holds one against the other.
_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.WHOLE: _whole,
    Kind.NUMBER: _number,
    Kind.TEXT: _text,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.TIMESTAMP: _timestamp,
}
READ_KINDS = frozenset(_READERS)
