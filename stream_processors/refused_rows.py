"""Rows that the judge refused, beside the stored ones: checks of many records speak of all rows that were judged.

Quarantine holds a refused row as the message that it was. Here such messages are decoded into a temporary table of the
warehouse's session, laid out as the dataset's own, so that one query looks at both: as the stream's windows do.
"""

import base64
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

import polars as pl

from headrace.errors import ServiceUnreachable
from headrace.schemas.codec import decode_leniently
from headrace.schemas.record import RecordSchema
from headrace.schemas.sql_text import identifier, table_name
from headrace.transport.warehouse import Warehouse

MOST_REFUSED: Final = 200_000
"""Refused rows that are decoded, the newest; more are left out, and told."""
MOST_HELD: Final = 16 << 20
"""Bytes of refused rows that are held in memory at a time."""
TABLE: Final = "headrace_refused_rows"
_PLACE = ("_file", "_row")
_HELD: Final = """
SELECT _file, _row, schema_id, toUnixTimestamp64Milli(_ingested_at) AS at, base64Encode(assumeNotNull(record)) AS data
FROM headrace.quarantine
WHERE dataset = {dataset:String} AND stage = 'judge' AND contract_version != ''
    AND isNotNull(record) AND isNotNull(schema_id)
    AND length(assumeNotNull(record)) = length
    AND (empty({files:Array(String)}) OR has({files:Array(String)}, _file))
ORDER BY _ingested_at DESC LIMIT {most:UInt32}
FORMAT JSONEachRow
"""
_COUNTED: Final = """
SELECT count() FROM headrace.quarantine
WHERE dataset = {dataset:String} AND stage = 'judge' AND contract_version != ''
    AND (empty({files:Array(String)}) OR has({files:Array(String)}, _file))
"""
_COLUMNS: Final = "SELECT name FROM system.columns WHERE database = 'headrace' AND table = {dataset:String}"
SchemaOf = Callable[[int], RecordSchema | None]


@dataclass(frozen=True)
class Source:
    """Where a dataset's judged rows are read: text for FROM, and the refused rows in it and left out of it."""

    text: str
    refused: int = 0
    left_out: int = 0


def stored_alone(dataset: str) -> Source:
    """Return the stored rows, without those that were refused."""
    return Source(table_name(dataset))


def all_rows(warehouse: Warehouse, dataset: str, schema_of: SchemaOf, files: Sequence[str] = ()) -> Source:
    """Return stored and refused rows together, of all files or of some. `warehouse` must keep a session.

    `schema_of` gives the record schema of a registry id. Blocks; raises ServiceUnreachable and WarehouseRefused.
    """
    given = {"dataset": dataset, "files": list(files), "most": MOST_REFUSED}
    held = int(warehouse.rows(_COUNTED, given)[0][0])
    if not held:
        return stored_alone(dataset)
    columns = [str(name) for (name,) in warehouse.rows(_COLUMNS, {"dataset": dataset})]
    warehouse.execute(f"DROP TABLE IF EXISTS {TABLE}")
    table = table_name(dataset)
    warehouse.execute(f"CREATE TEMPORARY TABLE {TABLE} ENGINE = Memory AS SELECT * FROM {table} LIMIT 0")  # noqa: S608
    refused = 0
    for number, frame in enumerate(frames(_lines(warehouse, given), schema_of)):
        kept = frame.select([name for name in frame.columns if name in columns])
        data = io.BytesIO()
        kept.write_parquet(data, compression="uncompressed")
        token = f"{TABLE} {number}"
        warehouse.insert(TABLE, kept.columns, data.getvalue(), data_format="Parquet", token=token)
        refused += kept.height
    both = f"(SELECT * FROM {table} UNION ALL SELECT * FROM {identifier(TABLE)})"  # noqa: S608 - names are quoted
    return Source(both, refused, held - refused)


def _lines(warehouse: Warehouse, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the held rows once all of them came; many of them wait in a file without a name.

    A session answers one query at a time, and what is done with a row may be another.
    """
    with tempfile.SpooledTemporaryFile(MOST_HELD) as aside:
        _put_aside(warehouse, given, aside)
        yield from (json.loads(line) for line in aside if line.strip())


def _put_aside(warehouse: Warehouse, given: Mapping[str, Any], aside: IO[bytes]) -> None:
    for chunk in warehouse.stream(_HELD, "JSONEachRow", given):
        try:
            aside.write(chunk)
        except OSError as error:
            message = f"refused rows cannot be put aside in {tempfile.gettempdir()}: {error}"
            raise ServiceUnreachable(message, hint="free disk, or set TMPDIR to a folder with space") from error
    aside.seek(0)


def frames(
    rows: Iterator[Mapping[str, Any]], schema_of: SchemaOf, most_held: int = MOST_HELD
) -> Iterator[pl.DataFrame]:
    """Yield the decoded rows, a frame for each schema whenever `most_held` bytes of messages are held.

    Rows that nobody can decode any more are left out.
    """
    by_schema: dict[int, list[tuple[bytes, int]]] = {}
    held = 0
    for row in rows:
        message = base64.b64decode(row["data"])
        by_schema.setdefault(int(row["schema_id"]), []).append((message, int(row["at"])))
        held += len(message)
        if held >= most_held:
            yield from _decoded(by_schema, schema_of)
            by_schema, held = {}, 0
    yield from _decoded(by_schema, schema_of)


def _decoded(by_schema: Mapping[int, Sequence[tuple[bytes, int]]], schema_of: SchemaOf) -> Iterator[pl.DataFrame]:
    for schema_id, found in sorted(by_schema.items()):
        schema = schema_of(schema_id)
        if schema is None:
            continue
        frame, good, _ = decode_leniently([message for message, _ in found], schema)
        arrived = pl.Series("_ingested_at", [found[place][1] for place in good], pl.Int64)
        yield frame.with_columns(arrived.cast(pl.Datetime("ms")))
