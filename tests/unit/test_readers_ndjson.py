"""What NDJSON files may look like, and what becomes of each kind of bad line."""

import io

import pytest

from headrace.core.vocabulary import Reason
from headrace.producers.readers.base import FileRefused, ReadOptions
from headrace.producers.readers.ndjson import NdjsonReader
from headrace.schemas.record import FieldType
from headrace.testing.reading import check_reader, read_bytes

NAME = "file.ndjson"


def refused(content: bytes) -> Reason:
    with pytest.raises(FileRefused) as caught:
        read_bytes(content, name=NAME)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"\n \t\n\r\n", Reason.EMPTY_FILE),
        (b"\xef\xbb\xbf", Reason.EMPTY_FILE),
        (b"id,name\n1,x\n", Reason.UNKNOWN_FORMAT),
        (b'[{"a": 1}]', Reason.UNKNOWN_FORMAT),
        (b'{\n "a": 1\n}', Reason.UNKNOWN_FORMAT),
        (b"{}\n{}\n", Reason.UNKNOWN_FORMAT),
        (b"1\n2\n", Reason.UNKNOWN_FORMAT),
        (b"\x1f\x8b\x08\x00", Reason.UNKNOWN_FORMAT),
        ('{"a": 1}'.encode("utf-16"), Reason.WRONG_ENCODING),
        (b"{" + b",".join(b'"k%d":1' % key for key in range(2001)) + b"}", Reason.TOO_MANY_COLUMNS),
    ],
)
def test_what_is_not_lines_of_objects_is_refused(content: bytes, reason: Reason) -> None:
    assert refused(content) is reason


def test_columns_are_all_keys_in_order_of_appearance_and_a_missing_key_is_null() -> None:
    read = check_reader(NdjsonReader(), b'\xef\xbb\xbf{"b":1,"a":"x"}\r\n\n  \n{"c":null,"a":""}\n{"b":3}')
    assert read.layout.columns == ("b", "a", "c")
    assert read.rows == [("1", "x", None), (None, "", None), ("3", None, None)]


@pytest.mark.parametrize(
    ("line", "reason", "told"),
    [
        (b'{"a":1,"a":2}', Reason.BAD_JSON, "key 'a' is there twice"),
        (b'{"a":{"b":1,"b" :2}}', Reason.BAD_JSON, "key 'b' is there twice"),
        (b'{"a":NaN}', Reason.BAD_JSON, "NaN is not JSON"),
        (b'{"a":-Infinity}', Reason.BAD_JSON, "-Infinity is not JSON"),
        (b'{"a":1,}', Reason.BAD_JSON, "character 8"),
        (b'{"a":1} // note', Reason.BAD_JSON, "Extra data at character 9"),
        (b'{"a":1}{"a":2}', Reason.BAD_JSON, "Extra data at character 8"),
        (b'{"a":"x', Reason.BAD_JSON, "Unterminated string"),
        (b'{"a":"x\ty"}', Reason.BAD_JSON, "Invalid control character"),
        (b"[1]", Reason.BAD_JSON, "not an object but an array"),
        (b"null", Reason.BAD_JSON, "not an object but null"),
        (b'"a"', Reason.BAD_JSON, "not an object but a string"),
        (b"true", Reason.BAD_JSON, "not an object but true or false"),
        (b'{"a":' + b"[" * 100_000, Reason.BAD_JSON, "nested deeper than 64 levels"),
        (b'{"a":' + b"[" * 80 + b"]" * 80 + b"}", Reason.BAD_JSON, "nested deeper than 64 levels"),
        (b'{"a":' + b"9" * 5_000 + b"}", Reason.BAD_JSON, "thousands of digits"),
        (b'{"a":"\\ud83d"}', Reason.BAD_JSON, "surrogate"),
        (b'{"a":"\xe9"}', Reason.BAD_ENCODING, "0xe9"),
        (b'{"a":"\x00"}', Reason.NUL_BYTE, "NUL"),
        (b'{"b":1,"z":2}', Reason.UNKNOWN_FIELD, ""),
        (b'{"a":"' + b"x" * (1 << 20) + b'"}', Reason.TOO_LARGE, "bytes"),
    ],
)
def test_a_bad_line_costs_itself_alone(line: bytes, reason: Reason, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The keys of the first bytes are the columns; here the bad line comes after them.
    monkeypatch.setattr("headrace.producers.readers.ndjson.SAMPLE_BYTES", 1)
    monkeypatch.setattr("headrace.producers.readers.ndjson.FRAME_ROWS", 1)
    read = check_reader(NdjsonReader(), b'{"a":1}\n' + line + b'\n{"a":3}\n')
    assert read.rows == [("1",), ("3",)]
    assert read.reasons == [(1, reason)]
    assert told in read.unreadable[0].detail


def test_a_key_that_the_first_64_mib_have_not_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.producers.readers.ndjson.SAMPLE_BYTES", 1)
    monkeypatch.setattr("headrace.producers.readers.ndjson.FRAME_ROWS", 1)
    read = read_bytes(b'{"a":1}\n{"a":2,"new":3,"newer":4}\n', name=NAME)
    assert [problem.field for problem in read.unreadable[0].problems] == ["new", "newer"]


def test_nested_values_and_numbers_are_text_as_written() -> None:
    content = (
        b'{"a": {"x": [1.50,  2]}, "n": 1.50, "m": 1e2}\n{"a": "plain", "n": 10, "m": true}\n{"a": [ ], "n": "q"}\n'
    )
    read = check_reader(NdjsonReader(), content)
    assert read.rows == [('{"x": [1.50,  2]}', "1.50", "1e2"), ("plain", "10", "true"), ("[ ]", "q", None)]


def test_values_that_do_not_fit_are_named() -> None:
    fields = {"n": FieldType.LONG, "f": FieldType.DOUBLE, "b": FieldType.BOOLEAN, "d": FieldType.DATE}
    content = (
        b'{"n":1,"f":1,"b":true,"d":"2024-01-01"}\n'
        b'{"n":1.0,"f":1e999,"b":1,"d":20240101}\n'
        b'{"n":"2","f":" 2.5 ","b":"TRUE","d":""}\n'
        b'{"n":true,"f":{},"b":"yes","d":"2024-02-30"}\n'
        b'{"n":9223372036854775808,"f":null,"b":null,"d":null}\n'
    )
    read = check_reader(NdjsonReader(), content, fields)
    assert [row[:3] for row in read.rows] == [(1, 1.0, True), (2, 2.5, True)]
    assert [(row.row, [problem.field for problem in row.problems]) for row in read.unreadable] == [
        (1, ["n", "f", "b", "d"]),
        (3, ["n", "f", "b", "d"]),
        (4, ["n"]),
    ]
    assert {problem.reason for row in read.unreadable for problem in row.problems} == {Reason.TYPE_MISMATCH}


def test_spellings_of_missing_are_null() -> None:
    options = ReadOptions(field_null_values={"n": ("NA",), "s": ("none",)})
    fields = {"n": FieldType.LONG, "s": FieldType.STRING}
    read = read_bytes(b'{"n":"NA","s":"none"}\n{"n":1,"s":"NA"}\n', fields, name=NAME, options=options)
    assert read.rows == [(None, None), (1, "NA")]


def test_a_sample_tells_strings_from_numbers() -> None:
    reader = NdjsonReader()
    stream = io.BytesIO(
        b'{"a":"1","b":2,"c":0.10,"d":null,"e":[1]}\n{"a":null,"b":"x","c":3,"d":null,"e":false}\nbad\n'
    )
    sample = reader.sample(stream, reader.open(stream))
    assert sample.columns == ("a", "b", "c", "d", "e")
    assert sample.frame.rows() == [("1", "2", "0.10", None, "[1]"), (None, "x", "3", None, "false")]
    assert sample.quoted == {0, 1}
