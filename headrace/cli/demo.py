"""headrace demo: real files through the real line, in steps, with a summary and a proof."""

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import click
from rich.console import Console, RenderableType
from rich.table import Table

from headrace.cli import EXIT_NO
from headrace.cli.alerts import every_alert
from headrace.cli.down import stop_line
from headrace.cli.files import copy_into_inbox, follow, ledger_entries
from headrace.cli.up import PORTS_OPTION, ready_to_start, start_daemon
from headrace.core.vocabulary import FileState
from headrace.runtime.damage import DAMAGED_NAME, damaged_flights
from headrace.runtime.home import is_held
from headrace.runtime.plan import CHOICES
from headrace.runtime.samples import FLIGHTS, SMALL_DATASETS, flights_by_month, sample_csv
from headrace.schemas.ledger import FileEntry
from headrace.schemas.topics import LEDGER
from headrace.settings import Settings
from headrace.transport.kafka import CompactedTopic

_PATIENCE_SECS = 120.0
_ALERT_SECS = 20.0
NEXT = (
    ("headrace up", "start the line again (Ctrl-C stops it)"),
    ("headrace drop my.csv --dataset my --wait", "bring in a file of your own"),
    ('headrace sql "SELECT carrier, avg(dep_delay) FROM headrace.flights GROUP BY carrier ORDER BY 2"', "query it"),
    ("headrace quarantine list flights", "the rows that were put aside, with every reason"),
    ("headrace alerts", "what is wrong with the data"),
    (f"headrace trace {DAMAGED_NAME}", "a file's way through the line"),
)


@click.command()
@click.option("--keep", is_flag=True, help="Leave the line running at the end.")
@click.option(
    "--months", type=click.IntRange(1, 12), default=12, show_default=True, help="How many months of 2013 come in."
)
@PORTS_OPTION
def demo(*, keep: bool, months: int, ports: str) -> None:
    """Start the line, drop the flights of New York in 2013 month by month, and show what came of them.

    A line that runs on this home is used, and left as it is; one that the demo starts is stopped at its end.
    """
    settings, console = Settings(), Console(highlight=False, soft_wrap=True)
    with running_line(settings, keep=keep, auto=ports == "auto"):
        came = drop_everything(settings, console, months)
        balanced = summary(settings, console, came)
    console.print("\n[bold]Try next[/]" + ("" if keep else " (the data stays in " + str(settings.home) + ")"))
    for command, what in NEXT[1 if keep else 0 :]:
        console.print(f"  {command}" + (f"   [dim]# {what}[/]" if what else ""))
    console.print("  [dim].venv/bin/headrace, or headrace after: source .venv/bin/activate[/]")
    sys.exit(0 if balanced else EXIT_NO)


@contextmanager
def running_line(settings: Settings, *, keep: bool, auto: bool = False) -> Iterator[None]:
    """Use the line that runs on this home, or start one and stop it at the end (also after Ctrl-C)."""
    if is_held(settings.paths()):
        click.echo(f"A line already runs on {settings.home}: the demo uses it.")
        yield
        return
    pid = start_daemon(ready_to_start(settings, frozenset(CHOICES), auto=auto), ",".join(CHOICES))
    after = "it goes on after the demo, until headrace down" if keep else "the demo stops it at its end"
    click.echo(f"the line is up (pid {pid}); {after}")
    try:
        yield
    finally:
        if not keep:
            click.echo("\nStopping the line that the demo started:")
            stop_line(settings)
            click.echo("the line is stopped")


def drop_everything(settings: Settings, console: Console, months: int) -> list[FileEntry]:
    """Drop the files, one after the other's receipt, print a line for each, and return their last entries."""
    came: list[FileEntry] = []
    console.print("\nThe small datasets first, then the flights month by month:")
    for dataset in SMALL_DATASETS:
        came += _drop(settings, console, dataset, f"{dataset}.csv", sample_csv(dataset))
    for name, content in islice(flights_by_month(), months):
        came += _drop(settings, console, FLIGHTS, name, content)
    content, faults = damaged_flights()
    console.print("\nOne file of flights that we damage on purpose:")
    for fault, rows in faults.items():
        console.print(f"  {rows:>3} x {fault}")
    return came + _drop(settings, console, FLIGHTS, DAMAGED_NAME, content)


def _drop(settings: Settings, console: Console, dataset: str, name: str, content: bytes) -> list[FileEntry]:
    with (
        closing(CompactedTopic(settings.kafka_client(), LEDGER)) as ledger,
        tempfile.TemporaryDirectory(prefix="headrace-demo-") as folder,
    ):
        file = Path(folder) / name
        file.write_bytes(content)
        before = dict(ledger.refresh())
        started = time.monotonic()
        dropped = [copy_into_inbox(file, settings.paths(), dataset)]
        came = list(follow(ledger.refresh, before, dataset, dropped, _PATIENCE_SECS, quiet=False))
        for entry in came:
            console.print(_line(entry, time.monotonic() - started))
        return came


def _line(entry: FileEntry, seconds: float) -> str:
    if entry.state is FileState.SKIPPED:
        same = f'the same bytes are in already ("{entry.first_name}")'
        return f"  {entry.dataset:<9} {entry.name:<26} [dim]skipped: {same}[/]"
    rows = f"{entry.rows_stored:>7,} stored {entry.rows_quarantined:>3,} quarantined"
    state = "" if entry.state is FileState.BALANCED else f"  [yellow]{entry.state.value}: {entry.reason}[/]"
    return f"  {entry.dataset:<9} {entry.name:<26} {rows}  {seconds:>5.1f} s{state}"


def summary(settings: Settings, console: Console, came: Sequence[FileEntry]) -> bool:
    """Print the table of datasets and the proof line; return True if every receipt balances.

    `came` are the files of this run: seconds and rows/s are theirs alone, all other figures are of the whole home.
    """
    entries = [one for one in ledger_entries(settings) if one.provable and one.state is not FileState.PUBLISHED]
    console.print()
    with console.status("Waiting for the alerts of damaged files"):
        alerts = _alerts_by_dataset(settings, entries)
    console.print(table_of_datasets(entries, came, alerts))
    if known := sum(entry.state is FileState.SKIPPED for entry in came):
        console.print(
            f"\n{known} of {len(came)} files were recognised: their bytes came in before, so nothing of them is stored "
            "again. Rows are those of all runs, seconds and rows/s of this one."
        )
    read, stored = (sum(getattr(entry, name) for entry in entries) for name in ("rows_read", "rows_stored"))
    quarantined = sum(entry.rows_quarantined for entry in entries)
    holds = read == stored + quarantined and all(entry.balanced for entry in entries)
    verdict = "[bold green]proved[/]" if holds else "[bold red]DOES NOT HOLD[/]"
    console.print(f"\nrows read {read:,} = stored {stored:,} + quarantined {quarantined:,}   {verdict}")
    return holds


def table_of_datasets(
    entries: Sequence[FileEntry], came: Sequence[FileEntry], alerts: Mapping[str, int]
) -> RenderableType:
    """Return what the home holds of each dataset, and how fast that of it which came in by this run was."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("dataset", "files", "recognised", "rows", "quarantined", "alerts", "seconds", "rows/s"):
        table.add_column(heading, justify="left" if heading == "dataset" else "right")
    for dataset in sorted({entry.dataset for entry in entries}):
        files = [entry for entry in entries if entry.dataset == dataset]
        of_run = [entry for entry in came if entry.dataset == dataset]
        new = [entry for entry in of_run if entry.provable]
        rows, quarantined = sum(file.rows_published for file in files), sum(file.rows_quarantined for file in files)
        known = sum(entry.state is FileState.SKIPPED for entry in of_run)
        counts = (len(files), known, rows, quarantined, alerts.get(dataset, 0))
        seconds = sum(map(_seconds, new))
        rate = (f"{seconds:.1f}", f"{sum(file.rows_published for file in new) / seconds:,.0f}") if new else ("-", "-")
        table.add_row(dataset, *(f"{count:,}" for count in counts), *rate)
    return table


def _seconds(entry: FileEntry) -> float:
    """Return how long a file took from its claim to its balanced receipt."""
    if entry.claimed_at is None or entry.balanced_at is None:
        return 0.001
    return max((entry.balanced_at - entry.claimed_at).total_seconds(), 0.001)


def _alerts_by_dataset(settings: Settings, entries: list[FileEntry]) -> dict[str, int]:
    """Count the alerts, waiting a while for those of damaged files, which come after the receipts."""
    damaged = {entry.file for entry in entries if entry.state is FileState.PARTIAL}
    deadline = time.monotonic() + _ALERT_SECS
    while True:
        found = list(every_alert(settings))
        if damaged <= {alert["file"] for alert in found} or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    counts: dict[str, int] = defaultdict(int)
    for alert in found:
        counts[alert["dataset"]] += 1
    return counts
