"""headrace sql, headrace quarantine: look into the warehouse."""

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any, TypedDict

import click

from headrace.cli import WholeHelp
from headrace.core.files import printable
from headrace.core.identity import check_dataset_name
from headrace.errors import HeadraceError, WrongUse
from headrace.runtime.reach import require_services
from headrace.schemas.codec import decode_leniently
from headrace.schemas.registry import Registry
from headrace.schemas.system import schema_id_of
from headrace.settings import Settings
from headrace.sinks.views import view, views
from headrace.transport.warehouse import Warehouse

_SHOWN_CHARACTERS = 2_000
# Files by their id; a copy that was skipped has the id of the first and may have another name.
_NAMED = """LEFT JOIN (
            SELECT dataset, file, argMax(name, updated_at) AS name FROM headrace.files
            WHERE sha256 != '' AND state != 'skipped' GROUP BY dataset, file
        ) AS named ON named.dataset = held.dataset AND named.file = held._file"""


class QuarantinedCount(TypedDict):
    """Rows of one file that have one reason."""

    dataset: Annotated[str, "The dataset."]
    file: Annotated[str, "The file's id; empty: messages of no file."]
    stage: Annotated[str, "read or judge."]
    code: Annotated[str, "The reason."]
    field: Annotated[str, "The field, or empty."]
    rule: Annotated[str, "Id of the contract's rule, or empty."]
    rows: Annotated[int, "Rows that have this reason; a row may have several."]
    first_row: Annotated[int, "The first of them."]
    latest_at: Annotated[str, "When the last of them was published."]
    name: Annotated[str, "The file's name."]


class QuarantinedReason(TypedDict):
    """Why a row was put aside."""

    code: Annotated[str, "The reason."]
    field: Annotated[str, "The field, or empty."]
    rule: Annotated[str, "Id of the contract's rule, or empty."]
    detail: Annotated[str, "What was seen and what was expected."]


class QuarantinedRow(TypedDict):
    """One row that is not in its dataset's table."""

    _file: Annotated[str, "The file's id; empty: a message of no file."]
    _row: Annotated[int, "Ordinal of the row in the file; of a foreign message its offset."]
    stage: Annotated[str, "read or judge."]
    reasons: Annotated[list[QuarantinedReason], "Every reason."]
    raw: Annotated[str | None, "At the reader: the row's source, at most 64 KiB; what is no UTF-8 stands as \\xNN."]
    record: Annotated[str | None, "At the judge: the framed message as text, in the same way."]
    length: Annotated[int, "Whole length of the source or message in bytes."]
    sha256: Annotated[str, "SHA-256 of the whole source or message."]
    byte_start: Annotated[int | None, "First byte of the row in the file."]
    byte_end: Annotated[int | None, "Byte after the row in the file."]
    schema_id: Annotated[int | None, "Registry id of the record schema."]
    contract_version: Annotated[str, "The contract that judged it."]
    trace_id: Annotated[str, "Trace of the file."]
    _ingested_at: Annotated[str, "When it was published."]
    name: Annotated[str, "The file's name."]
    values: Annotated[
        dict[str, Any] | None, "The fields of a row that was read; null: it could not be read or decoded."
    ]


@click.command()
@click.argument("query", required=False)
@click.option("--format", "output_format", default="", help="Any of ClickHouse's formats, e.g. CSVWithNames, JSON.")
@click.option("--view", "name", default="", help="Run this view instead of a query.")
@click.option("--param", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the view.")
@click.option("--views", "listed", is_flag=True, help="List the views and their parameters.")
def sql(query: str | None, output_format: str, name: str, given: tuple[str, ...], *, listed: bool) -> None:
    """Run a query on the warehouse as you, not as the pipeline: `headrace sql "SELECT count() FROM headrace.files"`.

    Without --format a terminal gets a table and a pipe gets TabSeparatedWithNames; a FORMAT in the query wins.
    """
    if listed:
        for one in views().values():
            click.echo(f"{one.name:<18} {one.shows} ({', '.join(one.parameters) or 'no parameters'})")
        return
    if (query is None) == (not name) or (given and not name):
        raise WrongUse("give a query, or --view NAME with its --param", hint="headrace sql --views lists the views")
    chosen = output_format or ("PrettyCompact" if sys.stdout.isatty() else "TabSeparatedWithNames")
    asked = view(name) if name else None
    parameters = asked.bound(named_values(given)) if asked else {}
    out = sys.stdout.buffer
    with _warehouse() as warehouse:
        for chunk in warehouse.stream(asked.query if asked else query or "", chosen, parameters):
            out.write(chunk)
    out.flush()


def named_values(given: Sequence[str]) -> dict[str, str]:
    """Return NAME=VALUE pairs; WrongUse shows one that is none."""
    for text in given:
        if "=" not in text:
            raise WrongUse(f'--param "{text}" is not NAME=VALUE', hint="for example --param dataset=flights")
    return dict((text.split("=", 1)[0], text.split("=", 1)[1]) for text in given)


@click.group(cls=WholeHelp)
def quarantine() -> None:
    """Rows that are not in a dataset's table: why, and what they were."""


@quarantine.command(name="list")
@click.argument("dataset", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def list_rows(dataset: str | None, as_json: bool) -> None:
    """Count quarantined rows by file and reason, the newest file first; of DATASET, or of all."""
    query = f"""
        SELECT held.*, named.name AS name FROM (
            SELECT dataset, _file, stage, reason.code AS code, reason.field AS field, reason.rule AS rule,
                count() AS rows, min(_row) AS first_row, max(_ingested_at) AS latest_at
            FROM headrace.quarantine ARRAY JOIN reasons AS reason
            WHERE {{dataset:String}} = '' OR dataset = {{dataset:String}}
            GROUP BY dataset, _file, stage, code, field, rule
        ) AS held {_NAMED}
        ORDER BY latest_at DESC, _file, rows DESC, code, field, rule
    """  # noqa: S608  what is put in is a constant
    names = tuple(QuarantinedCount.__annotations__)
    parameters = {"dataset": check_dataset_name(dataset) if dataset else ""}
    with _warehouse() as warehouse:
        found = [dict(zip(names, row, strict=True)) for row in warehouse.rows(query, parameters)]
    if as_json:
        click.echo(json.dumps(found, default=str, ensure_ascii=False, indent=2))
        return
    if not found:
        click.echo("nothing is in quarantine" + (f' of dataset "{dataset}"' if dataset else ""))
        return
    click.echo("\n".join(list_lines(found)))


def list_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return counts as lines with a heading; dataset and name are as wide as the longest of them."""
    dataset, name = (max(least, *(len(row[key]) for row in found)) for key, least in (("dataset", 16), ("name", 26)))
    lines = [f"{'dataset':<{dataset}} {'file':<16} {'name':<{name}} {'stage':<5} {'rows':>9} {'first row':>9}  reason"]
    for row in found:
        where = " ".join(
            part for part in (row["code"], row["field"], f"({row['rule']})" if row["rule"] else "") if part
        )
        lines.append(
            f"{row['dataset']:<{dataset}} {row['file']:<16} {row['name']:<{name}} {row['stage']:<5} {row['rows']:>9} "
            f"{row['first_row']:>9}  {where}"
        )
    return lines


@quarantine.command()
@click.argument("dataset")
@click.option("--file", "file", default="", help="Only rows of this file: its id, or the first digits of it.")
@click.option("--row", type=int, default=-1, help="Only the row with this ordinal.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="At most so many rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def show(dataset: str, file: str, row: int, limit: int, as_json: bool) -> None:
    """Show quarantined rows of DATASET: place, every reason, and what they were.

    A row that was read is shown as field=value, one that could not be read as the line it is in its file.
    """
    query = f"""
        SELECT _file, _row, stage, reasons, base64Encode(raw) AS raw, base64Encode(record) AS record, length, sha256,
            byte_start, byte_end, schema_id, contract_version, trace_id, _ingested_at, named.name AS name
        FROM (
            SELECT * FROM headrace.quarantine
            WHERE dataset = {{dataset:String}} AND startsWith(_file, {{file:String}})
                AND ({{row:Int64}} < 0 OR _row = {{row:Int64}})
            ORDER BY _ingested_at DESC, _file, _row LIMIT {{limit:UInt32}}
        ) AS held {_NAMED}
        ORDER BY _ingested_at DESC, _file, _row
        FORMAT JSONEachRow
    """  # noqa: S608  what is put in is a constant
    if not set(file) <= set("0123456789abcdef"):
        raise WrongUse(f'file "{file}" is not an id', hint="headrace quarantine list shows the ids")
    parameters = {"dataset": check_dataset_name(dataset), "file": file, "row": row, "limit": limit}
    with _warehouse() as warehouse:
        # Names of files and details are data too: what is no UTF-8 in them is replaced.
        text = b"".join(warehouse.stream(query, "JSONEachRow", parameters)).decode("utf-8", "replace")
    with closing(Registry(Settings())) as registry:
        rows = [readable(json.loads(line, strict=False), registry) for line in text.split("\n") if line]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=str))
        return
    for found in rows:
        _print_row(found)
    if not rows:
        click.echo(f'nothing of "{dataset}" is in quarantine that fits')


def readable(row: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """Return a row of quarantine, its bytes given in base64, for a person: with `values`, or its bytes as text.

    `values` are the fields of a row that was read, by the schema it was written with; None for a row that could not be
    read or decoded, is longer than what was kept of it, or whose schema the registry cannot give just now.
    """
    raw, record = (None if row[name] is None else base64.b64decode(row[name]) for name in ("raw", "record"))
    whole = record is not None and len(record) == int(row["length"])
    return {
        **row,
        "raw": None if raw is None else raw.decode("utf-8", "backslashreplace"),
        "record": None if record is None else record.decode("utf-8", "backslashreplace"),
        "values": _values(record, registry) if record is not None and whole else None,
    }


def _values(record: bytes, registry: Registry) -> dict[str, Any] | None:
    try:
        schema = registry.record_schema(schema_id_of(record) or 0)
    except HeadraceError as error:
        click.echo(f"rows are shown as bytes: {error}", err=True)
        return None
    if schema is None:
        return None
    frame, good, _faults = decode_leniently([record], schema)
    return {field.name: frame[field.name][0] for field in schema.data_fields} if good else None


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def _print_row(found: Mapping[str, Any]) -> None:
    place = f"file {found['_file']} row {found['_row']}"
    if found["byte_start"] is not None:
        place += f" bytes {found['byte_start']}-{found['byte_end']}"
    click.echo(f"{place}  {found['name']}  {found['stage']}  trace {found['trace_id']}")
    for reason in found["reasons"]:
        where = " ".join(part for part in (reason["code"], reason["field"], reason["rule"]) if part)
        click.echo(f"  {where}: {reason['detail']}")
    if found["values"] is not None:
        content = " ".join(f"{name}={_shown(value)}" for name, value in found["values"].items())
    else:
        content = found["raw"] if found["raw"] is not None else found["record"]
    if content is not None:
        cut = f" ... ({found['length']} bytes)" if len(content) > _SHOWN_CHARACTERS else ""
        click.echo(f"  {printable(content[:_SHOWN_CHARACTERS])}{cut}")


def _warehouse() -> Warehouse:
    """Return the warehouse as the user may use it; raises ServiceUnreachable at once if no line has it up."""
    settings = Settings()
    require_services(settings, "warehouse")
    return Warehouse(settings, person=True)
