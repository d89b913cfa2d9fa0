"""The guide to contracts tells the truth: its examples are contracts, and its rows get the verdict it says."""

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.codec import polars_schema
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_bounds import _OPERATORS, THRESHOLDS
from headrace.schemas.contract_fields import PHYSICAL
from headrace.schemas.expression_parser import FUNCTIONS
from headrace.schemas.record import FieldType
from headrace.stream_processors.steps.validate import validate

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "contracts.md").read_text(encoding="utf-8")
BARE: dict[str, Any] = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "d", "version": "1", "status": "active"}
FLIGHT = [
    {"name": "cancelled", "logicalType": "boolean"},
    {"name": "dep_delay", "logicalType": "integer"},
    {"name": "arr_delay", "logicalType": "integer"},
]


@dataclass(frozen=True)
class Example:
    """One section on a rule."""

    title: str
    contract: Contract
    passing: tuple[dict[str, Any], ...]
    failing: tuple[dict[str, Any], ...]
    reason: str


def examples() -> list[Example]:
    found = []
    for section in GUIDE.split("\n### ")[1:]:
        block = re.search(r"```yaml\n# (.*?)\n(.*?)```", section, re.DOTALL)
        assert block is not None
        entries = yaml.safe_load(block[2])
        record: dict[str, Any] = {"name": "d", "properties": entries}
        if block[1] == "under the schema's quality":
            record = {"name": "d", "properties": FLIGHT, "quality": entries}
        text = yaml.safe_dump(BARE | {"schema": [record]})
        aside = re.search(r"^Put aside as `(\w+)`: (.*)$", section, re.MULTILINE)
        assert aside is not None
        passing = "".join(re.findall(r"^Passes: (.*)$", section, re.MULTILINE))
        title = section.splitlines()[0]
        found.append(Example(title, parse_contract(text, title), rows(passing), rows(aside[2]), aside[1]))
    return found


def rows(text: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(code) for code in re.findall(r"`(.*?)`", text))


def frame(example: Example, found: tuple[dict[str, Any], ...]) -> pl.DataFrame:
    kinds = polars_schema(example.contract.record_schema)
    columns = {}
    for field in example.contract.fields:
        values = [row[field.name] for row in found]
        if field.type.type is FieldType.DATE:
            values = [value and date.fromisoformat(value) for value in values]
        if field.type.type is FieldType.DOUBLE:
            values = [None if value is None else float(value) for value in values]
        columns[field.name] = pl.Series(values, dtype=kinds[field.name])
    return pl.DataFrame(columns)


EXAMPLES = examples()


def test_checks_of_the_guide_are_followed() -> None:
    blocks = re.findall(r"```yaml\n# a check (under .*?)\n(.*?)```", GUIDE, re.DOTALL)
    found: list[CheckRule] = []
    for place, text in blocks:
        entries = yaml.safe_load(text)
        at_object = place == "under the schema's quality"
        record = {"name": "d", "properties": FLIGHT, "quality": entries} if at_object else {"name": "d"}
        document = BARE | {"schema": [{"properties": entries} | record]}
        found += parse_contract(yaml.safe_dump(document), place).checks
    assert [rule.check for rule in found] == ["quantile_bounds", "row_rule"]
    assert all(rule.bounds for rule in found)


def test_guide_names_every_threshold_operator_and_metric() -> None:
    metrics = ("rowCount", "nullValues", "missingValues", "invalidValues", "duplicateValues")
    assert all(f"`metric: {metric}`" in GUIDE for metric in metrics)
    assert all(f"`{word}`" in GUIDE for word in (*THRESHOLDS, *_OPERATORS))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_rows_of_the_guide_get_the_verdict_it_says(example: Example) -> None:
    assert example.passing
    assert example.failing
    assert validate(frame(example, example.passing), example.contract).accepted.all()
    verdicts = validate(frame(example, example.failing), example.contract)
    assert not verdicts.accepted.any()
    assert set(verdicts.reasons) == {example.reason}


def test_guide_has_an_example_of_every_reason_that_a_rule_gives() -> None:
    judged = {Reason.REQUIRED, Reason.NOT_IN_SET, Reason.OUT_OF_RANGE, Reason.BAD_LENGTH, Reason.PATTERN_MISMATCH}
    assert {example.reason for example in EXAMPLES} == judged | {Reason.ROW_RULE, Reason.NOT_A_MULTIPLE}


def test_guide_names_every_type_and_function() -> None:
    for logical, kinds in PHYSICAL.items():
        assert f"| `{logical}` |" in GUIDE
        assert all(f"`{kind}" in GUIDE for kind in kinds)
    assert all(f"`{function}(" in GUIDE for function in FUNCTIONS)
