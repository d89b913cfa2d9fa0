"""headrace trace: which file a name means, and where a row of it is."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from headrace.cli.trace import find, taken_of_several, tree
from headrace.cli.trace_spans import Span
from headrace.core.vocabulary import FileState
from headrace.errors import WrongUse
from headrace.producers.locate import RowSpot, find_row
from headrace.producers.readers.base import ReadOptions
from headrace.schemas.ledger import FileEntry, new_entry
from headrace.schemas.record import FieldType, RecordField, RecordSchema

AT = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = RecordSchema("orders", (RecordField("id", FieldType.LONG), RecordField("name", FieldType.STRING)))
CSV = b'id,name\r\n1,Ann\r\n\r\n2\r\n3,"two\r\nlines"\r\n4,Zo\xc3\xab'


def entry(sha256: str, hours: int = 0, **fields: Any) -> FileEntry:
    at = AT + timedelta(hours=hours)
    given = {"dataset": "orders", "name": "a.csv", "state": FileState.BALANCED, "updated_at": at}
    return new_entry(sha256=sha256, **{"path": "x", "bytes": 1, "modified_at": AT, **given, **fields})


def spot(content: bytes, row: int, name: str = "a.csv") -> RowSpot | None:
    return find_row(io.BytesIO(content), name, SCHEMA, ReadOptions(), row)


def test_newest_of_several_files_comes_first_and_the_others_after_it() -> None:
    older, newer = entry("ab" * 32), entry("cd" * 32, 1)
    assert find([newer, older], "a.csv") == ([newer, older], None)
    assert find([newer, older], "a.csv:3") == ([newer, older], 3)


def test_choice_among_several_files_is_told_with_a_command_for_each_other() -> None:
    told = taken_of_several(entry("cd" * 32, 1), [entry("ab" * 32)])
    assert "2 files" in told
    assert f"orders/{'cd' * 8}" in told.splitlines()[0]
    assert f"headrace trace orders/{'ab' * 8} " in told.splitlines()[1]


def test_file_that_came_twice_with_the_same_bytes_is_one_file_and_not_its_skipped_copy() -> None:
    first, copy = entry("ab" * 32), entry("ab" * 32, 1, state=FileState.SKIPPED)
    assert find([first, copy], "a.csv") == ([first], None)


@pytest.mark.parametrize("called", ["orders/a.csv", "orders/abababab", "sales/a.csv"])
def test_dataset_in_front_of_a_name_or_an_id_tells_files_apart(called: str) -> None:
    both = [entry("ab" * 32), entry("ab" * 32, 1, dataset="sales")]
    assert [found.dataset for found in find(both, called)[0]] == [called.partition("/")[0]]


def test_row_of_a_dataset_is_that_of_its_only_file_that_has_so_many() -> None:
    short, long = entry("ab" * 32, rows_published=3), entry("cd" * 32, 1, name="b.csv", rows_published=9)
    copy = entry("cd" * 32, 2, name="c.csv", state=FileState.SKIPPED, rows_published=9)
    assert find([short, long, copy], "orders:8") == ([long], 8)
    with pytest.raises(WrongUse, match="2 files of orders have a row 2: orders/cdcd") as refused:
        find([short, long, copy], "orders:2")
    assert refused.value.hint == f"name one: headrace trace orders/{'cd' * 8}:2"
    with pytest.raises(WrongUse, match="no file is called"):
        find([short, long, copy], "orders:9")


def test_name_that_no_file_has_is_wrong_use() -> None:
    with pytest.raises(WrongUse, match=r"b\.csv"):
        find([entry("ab" * 32)], "b.csv")


@pytest.mark.parametrize(
    ("row", "line", "source"),
    [
        (0, "line 2", b"1,Ann"),
        (1, "line 4", b"2"),
        (2, "lines 5-6", b'3,"two\r\nlines"'),
        (3, "line 7", b"4,Zo\xc3\xab"),
    ],
)
def test_row_is_found_by_line_and_bytes(row: int, line: str, source: bytes) -> None:
    found = spot(CSV, row)
    assert found is not None
    assert CSV[found.byte_start : found.byte_end] == source
    assert str(found).startswith(line)


def test_row_beyond_the_file_is_not_found() -> None:
    assert (spot(CSV, 4), spot(CSV, 400_000)) == (None, None)


def test_row_is_found_beyond_the_first_frames() -> None:
    lines = [b"%d,name %d" % (number, number) for number in range(120_000)]
    content = b"\n".join([b"id,name", *lines, b""])
    for row in (49_999, 50_000, 119_999):
        found = spot(content, row)
        assert found is not None
        assert (content[found.byte_start : found.byte_end], found.first_line) == (lines[row], row + 2)


def test_row_of_ndjson_is_found() -> None:
    content = b'{"id": 1}\n\n{"id": "x"}\n{"id": 3}\n'
    assert [str(spot(content, row, "a.ndjson")) for row in range(3)] == [
        "line 1, bytes 0-9",
        "line 3, bytes 11-22",
        "line 4, bytes 23-32",
    ]


def test_row_of_a_wide_encoding_is_found_by_bytes_alone() -> None:
    content = "id,name\n1,a\n2,b\n".encode("utf-16")
    assert str(spot(content, 1)).startswith("bytes ")


def test_tree_begins_with_the_place_of_the_row_even_without_spans() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(tree(entry("ab" * 32), [], ["row 1: line 3, bytes 8-11 of done/orders/a.csv"]))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "orders/a.csv  trace" in text.splitlines()[0]
    assert "row 1: line 3, bytes 8-11 of done/orders/a.csv" in text.splitlines()[1]


def test_many_spans_alike_are_counted_and_those_that_failed_are_shown() -> None:
    spans = [Span(f"{n:016x}", "", "alert", "headrace-quality", n, 0, {"headrace.rule": f"rule {n}"}) for n in range(9)]
    failed = Span("f" * 16, "", "store", "headrace-sink", 9, 5, {"error.type": "warehouse_refused"}, status="Error")
    console = Console(file=io.StringIO(), width=120)
    console.print(tree(entry("ab" * 32), [*spans, failed]))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("rule=") == 5
    assert "9 in all" in text
    assert "failed: warehouse_refused" in text


def test_span_says_how_long_after_the_one_above_it_began() -> None:
    spans = [
        Span("a" * 16, "", "file", "headrace-watcher", 0, 9_000_000, {}),
        Span("b" * 16, "a" * 16, "publish", "headrace-watcher", 0, 1_000_000, {}),
        Span("c" * 16, "b" * 16, "judge", "prod", 3_000_000, 1_000_000, {}, resource={"headrace.stage": "judge"}),
    ]
    console = Console(file=io.StringIO(), width=120)
    console.print(tree(entry("ab" * 32), spans))
    (line,) = [line for line in console.file.getvalue().splitlines() if "lag=" in line]  # type: ignore[attr-defined]
    assert "judge     +   3.0 ms     1.0 ms  judge  lag=2.0 ms" in line
