"""A contract drafted from a whole file fits every row of that file, and a second reading gives what was there."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.vocabulary import Reason
from headrace.producers.readers.base import Reader, ReadOptions
from headrace.producers.readers.csv import CsvReader
from headrace.producers.readers.ndjson import NdjsonReader
from headrace.schemas.infer import draft_contract, match_columns
from headrace.schemas.record import RecordSchema
from headrace.testing.reading import ReadFile

# Columns whose values nearly agree on a type: where inference and reading could differ.
KINDS = [
    ["1", "-7", "0", "999999999999999999", "NA", ""],
    ["1", "2.5", "1e5", "-0.001", "null", ""],
    ["1", "007", "+1", "1_0", " 1"],
    ["1", "12345678901234567890", "9223372036854775808"],
    ["0.1", "1e308", "1e309", "nan", "inf", "1e-400", "0.12345678901234567890"],
    ["true", "false", "TRUE", ""],
    ["2024-01-01", "0001-01-01", "0000-01-01", "2024-02-30", "9999-12-31", "-"],
    ["2024-01-01T10:00:00Z", "2024-01-01 10:00:00.5+02:00", "2024-01-01T10:00:60Z", "2024-01-01T24:00:00Z", "?"],
    ["2024-01-01T10:00:00", "2024-01-01T10:00:00.1234567Z", "0001-01-01T00:00:00+01:00", "2024-01-01T10:00:00+25:00"],
    ['""', '"a,b"', "NA", " ", "é"],
]
columns = st.sampled_from(KINDS).flatmap(lambda kind: st.lists(st.sampled_from(kind), min_size=6, max_size=6))
tables = st.lists(columns, min_size=1, max_size=4)


def drafted(reader: Reader, content: bytes) -> ReadFile:
    stream = io.BytesIO(content)
    contract = draft_contract("drafted", reader.sample(stream, reader.open(stream)))
    nulls = {field.name: field.null_values for field in contract.fields if field.null_values}
    layout = reader.open(stream, ReadOptions(field_null_values=nulls))
    schema = RecordSchema("drafted", contract.record_fields)
    positions = match_columns(layout.columns, schema.data_fields)
    assert sorted(positions.values()) == list(range(len(layout.columns)))
    return ReadFile(layout, tuple(reader.frames(stream, layout, schema, positions)))


@settings(max_examples=150, deadline=None)
@given(table=tables)
def test_a_drafted_contract_fits_every_row_of_a_csv_file(table: list[list[str]]) -> None:
    header = ",".join(f"Column {place}" for place in range(len(table)))
    rows = [",".join(values) for values in zip(*table, strict=True)]
    read = drafted(CsvReader(), "\n".join([header, *rows]).encode())
    assert not [row for row in read.unreadable if row.reason is Reason.TYPE_MISMATCH]


json_tables = st.lists(
    st.sampled_from(
        [
            ["1", "-7", "null", "123456789012345678"],
            ["1", "2.5", "1e5", "-0"],
            ["1", "12345678901234567890", '"NA"'],
            ["1e308", "1e309", "0.1"],
            ["true", "false", "null", '"true"'],
            ['"2024-01-01"', '"NA"', '""'],
            ['"2024-01-01T10:00:00Z"', "null", "17"],
            ['{"a":1}', "[1,2]", '"text"', "1"],
        ]
    ).flatmap(lambda kind: st.lists(st.sampled_from(kind), min_size=5, max_size=5)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(table=json_tables)
def test_a_drafted_contract_fits_every_row_of_an_ndjson_file(table: list[list[str]]) -> None:
    rows = [
        "{" + ",".join(f'"Key {place}":{value}' for place, value in enumerate(values)) + "}"
        for values in zip(*table, strict=True)
    ]
    read = drafted(NdjsonReader(), "\n".join(rows).encode())
    assert not read.unreadable
