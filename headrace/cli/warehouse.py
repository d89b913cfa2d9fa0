"""headrace sql, headrace quarantine: look into the warehouse."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from headrace.core.identity import check_dataset_name
from headrace.errors import WrongUse
from headrace.settings import Settings
from headrace.transport.warehouse import Warehouse

_SHOWN_BYTES = 2_000


@click.command()
@click.argument("query")
@click.option("--format", "output_format", default="", help="Any of ClickHouse's formats, e.g. CSVWithNames, JSON.")
def sql(query: str, output_format: str) -> None:
    """Run a query on the warehouse as you, not as the pipeline: `headrace sql "SELECT count() FROM headrace.files"`.

    Without --format a terminal gets a table and a pipe gets TabSeparatedWithNames; a FORMAT in the query wins.
    """
    chosen = output_format or ("PrettyCompact" if sys.stdout.isatty() else "TabSeparatedWithNames")
    out = sys.stdout.buffer
    with Warehouse(Settings(), person=True) as warehouse:
        for chunk in warehouse.stream(query, chosen):
            out.write(chunk)
    out.flush()


@click.group()
def quarantine() -> None:
    """Rows that are not in a dataset's table: why, and what they were."""


@quarantine.command(name="list")
@click.argument("dataset", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def list_rows(dataset: str | None, as_json: bool) -> None:
    """Count quarantined rows by file and reason, the newest file first; of DATASET, or of all."""
    query = """
        SELECT dataset, _file AS file, stage, reason.code AS code, reason.field AS field, reason.rule AS rule,
            count() AS rows, min(_row) AS first_row, max(_ingested_at) AS latest_at
        FROM headrace.quarantine ARRAY JOIN reasons AS reason
        WHERE {dataset:String} = '' OR dataset = {dataset:String}
        GROUP BY dataset, file, stage, code, field, rule ORDER BY latest_at DESC, file, rows DESC, code, field, rule
    """
    names = ("dataset", "file", "stage", "code", "field", "rule", "rows", "first_row", "latest_at")
    parameters = {"dataset": check_dataset_name(dataset) if dataset else ""}
    with Warehouse(Settings(), person=True) as warehouse:
        found = [dict(zip(names, row, strict=True)) for row in warehouse.rows(query, parameters)]
    if as_json:
        click.echo(json.dumps(found, default=str, ensure_ascii=False, indent=2))
        return
    if not found:
        click.echo("nothing is in quarantine")
        return
    click.echo(f"{'dataset':<16} {'file':<16} {'stage':<5} {'rows':>9} {'first row':>9}  reason")
    for row in found:
        where = " ".join(
            part for part in (row["code"], row["field"], f"({row['rule']})" if row["rule"] else "") if part
        )
        click.echo(
            f"{row['dataset']:<16} {row['file']:<16} {row['stage']:<5} {row['rows']:>9} {row['first_row']:>9}  {where}"
        )


@quarantine.command()
@click.argument("dataset")
@click.option("--file", "file", default="", help="Only rows of this file: its id, or the first digits of it.")
@click.option("--row", type=int, default=-1, help="Only the row with this ordinal.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="At most so many rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def show(dataset: str, file: str, row: int, limit: int, as_json: bool) -> None:
    """Show quarantined rows of DATASET: place, every reason, and the bytes as they were."""
    query = """
        SELECT _file, _row, stage, reasons, raw, record, length, sha256, byte_start, byte_end, schema_id,
            contract_version, trace_id, _ingested_at
        FROM headrace.quarantine
        WHERE dataset = {dataset:String} AND startsWith(_file, {file:String})
            AND ({row:Int64} < 0 OR _row = {row:Int64})
        ORDER BY _ingested_at DESC, _file, _row LIMIT {limit:UInt32}
        FORMAT JSONEachRow
    """
    if not set(file) <= set("0123456789abcdef"):
        raise WrongUse(f'file "{file}" is not an id', hint="headrace quarantine list shows the ids")
    parameters = {"dataset": check_dataset_name(dataset), "file": file, "row": row, "limit": limit}
    with Warehouse(Settings(), person=True) as warehouse:
        text = b"".join(warehouse.stream(query, "JSONEachRow", parameters))
    # ClickHouse writes bytes that are no UTF-8 as they are; they are replaced here, and stay whole in the table.
    rows = [json.loads(line.decode("utf-8", "replace"), strict=False) for line in text.splitlines() if line]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for found in rows:
        _print_row(found)
    if not rows:
        click.echo(f'nothing of "{dataset}" is in quarantine that fits')


def _print_row(found: Mapping[str, Any]) -> None:
    place = f"file {found['_file']} row {found['_row']}"
    if found["byte_start"] is not None:
        place += f" bytes {found['byte_start']}-{found['byte_end']}"
    click.echo(f"{place}  {found['stage']}  trace {found['trace_id']}")
    for reason in found["reasons"]:
        where = " ".join(part for part in (reason["code"], reason["field"], reason["rule"]) if part)
        click.echo(f"  {where}: {reason['detail']}")
    content = found["raw"] if found["raw"] is not None else found["record"]
    if content is not None:
        click.echo(f"  {content[:_SHOWN_BYTES]!r}")
