"""Inference: the narrowest type that changes no value, and fields for new columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from headrace.producers.readers.values import convert
from headrace.schemas.guess import NULL_SPELLINGS, guess_column
from headrace.schemas.infer import Sample, draft_contract, match_columns, merge_new_columns
from headrace.schemas.names import safe_names
from headrace.schemas.record import FieldType, RecordField, RecordSchema

GOLDEN = Path(__file__).parent.parent / "golden" / "drafts"


def sample(columns: Mapping[str, Sequence[str | None]]) -> Sample:
    frame = pl.DataFrame({f"c{place}": values for place, values in enumerate(columns.values())})
    return Sample(tuple(columns), frame.cast(pl.String))


CASES: list[tuple[list[str | None], FieldType]] = [
    (["1", "-2", "0", None], FieldType.LONG),
    ([" 1", "2 ", "  "], FieldType.LONG),
    (["9" * 18], FieldType.LONG),
    (["9" * 19], FieldType.STRING),
    (["007", "1"], FieldType.STRING),
    (["+49", "1"], FieldType.STRING),
    (["1", "2.5"], FieldType.DOUBLE),
    (["1e5", "-1.5E-3", "0.0"], FieldType.DOUBLE),
    (["10.357019999999999"], FieldType.DOUBLE),
    (["0.00012345678901234567"], FieldType.DOUBLE),
    (["1.1234567890123456789"], FieldType.STRING),
    (["1.5", "1234567890123456"], FieldType.STRING),
    (["1.5", "123456789012345"], FieldType.DOUBLE),
    (["1e999"], FieldType.STRING),
    (["1,5"], FieldType.STRING),
    (["0x10"], FieldType.STRING),
    (["inf"], FieldType.STRING),
    (["١"], FieldType.STRING),
    (["00.5"], FieldType.STRING),
    (["true", "FALSE", "True"], FieldType.BOOLEAN),
    (["true", "1"], FieldType.STRING),
    (["yes", "no"], FieldType.STRING),
    (["2024-01-31", "0001-01-01"], FieldType.DATE),
    (["2024-02-30"], FieldType.STRING),
    (["0000-01-01"], FieldType.STRING),
    (["2024-1-31"], FieldType.STRING),
    (["31.01.2024"], FieldType.STRING),
    (["2024-01-31T10:00:00Z", "2024-01-31 10:00:00.123456+02:00"], FieldType.TIMESTAMP),
    (["2024-01-31T10:00:00"], FieldType.STRING),
    (["2024-01-31T25:00:00Z"], FieldType.STRING),
    (["2024-01-31T10:00:00.1234567Z"], FieldType.STRING),
    (["2024-01-31", "2024-01-31T10:00:00Z"], FieldType.STRING),
    (["1", "a"], FieldType.STRING),
    ([None, "", " "], FieldType.STRING),
    ([], FieldType.STRING),
]


@pytest.mark.parametrize(("values", "expected"), CASES)
def test_column_has_the_narrowest_type_that_changes_no_value(values: list[str | None], expected: FieldType) -> None:
    assert guess_column(pl.Series(values, dtype=pl.String), quoted=False).type is expected


@pytest.mark.parametrize(("values", "expected"), CASES)
def test_reader_reads_every_value_as_the_type_that_inference_found(
    values: list[str | None], expected: FieldType
) -> None:
    texts = pl.Series(values, dtype=pl.String)
    present = texts.str.strip_chars().fill_null("") != ""
    assert convert(texts, RecordField("x", expected)).filter(present).null_count() == 0


def test_late_value_decides() -> None:
    values = ["1"] * 10_000 + ["x"]
    assert guess_column(pl.Series(values), quoted=False).type is FieldType.STRING


@pytest.mark.parametrize("spelling", NULL_SPELLINGS)
def test_spelling_of_missing_does_not_make_a_column_of_numbers_text(spelling: str) -> None:
    guess = guess_column(pl.Series(["1", spelling, "", None, spelling]), quoted=False)
    assert (guess.type, guess.null_values, guess.values, guess.nulls) == (FieldType.LONG, (spelling,), 1, 4)


def test_spelling_of_missing_means_itself_in_text() -> None:
    guess = guess_column(pl.Series(["Namibia", "NA", "NA"]), quoted=False)
    assert (guess.type, guess.null_values, guess.nulls) == (FieldType.STRING, (), 0)
    assert guess_column(pl.Series(["NA", "NA"]), quoted=False).type is FieldType.STRING


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["1", "2"], FieldType.STRING), (["true"], FieldType.STRING), (["2024-01-31"], FieldType.DATE)],
)
def test_json_text_stays_text_unless_it_is_a_moment(values: list[str], expected: FieldType) -> None:
    assert guess_column(pl.Series(values), quoted=True).type is expected


def test_new_columns_follow_the_known_fields_with_types_of_their_own() -> None:
    schema = RecordSchema("d", (RecordField("id", FieldType.LONG), RecordField("gone", FieldType.STRING)))
    merged = merge_new_columns(schema, sample({"New One": ["1.5"], "ID": ["1"], "day": ["2024-01-01"], "n": ["NA"]}))
    assert merged.data_fields == (
        *schema.data_fields,
        RecordField("new_one", FieldType.DOUBLE, "New One"),
        RecordField("day", FieldType.DATE),
        RecordField("n", FieldType.STRING),
    )
    assert match_columns(["New One", "ID", "day", "n"], merged.data_fields) == {"id": 1, "new_one": 0, "day": 2, "n": 3}


def test_new_column_does_not_take_the_name_of_a_known_field() -> None:
    schema = RecordSchema("d", (RecordField("a", FieldType.LONG, "A!"),))
    merged = merge_new_columns(schema, Sample(("A!", "a"), pl.DataFrame({"c0": ["1"], "c1": ["x"]})))
    assert [field.name for field in merged.data_fields] == ["a", "a_2"]
    assert match_columns(["A!", "a"], merged.data_fields) == {"a": 0, "a_2": 1}


def test_columns_of_one_name_belong_to_its_fields_in_order() -> None:
    fields = (RecordField("v", FieldType.LONG), RecordField("v_2", FieldType.LONG, "v"))
    assert match_columns(["v", "x", "v"], fields) == {"v": 0, "v_2": 2}
    assert match_columns(["v"], fields) == {"v": 0}


@pytest.mark.parametrize(
    ("originals", "names"),
    [
        (["depTime", "HTTPServer", "x1Y"], ("dep_time", "http_server", "x1_y")),
        (["Straße", "Ærø", "Łódź", "naïve"], ("strasse", "aero", "lodz", "naive")),
        (["", "日本", " "], ("col_1", "col_2", "col_3")),
        (["2013", "1st"], ("col_2013", "col_1st")),
        (["a", "A", "a", "a_2"], ("a", "a_2", "a_3", "a_2_2")),
        (["_row", "__x", "_"], ("row", "x", "col_3")),
        (["a" * 70, "a" * 70], ("a" * 63, "a" * 61 + "_2")),
        (["price in %", "no. #"], ("price_in_percent", "no_number")),
        (["select", "a;DROP TABLE x--"], ("select", "a_drop_table_x")),
    ],
)
def test_safe_names_are_readable(originals: list[str], names: tuple[str, ...]) -> None:
    assert safe_names(originals) == names


def test_draft_reads_the_same_words_for_yaml_and_for_people() -> None:
    contract = draft_contract("no", sample({"no": ["1"], 'say "hi"\n': ["x"], "on": ["a"], "Ünï: {x}": ["1.5"]}))
    assert [field.source_name for field in contract.fields] == ["no", 'say "hi"\n', "on", "Ünï: {x}"]
    assert [field.name for field in contract.fields] == ["no", "say_hi", "on", "uni_x"]


def test_draft_of_a_file_equals_its_golden_document() -> None:
    orders = sample(
        {
            "Order ID": ["1", "2", "3"],
            "Price (€)": ["1.50", "2", ""],
            "Paid?": ["true", "false", None],
            "Placed At": ["2024-01-31T10:00:00Z", "2024-01-31T11:00:00+01:00", None],
            "day": ["2024-01-31", "2024-02-01", "2024-02-02"],
            "zip": ["01234", "99999", "00001"],
            "stock": ["5", "NA", "-"],
            "local time": ["2024-01-31 10:00", "2024-01-31 11:00", "2024-01-31 12:00"],
            "note": [None, None, None],
            "note ": ["x", "y", "NA"],
        }
    )
    assert draft_contract("orders", orders).text == (GOLDEN / "orders.odcs.yaml").read_text(encoding="utf-8")
