"""headrace trace: a file's way through the line as a tree of spans, from the file event to the table."""

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from headrace.cli.files import ledger_entries
from headrace.cli.trace_row import follow_row
from headrace.cli.trace_spans import Span, linked_batches, otlp_json, send, spans_of
from headrace.core.files import printable
from headrace.core.vocabulary import FileState
from headrace.errors import HeadraceError, WrongUse
from headrace.observability.sampling import SAMPLER, sampler_of
from headrace.producers.locate import find_row
from headrace.producers.plan import options_of
from headrace.runtime.reach import require_services
from headrace.schemas.contract_store import ContractStore
from headrace.schemas.ledger import FileEntry
from headrace.schemas.registry import Registry
from headrace.settings import Settings
from headrace.transport.warehouse import Warehouse

_ALERT = """
SELECT alert_id, dataset, rule, severity, state, message, file, samples, window_start, window_end
FROM headrace.alerts WHERE startsWith(alert_id, {id:String}) ORDER BY raised_at DESC LIMIT 1
"""
_SHOWN = ("rows", "first_row", "last_row", "rejected", "table", "rule", "learner", "stored", "quarantined")
_WIDE = 180
_OTHERS_SHOWN = _ALIKE_SHOWN = 5


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="FILE[:ROW] | DATASET:ROW | alert ID")
@click.option("--json", "as_json", is_flag=True, help="Print the spans as one document of OTLP's JSON.")
@click.option(
    "--export", "exported", is_flag=True, help="Send the spans to the endpoint that OTEL_EXPORTER_OTLP_* name."
)
def trace(what: tuple[str, ...], *, as_json: bool, exported: bool) -> None:
    """Print the trace of a file: its name, its `_file` id, the start of its SHA-256 or its trace id.

    With :ROW only the steps of that row, from the file to table, learners and alerts with the time between them, its
    line and bytes in the file, and its topic, partition and offset. `alert ID` follows the file of an alert, or the
    first of its sample rows. Where several files have the name, the newest is taken and the others are named;
    DATASET/NAME and DATASET/ID name one. DATASET:ROW is a row of the dataset's only file that has so many.
    """
    settings = Settings()
    require_services(settings, "kafka", "registry", "warehouse")
    with closing(Warehouse(settings, person=True)) as warehouse:
        wanted, places = _asked(warehouse, what)
        found, row = find(ledger_entries(settings), wanted)
        entry, *others = found
        if others:
            click.echo(taken_of_several(entry, others), err=True)
        spans = spans_of(warehouse, [entry.trace_id])
        way = None if row is None else follow_row(warehouse, entry, row, spans)
        if way is not None:
            spans = list(way.spans)
            places += [*way.lines(), in_file(settings, entry, way.row)]
        if as_json or exported:
            told = [*spans, *linked_batches(warehouse, spans), *([way.span()] if way else [])]
            _give(told, as_json=as_json, exported=exported)
            return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(tree(entry, spans, places))
    if not spans:
        click.echo(_no_spans(entry))


def _give(spans: Sequence[Span], *, as_json: bool, exported: bool) -> None:
    if as_json:
        click.echo(otlp_json(spans))
    if exported:
        send(spans)
        click.echo(f"{len(spans)} spans sent", err=True)


def _no_spans(entry: FileEntry) -> str:
    if not sampler_of(os.environ).keeps(entry.trace_id):
        return f"no spans: {SAMPLER} of this shell does not keep this trace"
    return "no spans yet; they arrive within a few seconds of the work, unless OTEL_TRACES_SAMPLER left them out"


def _asked(warehouse: Warehouse, what: Sequence[str]) -> tuple[str, list[str]]:
    """Return the file or row that is asked for, and what is to be said of the alert that named it."""
    if len(what) == 1:
        return what[0], []
    if len(what) != 2 or what[0] != "alert":
        raise WrongUse(
            f'"{printable(" ".join(what))}" names no trace', hint="headrace trace FILE[:ROW] | DATASET:ROW | alert ID"
        )
    for alert_id, dataset, rule, severity, state, message, file, samples, start, end in warehouse.rows(
        _ALERT, {"id": what[1]}
    ):
        window = f", window {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}" if start and end else ""
        told = [f"alert {alert_id}: {severity}, {state}: {rule}{window}: {printable(message)}"]
        if file:
            return f"{dataset}/{file}", told
        if samples:
            sample, row = tuple(samples[0].values()) if isinstance(samples[0], dict) else samples[0]
            return f"{dataset}/{sample}:{row}", [
                *told,
                f"it is of no single file; this is the first of {len(samples)} sample rows",
            ]
        raise WrongUse(
            f"{told[0]}: it is of no file and has no sample rows", hint="headrace alerts --json has all of it"
        )
    raise WrongUse(f'no alert\'s id begins with "{printable(what[1])}"', hint="headrace alerts --json shows the ids")


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
    if row is not None and (having := _having(entries, name, row)):
        return having, row
    raise WrongUse(f'no file is called "{printable(wanted)}"', hint="headrace files shows those that came in")


def _having(entries: Sequence[FileEntry], dataset: str, row: int) -> list[FileEntry]:
    """Return the file of a dataset that has a row; rows are counted in each file, so several would be a guess."""
    came = [one for one in entries if one.dataset == dataset and one.state is not FileState.SKIPPED]
    found = {one.sha256: one for one in came if one.rows_published > row}
    if len(found) > 1:
        newest = sorted(found.values(), key=lambda one: one.updated_at, reverse=True)
        some = ", ".join(_called(one) for one in newest[:_OTHERS_SHOWN])
        hint = f"name one: headrace trace {_called(newest[0])}:{row}"
        raise WrongUse(f"{len(found)} files of {dataset} have a row {row}: {some}", hint=hint)
    return list(found.values())


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

    A span below another says its lag: how long after the other's end it began.
    `places` are said first: the way of the row that was asked for.
    """
    begin = min((span.start_ns for span in spans), default=0)
    children: dict[str, list[Span]] = defaultdict(list)
    known = {span.span_id for span in spans}
    for span in spans:
        children[span.parent if span.parent in known else ""].append(span)
    root = Tree(Text(f"{entry.dataset}/{entry.name}  trace {entry.trace_id}", style="bold"))
    for line in places:
        root.add(Text(line, style="green"))
    _grow(root, children, None, begin)
    return root


def _grow(branch: Tree, children: dict[str, list[Span]], before: Span | None, begin: int) -> None:
    alike: Counter[str] = Counter()
    for span in children[before.span_id if before else ""]:
        alike[span.name] += 1
        if alike[span.name] > _ALIKE_SHOWN and not children[span.span_id] and span.status != "Error":
            continue
        times = f"+{_time(span.start_ns - begin):>9}  {_time(span.duration_ns):>9}"
        line = Text.assemble((f"{span.name:<10}", "cyan"), times)
        line.append(f"  {span.stage}", style="dim")
        if before is not None and before.parent:
            line.append(f"  lag={_time(max(0, span.start_ns - before.end_ns))}")
        line.append("".join(f"  {name}={value}" for name, value in _facts(span)))
        if span.status == "Error":
            line.append(f"  failed: {span.attributes.get('error.type', '')} {printable(span.message)}", style="red")
        _grow(branch.add(line), children, span, begin)
    for name, count in alike.items():
        if count > _ALIKE_SHOWN:
            branch.add(Text(f"{name:<10}{count} in all; --json has each of them", style="dim"))


def _facts(span: Span) -> Iterator[tuple[str, str]]:
    for name, value in span.attributes.items():
        short = name.removeprefix("headrace.")
        if short in _SHOWN:
            yield short, value


def _time(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.2f} s" if nanoseconds >= 1_000_000_000 else f"{nanoseconds / 1e6:.1f} ms"


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
