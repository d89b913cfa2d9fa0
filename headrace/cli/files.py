"""headrace drop and headrace files: bring files in, and see what became of them."""

import json
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from headrace.cli import EXIT_NO, say
from headrace.core.files import printable
from headrace.core.identity import check_dataset_name
from headrace.core.vocabulary import FileState, Reason
from headrace.errors import HeadraceError, ServiceUnreachable, Transient, WrongUse
from headrace.producers.inbox import ignored
from headrace.producers.places import move_beside
from headrace.runtime.reach import is_watched, no_line, require_services
from headrace.schemas.ledger import FileEntry, entry_key, read_entry, receipt
from headrace.schemas.topics import LEDGER
from headrace.settings import Paths, Settings
from headrace.transport.kafka import CompactedTopic

_CHUNK = 1 << 20
_POLL_SECS = 0.1
_ANSWER_SECS = 8.0
_QUIET_SECS = 2.0
_SHOWN_DIGITS = 12
_WIDE = 180
# A file is taken in all the same: its receipt shows the detail.
_EXPLAINED = {Reason.NEW_COLUMNS, Reason.VANISHED}
_GOOD = {FileState.BALANCED, FileState.PARTIAL, FileState.SKIPPED}


class Dropped(NamedTuple):
    """A file that was copied into the inbox."""

    name: str
    sha256: str


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--dataset", required=True, help="The dataset, which is the folder in the inbox.")
@click.option("--wait", is_flag=True, help="Wait for each file's receipt; exit with 1 if one does not balance.")
@click.option("--json", "as_json", is_flag=True, help="One receipt a line, as JSON.")
@click.option(
    "--timeout",
    "patience_secs",
    default=300.0,
    show_default=True,
    help="With --wait: give up after so many seconds without any progress.",
)
def drop(files: tuple[Path, ...], dataset: str, *, wait: bool, as_json: bool, patience_secs: float) -> None:
    """Copy files into the inbox, where the running line takes them. The copies appear whole or not at all.

    Without a line on this home the files wait there for one, and --wait is refused.
    """
    check_dataset_name(dataset)
    settings = Settings()
    for file in files:
        _check(file)
    if not wait:
        _drop_and_leave(files, settings.paths(), dataset, as_json=as_json)
        return
    if not is_watched(settings.paths()):
        raise no_line(settings.paths(), "nothing was copied, since no receipt would come")
    require_services(settings, "kafka")
    with closing(CompactedTopic(settings.kafka_client(), LEDGER)) as ledger:
        before = dict(ledger.refresh(_ANSWER_SECS))
        # One copy after the other, so that the same bytes twice on the command line give two receipts.
        waiting = [copy_into_inbox(file, settings.paths(), dataset) for file in files]
        good, watched = True, partial(is_watched, settings.paths())
        for entry in follow(ledger.refresh, before, dataset, waiting, patience_secs, quiet=as_json, watched=watched):
            click.echo(json.dumps(receipt(entry)) if as_json else sentence(entry))
            good = good and entry.state in _GOOD
    sys.exit(0 if good else EXIT_NO)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The receipts as a JSON array.")
@click.option("--dataset", default="", help="Only this dataset's files.")
def files(*, as_json: bool, dataset: str) -> None:
    """Show the receipt of every file, the latest last."""
    entries = [entry for entry in ledger_entries(Settings()) if dataset in {"", entry.dataset}]
    if as_json:
        click.echo(json.dumps([receipt(entry) for entry in entries], indent=2))
    elif entries:
        Console(width=None if sys.stdout.isatty() else _WIDE).print(_table(entries))
        explained = {(one.dataset, one.reason): one for one in entries if one.reason in _EXPLAINED}
        for entry in explained.values():
            click.echo(f"{entry.dataset}/{entry.name}: {entry.detail}")
        for entry in entries:
            if not entry.sha256:  # what has no digest waits in the inbox for somebody
                click.echo(f"{entry.path}: {entry.detail}")
    else:
        of = f" of {printable(dataset)}" if dataset else ""
        click.echo(f"no files{of} yet; bring one in: headrace drop FILE --dataset {dataset or 'NAME'}")


def ledger_entries(settings: Settings) -> list[FileEntry]:
    """Return the last entry of every file and copy, the latest last; notes that were settled are left out."""
    require_services(settings, "kafka")
    with closing(CompactedTopic(settings.kafka_client(), LEDGER)) as ledger:
        entries = [read_entry(value) for value in ledger.refresh(_ANSWER_SECS).values()]
    return sorted((entry for entry in entries if not entry.settled_note), key=lambda entry: entry.updated_at)


def copy_into_inbox(file: Path, paths: Paths, dataset: str) -> Dropped:
    """Copy a file into inbox/<dataset>/ under its own name (NAME~2 if one of that name still waits there)."""
    folder = paths.inbox / dataset
    folder.mkdir(parents=True, exist_ok=True)
    # A dot in front: the watcher does not look at it before it has its name.
    draft = folder / f".{secrets.token_hex(6)}.drop"
    try:
        with file.open("rb") as source, draft.open("xb") as target:
            digest = _copy(source, target)
            target.flush()
            os.fsync(target.fileno())
        shutil.copystat(file, draft)
        draft.chmod(stat.S_IMODE(draft.stat().st_mode) | stat.S_IRUSR)
        name = move_beside(draft, folder, file.name).name
    finally:
        draft.unlink(missing_ok=True)
    return Dropped(name, digest)


def follow(
    refresh: Callable[[], Mapping[str, bytes]],
    before: Mapping[str, bytes],
    dataset: str,
    dropped: list[Dropped],
    patience_secs: float,
    *,
    quiet: bool,
    watched: Callable[[], bool] = lambda: True,
) -> Iterator[FileEntry]:
    """Give the final entry of each dropped file as it comes; `before` is the ledger from before they were dropped.

    Raises NoProgress if nothing about them changes for `patience_secs`, or once nobody watches the inbox any more.
    """
    waiting, taken = list(dropped), set[str]()
    seen: list[bytes] = []
    started = progressed = time.monotonic()
    while True:
        view = _refreshed(refresh, watched, waiting)
        news = {key: value for key, value in view.items() if before.get(key) != value and key not in taken}
        yield from _final_entries(dataset, waiting, news, taken)
        now = time.monotonic()
        if not waiting:
            break
        current = [news[key] for file in waiting if (key := _key_of(news, entry_key(dataset, file.sha256)))]
        if current != seen:
            seen, progressed = current, now
        if not watched():
            raise _stopped(waiting)
        if now - progressed > patience_secs:
            message = f"no progress for {patience_secs:.0f} s with {_names(waiting)}"
            raise NoProgress(message, hint="is the line running? headrace status")
        if not quiet and now - started > _QUIET_SECS:
            _show_progress(len(waiting), [read_entry(value) for value in current])
        time.sleep(_POLL_SECS)
    if not quiet and now - started > _QUIET_SECS and sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)


def _refreshed(
    refresh: Callable[[], Mapping[str, bytes]], watched: Callable[[], bool], waiting: list[Dropped]
) -> Mapping[str, bytes]:
    """Return the ledger; a line that is stopped takes its Kafka with it, and then that is what is told."""
    try:
        return refresh()
    except ServiceUnreachable as error:
        if watched():
            raise
        raise _stopped(waiting) from error


def _stopped(waiting: list[Dropped]) -> "NoProgress":
    hint = "headrace up goes on with them where it stopped; headrace files shows their receipts"
    return NoProgress(f"the line was stopped with {_names(waiting)} on their way; nothing is lost", hint=hint)


def _names(files: list[Dropped]) -> str:
    return ", ".join(file.name for file in files)


def sentence(entry: FileEntry) -> str:
    """Return a receipt as one line for a person, and a second with the next action where there is one."""
    rows = f"{entry.rows_read:,} rows read = {entry.rows_stored:,} stored + {entry.rows_quarantined:,} quarantined"
    stands = f"; of the rows it brought before, {rows}" if entry.provable else ""
    told = {
        FileState.REJECTED: f"rejected: {entry.reason}{stands}",
        FileState.SKIPPED: f'skipped: the same bytes came before as "{entry.first_name}"',
        FileState.PARTIAL: f"partial ({entry.reason}): {rows}",
        FileState.CHANGED: f"changed while it was read: {rows}; its new bytes come in as a new file",
    }
    if entry.state is FileState.CHANGED and entry.reason == Reason.VANISHED:
        told[FileState.CHANGED] = f"vanished while it was read: {rows}"
    line = f"{entry.dataset}/{entry.name}  {told.get(entry.state, f'{entry.state.value}: {rows}')}"
    shown = entry.state in {FileState.REJECTED, FileState.PARTIAL} or entry.reason in _EXPLAINED
    return line + (f"\n  {entry.detail}" if shown and entry.detail else "")


class NoProgress(HeadraceError, Transient):
    """A dropped file was not taken up, or does not go on."""

    code = "no_progress"


def _final_entries(
    dataset: str, waiting: list[Dropped], news: dict[str, bytes], taken: set[str]
) -> Iterator[FileEntry]:
    """Give the final entries among the news; moves them to `taken`, and waits for their files no more."""
    for file in list(waiting):
        key = _key_of(news, entry_key(dataset, file.sha256))
        entry = read_entry(news[key]) if key else None
        if entry is not None and entry.final:
            del news[key]
            taken.add(key)
            waiting.remove(file)
            yield entry


def _key_of(news: Mapping[str, bytes], main: str) -> str:
    """Return the key of what speaks of a drop: the digest's entry if it is new, else that of a skipped copy."""
    return main if main in news else next((key for key in news if key.startswith(f"{main}/")), "")


def _check(file: Path) -> None:
    shown = printable(str(file))
    if not file.exists():
        raise WrongUse(f'file "{shown}" does not exist', hint="check the path")
    if not file.is_file():
        raise WrongUse(f'"{shown}" is not a file', hint="name files, e.g. FOLDER/*.csv")
    if ignored(file.name):
        raise WrongUse(f'file "{shown}": the watcher leaves hidden and unfinished files alone', hint="rename it")


def _drop_and_leave(files: tuple[Path, ...], paths: Paths, dataset: str, *, as_json: bool) -> None:
    watched = is_watched(paths)
    for file in files:
        dropped = copy_into_inbox(file, paths, dataset)
        shown = {"dataset": dataset, "file": dropped.name, "sha256": dropped.sha256, "state": "dropped"}
        told = f"dropped {dataset}/{dropped.name}" if watched else f"waiting {paths.inbox / dataset / dropped.name}"
        click.echo(json.dumps(shown | {"watched": watched}) if as_json else told)
    if not watched:
        say(no_line(paths, "its inbox keeps the files, and nobody takes them yet"))


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    digest = sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _show_progress(waiting: int, entries: list[FileEntry]) -> None:
    if not sys.stderr.isatty():
        return
    rows = sum(entry.rows_published for entry in entries)
    states = ", ".join(sorted({entry.state.value for entry in entries})) or "waiting to be claimed"
    click.echo(f"\r\033[K{waiting} on the way: {states}, {rows:,} rows published", err=True, nl=False)


def _table(entries: list[FileEntry]) -> Table:
    table = Table("dataset", "file", "state", "rows", "stored", "quarantined", "digest", "reason")
    for entry in entries:
        table.add_row(
            entry.dataset or "(none)",
            entry.name,
            entry.state.value,
            f"{entry.rows_published:,}",
            f"{entry.rows_stored:,}" if entry.balanced else "",
            f"{entry.rows_quarantined:,}" if entry.balanced else "",
            entry.sha256[:_SHOWN_DIGITS],
            entry.reason,
        )
    return table
