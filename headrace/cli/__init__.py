"""The headrace command: one module per group of commands, imported only when it is called."""

import importlib
import logging
import sys
from typing import NoReturn

import click
from pydantic import ValidationError

from headrace import __version__
from headrace.errors import HeadraceError, ServiceUnreachable, WrongUse
from headrace.settings import settings_problems

# command -> "module:attribute"; help lists them in this order.
COMMANDS: dict[str, str] = {
    "up": "headrace.cli.up:up",
    "down": "headrace.cli.down:down",
    "status": "headrace.cli.status:status",
    "doctor": "headrace.cli.doctor:doctor",
    "demo": "headrace.cli.demo:demo",
    "drop": "headrace.cli.files:drop",
    "files": "headrace.cli.files:files",
    "sql": "headrace.cli.warehouse:sql",
    "quarantine": "headrace.cli.warehouse:quarantine",
    "alerts": "headrace.cli.alerts:alerts",
    "profile": "headrace.cli.report:profile",
    "report": "headrace.cli.report:report",
    "advice": "headrace.cli.report:advice",
    "check": "headrace.cli.check:check",
    "trace": "headrace.cli.trace:trace",
    "contract": "headrace.cli.contract:contract",
}

EXIT_NO, EXIT_WRONG_USE, EXIT_UNREACHABLE = 1, 2, 3


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="headrace")
def headrace() -> None:
    """Drop files in a folder; seconds later their records are judged, profiled and in ClickHouse, exactly once."""


def say(error: HeadraceError) -> None:
    """Print an error and its hint for a person, on standard error."""
    click.echo(f"headrace: {error}", err=True)
    if error.hint:
        click.echo(f"  next: {error.hint}", err=True)


def main() -> None:
    """Run the command line; errors become one clear line, a hint, and exit code 1, 2 (wrong use) or 3 (away)."""
    # A service that is away is said in one line by the error; the client libraries would say it for every attempt.
    for library in ("headrace.librdkafka", "clickhouse_connect"):
        logging.getLogger(library).addHandler(logging.NullHandler())
        logging.getLogger(library).propagate = False
    try:
        headrace(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_WRONG_USE)
    except click.Abort:
        sys.exit(130)
    except ValidationError as error:
        _end(settings_problems(error))
    except HeadraceError as error:
        _end(error)


def _end(error: HeadraceError) -> NoReturn:
    say(error)
    exits = {WrongUse: EXIT_WRONG_USE, ServiceUnreachable: EXIT_UNREACHABLE}
    sys.exit(next((code for kind, code in exits.items() if isinstance(error, kind)), EXIT_NO))
