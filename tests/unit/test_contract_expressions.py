"""Row rules and patterns: what is understood, what is refused, and what it means row by row."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from headrace.schemas.expression import Call, Kind, Literal
from headrace.schemas.expression_parser import MAX_DEPTH, MAX_TEXT, ExpressionInvalid, parse_expression
from headrace.schemas.patterns import PatternInvalid, linear_pattern
from headrace.stream_processors.steps.row_rules import row_expression

KINDS = {
    "a": Kind.WHOLE,
    "b": Kind.WHOLE,
    "x": Kind.NUMBER,
    "s": Kind.TEXT,
    "ok": Kind.BOOLEAN,
    "day": Kind.DATE,
    "at": Kind.TIMESTAMP,
    "date": Kind.DATE,
    "raw": Kind.BYTES,
}
TYPES: dict[str, Any] = {
    "a": pl.Int64,
    "b": pl.Int32,
    "x": pl.Float64,
    "s": pl.String,
    "ok": pl.Boolean,
    "day": pl.Date,
    "at": pl.Datetime("us"),
    "date": pl.Date,
    "raw": pl.Binary,
}


def answer(text: str, **row: Any) -> object:
    frame = pl.DataFrame({name: [row.get(name)] for name in TYPES}, schema=TYPES)
    return frame.select(row_expression(parse_expression(text, KINDS).node).alias("_")).item()


NOON = datetime(2024, 1, 1, 12)  # noqa: DTZ001 - record timestamps are UTC without a zone


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("a < 5", {"a": 4}, True),
        ("a < 5", {"a": 5}, False),
        ("a < 5", {}, None),
        ("a IS NULL", {}, True),
        ("a is not null", {}, False),
        ("a IS NULL OR a > 0", {}, True),
        ("a IS NULL OR a > 0", {"a": -1}, False),
        ("a > 0 AND ok", {"a": -1}, False),
        ("a > 0 OR ok", {"a": -1}, None),
        ("NOT ok", {"ok": False}, True),
        ("NOT a = 1 AND b = 1", {"a": 2, "b": 1}, True),
        ("a = 1 OR b = 1 AND a = 2", {"a": 1, "b": 0}, True),
        ("(a = 1 OR b = 1) AND a = 2", {"a": 1, "b": 0}, False),
        ("a + b * 2 = 7", {"a": 1, "b": 3}, True),
        ("(a + b) * 2 = 8", {"a": 1, "b": 3}, True),
        ("a - b - 1 = 0", {"a": 3, "b": 2}, True),
        ("a / 2 = 0.5", {"a": 1}, True),
        ("a / b > 0", {"a": 1, "b": 0}, None),
        ("x / a = 2", {"x": 5.0, "a": 2}, False),
        ("-a = 3", {"a": -3}, True),
        ("a = -3", {"a": -3}, True),
        ("a BETWEEN 1 AND 3 AND ok", {"a": 3, "ok": True}, True),
        ("a NOT BETWEEN 1 AND 3", {"a": 4}, True),
        ("a IN (1, 2, -3)", {"a": -3}, True),
        ("a NOT IN (1, 2)", {"a": 3}, True),
        ("a NOT IN (1, 2)", {}, None),
        ("s IN ('x', 'it''s')", {"s": "it's"}, True),
        ("s <> 'x'", {"s": "y"}, True),
        ("s != 'x'", {"s": "x"}, False),
        ("length(s) = 3", {"s": "日本語"}, True),
        ("lower(s) = 'ab' AND upper(s) = 'AB'", {"s": "aB"}, True),
        ("abs(a - 5) <= 2", {"a": 3}, True),
        ("coalesce(a, b, 0) = 0", {}, True),
        ("a IN (1, 2.5)", {"a": 1}, True),
        ("x IN (1, 2)", {"x": 2.0}, True),
        ("at IN (TIMESTAMP '2024-01-01T12:00:00Z')", {"at": NOON}, True),
        ("day NOT IN (DATE '2024-01-01')", {"day": date(2024, 1, 2)}, True),
        ("coalesce(a, x) = 1.5", {"x": 1.5}, True),
        ("x > 0", {"x": float("nan")}, None),
        ("x = x", {"x": float("nan")}, None),
        ("x < 1e3", {"x": float("inf")}, False),
        ("a = 2.0", {"a": 2}, True),
        ("b * 3000000000 = 6000000000", {"b": 2}, True),
        ("day >= DATE '2024-01-01'", {"day": date(2024, 1, 1)}, True),
        ("at < timestamp '2024-01-01T13:00:00+02:00'", {"at": NOON}, False),
        ("at = TIMESTAMP '2024-01-01 12:00:00Z'", {"at": NOON}, True),
        ("date = day", {"date": date(2024, 1, 1), "day": date(2024, 1, 1)}, True),
        ('"date" IS NULL', {}, True),
        ("raw IS NULL", {"raw": b""}, False),
        ("(a IS NULL) = (b IS NULL)", {"a": 1}, False),
        ("TRUE = ok", {"ok": True}, True),
    ],
)
def test_row_rule_has_the_meaning_of_sql(text: str, row: dict[str, Any], expected: object) -> None:
    assert answer(text, **row) is expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot go on at"),
        ("a", "must be true or false"),
        ("a <", 'cannot go on at "the end"'),
        ("a < 5 b", 'cannot go on at "b"'),
        ("c < 5", '"c" is not a field'),
        ("A < 5", '"A" is not a field'),
        ("sum(a) > 1", 'function "sum" is not one of'),
        ("s < 5", 'cannot compare field "s" (text) with a whole number'),
        ("a = NULL", "write IS NULL"),
        ("a IN (1, NULL)", "constants only"),
        ("a IN (b)", "constants only"),
        ("a IN (SELECT 1)", '"SELECT" is not a field'),
        ("day > '2024-01-01'", "write DATE '2024-01-01'"),
        ("at > '2024-01-01T00:00:00Z'", "write TIMESTAMP"),
        ("at > TIMESTAMP '2024-01-01T00:00:00'", "needs a zone"),
        ("day > DATE '2024-02-30'", "not in ISO 8601"),
        ("ok > TRUE", "needs an order"),
        ("day - day = 0", "- takes"),
        ("s + 's' = 'ss'", "+ takes"),
        ("NOT a", "NOT takes boolean"),
        ("a AND ok", "AND takes boolean"),
        ("abs(s) = 1", "abs takes"),
        ("abs(a, b) = 1", "one argument"),
        ("coalesce(a) = 1", "two arguments"),
        ("1 = 1", "names no field"),
        ("a = 9223372036854775808", "64 bits"),
        ("a = 1; DROP TABLE x", "cannot read"),
        ("s LIKE 'x%'", 'cannot go on at "LIKE"'),
        ("a = 1 -- remark", "cannot read"),
        ("a = " + "1 + " * 100 + "1", "terms in a row"),
        ("s = 'open", "cannot read"),
        ("a = 1x", "cannot read"),
        ("(" * (MAX_DEPTH + 1) + "a = 1" + ")" * (MAX_DEPTH + 1), "nested deeper"),
        ("a = 1 OR " * MAX_TEXT, "at most"),
        ("NOT " * 100 + "ok", "nested deeper"),
        ("- " * 100 + "a = 1", "nested deeper"),
    ],
)
def test_row_rule_that_cannot_be_followed_is_refused_with_the_reason(text: str, told: str) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        parse_expression(text, KINDS)
    assert told in str(caught.value)


def test_long_chain_of_conditions_is_followed() -> None:
    text = " OR ".join(f"a={number}" for number in range(400))
    assert answer(text, a=399) is True


def test_row_rule_keeps_its_text_and_its_fields_in_order() -> None:
    expression = parse_expression("b > 1\n  OR a < 2 OR b = 3", KINDS)
    assert expression.text == "b > 1 OR a < 2 OR b = 3"
    assert expression.fields == ("b", "a")


def test_moments_of_a_rule_are_in_utc() -> None:
    node = parse_expression("at > TIMESTAMP '2024-01-01T01:00:00+01:00'", KINDS).node
    assert isinstance(node, Call)
    assert node.arguments[1] == Literal(datetime(2024, 1, 1, tzinfo=UTC), Kind.TIMESTAMP)


@pytest.mark.parametrize(
    ("pattern", "fits", "misfits"),
    [
        (r"^\d{3}$", ["123"], ["١٢٣", "12", "123\n", "a123"]),
        (r"^\w+$", ["aZ_9"], ["é", ""]),
        (r"^[\w.-]+@[\w-]+\.[a-z]{2,}$", ["a.b-c@d-e.org"], ["a@b", "a b@c.de"]),
        (r"^\S+$", ["é"], ["a b", ""]),
        (r"\bcat\b", ["a cat!", "cat"], ["concat"]),
        (r"^(?:AB|CD)-[^\d]*$", ["AB-x", "CD-"], ["EF-", "AB-1"]),
        (r"^a/b\/c\.\-$", ["a/b/c.-"], ["a/b/cx-"]),
        (r"^[A\]]\x41\u00e9$", ["]Aé", "AAé"], ["BAé"]),
        ("ell", ["hello"], ["help"]),
        (r"^\\$", ["\\"], ["/"]),
    ],
)
def test_pattern_means_the_same_as_in_ecma_script(pattern: str, fits: list[str], misfits: list[str]) -> None:
    compiled = linear_pattern(pattern)
    assert pl.Series(fits).str.contains(compiled).all()
    assert not pl.Series(misfits).str.contains(compiled).any()


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(?=a)b", "look-around"),
        ("a(?!b)", "look-around"),
        ("(?<=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "back-reference"),
        (r"(?i)a", '"(?i"'),
        ("(?<name>a)", '"(?<name>a"'),
        ("a++", "one quantifier only"),
        ("a**", "one quantifier only"),
        ("[a&&b]", "another meaning"),
        ("[[:alpha:]]", "another meaning"),
        ("[]a]", "another meaning"),
        (r"[\D]", "list what is allowed"),
        (r"\p{L}", "not known to every engine"),
        (r"\A", "not known to every engine"),
        ("(a", "not a regular expression"),
        ("a{2,1}", "not a regular expression"),
        ("a{1000000}", "not a regular expression"),
        ("a\\", "not known to every engine"),
        ("", "1 to"),
        ("a" * 2_000, "1 to"),
    ],
)
def test_pattern_that_engines_disagree_on_is_refused(pattern: str, told: str) -> None:
    with pytest.raises(PatternInvalid) as caught:
        linear_pattern(pattern)
    assert told in str(caught.value)
