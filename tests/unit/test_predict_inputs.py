"""A JSON object is a record only if each of its fields is of the learner's kind; what is wrong is told by field."""

import json
from datetime import date, datetime

import polars as pl
import pytest

from headrace.embedded.predict.inputs import READ_KINDS, read_features
from headrace.schemas.expression import Kind
from headrace.schemas.learner_fields import FEATURE_KINDS
from headrace.stream_processors.steps.learner_rows import features_of

KINDS = {
    "whole": Kind.WHOLE,
    "number": Kind.NUMBER,
    "text": Kind.TEXT,
    "flag": Kind.BOOLEAN,
    "day": Kind.DATE,
    "at": Kind.TIMESTAMP,
}
RECORD = {
    "at": "2026-01-31T10:00:00.5+02:00",
    "day": "2026-01-31",
    "whole": 3,
    "number": 2,
    "text": "EWR",
    "flag": False,
}


def test_every_kind_that_a_feature_may_have_is_read() -> None:
    assert READ_KINDS == FEATURE_KINDS


def test_record_over_http_gives_the_features_that_the_same_record_of_the_stream_gives() -> None:
    frame = pl.DataFrame(
        {
            "whole": pl.Series([3], dtype=pl.Int32),
            "number": pl.Series([2.0], dtype=pl.Float64),
            "text": ["EWR"],
            "flag": [False],
            "day": [date(2026, 1, 31)],
            "at": pl.Series([datetime(2026, 1, 31, 8, 0, 0, 500_000)], dtype=pl.Datetime("us")),  # noqa: DTZ001
        }
    )
    (of_stream,) = features_of(frame, KINDS)
    read = read_features(RECORD, KINDS)
    assert read.problems == ()
    assert list(read.features.items()) == list(of_stream.items())
    assert [type(one) for one in read.features.values()] == [type(one) for one in of_stream.values()]


def test_missing_field_and_null_are_missing_values() -> None:
    assert read_features({}, KINDS).features == {}
    assert read_features({"text": None, "whole": 1}, KINDS) == read_features({"whole": 1}, KINDS)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("whole", '"3"'),
        ("whole", "true"),
        ("whole", "3.5"),
        ("whole", "1e999"),
        ("whole", "9223372036854775808"),
        ("number", '"2.0"'),
        ("number", "false"),
        ("number", "1e999"),
        ("number", "1" + "0" * 400),
        ("text", "7"),
        ("text", '["EWR"]'),
        ("flag", "1"),
        ("flag", '"true"'),
        ("day", '"2026-02-30"'),
        ("day", '"2026-01-31T00:00:00"'),
        ("day", "20260131"),
        ("at", '"2026-01-31"'),
        ("at", '"yesterday at eight"'),
        ("at", "1769846400"),
        ("at", '"0001-01-01T00:00:00+14:00"'),
    ],
)
def test_value_of_another_kind_is_refused_by_field_value_and_kind(field: str, text: str) -> None:
    value = json.loads(text)
    (problem,) = read_features({"text": "fine", field: value}, KINDS, row=4).problems
    assert (problem.row, problem.field, problem.value, problem.kind) == (4, field, value, str(KINDS[field]))
    assert problem.problem.startswith("is ")


def test_whole_number_may_be_written_as_json_writes_numbers() -> None:
    assert read_features({"whole": 3.0}, KINDS).features == {"whole": 3}


def test_unknown_field_is_refused_and_the_one_that_was_meant_is_named() -> None:
    (problem,) = read_features({"numbre": 1}, KINDS).problems
    assert 'did you mean "number"?' in problem.problem
    (problem,) = read_features({"zzz": 1}, KINDS).problems
    assert "whole, number, text, flag, day, at" in problem.problem


def test_all_problems_of_a_record_are_told_at_once() -> None:
    found = read_features({"whole": "x", "number": "y", "extra": 1}, KINDS).problems
    assert [one.field for one in found] == ["whole", "number", "extra"]
