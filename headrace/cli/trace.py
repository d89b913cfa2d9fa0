"""headrace trace: a file's way through the line as a tree of spans, from the file event to the table."""

import sys
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
from headrace.core.vocabulary import FileState
from headrace.errors import HeadraceError, WrongUse
from headrace.producers.locate import find_row
from headrace.producers.plan import options_of
from headrace.runtime.reach import require_services
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.ledger import FileEntry
from headrace.schemas.registry import Registry
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
_WIDE = 180
_OTHERS_SHOWN = 5


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

    With :ROW it also says where that row is: its line and bytes in the file, and its topic, partition and offset, in
    the table or in quarantine. Where several files have the name, the newest is taken and the others are named;
    DATASET/NAME and DATASET/ID name one.
    """
    settings = Settings()
    require_services(settings, "kafka", "registry", "warehouse")
    found, row = find(ledger_entries(settings), file)
    entry, *others = found
    if others:
        click.echo(taken_of_several(entry, others), err=True)
    with closing(Warehouse(settings, person=True)) as warehouse:
        spans = [Span(*values) for values in warehouse.rows(_SPANS, {"trace": entry.trace_id})]
        places = [] if row is None else [place(warehouse, entry, row), in_file(settings, entry, row)]
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(tree(entry, spans, places))
    if not spans:
        click.echo("no spans yet; they arrive within a second or two of the work")


def find(entries: Sequence[FileEntry], wanted: str) -> tuple[list[FileEntry], int | None]:
    """Return the files that `wanted` names, the newest first, and the row if it names one too.

    The same bytes in one dataset are one file, however often they came. Raises WrongUse if nothing is called so.
    """
    name, _, digits = wanted.rpartition(":")
    choices = [(wanted, None), *([(name, int(digits))] if name and digits.isdigit() else [])]
    for called, row in choices:
        files: dict[tuple[str, str], FileEntry] = {}
        for entry in sorted((entry for entry in entries if _is_called(entry, called)), key=lambda one: one.updated_at):
            before = files.get((entry.dataset, entry.sha256))
            if before is None or entry.state is not FileState.SKIPPED:
                files[entry.dataset, entry.sha256] = entry
        if files:
            return sorted(files.values(), key=lambda entry: entry.updated_at, reverse=True), row
    raise WrongUse(f'no file is called "{printable(wanted)}"', hint="headrace files shows those that came in")


def _is_called(entry: FileEntry, called: str) -> bool:
    dataset, slash, rest = called.partition("/")
    if slash and dataset == entry.dataset and rest:
        called = rest
    return called in {entry.name, entry.trace_id} or (len(called) >= 6 and entry.sha256.startswith(called))


def taken_of_several(entry: FileEntry, others: Sequence[FileEntry]) -> str:
    """Return which file was taken where several have the name, and how to name each of the others."""
    lines = [
        f"{len(others) + 1} files are called so; this is the newest, {_called(entry)} ({_came(entry)}). The others:",
        *(f"  headrace trace {_called(other)}   # {_came(other)}" for other in others[:_OTHERS_SHOWN]),
    ]
    if len(others) > _OTHERS_SHOWN:
        lines.append(f"  and {len(others) - _OTHERS_SHOWN} more: headrace files")
    return "\n".join(lines)


def _called(entry: FileEntry) -> str:
    return f"{entry.dataset}/{entry.file or entry.name}"


def _came(entry: FileEntry) -> str:
    return f"{entry.name}, {entry.claimed_at or entry.updated_at:%Y-%m-%d %H:%M:%S}, {entry.state.value}"


def tree(entry: FileEntry, spans: Sequence[Span], places: Sequence[str] = ()) -> Tree:
    """Return the spans as a tree; a line has name, start after the first span, duration and what was done.

    `places` are said first: where the row that was asked for is.
    """
    begin = min((span.start_ns for span in spans), default=0)
    children: dict[str, list[Span]] = defaultdict(list)
    known = {span.span_id for span in spans}
    for span in spans:
        children[span.parent if span.parent in known else ""].append(span)
    root = Tree(Text(f"{entry.dataset}/{entry.name}  trace {entry.trace_id}", style="bold"))
    for line in places:
        root.add(Text(line, style="green"))
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


def in_file(settings: Settings, entry: FileEntry, row: int) -> str:
    """Return the lines and bytes of a row in its file, read once more; what is in the way if that cannot be told."""
    path = settings.paths().home / entry.path
    try:
        with closing(Registry(settings)) as registry, path.open("rb") as stream:
            with closing(ContractStore(settings, settings.kafka_client(), registry)) as contracts:
                contract = contracts.by_version(entry.dataset, entry.contract_version)
            schema = None if entry.schema_id is None else registry.record_schema(entry.schema_id)
            if schema is None:
                return f"row {row}: the file was not read, so it has no rows"
            spot = find_row(stream, entry.name, schema, options_of(contract), row)
    except (OSError, HeadraceError) as error:
        return f"row {row}: its place in {entry.path} is not known: {error}"
    return f"row {row}: {spot} of {entry.path}" if spot else f"row {row}: {entry.path} has no such row"
