"""Verdicts: every row against every rule, each broken rule told, only rejecting rules reject."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from headrace.core.vocabulary import Reason
from headrace.errors import SchemaRefused
from headrace.schemas.codec import polars_schema
from headrace.schemas.contract import Contract, parse_contract
from headrace.stream_processors.steps.validate import RowFailure, Verdicts, validate

HEAD = """\
apiVersion: v3.1.0
kind: DataContract
id: d
version: "1"
status: active
schema:
  - name: d
"""


def contract(properties: str, row_rules: str = "") -> Contract:
    quality = f"    quality:\n{row_rules}\n" if row_rules else ""
    return parse_contract(f"{HEAD}{quality}    properties:\n{properties}\n")


def row_rule(name: str, expression: str, severity: str = "error") -> str:
    text = f"check: row_rule\\nexpression: {expression}"
    return f'      - {{id: {name}, type: custom, engine: headrace, severity: {severity}, implementation: "{text}"}}\n'


def judged(found: Contract, **columns: list[Any]) -> Verdicts:
    kinds = polars_schema(found.record_schema)
    return validate(
        pl.DataFrame({name: pl.Series(values, dtype=kinds[name]) for name, values in columns.items()}), found
    )


def failing(found: Contract, **columns: list[Any]) -> list[int]:
    return [index for index, good in enumerate(judged(found, **columns).accepted) if not good]


NOON = datetime(2024, 1, 1, 12)  # noqa: DTZ001 - record timestamps are UTC without a zone


@pytest.mark.parametrize(
    ("field", "values", "bad"),
    [
        ("logicalType: string, required: true", ["a", None, ""], [1]),
        ("logicalType: integer, logicalTypeOptions: {minimum: 1, maximum: 3}", [0, 1, 3, 4, None], [0, 3]),
        ("logicalType: integer, logicalTypeOptions: {exclusiveMinimum: 1}", [1, 2, None], [0]),
        ("logicalType: integer, logicalTypeOptions: {exclusiveMaximum: 3}", [2, 3], [1]),
        ("logicalType: integer, logicalTypeOptions: {minimum: 0.5}", [0, 1], [0]),
        ("logicalType: number, logicalTypeOptions: {minimum: 0}", [0.0, float("nan"), float("inf"), -0.1], [1, 3]),
        ("logicalType: number, logicalTypeOptions: {maximum: 0}", [0.0, float("nan"), float("-inf")], [1]),
        ("logicalType: number, physicalType: float, logicalTypeOptions: {minimum: 0.5}", [0.5, 0.25], [1]),
        ("logicalType: number, physicalType: float, "
         "quality: [{metric: invalidValues, arguments: {validValues: [0.1]}, mustBe: 0}]", [0.1, 0.2], [1]),
        ("logicalType: date, logicalTypeOptions: {minimum: '2024-01-01'}", [date(2023, 12, 31), date(2024, 1, 1)], [0]),
        ("logicalType: timestamp, logicalTypeOptions: {maximum: '2024-01-01T13:00:00+02:00'}", [NOON, None], [0]),
        ("logicalType: string, logicalTypeOptions: {minLength: 2}", ["日", "日本", "a", None], [0, 2]),
        ("logicalType: string, logicalTypeOptions: {maxLength: 2}", ["日本", "abc"], [1]),
        ("logicalType: string, logicalTypeOptions: {minLength: 1, maxLength: 2}", ["", "ab", "abc"], [0, 2]),
        ("logicalType: string, logicalTypeOptions: {pattern: '^a'}", ["ab", "ba", "", None], [1, 2]),
        ("logicalType: string, quality: [{metric: invalidValues, arguments: {validValues: [a, '']}, mustBe: 0}]",
         ["a", "b", "", None], [1]),
        ("logicalType: integer, quality: [{metric: invalidValues, arguments: {validValues: [1, 2]}, mustBe: 0}]",
         [1, 3, None], [1]),
        ("logicalType: number, quality: [{metric: invalidValues, arguments: {validValues: [1, 2.5]}, mustBe: 0}]",
         [1.0, 2.5, float("nan"), None], [2]),
        ("logicalType: boolean, quality: [{metric: invalidValues, arguments: {validValues: [true]}, mustBe: 0}]",
         [True, False, None], [1]),
        ("logicalType: date, quality: [{metric: invalidValues, arguments: {validValues: ['2024-01-01']}, mustBe: 0}]",
         [date(2024, 1, 1), date(2024, 1, 2)], [1]),
        ("logicalType: number, physicalType: 'decimal(10, 2)', logicalTypeOptions: {minimum: 1.5}",
         [Decimal("1.50"), Decimal("1.49"), None], [1]),
        ("logicalType: number, physicalType: 'decimal(10, 2)', "
         "quality: [{metric: invalidValues, arguments: {validValues: [1, 2.5]}, mustBe: 0}]",
         [Decimal("1.00"), Decimal("2.50"), Decimal("2.51")], [2]),
        ("logicalType: string, physicalType: 'enum(A, B)', logicalTypeOptions: {pattern: '^A'}", ["A", "B"], [1]),
        ("logicalType: time, required: true", [None], [0]),
    ],
)  # fmt: skip
def test_rule_fails_exactly_the_rows_that_break_it(field: str, values: list[Any], bad: list[int]) -> None:
    assert failing(contract(f"      - {{name: x, {field}}}"), x=values) == bad


TWO = "      - {name: a, logicalType: integer, required: true, logicalTypeOptions: {minimum: 0}}\n" + (
    "      - {name: s, logicalType: string, logicalTypeOptions: {pattern: '^x', maxLength: 3}}"
)


def test_row_tells_every_rule_it_breaks_in_the_order_of_the_contract() -> None:
    verdicts = judged(contract(TWO, row_rule("long", "length(s) < 3")), a=[-1, 1, None], s=["yyyy", "x", "x"])
    assert [(failure.index, failure.rule, failure.code) for failure in verdicts.failures] == [
        (0, "a.range", Reason.OUT_OF_RANGE),
        (0, "s.length", Reason.BAD_LENGTH),
        (0, "s.pattern", Reason.PATTERN_MISMATCH),
        (0, "long", Reason.ROW_RULE),
        (2, "a.required", Reason.REQUIRED),
    ]
    assert verdicts.accepted.to_list() == [False, True, False]
    assert verdicts.rejected == 2


def test_failure_shows_what_was_seen_and_what_was_expected() -> None:
    verdicts = judged(contract(TWO, row_rule("fits", "a < length(s)")), a=[5, None], s=["y" * 300, "x"])
    first, second, third = verdicts.failures
    assert first == RowFailure(0, Reason.BAD_LENGTH, "s", "s.length", f"s={'y' * 80}; expected 0 to 3 characters")
    assert second.detail == f"s={'y' * 80}; expected a match of ^x"
    assert third.rule == "a.required"
    assert third.detail == "is missing"
    fits = judged(contract(TWO, row_rule("fits", "a < length(s)")), a=[5], s=["x"]).failures[0]
    assert (fits.field, fits.detail) == ("", "a=5, s=x; expected a < length(s)")


def test_unknown_outcome_of_a_row_rule_does_not_fail_the_row() -> None:
    assert failing(contract(TWO, row_rule("r", "a < length(s)")), a=[1, 1], s=[None, "x"]) == [1]


def test_warning_is_counted_and_the_row_goes_on() -> None:
    verdicts = judged(contract(TWO, row_rule("r", "a < 5", "warning")), a=[9, 9, 1], s=["x", "y", "x"])
    assert verdicts.accepted.to_list() == [True, False, True]
    assert verdicts.rules == {"s.pattern": 1, "r": 2}
    assert verdicts.reasons == {Reason.PATTERN_MISMATCH: 1}
    assert [(failure.index, failure.rule) for failure in verdicts.failures] == [(1, "s.pattern"), (1, "r")]


def test_reasons_count_a_row_once_for_each_code() -> None:
    field = "      - {name: a, logicalType: integer, logicalTypeOptions: {minimum: 0}}\n"
    found = contract(field + field.replace("name: a", "name: b"))
    verdicts = judged(found, a=[-1, -1], b=[-1, 1])
    assert verdicts.reasons == {Reason.OUT_OF_RANGE: 2}
    assert verdicts.rules == {"a.range": 2, "b.range": 1}


def test_field_that_the_records_do_not_have_is_missing() -> None:
    verdicts = judged(contract(TWO), s=["x", "xx"])
    assert [failure.rule for failure in verdicts.failures] == ["a.required", "a.required"]


def test_columns_that_the_contract_does_not_name_are_left_alone() -> None:
    frame = pl.DataFrame({"a": [1], "s": ["x"], "more": [None], "_row": [0]})
    assert validate(frame, contract(TWO)).accepted.to_list() == [True]


def test_field_of_another_type_is_refused() -> None:
    with pytest.raises(SchemaRefused, match='field "a" is String'):
        validate(pl.DataFrame({"a": ["1"], "s": ["x"]}), contract(TWO))


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_contract_without_rules_accepts_everything(rows: int) -> None:
    verdicts = judged(contract("      - {name: a, logicalType: integer}"), a=[None] * rows)
    assert verdicts.accepted.to_list() == [True] * rows
    assert (verdicts.failures, dict(verdicts.rules), verdicts.rejected) == ((), {}, 0)


def test_empty_frame_has_an_empty_verdict() -> None:
    verdicts = judged(contract(TWO), a=[], s=[])
    assert len(verdicts.accepted) == 0
    assert verdicts.rejected == 0
