"""Laws of names, profiles, verdicts and inference that hold for any data."""

import math
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.identity import DATASET_PATTERN
from headrace.producers.readers.values import convert
from headrace.schemas.contract import parse_contract
from headrace.schemas.guess import guess_column
from headrace.schemas.infer import Sample, draft_contract, match_columns, merge_new_columns
from headrace.schemas.names import SAFE_NAME, safe_names
from headrace.schemas.record import FieldType, RecordField
from headrace.stream_processors.steps.profile import column_deltas, merge_columns
from headrace.stream_processors.steps.validate import validate

HEADERS = st.lists(
    st.one_of(st.text(max_size=12), st.sampled_from(["a", "A", "a_2", "_row", "id", "ID", "", "a" * 70, "col_2"])),
    max_size=12,
)


@given(HEADERS)
def test_safe_names_are_safe_distinct_and_stay_as_they_are(originals: list[str]) -> None:
    names = safe_names(originals)
    assert len(names) == len(set(names)) == len(originals)
    assert all(SAFE_NAME.fullmatch(name) and DATASET_PATTERN.fullmatch(name) for name in names)
    assert safe_names(names) == names


@given(HEADERS, HEADERS)
def test_safe_names_do_not_change_when_columns_are_added(originals: list[str], added: list[str]) -> None:
    assert safe_names(originals + added)[: len(originals)] == safe_names(originals)


@given(HEADERS, HEADERS)
def test_safe_names_keep_clear_of_taken_ones(originals: list[str], taken: list[str]) -> None:
    names = set(safe_names(taken))
    assert not names & set(safe_names(originals, names))


FIELDS = (
    RecordField("n", FieldType.LONG),
    RecordField("x", FieldType.DOUBLE),
    RecordField("s", FieldType.STRING),
    RecordField("b", FieldType.BOOLEAN),
    RecordField("d", FieldType.DATE),
)
ROW = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(10**9), 10**9),
        "x": st.none() | st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf]),
        "s": st.none() | st.text(max_size=80),
        "b": st.none() | st.booleans(),
        "d": st.none() | st.dates(),
    }
)
TYPES: dict[str, Any] = {"n": pl.Int64, "x": pl.Float64, "s": pl.String, "b": pl.Boolean, "d": pl.Date}


def profiled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return column_deltas(pl.DataFrame(rows, schema=TYPES), FIELDS)


def close(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> None:
    assert [column["name"] for column in left] == [column["name"] for column in right]
    for one, other in zip(left, right, strict=True):
        scale = math.sqrt(other["m2"] / other["numbers"]) if other["numbers"] else 0.0
        spread = max(scale, abs(other["mean"]))
        assert math.isclose(one["mean"], other["mean"], rel_tol=1e-9, abs_tol=1e-9 * spread + 1e-300)
        # What rounding leaves of a spread that is nothing against the values themselves.
        noise = 1e-9 * other["mean"] ** 2 * max(1, other["numbers"]) * 1e-6
        assert math.isclose(one["m2"], other["m2"], rel_tol=1e-9, abs_tol=noise + 1e-300)
        exact = set(one) - {"mean", "m2"}
        assert {key: one[key] for key in exact} == {key: other[key] for key in exact}


@given(st.lists(ROW, min_size=1, max_size=30), st.integers(1, 6), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_profile_is_the_same_in_any_split_and_order(
    rows: list[dict[str, Any]], parts: int, chance: random.Random
) -> None:
    pieces: list[list[dict[str, Any]]] = [[] for _ in range(parts)]
    for row in rows:
        pieces[chance.randrange(parts)].append(row)
    merged: list[dict[str, Any]] = []
    for piece in pieces:
        merged = merge_columns(merged, profiled(piece))
    close(merged, profiled(rows))


@given(st.lists(ROW, max_size=10), st.lists(ROW, max_size=10), st.lists(ROW, max_size=10))
@settings(max_examples=60)
def test_profiles_are_a_monoid(
    first: list[dict[str, Any]], second: list[dict[str, Any]], third: list[dict[str, Any]]
) -> None:
    a, b, c = profiled(first), profiled(second), profiled(third)
    close(merge_columns(merge_columns(a, b), c), merge_columns(a, merge_columns(b, c)))
    close(merge_columns(a, b), merge_columns(b, a))
    assert merge_columns(a, []) == merge_columns([], a) == a


def test_profile_of_many_splits_agrees_on_large_offsets() -> None:
    chance = random.Random(7)
    values = [1e6 + chance.gauss(0, 3) for _ in range(5_000)]
    whole = column_deltas(pl.DataFrame({"x": values}), FIELDS[1:2])
    for _ in range(100):
        cuts = sorted(chance.sample(range(len(values)), 9))
        merged: list[dict[str, Any]] = []
        for start, stop in zip([0, *cuts], [*cuts, len(values)], strict=True):
            merged = merge_columns(column_deltas(pl.DataFrame({"x": values[start:stop]}), FIELDS[1:2]), merged)
        assert merged[0]["m2"] == pytest.approx(whole[0]["m2"], rel=1e-9)
        assert merged[0]["mean"] == pytest.approx(whole[0]["mean"], rel=1e-12)


RULED = parse_contract("""\
apiVersion: v3.1.0
kind: DataContract
id: d
version: "1"
status: active
schema:
  - name: d
    quality:
      - id: row
        type: custom
        engine: headrace
        implementation: "check: row_rule\\nexpression: n IS NULL OR n < length(s) OR x * 2 > n"
    properties:
      - {name: n, logicalType: integer, required: true, logicalTypeOptions: {minimum: -5, exclusiveMaximum: 5}}
      - {name: x, logicalType: number, logicalTypeOptions: {minimum: -1, maximum: 1}}
      - name: s
        logicalType: string
        logicalTypeOptions: {minLength: 1, maxLength: 3, pattern: "^[a-c]+$"}
        quality: [{id: s_set, metric: invalidValues, arguments: {validValues: ["a", "ab", "dd"]}, mustBe: 0}]
""")
JUDGED = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-7, 7),
        "x": st.none() | st.floats(-2, 2) | st.sampled_from([math.nan, math.inf]),
        "s": st.none() | st.text("abcd", max_size=5),
    }
)


def broken(row: dict[str, Any]) -> set[str]:
    """The same rules again, a row at a time and in plain Python."""
    n, x, s = row["n"], row["x"], row["s"]
    found = set()
    if n is None:
        found.add("n.required")
    elif not -5 <= n < 5:
        found.add("n.range")
    if x is not None and not -1 <= x <= 1:
        found.add("x.range")
    if s is not None:
        if not 1 <= len(s) <= 3:
            found.add("s.length")
        if not s or set(s) - set("abc"):
            found.add("s.pattern")
        if s not in {"a", "ab", "dd"}:
            found.add("s_set")
    known = x is not None and not math.isnan(x)
    if n is not None and s is not None and known and not (n < len(s) or x * 2 > n):
        found.add("row")
    return found


@given(st.lists(JUDGED, max_size=20))
@settings(max_examples=100)
def test_verdicts_equal_those_of_a_judge_in_plain_python(rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema={"n": pl.Int64, "x": pl.Float64, "s": pl.String})
    verdicts = validate(frame, RULED)
    expected = [broken(row) for row in rows]
    found: list[set[str]] = [set() for _ in rows]
    for failure in verdicts.failures:
        found[failure.index].add(failure.rule)
    assert found == expected
    assert verdicts.accepted.to_list() == [not names for names in expected]
    assert sum(verdicts.rules.values()) == sum(len(names) for names in expected)


CELL = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "0", "1", "-7", "007", "1.5", "1e5", "NA", "true", "False", "2024-01-31", "2024-02-30"]),
    st.sampled_from(["2024-01-31T10:00:00Z", "2024-01-31T10:00:00", "9" * 18, "9" * 19, "+1", "1,5", "nan", "0x1"]),
    st.text(max_size=5),
)


@given(st.lists(st.text("0123456789-.eE+ ", max_size=20) | CELL, max_size=6))
@settings(max_examples=200)
def test_reader_reads_what_inference_found_without_a_change(values: list[str | None]) -> None:
    texts = pl.Series(values, dtype=pl.String)
    guess = guess_column(texts, quoted=False)
    read = convert(texts, RecordField("x", guess.type)).to_list()
    for text, value in zip(values, read, strict=True):
        if text is None or not text.strip() or text in guess.null_values:
            continue
        if guess.type is FieldType.LONG:
            assert str(value) == text.strip().replace("-0", "0")
        elif guess.type is FieldType.DOUBLE:
            assert value == float(text)
        elif guess.type is FieldType.DATE:
            assert str(value) == text.strip()
        elif guess.type is FieldType.STRING:
            assert value == text
        else:
            assert value is not None


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=8), HEADERS)
@settings(max_examples=100)
def test_draft_is_a_contract_whatever_the_file_holds(rows: list[list[str | None]], headers: list[str]) -> None:
    columns = (*headers, "x")[:2] if len(headers) > 1 else ("a", "b")
    frame = pl.DataFrame({f"c{place}": [row[place] for row in rows] for place in range(2)}, schema_overrides={
        "c0": pl.String, "c1": pl.String,
    })  # fmt: skip
    contract = draft_contract("d", Sample(columns, frame))
    assert [field.source_name for field in contract.fields] == list(columns)
    assert contract.rules == ()
    assert draft_contract("d", Sample(columns, frame)) == contract
    matched = match_columns(columns, contract.record_fields)
    assert sorted(matched.values()) == [0, 1]
    assert merge_new_columns(contract.record_schema, Sample(columns, frame)) == contract.record_schema
