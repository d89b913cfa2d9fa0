"""headrace doctor: what would keep the line from running, and what to do about it."""

import sys

import click

from headrace.runtime.doctor import examine
from headrace.settings import Settings


@click.command()
def doctor() -> None:
    """Check this machine and home; each line is OK or says what to do next. Exits with 1 if something is wrong."""
    bad = 0
    for finding in examine(Settings()):
        click.echo(f"{'OK ' if finding.ok else 'NO '} {finding.check}: {finding.found}")
        if not finding.ok:
            bad += 1
            click.echo(f"    next: {finding.action}")
    sys.exit(1 if bad else 0)
