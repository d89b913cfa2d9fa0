"""headrace trace: a file's way through the line as a tree of spans, from the file event to the table."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from headrace.cli.files import ledger_entries
from headrace.core.files import printable
from headrace.errors import WrongUse
from headrace.schemas.ledger import FileEntry
from headrace.settings import Settings
from headrace.transport.warehouse import Warehouse

_SPANS = """
SELECT SpanId, ParentSpanId, SpanName, ServiceName, toUnixTimestamp64Nano(Timestamp), Duration, SpanAttributes
FROM headrace.otel_traces WHERE TraceId = {trace:String} ORDER BY Timestamp, SpanId
"""
_ROW = """
SELECT `_topic`, `_partition`, `_offset` FROM headrace.{table:Identifier}
WHERE `_file` = {file:String} AND `_row` = {row:Int64}
"""
_SHOWN = ("rows", "first_row", "last_row", "rejected", "table", "rule")


@dataclass(frozen=True)
class Span:
    """One row of otel_traces. Times in nanoseconds."""

    span_id: str
    parent: str
    name: str
    service: str
    start_ns: int
    duration_ns: int
    attributes: dict[str, str]


@click.command()
@click.argument("file", metavar="FILE[:ROW]")
def trace(file: str) -> None:
    """Print the trace of a file: its name, its `_file` id, the start of its SHA-256 or its trace id.

    With :ROW it also says where that row is: its topic, partition and offset, in the table or in quarantine.
    """
    settings = Settings()
    entry, row = find(settings, file)
    with closing(Warehouse(settings, person=True)) as warehouse:
        spans = [Span(*values) for values in warehouse.rows(_SPANS, {"trace": entry.trace_id})]
        console = Console(highlight=False)
        if not spans:
            click.echo(f"trace {entry.trace_id}: no spans yet; they arrive within a second or two of the work")
        else:
            console.print(tree(entry, spans))
        if row is not None:
            click.echo(place(warehouse, entry, row))


def find(settings: Settings, wanted: str) -> tuple[FileEntry, int | None]:
    """Return the newest file that `wanted` names, and the row if it names one too; raises WrongUse if none does."""
    entries = ledger_entries(settings)
    name, _, digits = wanted.rpartition(":")
    choices = [(wanted, None), *([(name, int(digits))] if name and digits.isdigit() else [])]
    for called, row in choices:
        found = [entry for entry in entries if _is_called(entry, called)]
        if found:
            return max(found, key=lambda entry: entry.updated_at), row
    raise WrongUse(f'no file is called "{printable(wanted)}"', hint="headrace files shows those that came in")


def _is_called(entry: FileEntry, called: str) -> bool:
    return called in {entry.name, entry.trace_id} or (len(called) >= 6 and entry.sha256.startswith(called))


def tree(entry: FileEntry, spans: Sequence[Span]) -> Tree:
    """Return the spans as a tree; a line has name, start after the first span, duration and what was done."""
    begin = min(span.start_ns for span in spans)
    children: dict[str, list[Span]] = defaultdict(list)
    known = {span.span_id for span in spans}
    for span in spans:
        children[span.parent if span.parent in known else ""].append(span)
    root = Tree(Text(f"{entry.dataset}/{entry.name}  trace {entry.trace_id}", style="bold"))
    _grow(root, children, "", begin)
    return root


def _grow(branch: Tree, children: dict[str, list[Span]], parent: str, begin: int) -> None:
    for span in children[parent]:
        times = f"+{_time(span.start_ns - begin):>9}  {_time(span.duration_ns):>9}"
        line = Text.assemble((f"{span.name:<10}", "cyan"), times)
        line.append(f"  {span.service.removeprefix('headrace-')}", style="dim")
        line.append("".join(f"  {name}={value}" for name, value in _facts(span)))
        _grow(branch.add(line), children, span.span_id, begin)


def _facts(span: Span) -> Iterator[tuple[str, str]]:
    for name, value in span.attributes.items():
        short = name.removeprefix("headrace.")
        if short in _SHOWN:
            yield short, value


def _time(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.2f} s" if nanoseconds >= 1_000_000_000 else f"{nanoseconds / 1e6:.1f} ms"


def place(warehouse: Warehouse, entry: FileEntry, row: int) -> str:
    """Return where a row of a file is, in one line."""
    for table in (entry.dataset, "quarantine"):
        exists = warehouse.rows(
            "SELECT 1 FROM system.tables WHERE database = 'headrace' AND name = {table:String}", {"table": table}
        )
        parameters = {"table": table, "file": entry.file, "row": row}
        for topic, partition, offset in warehouse.rows(_ROW, parameters) if exists else []:
            return f"row {row}: in headrace.{table}, from {topic} partition {partition} offset {offset}"
    return f"row {row}: neither in headrace.{entry.dataset} nor in quarantine (yet)"
