"""headrace backup, headrace restore: a home as one file, and a home from it."""

import json
import sys
import time
from pathlib import Path

import click

from headrace.cli.down import stop_line
from headrace.cli.up import ready_to_start, start_daemon
from headrace.embedded.services import SERVICES, external_services
from headrace.errors import WrongUse
from headrace.runtime.backup import file_for, write_backup
from headrace.runtime.home import is_held, read_report
from headrace.runtime.plan import PIPELINE, STAGES
from headrace.runtime.restore import restore_backup
from headrace.settings import Settings

_QUIET_SECS, _EVERY_SECS = 2.0, 5.0


class CopyProgress:
    """Says how far a copy is, once it has taken two seconds: a line that moves on a terminal, now and then one else."""

    def __init__(self, what: str) -> None:
        self._what, self._moving = what, sys.stderr.isatty()
        self._due = time.monotonic() + _QUIET_SECS
        self._shown = False

    def __call__(self, done: int, size: int) -> None:
        """Show the progress if it is time to."""
        if (now := time.monotonic()) < self._due:
            return
        self._due, self._shown = now + (0.2 if self._moving else _EVERY_SECS), True
        line = f"{self._what}: {100 * done // max(size, 1)} % of {size / 1e9:.2f} GB"
        click.echo(f"\r\033[K{line}" if self._moving else line, err=True, nl=not self._moving)

    def close(self) -> None:
        """End the line that moves."""
        if self._shown and self._moving:
            click.echo("", err=True)


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--stop", is_flag=True, help="Stop a line that runs, and start it again in the background afterwards.")
def backup(target: Path, *, stop: bool) -> None:
    """Write the stopped home into one file: topics, tables, models, contracts and files, with the digest of each.

    TARGET is a file that is not there yet, or a folder, in which the backup is named by the time. Passwords are not in
    it. What other Kafka, registry or ClickHouse servers hold is not in it either: docs/guide/operate.md.
    """
    settings = Settings()
    paths = settings.paths()
    running = is_held(paths)
    if running and not stop:
        raise WrongUse(
            f"a line runs on {paths.home}: its files change",
            hint="headrace down, or --stop, which starts it again afterwards",
        )
    path = file_for(target)
    again = _running_as(settings) if running else None
    if running:
        stop_line(settings)
    try:
        _back_up(settings, path)
    finally:
        if again is not None:
            chosen, services = again
            started = ready_to_start(chosen, frozenset(services.split(",")), auto=False)
            pid = start_daemon(started, services)
            click.echo(f"the line is up again (pid {pid})")


def _back_up(settings: Settings, target: Path) -> None:
    progress = CopyProgress("backup")
    try:
        written = write_backup(settings, target, progress)
    finally:
        progress.close()
    for name in written.elsewhere:
        click.echo(f"not in it: {name}, which is elsewhere; back it up with its own means", err=True)
    if written.passed_over:
        count = len(written.passed_over)
        click.echo(f"passed over: {count} that are neither files nor folders, e.g. {written.passed_over[0]}", err=True)
    sizes = f"{written.bytes / 1e6:.1f} MB in {written.archive_bytes / 1e6:.1f} MB"
    click.echo(f"{written.path}: {written.files:,} files, {sizes}")


def _running_as(settings: Settings) -> tuple[Settings, str]:
    """Return settings with the ports of the running line, and what it runs, so that it comes back as it was."""
    report = read_report(settings.paths())
    names = set(report["processes"]) if report else set()
    addresses: dict[str, str] = json.loads(settings.paths().stack_file.read_text())
    ports = {f"{name}_port": int(address.rpartition(":")[2]) for name, address in addresses.items()}
    running = [name for name in SERVICES if name in names | external_services(settings)]
    return settings.model_copy(update=ports), ",".join([*running, *([PIPELINE] if names & STAGES.keys() else [])])


@click.command()
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(archive: Path) -> None:
    """Make the home of a backup, where there is none yet: HEADRACE_HOME names the place.

    Every file is compared with its digest before anything is put in place. Then headrace up goes on where it was.
    """
    paths = Settings().paths()
    progress = CopyProgress("restore")
    try:
        head = restore_backup(paths, archive, progress)
    finally:
        progress.close()
    for name in head.elsewhere:
        click.echo(f"not in it: {name}, which was elsewhere; restore it with its own means", err=True)
    click.echo(f"{paths.home}: {head.files:,} files as of {head.created_at}, all as they were backed up")
    click.echo("  next: headrace up")
