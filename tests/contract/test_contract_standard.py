"""Our contracts are ODCS: every document we ship, draft or teach is valid against the standard's own JSON schema.

The schema's keywords are few, so they are read here; a keyword that is not known fails the test.
"""

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from headrace.schemas.contract import parse_contract
from headrace.schemas.infer import Sample, draft_contract

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
STANDARD: dict[str, Any] = json.loads((HERE / "odcs" / "odcs-json-schema-v3.1.0.json").read_text(encoding="utf-8"))
GUIDE = REPOSITORY / "docs" / "guide" / "contracts.md"
SILENT = {"$schema", "$defs", "title", "description", "default", "examples", "deprecated", "format", "then", "else"}
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def faults(schema: Any, value: Any, path: str = "") -> tuple[list[str], set[str]]:
    """Return what is wrong with a value, and the properties that the schema looked at."""
    if isinstance(schema, bool):
        return ([] if schema else [f"{path}: not allowed"]), set()
    found: list[str] = []
    seen: set[str] = set()
    for keyword, rule in schema.items():
        if keyword in SILENT or keyword in {"additionalProperties", "unevaluatedProperties"}:
            continue
        wrong, looked = KEYWORDS[keyword](rule, value, path, schema)
        found += wrong
        seen |= looked
    if isinstance(value, dict):
        for keyword, known in (
            ("additionalProperties", set(schema.get("properties", {}))),
            ("unevaluatedProperties", seen),
        ):
            if keyword in schema:
                for key in value.keys() - known:
                    found += faults(schema[keyword], value[key], f"{path}.{key}")[0]
                seen = seen | value.keys()
    return found, seen


def _type(rule: Any, value: Any, path: str, _schema: Any) -> tuple[list[str], set[str]]:
    names = rule if isinstance(rule, list) else [rule]
    fits = any(isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool)) for name in names)
    return ([] if fits else [f"{path}: not of type {rule}"]), set()


def _properties(rule: Any, value: Any, path: str, _schema: Any) -> tuple[list[str], set[str]]:
    if not isinstance(value, dict):
        return [], set()
    shared = rule.keys() & value.keys()
    return [fault for key in shared for fault in faults(rule[key], value[key], f"{path}.{key}")[0]], set(shared)


def _items(rule: Any, value: Any, path: str, _schema: Any) -> tuple[list[str], set[str]]:
    members = value if isinstance(value, list) else []
    return [fault for place, one in enumerate(members) for fault in faults(rule, one, f"{path}[{place}]")[0]], set()


def _all_of(rule: Any, value: Any, path: str, _schema: Any) -> tuple[list[str], set[str]]:
    results = [faults(part, value, path) for part in rule]
    return [fault for wrong, _ in results for fault in wrong], set().union(*(seen for _, seen in results))


def _any_of(rule: Any, value: Any, path: str, _schema: Any) -> tuple[list[str], set[str]]:
    fitting = [seen for wrong, seen in (faults(part, value, path) for part in rule) if not wrong]
    return ([] if fitting else [f"{path}: fits none of anyOf"]), set().union(*fitting)


def _one_of(rule: Any, value: Any, path: str, _schema: Any) -> tuple[list[str], set[str]]:
    fitting = [seen for wrong, seen in (faults(part, value, path) for part in rule) if not wrong]
    return ([] if len(fitting) == 1 else [f"{path}: fits {len(fitting)} of oneOf"]), set().union(*fitting)


def _if(rule: Any, value: Any, path: str, schema: Any) -> tuple[list[str], set[str]]:
    wrong, seen = faults(rule, value, path)
    branch = schema.get("else" if wrong else "then", True)
    further, looked = faults(branch, value, path)
    return further, looked | (set() if wrong else seen)


def _required(rule: Any, value: Any, path: str, _schema: Any) -> tuple[list[str], set[str]]:
    return [f"{path}: {key} is missing" for key in rule if isinstance(value, dict) and key not in value], set()


def _plainly(holds: Any) -> Any:
    def look(rule: Any, value: Any, path: str, _schema: Any) -> tuple[list[str], set[str]]:
        return ([] if holds(rule, value) else [f"{path}: {value!r} breaks {rule!r}"]), set()

    return look


KEYWORDS: dict[str, Any] = {
    "$ref": lambda rule, value, path, _: faults(STANDARD["$defs"][rule.removeprefix("#/$defs/")], value, path),
    "type": _type,
    "properties": _properties,
    "items": _items,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "if": _if,
    "required": _required,
    "not": _plainly(lambda rule, value: bool(faults(rule, value)[0])),
    "enum": _plainly(lambda rule, value: value in rule),
    "const": _plainly(lambda rule, value: value == rule),
    "pattern": _plainly(lambda rule, value: not isinstance(value, str) or re.search(rule, value)),
    "minimum": _plainly(lambda rule, value: not isinstance(value, (int, float)) or value >= rule),
    "exclusiveMinimum": _plainly(lambda rule, value: not isinstance(value, (int, float)) or value > rule),
    "minItems": _plainly(lambda rule, value: not isinstance(value, list) or len(value) >= rule),
    "maxItems": _plainly(lambda rule, value: not isinstance(value, list) or len(value) <= rule),
    "uniqueItems": _plainly(
        lambda _, value: not isinstance(value, list) or len({str(one) for one in value}) == len(value)
    ),
}


def shipped() -> Iterator[tuple[str, str]]:
    for found in sorted(
        resources.files("headrace.schemas").joinpath("contracts").iterdir(), key=lambda file: file.name
    ):
        if found.name.endswith(".odcs.yaml"):
            yield found.name.removesuffix(".odcs.yaml"), found.read_text(encoding="utf-8")


def taught() -> list[str]:
    """Return the whole documents of the guide."""
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in blocks if block.startswith("apiVersion:")]


def official_faults(text: str) -> list[str]:
    return faults(STANDARD, yaml.safe_load(text))[0]


SHIPPED = dict(shipped())


def test_five_datasets_come_with_a_contract() -> None:
    assert set(SHIPPED) == {"flights", "weather", "planes", "airports", "airlines"}


@pytest.mark.parametrize("dataset", sorted(SHIPPED))
def test_shipped_contract_is_valid_by_the_standard_and_by_us(dataset: str) -> None:
    assert official_faults(SHIPPED[dataset]) == []
    contract = parse_contract(SHIPPED[dataset], dataset)
    assert contract.dataset == dataset
    assert contract.owner
    assert contract.rules
    assert all(field.description for field in contract.fields)
    assert not contract.drafted


def test_draft_is_valid_by_the_standard() -> None:
    frame = pl.DataFrame({"c0": ["1", "NA"], "c1": ["2024-01-01T00:00:00Z", None], "c2": ["a", "b"]})
    assert official_faults(draft_contract("d", Sample(("N", "At ", "é"), frame)).text) == []


def test_documents_of_the_guide_are_valid_by_the_standard_and_by_us() -> None:
    documents = taught()
    assert documents
    for text in documents:
        assert official_faults(text) == []
        parse_contract(text, "docs/guide/contracts.md")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mustBe: 0", "mustBee: 0"),
        ("metric: invalidValues", "metric: invalidValue"),
        ("dimension: conformity", "dimension: validity"),
        ("logicalType: string", "logicalType: text"),
        ("minimum: 1,", "minimun: 1,"),
        ("kind: DataContract", "kind: Contract"),
    ],
)
def test_reading_of_the_standard_sees_faults(old: str, new: str) -> None:
    assert official_faults(SHIPPED["flights"].replace(old, new, 1))
