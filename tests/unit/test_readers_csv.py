"""What delimited files may look like, and what becomes of each kind of bad one."""

import hashlib
import io
import tracemalloc
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest

from headrace.core.vocabulary import Reason
from headrace.producers.readers.base import RAW_BYTES, FileRefused, ReadOptions
from headrace.producers.readers.csv import CsvReader
from headrace.schemas.record import FieldType, RecordField
from headrace.testing.reading import check_reader, read_bytes, schema_of

MIB = 1 << 20


def refused(content: bytes, name: str = "file.csv") -> Reason:
    with pytest.raises(FileRefused) as caught:
        read_bytes(content, name=name)
    assert caught.value.detail
    return caught.value.reason


# ---- the file as a whole


@pytest.mark.parametrize("content", [b"", b"\n\r\n\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_a_file_without_a_line_is_refused_as_empty(content: bytes) -> None:
    assert refused(content) is Reason.EMPTY_FILE


def test_a_header_alone_is_a_file_of_no_rows() -> None:
    read = read_bytes(b"id,name")
    assert read.layout.columns == ("id", "name")
    assert (read.rows, read.unreadable, len(read.frames)) == ([], (), 1)
    assert read.frames[0].last


@pytest.mark.parametrize("content", [b",,,\n1,2,3,4\n", b"2013,1,517\n2013,1,533\n", b'""\n1\n', b'"open,b\n1,2\n'])
def test_a_first_line_that_names_nothing_is_refused(content: bytes) -> None:
    assert refused(content) is Reason.NO_HEADER


@pytest.mark.parametrize(
    "content",
    [
        b"Sales report 2024\n\nid,name,amount\n1,Ann,2\n",
        b"# exported by a tool\n# on Monday\nid,name\n1,Ann\n2,Ben\n",
        b"Umsatz 2024\nid;name;betrag\n1;Ann;2,5\n2;Ben;3\n",
        "Report\nid\tname\tamount\n1\tAnn\t2\n2\tBen\t3\n".encode("utf-16"),
    ],
)
def test_a_title_before_the_table_is_refused_and_named(content: bytes) -> None:
    with pytest.raises(FileRefused) as caught:
        read_bytes(content)
    assert caught.value.reason is Reason.NO_HEADER
    assert "it looks like a title before the table; begin the file with the names" in caught.value.told


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"name\nAnn\nLee, Ben\n", 1),  # a row with a comma that nobody quoted is one row put aside
        (b"name\nLee, Ann\nCal\n", 1),
        (b"genre\na|b\nc|d\n", 2),
        (b"note\nx;y;z\nplain\nx;y;z\nx;y;z\n", 4),
    ],
)
def test_one_column_of_text_with_delimiters_in_it_is_no_title(content: bytes, rows: int) -> None:
    assert len(read_bytes(content).rows) == rows


def test_one_column_stays_one_where_the_contract_tells_the_delimiter() -> None:
    read = read_bytes(b"triple\na,b,c\nd,e,f\ng,h,i\n", options=ReadOptions(delimiter=";"))
    assert (read.layout.columns, len(read.rows)) == (("triple",), 3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_excels_line_that_tells_the_delimiter_is_followed_and_is_no_header(encoding: str, line_end: str) -> None:
    text = line_end.join(["SEP=|", "id|text", "1|a;b", "2|c,d", ""])
    read = read_bytes(text.encode(encoding))
    assert (read.layout.columns, read.layout.options.delimiter) == (("id", "text"), "|")
    assert [row[:2] for row in read.rows] == [("1", "a;b"), ("2", "c,d")]
    assert read_bytes(b"sep\n1\n").layout.columns == ("sep",)


def test_more_than_2000_columns_are_refused() -> None:
    assert refused(b",".join(b"c%d" % place for place in range(100_000))) is Reason.TOO_MANY_COLUMNS
    assert len(read_bytes(b",".join(b"c%d" % place for place in range(2_000))).layout.columns) == 2_000


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(9), Reason.BINARY),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", Reason.BINARY),
        (b"\x89PNG\r\n\x1a\n\x00\x00", Reason.BINARY),
        (bytes(range(256)) * 8, Reason.BINARY),
        (b"\x1f\x8b\x08\x00abc", Reason.UNKNOWN_FORMAT),
        (b"PK\x03\x04\x14\x00", Reason.UNKNOWN_FORMAT),
        (b"\x28\xb5\x2f\xfd\x04", Reason.UNKNOWN_FORMAT),
        (b"PAR1\x15\x04", Reason.UNKNOWN_FORMAT),
        (b"Obj\x01\x04\x14", Reason.UNKNOWN_FORMAT),
        (b"SQLite format 3\x00", Reason.UNKNOWN_FORMAT),
        (b'<?xml version="1.0"?><a/>', Reason.UNKNOWN_FORMAT),
        (b'[\n  {"a": 1}\n]\n', Reason.UNKNOWN_FORMAT),
        ("id,name\n1,x\n".encode("utf-16-le"), Reason.WRONG_ENCODING),
        ("id,name\n1,x\n".encode("utf-32"), Reason.WRONG_ENCODING),
        ("größe,b\n1,x\n".encode("cp1252"), Reason.WRONG_ENCODING),
        ("a,b\n".encode("utf-16") + b"1", Reason.WRONG_ENCODING),
    ],
)
def test_what_is_not_text_is_refused_whatever_its_name(head: bytes, reason: Reason) -> None:
    assert refused(head) is reason


def test_utf_8_with_a_byte_order_mark_has_clean_names() -> None:
    read = read_bytes("\ufeffid,größe\n1,é\n".encode())
    assert read.layout.columns == ("id", "größe")
    assert read.rows == [("1", "é")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_with_byte_ranges_of_the_file(encoding: str) -> None:
    content = ("\ufeff" + 'id\tname\n1\t"x\n\U0001f600"\n2\n3\té\r\n4\t').encode(encoding) + (
        b"\x00\xd8\n\x00" if encoding == "utf-16-le" else b"\xd8\x00\x00\n"
    )
    read = check_reader(CsvReader(), content)
    assert read.rows == [("1", "x\n\U0001f600"), ("3", "é")]
    assert read.reasons == [(1, Reason.TOO_FEW_FIELDS), (3, Reason.BAD_ENCODING)]
    assert read.unreadable[0].raw.decode(encoding) == "2"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    content = f'a{delimiter}"b,;|\t"\n1,5{delimiter}x\n'.replace("1,5", "1,5" if delimiter != "," else "15")
    read = read_bytes(content.encode(), name="odd.txt")
    assert read.layout.options.delimiter == delimiter
    assert read.layout.columns == ("a", "b,;|")


def test_a_given_delimiter_wins() -> None:
    read = read_bytes(b"a,b;c\n1,2;3\n", options=ReadOptions(delimiter=";"))
    assert read.rows == [("1,2", "3")]


def test_names_are_trimmed_and_kept_as_they_are_otherwise() -> None:
    assert read_bytes(b' a , "b" ,a,,"c ""d"""\n').layout.columns == ("a", '"b"', "a", "", 'c "d"')


# ---- rows


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_kinds_and_a_missing_last_one(end: str) -> None:
    read = check_reader(CsvReader(), end.join(["a,b", "1,x", "", "2,", end, '"3\n",""', ",y"]).encode())
    assert read.rows == [("1", "x"), ("2", None), ("3\n", ""), (None, "y")]


def test_mixed_line_ends() -> None:
    assert check_reader(CsvReader(), b"a,b\r\n1,x\n2,y\r3,z\r\r\n").rows == [("1", "x"), ("2", "y"), ("3", "z")]


def test_ragged_rows_are_told_by_width_with_their_bytes() -> None:
    content = b"a,b\n1,x\n2\n3,y,z\n4,w\n"
    read = check_reader(CsvReader(), content)
    assert read.rows == [("1", "x"), ("4", "w")]
    assert read.table["_row"].to_list() == [0, 3]
    few, many = read.unreadable
    assert (few.row, few.reason, few.raw, few.detail) == (1, Reason.TOO_FEW_FIELDS, b"2", "1 fields, the header has 2")
    assert (many.row, many.reason, content[many.byte_start : many.byte_end]) == (2, Reason.TOO_MANY_FIELDS, b"3,y,z")
    assert many.sha256 == hashlib.sha256(b"3,y,z").hexdigest()


def test_a_nul_byte_makes_its_row_unreadable() -> None:
    read = check_reader(CsvReader(), b'a,b\n1,x\n2,\x00\n3,"\x00"\n4,y\n')
    assert read.rows == [("1", "x"), ("4", "y")]
    assert read.reasons == [(1, Reason.NUL_BYTE), (2, Reason.NUL_BYTE)]


def test_rows_in_another_encoding_are_told_one_by_one() -> None:
    read = check_reader(
        CsvReader(), "a,b\n1,é\n".encode() + "2,“x”\n".encode("cp1252") + b"3,\xc0\xaf\n4,\xed\xa0\x80\n5,y"
    )
    assert read.rows == [("1", "é"), ("5", "y")]
    assert read.reasons == [(1, Reason.BAD_ENCODING), (2, Reason.BAD_ENCODING), (3, Reason.BAD_ENCODING)]
    assert "byte 3 of the row is 0x93" in read.unreadable[0].detail


def test_a_quote_open_to_the_end_costs_the_rest_alone() -> None:
    content = b'a,b\n1,x\n2,"y\n3,z\n4,w\n'
    read = check_reader(CsvReader(), content)
    assert read.rows == [("1", "x")]
    (rest,) = read.unreadable
    assert (rest.row, rest.reason, rest.raw) == (1, Reason.UNTERMINATED_QUOTE, content[8:])
    assert (read.frames[-1].partial, read.frames[-1].next_row) == (Reason.UNTERMINATED_QUOTE, 2)
    assert read.frames[-1].detail


def test_a_stray_quote_costs_its_line_alone() -> None:
    read = check_reader(CsvReader(), b'a,b\n1,"hello\n2,"x"\n3,"say \\"hi\\" now"\n4,"y"\n')
    assert read.rows == [("2", "x"), ("4", "y")]
    assert read.reasons == [(0, Reason.STRAY_QUOTE), (2, Reason.STRAY_QUOTE)]
    assert read.frames[-1].partial is None


def test_a_quote_open_in_the_middle_of_a_large_file_costs_its_line_alone() -> None:
    rows = b"".join(b"%d,abcdefgh\n" % row for row in range(200_000))
    read = read_bytes(b'a,b\n0,x\n1,"open\n' + rows)
    assert read.reasons == [(1, Reason.UNTERMINATED_QUOTE)]
    assert read.unreadable[0].raw == b'1,"open'
    assert len(read.table) == 200_001


def test_quotes_within_a_field_are_ordinary_characters() -> None:
    read = check_reader(CsvReader(), b'a,b\n5" pipe,x"y"\n1,"2"\n,"""q"""\n')
    assert read.rows == [('5" pipe', 'x"y"'), ("1", "2"), (None, '"q"')]


def test_a_row_may_begin_with_what_is_a_byte_order_mark_elsewhere() -> None:
    assert check_reader(CsvReader(), "a,b\n\ufeff1,x\n\ufeff2,y\n".encode()).rows == [
        ("\ufeff1", "x"),
        ("\ufeff2", "y"),
    ]


def test_a_line_of_spaces_is_a_row_and_an_empty_line_is_none() -> None:
    read = check_reader(CsvReader(), b'a\n \n\n""\nx\n')
    assert read.rows == [(" ",), ("",), ("x",)]


def test_a_field_of_5_mib_is_too_large_and_the_rest_is_kept() -> None:
    content = b"a,b\n1,x\n2," + b"z" * (5 * MIB) + b'\n3,"' + b"w" * (5 * MIB) + b'"\n4,y\n'
    read = read_bytes(content)
    assert read.rows == [("1", "x"), ("4", "y")]
    assert read.reasons == [(1, Reason.TOO_LARGE), (2, Reason.TOO_LARGE)]
    first = read.unreadable[0]
    assert (first.length, len(first.raw)) == (5 * MIB + 2, RAW_BYTES)
    assert first.sha256 == hashlib.sha256(content[first.byte_start : first.byte_end]).hexdigest()


@pytest.mark.parametrize("size", [MIB, MIB + 1])
def test_a_row_of_1_mib_is_read_and_one_of_a_byte_more_is_not(size: int) -> None:
    read = read_bytes(b"a\n" + b"x" * size + b"\ny\n")
    assert len(read.table) == (2 if size == MIB else 1)


def test_a_line_of_100_mb_is_scanned_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as stream:
        stream.write(b"a,b\n1,x\n")
        for _block in range(100):
            stream.write(b"z" * MIB)
        stream.write(b"\n2,y\n")
    reader = CsvReader()
    with path.open("rb") as stream:
        layout = reader.open(stream)
        schema = schema_of(layout)
        tracemalloc.start()
        frames = list(reader.frames(stream, layout, schema, {"c0": 0, "c1": 1}))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert [row.reason for frame in frames for row in frame.unreadable] == [Reason.TOO_LARGE]
    assert sum(len(frame.frame) for frame in frames) == 2
    assert peak < 40 * MIB


def test_the_whole_file_as_one_line_is_refused_without_reading_it() -> None:
    assert refused(b"x" * (3 * MIB)) is Reason.NO_HEADER


# ---- values


def test_an_empty_field_is_missing_and_a_quoted_empty_one_is_empty_text() -> None:
    read = read_bytes(b'a,n\n,\n"",""\n', {"a": FieldType.STRING, "n": FieldType.LONG})
    assert read.rows == [(None, None), ("", None)]


def test_misfits_are_named_with_field_value_and_type() -> None:
    fields = {"id": FieldType.LONG, "price": FieldType.DOUBLE, "name": FieldType.STRING}
    read = check_reader(CsvReader(), b"id,price,name\n1,2.5,x\n1.0,ten,y\n 3 ,1e999,z\n4,nan,\n", fields)
    assert [row[0] for row in read.rows] == [1, 4]
    first, second = read.unreadable
    assert [(problem.reason, problem.field) for problem in first.problems] == [
        (Reason.TYPE_MISMATCH, "id"),
        (Reason.TYPE_MISMATCH, "price"),
    ]
    assert first.detail == "'1.0' is not a whole number of 64 bits"
    assert (second.field, second.detail) == ("price", "'1e999' is not a number")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FieldType.LONG, "9223372036854775807", 9223372036854775807),
        (FieldType.LONG, "9223372036854775808", None),
        (FieldType.LONG, "  007 ", 7),
        (FieldType.LONG, "1e3", None),
        (FieldType.INT, "2147483648", None),
        (FieldType.DOUBLE, "-inf", float("-inf")),
        (FieldType.DOUBLE, "1,5", None),
        (FieldType.BOOLEAN, "tRuE", True),
        (FieldType.BOOLEAN, "1", None),
        (FieldType.DATE, "2024-02-29", date(2024, 2, 29)),
        (FieldType.DATE, "2024-02-30", None),
        (FieldType.DATE, "31/12/2024", None),
        (FieldType.TIMESTAMP, "2024-07-01T12:00:00+02:00", datetime(2024, 7, 1, 10)),  # noqa: DTZ001
        (FieldType.TIMESTAMP, "2024-07-01 12:00:00.5Z", datetime(2024, 7, 1, 12, 0, 0, 500_000)),  # noqa: DTZ001
        (FieldType.TIMESTAMP, "2024-07-01T12:00:00.123456789Z", datetime(2024, 7, 1, 12, 0, 0, 123_456)),  # noqa: DTZ001
        (FieldType.TIMESTAMP, "2024-07-01T12:00:00", None),
        (FieldType.TIMESTAMP, "2024-07-01T24:00:00Z", None),
        (FieldType.TIMESTAMP, "2024-07-01T23:59:60Z", None),
        (FieldType.TIMESTAMP, "2024-07-01", None),
        (FieldType.TIME, "23:59:59.25", time(23, 59, 59, 250_000)),
        (FieldType.TIME, "23:59", time(23, 59)),
        (FieldType.TIME, "24:00", None),
        (FieldType.UUID, "6F9619FF-8B86-D011-B42D-00C04FC964FF", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
        (FieldType.UUID, "6F9619FF", None),
        (FieldType.BYTES, "é", "é".encode()),
    ],
)
def test_a_text_is_a_value_of_its_type_or_a_misfit(kind: FieldType, text: str, value: object) -> None:
    read = read_bytes(f'a,b\n"{text}",x\n'.encode(), {"a": kind})
    assert [row[0] for row in read.rows] == ([] if value is None else [value])
    assert [row.reason for row in read.unreadable] == ([Reason.TYPE_MISMATCH] if value is None else [])


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (RecordField("a", FieldType.ENUM, symbols=("red", "blue")), "red", "red"),
        (RecordField("a", FieldType.ENUM, symbols=("red", "blue")), "green", None),
        (RecordField("a", FieldType.FIXED, size=2), "0aFF", b"\x0a\xff"),
        (RecordField("a", FieldType.FIXED, size=2), "0aF", None),
        (RecordField("a", FieldType.DECIMAL, precision=5, scale=2), "-123.4", Decimal("-123.40")),
        (RecordField("a", FieldType.DECIMAL, precision=5, scale=2), "1234.5", None),
        (RecordField("a", FieldType.DECIMAL, precision=5, scale=2), "1.234", None),
        (RecordField("a", FieldType.DECIMAL, precision=5, scale=0), "12345", Decimal("12345")),
        (RecordField("a", FieldType.DECIMAL, precision=5, scale=2), ".", None),
    ],
)
def test_types_with_parameters_are_held_to_them(field: RecordField, text: str, value: object) -> None:
    read = read_bytes(f"a,b\n{text},x\n".encode(), [field])
    assert [row[0] for row in read.rows] == ([] if value is None else [value])


def test_a_local_time_is_taken_in_the_zone_of_its_field() -> None:
    content = b"at,n\n2024-07-01T12:00:00,1\n2024-03-31T02:30:00,2\n2024-10-27 02:30:00,3\n2024-07-01T12:00:00Z,4\n"
    read = read_bytes(content, {"at": FieldType.TIMESTAMP}, options=ReadOptions(zones={"at": "Europe/Berlin"}))
    assert [row[0].isoformat() for row in read.rows] == [  # type: ignore[attr-defined]
        "2024-07-01T10:00:00",
        "2024-10-27T00:30:00",  # the hour is there twice: the first one
        "2024-07-01T12:00:00",
    ]
    assert read.reasons == [(1, Reason.TYPE_MISMATCH)]
    assert "Europe/Berlin" in read.unreadable[0].detail


def test_spellings_of_missing_hold_for_all_fields_or_for_one() -> None:
    options = ReadOptions(null_values=("NULL",), field_null_values={"n": ("NA", "-"), "d": ("-",)})
    fields = {"n": FieldType.LONG, "d": FieldType.DATE, "country": FieldType.STRING, "m": FieldType.DOUBLE}
    content = b'n,d,country,m\nNA,-,NA,NULL\n-,2024-01-01,NULL,1\n1,NULL,"NULL",2\nNULL,-,-,NA\n'
    read = read_bytes(content, fields, options=options)
    assert read.rows == [
        (None, None, "NA", None),
        (None, date(2024, 1, 1), None, 1.0),
        (1, None, None, 2.0),
    ]
    assert [(row.row, row.field) for row in read.unreadable] == [(3, "m")]


def test_a_field_that_the_file_has_not_is_null_and_a_column_that_nobody_wants_is_left_out() -> None:
    read = read_bytes(b"b,a,c\n1,x,2\n3,y,4\n", {"new": FieldType.DATE, "a": FieldType.STRING, "b": FieldType.LONG})
    assert read.table.columns == ["new", "a", "b", "_row"]
    assert read.rows == [(None, "x", 1), (None, "y", 3)]


def test_rows_keep_their_numbers_when_none_of_the_columns_is_wanted() -> None:
    read = read_bytes(b"a,b\n1,x\n2,y\n", {"new": FieldType.LONG})
    assert read.table.rows() == [(None, 0), (None, 1)]


def test_a_sample_is_text_with_missing_values() -> None:
    reader, stream = CsvReader(), io.BytesIO(b'a,b\n1,\n"",x\n3\n NA,"q ""r"""\n')
    sample = reader.sample(stream, reader.open(stream))
    assert sample.columns == ("a", "b")
    assert sample.frame.rows() == [("1", None), ("", "x"), (" NA", 'q "r"')]
    assert sample.frame.columns == ["c0", "c1"]
    assert not sample.quoted
