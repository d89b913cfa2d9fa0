"""The headrace command: one module per group of commands, imported only when it is called."""

import errno
import importlib
import inspect
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click
from pydantic import ValidationError

from headrace import __version__
from headrace.errors import HeadraceError, ServiceUnreachable, SystemRefused, WrongUse
from headrace.settings import settings_problems

# command -> "module:attribute"; help lists them in this order.
COMMANDS: dict[str, str] = {
    "up": "headrace.cli.up:up",
    "down": "headrace.cli.down:down",
    "status": "headrace.cli.status:status",
    "doctor": "headrace.cli.doctor:doctor",
    "demo": "headrace.cli.demo:demo",
    "backup": "headrace.cli.backup:backup",
    "restore": "headrace.cli.backup:restore",
    "drop": "headrace.cli.files:drop",
    "files": "headrace.cli.files:files",
    "sql": "headrace.cli.warehouse:sql",
    "quarantine": "headrace.cli.warehouse:quarantine",
    "dashboard": "headrace.cli.dashboard:dashboard",
    "alerts": "headrace.cli.alerts:alerts",
    "profile": "headrace.cli.report:profile",
    "report": "headrace.cli.report:report",
    "advice": "headrace.cli.report:advice",
    "check": "headrace.cli.check:check",
    "pin": "headrace.cli.pin:pin",
    "trace": "headrace.cli.trace:trace",
    "logs": "headrace.cli.logs:logs",
    "learn": "headrace.cli.learn:learn",
    "contract": "headrace.cli.contract:contract",
}

EXIT_NO, EXIT_WRONG_USE, EXIT_UNREACHABLE = 1, 2, 3


class WholeHelp(click.Group):
    """A group whose help has the first sentence of each command, whole."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and what they do."""
        names = self.list_commands(ctx)
        rows = [(name, first_sentence(command)) for name in names if (command := self.get_command(ctx, name))]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class LazyGroup(WholeHelp):
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


def first_sentence(command: click.Command) -> str:
    """Return what a command does: the first sentence of its help, or the part of it before a colon."""
    text = " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())
    return text.split(". ")[0].split(": `")[0].removesuffix(".")


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="headrace")
def headrace() -> None:
    """Drop files in a folder; seconds later their records are judged, profiled and in ClickHouse, exactly once."""


def say(error: HeadraceError) -> None:
    """Print an error and its hint for a person, on standard error."""
    click.echo(f"headrace: {error}", err=True)
    if error.hint:
        click.echo(f"  next: {error.hint}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, or other arguments.

    Errors become one clear line, a hint, and exit code 1, 2 (wrong use) or 3 (away).
    """
    # A service that is away is said in one line by the error; the client libraries would say it for every attempt.
    for library in ("headrace.librdkafka", "clickhouse_connect"):
        log = logging.getLogger(library)
        log.propagate = False
        if not log.handlers:
            log.addHandler(logging.NullHandler())
    try:
        headrace(arguments, standalone_mode=False, prog_name="headrace")
    except click.NoSuchOption as error:
        error.show()
        if Path(error.option_name).exists() or any(Path(one).exists() for one in arguments or () if one[:1] == "-"):
            click.echo("Hint: a file whose name begins with - is named with its folder: ./-NAME", err=True)
        sys.exit(EXIT_WRONG_USE)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_WRONG_USE)
    except click.Abort:
        sys.exit(130)
    except ValidationError as error:
        _end(settings_problems(error))
    except HeadraceError as error:
        _end(error)
    except OSError as error:
        _end_of_system(error)


def _end_of_system(error: OSError) -> NoReturn:
    """End after what the system refused: a home that cannot be used, a full disk, a reader that went away."""
    if error.errno == errno.EPIPE:
        # What is still buffered has no reader either; Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_NO)
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    _end(SystemRefused(what, hint="headrace doctor looks at home and disk; HEADRACE_HOME names another home"))


def _end(error: HeadraceError) -> NoReturn:
    say(error)
    exits = {WrongUse: EXIT_WRONG_USE, ServiceUnreachable: EXIT_UNREACHABLE}
    sys.exit(next((code for kind, code in exits.items() if isinstance(error, kind)), EXIT_NO))
