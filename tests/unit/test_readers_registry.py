"""Which reader takes which file, and that a reader from elsewhere is one like ours."""

import json
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from headrace.core.vocabulary import Reason
from headrace.errors import WrongUse
from headrace.producers.readers import registry
from headrace.producers.readers.base import FileRefused, Reader
from headrace.producers.readers.csv import CsvReader
from headrace.producers.readers.registry import installed_readers, reader_for


class ParquetLookalike(CsvReader):
    """A plug-in that claims a format by its first bytes."""

    format = "parquet"
    suffixes = (".parquet",)

    def claims(self, head: bytes) -> bool:
        return head.startswith(b"PAR1")


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def add(*values: str) -> None:
        points = [EntryPoint(f"p{place}", value, registry.GROUP) for place, value in enumerate(values)]
        monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints(points).select(group=group))
        installed_readers.cache_clear()

    yield add
    installed_readers.cache_clear()


def test_the_built_in_readers_are_plug_ins() -> None:
    assert [reader.format for reader in installed_readers()] == ["csv", "ndjson"]
    assert all(isinstance(reader, Reader) for reader in installed_readers())


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.csv", b"id,x\n", "csv"),
        ("A.TSV", b"id\tx\n", "csv"),
        ("a.txt", b"id;x\n", "csv"),
        ("a.jsonl", b'{"a":1}\n', "ndjson"),
        ("a.json", b"broken\n", "ndjson"),
        ("a.csv", b'{"a":1}\n{"a":2}\n', "ndjson"),
        ("no-suffix", b'\xef\xbb\xbf {"a b": [1', "ndjson"),
        ("a.txt", b"{}\n{}\n", "ndjson"),
        ("a.csv", b'{"a":1},b\n', "csv"),
    ],
)
def test_content_decides_where_it_proves_the_format_and_the_suffix_elsewhere(
    name: str, head: bytes, expected: str
) -> None:
    padded = head if head.endswith(b"\n") else head.ljust(4096, b"1")
    assert reader_for(name, padded).format == expected


def test_a_long_first_line_is_claimed_by_its_beginning() -> None:
    head = json.dumps({"a": "x" * 9_000}).encode()[:4096]
    assert reader_for("a.csv", head).format == "ndjson"


@pytest.mark.parametrize("name", ["a.dat", "a", "a.csv.bak", "a\n.\x1b[31m"])
def test_text_of_an_unknown_suffix_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(FileRefused) as caught:
        reader_for(name, b"id,x\n")
    assert caught.value.reason is Reason.UNKNOWN_FORMAT
    assert ".csv" in caught.value.detail
    assert caught.value.detail.isprintable()


def test_a_plug_in_takes_the_format_that_was_refused_without_it(plug: Any) -> None:
    with pytest.raises(FileRefused):
        reader_for("a.csv", b"PAR1")
    plug(f"{__name__}:ParquetLookalike", "headrace.producers.readers.csv:CsvReader")
    assert reader_for("a.csv", b"PAR1").format == "parquet"


def test_a_plug_in_that_is_no_reader_is_told_by_name(plug: Any) -> None:
    plug("json:JSONDecoder")
    with pytest.raises(WrongUse, match='reader plug-in "p0"'):
        installed_readers()


def test_an_installation_without_readers_says_so(plug: Any) -> None:
    plug()
    with pytest.raises(WrongUse, match="no file reader"):
        installed_readers()
