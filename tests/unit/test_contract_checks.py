"""Checks of a contract: what each place of the standard gives, and what is refused with its line and next action."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from headrace.core.vocabulary import Severity
from headrace.errors import ContractInvalid
from headrace.schemas import check_catalog
from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.record import FieldType
from headrace.schemas.rules import MultipleOf

READINGS = """\
apiVersion: v3.1.0
kind: DataContract
id: readings
version: "1.0.0"
status: active
schema:
  - name: readings
    properties:
      - {name: sensor_id, logicalType: string}
      - {name: event_time, logicalType: timestamp}
      - {name: temperature_c, logicalType: number}
      - {name: status, logicalType: string}
      - {name: day, logicalType: date}
"""


def contract(
    *,
    quality: list[dict[str, Any]] | None = None,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
    root: Mapping[str, Any] | None = None,
) -> Contract:
    """Return READINGS with quality entries at the object, keys at fields, and keys at the root."""
    document = yaml.safe_load(READINGS)
    document |= root or {}
    schema = document["schema"][0]
    if quality is not None:
        schema["quality"] = quality
    for found in schema["properties"]:
        found.update((fields or {}).get(found["name"], {}))
    return parse_contract(yaml.safe_dump(document, sort_keys=False), "readings")


def refusal(**parts: Any) -> str:
    with pytest.raises(ContractInvalid) as caught:
        contract(**parts)
    return str(caught.value)


def only(**parts: Any) -> CheckRule:
    found = contract(**parts).checks
    assert len(found) == 1
    return found[0]


def at_field(entry: dict[str, Any], name: str = "temperature_c") -> dict[str, Any]:
    return {"fields": {name: {"quality": [entry]}}}


def ours(text: str | dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "asked", "type": "custom", "engine": "headrace", "implementation": text} | more


@pytest.mark.parametrize(
    ("operator", "bounds"),
    [
        ({"mustBe": 5}, Bounds(5, 5)),
        ({"mustNotBe": 5}, Bounds(5, 5, inside=False)),
        ({"mustBeGreaterThan": 5}, Bounds(lower=5, above=True)),
        ({"mustBeGreaterOrEqualTo": 5}, Bounds(lower=5)),
        ({"mustBeLessThan": 5}, Bounds(upper=5, below=True)),
        ({"mustBeLessOrEqualTo": 5}, Bounds(upper=5)),
        ({"mustBeBetween": [2, 5]}, Bounds(2, 5)),
        ({"mustNotBeBetween": [2, 5]}, Bounds(2, 5, inside=False)),
    ],
)
def test_every_operator_of_the_standard_is_a_bound(operator: dict[str, Any], bounds: Bounds) -> None:
    rule = only(quality=[{"id": "volume", "metric": "rowCount"} | operator])
    assert (rule.check, rule.bounds, rule.unit, rule.fields) == ("row_count", bounds, Unit.ROWS, ())


def test_metrics_of_a_field_are_checks_of_it() -> None:
    entries: list[dict[str, Any]] = [
        {"metric": "nullValues", "mustBeLessThan": 2, "unit": "percent"},
        {"metric": "missingValues", "arguments": {"missingValues": [None, "n/a", "-"]}, "mustBe": 0},
        {"metric": "invalidValues", "arguments": {"validValues": ["ok"]}, "mustBeLessThan": 3},
        {
            "id": "odd",
            "metric": "invalidValues",
            "arguments": {"pattern": "^o"},
            "mustBeLessThan": 1,
            "unit": "percent",
        },
        {"metric": "duplicateValues", "mustBeLessOrEqualTo": 1, "unit": "percent"},
    ]
    found = contract(fields={"status": {"quality": entries}}).checks
    assert [(rule.id, rule.check, dict(rule.parameters), rule.unit) for rule in found] == [
        ("status.null_rate", "null_rate", {}, Unit.PERCENT),
        ("status.missing_rate", "missing_rate", {"sentinels": ["n/a", "-"]}, Unit.ROWS),
        ("status.in_set", "in_set", {"values": ["ok"]}, Unit.ROWS),
        ("odd", "pattern", {"pattern": "^o"}, Unit.PERCENT),
        ("status.duplicate_key", "duplicate_key", {}, Unit.PERCENT),
    ]
    assert all(rule.fields == ("status",) for rule in found)


def test_both_arguments_of_a_bounded_metric_are_two_checks() -> None:
    entry = {"id": "known", "metric": "invalidValues", "mustBeLessThan": 3}
    found = contract(**at_field(entry | {"arguments": {"validValues": ["ok"], "pattern": "^o"}}, "status")).checks
    assert [(rule.id, rule.check) for rule in found] == [("known", "in_set"), ("known.pattern", "pattern")]


def test_no_nulls_and_no_invalid_values_stay_rules_of_rows() -> None:
    entries = [
        {"id": "there", "metric": "nullValues", "mustBe": 0},
        {"id": "known", "metric": "invalidValues", "arguments": {"validValues": ["ok"]}, "mustBe": 0},
    ]
    found = contract(fields={"status": {"quality": entries}})
    assert [rule.id for rule in found.rules] == ["there", "known"]
    assert found.checks == ()


def test_repeated_values_of_several_fields_are_one_key() -> None:
    entry = {"metric": "duplicateValues", "arguments": {"properties": ["sensor_id", "event_time"]}}
    rule = only(quality=[entry | {"mustBeLessThan": 0.1, "unit": "percent"}])
    assert (rule.check, rule.fields) == ("duplicate_key", ("sensor_id", "event_time"))
    assert rule.bounds == Bounds(upper=0.1, below=True)


@pytest.mark.parametrize("as_text", [True, False])
def test_an_implementation_names_any_installed_check(as_text: bool) -> None:
    text = {"check": "null_rate", "atMost": 2, "unit": "rows"}
    rule = only(**at_field(ours(yaml.safe_dump(text) if as_text else text)))
    assert (rule.id, rule.check, rule.fields, rule.unit) == ("asked", "null_rate", ("temperature_c",), Unit.ROWS)
    assert rule.bounds == Bounds(upper=2)
    assert rule.types["temperature_c"] is FieldType.DOUBLE


def test_fields_of_a_check_at_the_object_stand_in_its_implementation() -> None:
    text = "check: duplicate_key\nfields: [sensor_id, day]\natMost: 1\nunit: percent"
    assert only(quality=[ours(text)]).fields == ("sensor_id", "day")


def test_a_row_rule_with_a_threshold_is_a_check_and_rejects_nothing() -> None:
    text = "check: row_rule\nexpression: temperature_c > -60 OR status = 'cold'\natMost: 1\nunit: percent"
    found = contract(quality=[ours(text)])
    assert found.rules == ()
    assert found.checks[0].check == "row_rule"
    assert found.checks[0].fields == ("temperature_c", "status")


@pytest.mark.parametrize(
    ("thresholds", "bounds"),
    [
        ({"atLeast": 1}, Bounds(lower=1)),
        ({"moreThan": 1}, Bounds(lower=1, above=True)),
        ({"atMost": 1}, Bounds(upper=1)),
        ({"lessThan": 1}, Bounds(upper=1, below=True)),
        ({"exactly": 1}, Bounds(1, 1)),
        ({"atLeast": 1, "lessThan": 2}, Bounds(1, 2, below=True)),
        ({"moreThan": 1, "atMost": 2.5}, Bounds(1, 2.5, above=True)),
        ({}, None),
    ],
)
def test_thresholds_are_five_keys_that_go_together(thresholds: dict[str, Any], bounds: Bounds | None) -> None:
    assert only(**at_field(ours({"check": "null_rate"} | thresholds))).bounds == bounds


def test_an_entry_carries_what_people_need_to_know() -> None:
    more = {
        "severity": "info",
        "dimension": "accuracy",
        "description": "Sensors\n  answer.",
        "businessImpact": "Dashboard shows a hole.",
        "customProperties": [
            {"property": "fixHint", "value": "Look at the battery."},
            {"property": "weight", "value": 2.5},
            {"property": "other.tool", "value": 1},
        ],
    }
    rule = only(**at_field(ours("check: null_rate\natMost: 2", **more)))
    assert (rule.severity, rule.dimension, rule.weight) == (Severity.INFO, Dimension.ACCURACY, 2.5)
    assert (rule.description, rule.fix_hint) == ("Sensors answer.", "Look at the battery.")
    assert rule.business_impact == "Dashboard shows a hole."


def test_a_check_without_words_takes_those_of_the_installed_check() -> None:
    rule = only(**at_field(ours("check: null_rate")))
    assert (rule.severity, rule.dimension, rule.unit) == (Severity.WARNING, Dimension.COMPLETENESS, Unit.PERCENT)
    assert rule.weight == 1


def test_a_critical_field_weighs_three_times() -> None:
    entry = ours("check: null_rate")
    critical = {"temperature_c": {"criticalDataElement": True, "quality": [entry]}}
    assert only(fields=critical).weight == 3
    entry["customProperties"] = [{"property": "weight", "value": 1}]
    assert only(fields=critical).weight == 1


def test_unique_and_primary_key_are_warnings_about_repeated_keys() -> None:
    key = {"primaryKey": True, "primaryKeyPosition": 2}
    fields: dict[str, dict[str, Any]] = {
        "sensor_id": key,
        "day": key | {"primaryKeyPosition": 1},
        "status": {"unique": True},
    }
    primary, unique = contract(fields=fields).checks
    assert (primary.id, primary.check, primary.fields) == ("primary_key", "duplicate_key", ("day", "sensor_id"))
    assert (unique.id, unique.check, unique.fields) == ("status.unique", "duplicate_key", ("status",))
    for rule in (primary, unique):
        assert (rule.bounds, rule.unit, rule.severity) == (Bounds(upper=0), Unit.ROWS, Severity.WARNING)


def test_a_unique_primary_key_is_one_check() -> None:
    assert only(fields={"sensor_id": {"unique": True, "primaryKey": True}}).id == "primary_key"


def test_a_step_is_a_rule_of_rows() -> None:
    found = contract(fields={"temperature_c": {"logicalTypeOptions": {"multipleOf": 0.5}}})
    assert [(rule.id, rule.check, rule.rejects) for rule in found.rules] == [
        ("temperature_c.multiple", MultipleOf(0.5), True)
    ]


def test_a_format_of_text_is_a_check() -> None:
    rule = only(fields={"status": {"logicalTypeOptions": {"format": "email"}}})
    assert (rule.id, rule.check, dict(rule.parameters)) == ("status.format", "format", {"format": "email"})
    assert rule.bounds == Bounds(upper=0)


@pytest.mark.parametrize(
    ("level", "seconds"),
    [
        ({"property": "latency", "value": 5, "unit": "m", "element": "readings.event_time"}, 300),
        ({"property": "freshness", "value": 1.5, "unit": "h", "element": "event_time"}, 5_400),
        ({"property": "latency", "value": 2, "unit": "d"}, 172_800),
    ],
)
def test_a_service_level_of_age_is_a_latency_check(level: dict[str, Any], seconds: int) -> None:
    rule = only(root={"slaProperties": [level]})
    assert (rule.check, rule.fields, rule.unit) == ("latency", ("event_time",), Unit.SECONDS)
    assert rule.bounds == Bounds(upper=seconds)


def test_freshness_beside_an_equal_latency_is_the_same_check() -> None:
    level = {"id": "fresh", "property": "latency", "value": 60, "unit": "s"}
    twin = {"property": "freshness", "value": 1, "unit": "m"}
    assert only(root={"slaProperties": [level, twin]}).id == "fresh"


def test_other_service_levels_are_told_as_not_checked() -> None:
    found = contract(root={"slaProperties": [{"property": "retention", "value": 400, "unit": "d"}]})
    assert (found.checks, found.unchecked) == ((), ("slaProperties: retention 400d",))


SHARE = {"metric": "nullValues", "mustBeLessThan": 2, "unit": "percent"}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"quality": [{"metric": "rowCount", "mustBe": "many"}]}, "is not a number"),
        ({"quality": [{"metric": "rowCount", "mustBeBetween": [5, 2]}]}, "the first bound is above the second"),
        ({"quality": [{"metric": "rowCount", "mustBe": 1, "unit": "percent"}]}, "rowCount has no percent"),
        ({"quality": [SHARE]}, "needs a field"),
        ({"quality": [{"metric": "duplicateValues", "mustBe": 0}]}, "is not a list of fields"),
        (
            {"quality": [{"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["sensorid"]}}]},
            'did you mean "sensor_id"',
        ),
        (at_field({"metric": "rowCount", "mustBe": 1}), "put it under the schema object"),
        (at_field(SHARE | {"customProperties": [{"property": "fixhint", "value": "x"}]}), 'did you mean "fixHint"'),
        (at_field(SHARE | {"customProperties": [{"property": "weight", "value": 0}]}), "wrong value of weight"),
        (at_field(SHARE | {"customProperties": [{"property": "fixHint", "value": 5}]}), "fixHint is not text"),
        (at_field(SHARE | {"customProperties": [{"property": "headrace.x", "value": 5}]}), "known here: fixHint"),
        (at_field(ours("check: null_rte")), 'did you mean "null_rate"'),
        (at_field(ours("check: [null_rate]")), "names no check"),
        (at_field(ours("just text")), "names no check"),
        (at_field(ours("check: {a")), "cannot be read"),
        (at_field(ours("check: null_rate\natmost: 5")), 'did you mean "atMost"'),
        (at_field(ours("check: null_rate\natMost: five")), "is not a number"),
        (at_field(ours("check: null_rate\natMost: 5\nlessThan: 4")), "leave one of the two"),
        (at_field(ours("check: null_rate\natLeast: 5\nmoreThan: 4")), "leave one lower"),
        (at_field(ours("check: null_rate\nexactly: 5\natMost: 4")), "or exactly"),
        (at_field(ours("check: null_rate\natLeast: 5\natMost: 4")), "above the upper"),
        (at_field(ours("check: null_rate\nunit: parts")), "is not a unit"),
        (at_field(ours("check: null_rate\nunit: seconds")), "write rows or percent"),
        (at_field(ours("check: null_rate", unit="rows")), "belongs into implementation"),
        (at_field(ours("check: null_rate\nfields: [day]")), "not allowed under a property"),
        (at_field(ours("check: row_rule\nexpression: day > day")), "no rule of one field"),
        ({"quality": [ours("check: null_rate")]}, "needs 1 field"),
        ({"quality": [ours("check: null_rate\nfields: day")]}, "is not a list of fields"),
        ({"quality": [ours("check: null_rate\nfields: [dy]")]}, 'did you mean "day"'),
        ({"quality": [ours("check: duplicate_key\nfields: [day, day]\natMost: 0")]}, "has a field twice"),
        ({"quality": [ours("check: row_count\natLeast: 1"), ours("check: row_count\natMost: 9")]}, "rule id twice"),
        ({"root": {"slaProperties": {"property": "latency"}}}, "is not a list"),
        ({"fields": {"temperature_c": {"logicalTypeOptions": {"multipleOf": 0}}}}, "write a number above 0"),
        ({"root": {"slaProperties": [{"property": "latencyy", "value": 5}]}}, 'did you mean "latency"'),
        ({"root": {"slaProperties": [{"property": "latency", "vlaue": 5}]}}, 'did you mean "value"'),
        ({"root": {"slaProperties": [{"property": "latency", "value": 5, "unit": "y"}]}}, "is no unit for latency"),
        ({"root": {"slaProperties": [{"property": "latency", "value": "5m"}]}}, "write a number above 0"),
        (
            {"root": {"slaProperties": [{"property": "latency", "value": 5, "unit": "m", "element": "r.t"}]}},
            "is not a field of the contract",
        ),
    ],
)
def test_a_check_that_cannot_be_followed_is_refused_with_the_next_action(parts: dict[str, Any], told: str) -> None:
    message = refusal(**parts)
    assert message.startswith("contract readings: line ")
    assert told in message


def test_an_entry_of_two_checks_tells_its_problem_once() -> None:
    entry: dict[str, Any] = {"metric": "invalidValues", "mustBeLessThan": 3}
    entry |= {"arguments": {"validValues": ["ok"], "pattern": "^o"}}
    entry |= {"customProperties": [{"property": "weight", "value": 0}]}
    assert refusal(**at_field(entry, "status")).count("wrong value of weight") == 1


def test_a_problem_in_a_block_of_text_names_its_own_line() -> None:
    entry = "    quality:\n      - type: custom\n        engine: headrace\n        implementation: |\n"
    text = READINGS.replace(
        "    properties:\n", f"{entry}          check: row_count\n\n          atleast: 5\n    properties:\n"
    )
    line = text.splitlines().index("          atleast: 5") + 1
    with pytest.raises(ContractInvalid, match=f"line {line}: .*atLeast"):
        parse_contract(text)


def test_a_check_whose_package_is_broken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> object:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr("headrace.schemas.contract_checks.check_named", broken)
    assert "check cannot be loaded: No module named 'null_rate'" in refusal(**at_field(ours("check: null_rate")))
    assert check_catalog.check_named("null_rate").name == "null_rate"
