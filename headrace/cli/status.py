"""headrace status: how the line stands, from any shell."""

import json
import sys

import click
from rich.console import Console

from headrace.cli.stack_view import table_of
from headrace.runtime.reach import NO_LINE_HINT
from headrace.runtime.status import STOPPED, StackStatus, stack_status
from headrace.settings import Settings

EXIT_FAILING, EXIT_NOT_RUNNING = 1, 3


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON; docs/guide/reference.md tells its keys.")
def status(as_json: bool) -> None:
    """Show every service and stage. Exits with 3 if the line is not running, with 1 if a part of it fails."""
    settings = Settings()
    found = stack_status(settings)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        if found["phase"] == STOPPED:
            click.echo(f"the line on {settings.paths().home} is not running; {NO_LINE_HINT}")
        Console().print(table_of(found))
    sys.exit(exit_code(found))


def exit_code(found: StackStatus) -> int:
    """Return 0 while all is well, 3 if nothing runs, 1 if a part has failed or is being restarted."""
    if found["phase"] == STOPPED:
        return EXIT_NOT_RUNNING
    states = [part["state"] for part in (*found["services"].values(), *found["stages"].values())]
    return EXIT_FAILING if {"failed", "restarting"} & set(states) else 0
