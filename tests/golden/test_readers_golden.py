"""One file of each kind, and exactly what its reader gives, kept beside it as <file>.expected.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.producers.readers.base import ReadOptions
from headrace.schemas.record import FieldType
from headrace.testing.reading import ReadFile, read_bytes

FOLDER = Path(__file__).parent / "readers"
TYPES: dict[str, dict[str, FieldType]] = {
    "orders.csv": {
        "id": FieldType.LONG,
        "Größe": FieldType.STRING,
        "price": FieldType.DOUBLE,
        "at": FieldType.TIMESTAMP,
        "note": FieldType.STRING,
    },
    "stations.tsv": {
        "Station": FieldType.STRING,
        "Höhe (m)": FieldType.LONG,
        "Active": FieldType.BOOLEAN,
        "Since": FieldType.DATE,
    },
    "decimal.txt": {"name": FieldType.STRING, "value": FieldType.STRING},
    "windows.csv": {"city": FieldType.STRING, "pop": FieldType.LONG},
    "events.ndjson": {
        "id": FieldType.LONG,
        "user": FieldType.STRING,
        "amount": FieldType.DOUBLE,
        "at": FieldType.TIMESTAMP,
        "extra": FieldType.BOOLEAN,
    },
}
OPTIONS = {"orders.csv": ReadOptions(field_null_values={"price": ("NA",)})}


def shown(read: ReadFile, content: bytes) -> dict[str, Any]:
    last = read.frames[-1]
    return {
        "columns": list(read.layout.columns),
        "delimiter": read.layout.options.delimiter,
        "encoding": read.layout.encoding,
        "rows": [[row[-1], *row[:-1]] for row in read.table.rows()],
        "unreadable": [
            {
                "row": row.row,
                "bytes": [row.byte_start, row.byte_end],
                "raw": content[row.byte_start : row.byte_end].decode("latin-1"),
                "sha256": row.sha256,
                "problems": [[problem.reason.value, problem.field, problem.detail] for problem in row.problems],
            }
            for row in read.unreadable
        ],
        "next": [last.next_row, last.next_byte],
        "partial": last.partial.value if last.partial else None,
    }


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_file_is_read_as_it_was_agreed(name: str) -> None:
    content = (FOLDER / name).read_bytes()
    found = shown(read_bytes(content, TYPES[name], name=name, options=OPTIONS.get(name)), content)
    text = json.dumps(found, ensure_ascii=False, default=str, indent=1)
    assert json.loads(text) == json.loads((FOLDER / f"{name}.expected.json").read_text("utf-8"))


def test_every_golden_file_is_tested() -> None:
    files = {path.name for path in FOLDER.iterdir() if not path.name.endswith(".expected.json")}
    assert files == set(TYPES)
    assert len(files) >= 5
