"""How the line looks on a terminal: a table of services and stages that `up` keeps alive and `status` prints once."""

import time
from collections.abc import Callable

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headrace.runtime.home import SupervisorReport
from headrace.runtime.status import StackStatus, stack_status
from headrace.settings import Settings

LAG_MEANS = "lag: messages (watcher, receipts: files) still to do; - until it is known"
_LIVE_SECS = 0.5
_PLAIN_SECS = 10.0
_COLOURS = {"running": "green", "external": "green", "failed": "red", "restarting": "yellow", "stopped": "dim"}


def megabytes(count: int) -> str:
    """Return bytes as MB, "-" for none.

    >>> megabytes(361_000_000), megabytes(0)
    ('361 MB', '-')
    """
    return f"{count / 1e6:.0f} MB" if count else "-"


def waiting(lag: int) -> str:
    """Return a lag for a person: "-" while the stage has not told it yet.

    >>> waiting(1200), waiting(0), waiting(-1)
    ('1,200', '0', '-')
    """
    return f"{lag:,}" if lag >= 0 else "-"


def table_of(status: StackStatus) -> RenderableType:
    """Return services and stages as one table, with errors and the stack's memory below it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "state", "rows", "rows/s", "lag", "memory", "address"):
        table.add_column(heading, justify="right" if heading in {"rows", "rows/s", "lag", "memory"} else "left")
    for name, service in status["services"].items():
        address = service["address"] if service["state"] != "stopped" else ""
        table.add_row(name, _state(service["state"]), "", "", "", megabytes(service["memory_bytes"]), address)
    for name, stage in status["stages"].items():
        figures = (
            f"{stage['rows']:,}",
            f"{stage['rows_per_s']:,.0f}",
            waiting(stage["lag"]),
            megabytes(stage["memory_bytes"]),
        )
        table.add_row(name, _state(stage["state"]), *figures, status["telemetry"].get(name, ""))
    parts = (*status["services"].items(), *status["stages"].items())
    errors = [
        Text(f"{name} ({part['restarts']} restarts): {part['error']}", "yellow")
        for name, part in parts
        if part["error"]
    ]
    return Group(
        table, *errors, Text(f"memory of the stack: {megabytes(status['memory_bytes'])}", "dim"), Text(LAG_MEANS, "dim")
    )


def plain_lines(status: StackStatus) -> list[str]:
    """Return one line a stage, for a log or a pipe."""
    lines = [
        f"{name}: {stage['state']}, {stage['rows']} rows, {stage['rows_per_s']:.0f} rows/s, "
        f"lag {waiting(stage['lag'])}, {megabytes(stage['memory_bytes'])}"
        for name, stage in status["stages"].items()
    ]
    return [*lines, f"stack: {status['phase']}, {megabytes(status['memory_bytes'])}"]


def _state(state: str) -> Text:
    return Text(state, _COLOURS.get(state, ""))


class Progress:
    """Tells once what each process came to: `kafka ready (3.1 s)`. Fed with supervisor reports."""

    def __init__(self, say: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._say, self._monotonic = say, monotonic
        self._since = monotonic()
        self._states: dict[str, str] = {}
        self._phase = ""

    def show(self, report: SupervisorReport) -> None:
        """Say what has changed since the last report; times count from the start, or from the wish to stop."""
        if report["phase"] != self._phase:
            if report["phase"] == "draining":
                self._since = self._monotonic()
            self._phase = report["phase"]
        for name, process in report["processes"].items():
            state = process["state"]
            if self._states.get(name) == state:
                continue
            self._states[name] = state
            took = f"({self._monotonic() - self._since:.1f} s)"
            if state == "running":
                self._say(f"{name} ready {took}")
            elif state in {"restarting", "failed"}:
                self._say(f"{name} {state}: {process['error']}")
            elif state == "stopped" and process["kind"]:
                self._say(f"{name} stopped {took}")


class LineView:
    """The view of `headrace up` in the foreground: progress lines, then a live table or plain lines now and then."""

    def __init__(
        self,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        console: Console | None = None,
    ) -> None:
        self._settings, self._monotonic = settings, monotonic
        self._console = console or Console()
        self._live: Live | None = None
        self._progress = Progress(self._say, monotonic)
        self._shown_at = 0.0
        self._announced = False

    def __call__(self, report: SupervisorReport) -> None:
        """Show one report; called several times a second."""
        self._progress.show(report)
        if report["phase"] == "running" and not self._announced:
            self._announced = True
            click.echo(f"the line is up; drop files into {self._settings.paths().inbox}/DATASET/, Ctrl-C stops it")
        if report["phase"] == "draining":
            self.close()
        elif self._announced:
            self._refresh()

    def _say(self, line: str) -> None:
        """Print one line above the live table; an error's own brackets are not markup."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _refresh(self) -> None:
        pause = _LIVE_SECS if self._console.is_terminal else _PLAIN_SECS
        if self._monotonic() - self._shown_at < pause:
            return
        self._shown_at = self._monotonic()
        status = stack_status(self._settings)
        if not self._console.is_terminal:
            for line in plain_lines(status):
                click.echo(line)
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(table_of(status), refresh=True)

    def close(self) -> None:
        """Leave the table as it is and give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            click.echo("finishing what is under way; Ctrl-C again kills it")
