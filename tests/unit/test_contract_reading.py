"""Contracts: what a document gives, and that what is not understood is refused by name, line and value."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
import yaml

from headrace.core.vocabulary import Reason, Severity
from headrace.errors import ContractInvalid
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.record import FieldType, RecordSchema
from headrace.schemas.rules import Length, OneOf, Pattern, Range, Required

ORDERS = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: "2.1.0"
status: active
team:
  name: Sales
  members: [{username: ana@example.org, name: Ana, role: owner}]
customProperties:
  - {property: headrace.tolerance, value: 0.02}
  - {property: headrace.partitions, value: 4}
  - {property: headrace.delimiter, value: ";"}
  - {property: headrace.nullValues, value: ["NA"]}
  - {property: other.tool, value: anything}
schema:
  - name: orders
    quality:
      - id: paid_in_full
        type: custom
        engine: headrace
        severity: warning
        implementation: |
          check: row_rule
          expression: paid <= total
    properties:
      - {name: order_id, physicalName: Order ID, logicalType: integer, required: true}
      - {name: total, logicalType: number, logicalTypeOptions: {exclusiveMinimum: 0, maximum: 1000}}
      - {name: paid, logicalType: number}
      - name: status
        logicalType: string
        quality: [{id: known, metric: invalidValues, arguments: {validValues: [new, paid]}, mustBe: 0}]
      - {name: code, logicalType: string, logicalTypeOptions: {minLength: 2, maxLength: 8, pattern: "^[A-Z]+$"}}
      - {name: day, logicalType: date, logicalTypeOptions: {minimum: "2020-01-01"}}
      - name: placed_at
        logicalType: timestamp
        logicalTypeOptions: {maximum: "2030-01-01T00:00:00+01:00", defaultTimezone: Europe/Berlin}
      - {name: gross, logicalType: number, physicalType: "decimal(10, 2)"}
      - {name: size, logicalType: string, physicalType: "enum(S, M, L)"}
"""


def changed(*path: str | int, value: Any) -> str:
    """Return ORDERS with one value set; None removes the key."""
    document = yaml.safe_load(ORDERS)
    node = document
    for key in path[:-1]:
        node = node[key]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return yaml.safe_dump(document, sort_keys=False)


def refusal(text: str) -> str:
    with pytest.raises(ContractInvalid) as caught:
        parse_contract(text, "orders.odcs.yaml")
    return str(caught.value)


@pytest.fixture(scope="module")
def orders() -> Contract:
    return parse_contract(ORDERS)


def test_contract_has_the_settings_of_its_document(orders: Contract) -> None:
    assert (orders.dataset, orders.owner, orders.tolerance, orders.partitions) == ("orders", "Ana", 0.02, 4)
    assert (orders.format.delimiter, orders.format.null_values, orders.drafted) == (";", ("NA",), False)


def test_contract_version_names_the_text_exactly(orders: Contract) -> None:
    other = parse_contract(ORDERS + "# a remark\n")
    assert orders.version.startswith("2.1.0+")
    assert other.version.startswith("2.1.0+")
    assert orders.version != other.version
    assert parse_contract(ORDERS) == orders
    assert hash(parse_contract(ORDERS)) == hash(orders)


def test_fields_have_types_source_names_and_zones(orders: Contract) -> None:
    fields = {field.name: field for field in orders.fields}
    assert fields["order_id"].source_name == "Order ID"
    assert fields["order_id"].type.doc == "Order ID"
    assert fields["total"].type.doc == ""
    assert fields["placed_at"].zone == "Europe/Berlin"
    assert fields["code"].null_values == ("NA",)
    gross, size = fields["gross"].type, fields["size"].type
    assert (gross.type, gross.precision, gross.scale) == (FieldType.DECIMAL, 10, 2)
    assert (size.type, size.symbols) == (FieldType.ENUM, ("S", "M", "L"))
    assert RecordSchema.from_avro(orders.record_schema.text()) == orders.record_schema


@pytest.mark.parametrize(("value", "known"), [(True, True), (False, False)])
def test_a_field_is_known_at_prediction_only_where_the_contract_says_so(value: bool, known: bool) -> None:
    said = [{"property": "headrace.knownAtPrediction", "value": value}]
    contract = parse_contract(changed(*PROPERTIES, 1, "customProperties", value=said))
    found = {field.name: field.known_at_prediction for field in contract.fields}
    assert found.pop("total") is known
    assert not any(found.values())


def test_rules_come_from_every_place_where_the_standard_lets_them_stand(orders: Contract) -> None:
    rules = {rule.id: rule.check for rule in orders.rules}
    assert rules["order_id.required"] == Required()
    assert rules["total.range"] == Range(0, 1000, above=True)
    assert rules["known"] == OneOf(("new", "paid"))
    assert rules["code.length"] == Length(2, 8)
    assert rules["code.pattern"] == Pattern("^[A-Z]+$", "^[A-Z]+$")
    assert rules["day.range"] == Range(date(2020, 1, 1), None)
    assert rules["placed_at.range"] == Range(None, datetime(2029, 12, 31, 23, tzinfo=UTC))
    row_rule = next(rule for rule in orders.rules if rule.id == "paid_in_full")
    assert (row_rule.code, row_rule.fields, row_rule.severity) == (
        Reason.ROW_RULE,
        ("paid", "total"),
        Severity.WARNING,
    )
    assert not row_rule.rejects


PROPERTIES = ("schema", 0, "properties")
STATUS_QUALITY = (*PROPERTIES, 3, "quality", 0)
ROW_RULE = ("schema", 0, "quality", 0)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("apiVersion",), "v3.0.2", "apiVersion"),
        (("statuss",), "active", 'did you mean "status"'),
        (("status",), "alive", "status: not allowed"),
        (("version",), 2.1, "quote it"),
        (("version",), "1+2", "version"),
        (("schema",), [], "schema"),
        (("schema", 0, "name"), "Orders!", "cannot be a dataset"),
        (("schema", 0, "name"), "quality", "reserved"),
        ((*PROPERTIES, 0, "name"), "Order ID", "physicalName holds what the file calls it"),
        ((*PROPERTIES, 0, "name"), "_row", "is not a safe name"),
        ((*PROPERTIES, 1, "name"), "paid", "has a field twice"),
        ((*PROPERTIES, 0, "logicalType"), "int", "logicalType: not allowed"),
        ((*PROPERTIES, 0, "logicalType"), "array", "nested data is not read yet"),
        ((*PROPERTIES, 0, "physicalType"), "VARCHAR(3)", "write one of long, int"),
        ((*PROPERTIES, 7, "physicalType"), "decimal(2, 10)", "scale at most the precision"),
        ((*PROPERTIES, 8, "physicalType"), "enum(S, S)", "distinct"),
        ((*PROPERTIES, 0, "required"), "yes", "properties[order_id].required"),
        ((*PROPERTIES, 1, "logicalTypeOptions"), {"minimun": 1}, 'did you mean "minimum"'),
        ((*PROPERTIES, 1, "logicalTypeOptions"), {"minLength": 1}, "does not fit type number"),
        ((*PROPERTIES, 1, "logicalTypeOptions"), {"minimum": "0"}, "is not a number"),
        ((*PROPERTIES, 1, "logicalTypeOptions"), {"minimum": 5, "maximum": 1}, "above the greatest"),
        ((*PROPERTIES, 1, "logicalTypeOptions"), {"minimum": 5, "exclusiveMinimum": 1}, "leave one of the two"),
        ((*PROPERTIES, 4, "logicalTypeOptions"), {"minLength": 5, "maxLength": 1}, "exchange them"),
        ((*PROPERTIES, 4, "logicalTypeOptions"), {"pattern": "(?=a)b"}, "look-around"),
        (
            (*PROPERTIES, 2, "customProperties"),
            [{"property": "headrace.knownAtPrediction", "value": "true"}],
            "properties[paid].customProperties: headrace.knownAtPrediction has a wrong value",
        ),
        (
            (*PROPERTIES, 2, "customProperties"),
            [{"property": "headrace.knownAtPredicton", "value": True}],
            "known here: headrace.nullValues, headrace.missingMeans, headrace.knownAtPrediction",
        ),
        ((*PROPERTIES, 5, "logicalTypeOptions"), {"minimum": "01.02.2020"}, "is not a date"),
        ((*PROPERTIES, 5, "logicalTypeOptions"), {"format": "dd.MM.yyyy"}, "is not a format of date that is read"),
        ((*PROPERTIES, 6, "logicalTypeOptions"), {"minimum": "2020-01-01T00:00:00"}, "is not a timestamp"),
        ((*PROPERTIES, 6, "logicalTypeOptions"), {"defaultTimezone": "Mars/North"}, "unknown time zone"),
        ((*STATUS_QUALITY, "arguments"), {"validValuez": ["new"]}, "unknown argument of invalidValues"),
        ((*STATUS_QUALITY, "arguments"), {"validValues": [True]}, "quote it"),
        ((*STATUS_QUALITY, "arguments"), {"validValues": []}, "is not a list of values"),
        ((*STATUS_QUALITY, "arguments"), {"validValues": ["a", "a"]}, "has a value twice"),
        ((*STATUS_QUALITY, "arguments"), {}, "invalidValues says nothing"),
        ((*STATUS_QUALITY, "metric"), "invalidValue", "metric: not allowed"),
        ((*STATUS_QUALITY, "mustBee"), 0, 'did you mean "mustBe"'),
        ((*STATUS_QUALITY, "mustBe"), None, "has no operator"),
        ((*STATUS_QUALITY, "severity"), "fatal", "severity: not allowed"),
        ((*STATUS_QUALITY, "dimension"), "validity", "dimension: not allowed"),
        ((*STATUS_QUALITY, "type"), "libary", "type: not allowed"),
        ((*STATUS_QUALITY, "id"), "paid_in_full", "has a rule id twice"),
        ((*ROW_RULE, "implementation"), "check: row_rule", "expression"),
        ((*ROW_RULE, "implementation"), "check: sum\nexpression: paid > 1", "check is not known"),
        ((*ROW_RULE, "implementation"), "check: row_rule\nexpression: payd <= total", "not a field"),
        ((*ROW_RULE, "implementation"), "check: row_rule\nexpresion: paid > 1", "expresion"),
        ((*ROW_RULE, "id"), None, "a row rule needs an id"),
        ((*ROW_RULE, "mustBe"), 0, "unknown key"),
        (("customProperties", 0, "value"), 2, "write a share from 0 to 1"),
        (("customProperties", 1, "value"), 0, "write a whole number from 1"),
        (("customProperties", 2, "value"), "ab", "one ASCII character"),
        (("customProperties", 3, "value"), "NA", "write a list of quoted texts"),
        (("customProperties", 4, "property"), "headrace.tolerence", "unknown property"),
        (("customProperties", 4, "property"), "headrace.tolerance", "property given twice"),
    ],
)
def test_contract_is_refused_with_the_place_and_the_next_action(path: tuple[Any, ...], value: Any, told: str) -> None:
    message = refusal(changed(*path, value=value))
    assert message.startswith("contract orders.odcs.yaml: line ")
    assert told in message


def test_refusal_names_every_problem_with_its_line() -> None:
    text = ORDERS.replace("status: active", "status: alive").replace("maximum: 1000", "maximun: 1000")
    with pytest.raises(ContractInvalid) as caught:
        parse_contract(text)
    problems = getattr(caught.value, "problems", ())
    assert [problem.split(":")[0] for problem in problems] == ["line 5", "line 27"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not an ODCS document"),
        ("just text", "not an ODCS document"),
        ("a: [1, 2", "not YAML"),
        ("a: 1\nb: 2\na: 3", 'line 3: key "a" is there twice (first in line 1)'),
        ("a: &x 1\nb: *x", "alias"),
        ("a: {<<: {b: 1}}", "plain text"),
        ("{[1]: 2}", "plain text"),
        ("a: !!python/object:os.system 1", "not YAML"),
        ("a: '\0'", "not YAML"),
        ("[" * 5_000, "nested too deeply"),
        ("a" * (2**20 + 1), "at most"),
    ],
)
def test_text_that_is_not_plain_yaml_is_refused(text: str, told: str) -> None:
    assert told in refusal(text)


def test_words_that_yaml_takes_for_booleans_are_not_taken_for_text() -> None:
    assert "quote it" in refusal(ORDERS.replace("[new, paid]", "[NO, SE]"))


def test_promises_that_nobody_checks_are_listed() -> None:
    document = yaml.safe_load(ORDERS)
    document["slaProperties"] = [{"property": "retention", "value": 5, "unit": "y"}]
    schema = document["schema"][0]
    schema["quality"] += [
        {"id": "by_query", "type": "sql", "query": "SELECT 1", "mustBe": 1},
        {"id": "in_words", "type": "text", "description": "good data"},
        {"id": "theirs", "type": "custom", "engine": "soda", "implementation": "x: 1"},
    ]
    listed = "\n".join(parse_contract(yaml.safe_dump(document)).unchecked)
    for promise in ("by_query", "in_words", "theirs", "soda", "retention 5y"):
        assert promise in listed


def test_null_values_of_a_field_join_those_of_the_contract() -> None:
    text = changed(
        *PROPERTIES, 2, "customProperties", value=[{"property": "headrace.nullValues", "value": ["-", "NA"]}]
    )
    fields = {field.name: field for field in parse_contract(text).fields}
    assert fields["paid"].null_values == ("NA", "-")
    assert fields["total"].null_values == ("NA",)


def test_no_missing_values_by_the_metric_is_the_rule_required() -> None:
    quality = [{"id": "there", "metric": "nullValues", "mustBe": 0}]
    rules = {rule.id: rule for rule in parse_contract(changed(*PROPERTIES, 1, "quality", value=quality)).rules}
    assert rules["there"].check == Required()
    assert rules["there"].fields == ("total",)


def test_both_arguments_of_one_metric_are_two_rules() -> None:
    arguments = {"validValues": ["a1", "b2"], "pattern": r"^\w\d$"}
    rules = {
        rule.id: rule.check for rule in parse_contract(changed(*STATUS_QUALITY, "arguments", value=arguments)).rules
    }
    assert rules["known"] == OneOf(("a1", "b2"))
    assert rules["known.pattern"] == Pattern(r"^\w\d$", "^[0-9A-Za-z_][0-9]$")
