"""Windows of a contract: event time, length and allowed lateness, and what is refused."""

from typing import Any

import pytest
import yaml

from headrace.errors import ContractInvalid
from headrace.schemas.check_rules import WindowSpec
from headrace.schemas.contract import parse_contract
from headrace.schemas.durations import parse_duration, spoken_duration

HEAD = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "d", "version": "1", "status": "active"}


def window(types: dict[str, str], properties: dict[str, Any] | None = None, **more: Any) -> WindowSpec:
    """Return the window of a contract with fields of these types; a type that begins with `+` is a primary key."""
    fields = [
        {"name": name, "logicalType": kind.removeprefix("+"), "primaryKey": kind.startswith("+")}
        for name, kind in types.items()
    ]
    custom = [{"property": name, "value": value} for name, value in (properties or {}).items()]
    document = HEAD | more | {"schema": [{"name": "d", "properties": fields, "customProperties": custom}]}
    return parse_contract(yaml.safe_dump(document, sort_keys=False), "d").window


TWO = {"sent_at": "timestamp", "seen_at": "timestamp", "day": "date"}


@pytest.mark.parametrize(
    ("types", "properties", "more", "expected"),
    [
        ({"at": "timestamp", "day": "date"}, {}, {}, "at"),
        (TWO, {}, {}, ""),
        (TWO | {"sent_at": "+timestamp"}, {}, {}, "sent_at"),
        (TWO, {}, {"slaDefaultElement": "d.seen_at"}, "seen_at"),
        (TWO, {"headrace.timeField": "seen_at"}, {"slaDefaultElement": "d.sent_at"}, "seen_at"),
        ({"n": "integer"}, {}, {}, ""),
    ],
)
def test_event_time_is_the_named_field_or_the_only_candidate(
    types: dict[str, str], properties: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    assert window(types, properties, **more).time_field == expected


def test_length_and_lateness_are_read_from_the_object() -> None:
    assert window({"at": "timestamp"}, {"window": "PT5M", "allowedLateness": "PT1H30M"}) == WindowSpec("at", 300, 5400)
    assert window({"at": "timestamp"}) == WindowSpec("at", 3600, 0)


def test_windows_of_a_date_are_whole_days() -> None:
    assert window({"day": "date"}, {"headrace.timeField": "day"}).size_secs == 86_400
    with pytest.raises(ContractInvalid, match="day is a date: write whole days"):
        window({"day": "date"}, {"headrace.timeField": "day", "window": "PT1H"})


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"window": "5m"}, "wrong value of window"),
        ({"window": 300}, "write an ISO 8601 duration"),
        ({"window": "P1M"}, "write an ISO 8601 duration"),
        ({"window": "PT0S"}, "from 1 second"),
        ({"window": "P900D"}, "to 366 days"),
        ({"allowedLateness": "P900D"}, "at most 366 days"),
        ({"allowedLatenes": "PT1M"}, 'did you mean "allowedLateness"'),
        ({"headrace.window": "PT5M"}, "known here: window, allowedLateness, headrace.timeField"),
        ({"headrace.timeField": "n"}, "name one of: at"),
        ({"headrace.timeField": "at_"}, "is not a timestamp or date field"),
    ],
)
def test_a_window_that_cannot_be_followed_is_refused(properties: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractInvalid) as caught:
        window({"at": "timestamp", "n": "integer"}, properties)
    assert told in str(caught.value)
    assert "line " in str(caught.value)


def test_a_default_element_must_be_a_field() -> None:
    with pytest.raises(ContractInvalid, match=r"slaDefaultElement: is not a field"):
        window({"n": "integer"}, slaDefaultElement="d.at")


@pytest.mark.parametrize("text", ["P1W", "P1DT1H", "PT90S", "PT1M30S", "P2D"])
def test_durations_survive_being_spoken(text: str) -> None:
    seconds = parse_duration(text)
    assert seconds is not None
    assert parse_duration(spoken_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1D", "PT1.5H", "P1Y", "-P1D", None, 5])
def test_what_is_no_duration_is_told_apart(text: object) -> None:
    assert parse_duration(text) is None
