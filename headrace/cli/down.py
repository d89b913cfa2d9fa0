"""headrace down: let the line finish what is under way, and stop it."""

import signal
import time

import click

from headrace.cli.stack_view import Progress
from headrace.errors import ServiceUnreachable
from headrace.runtime.home import is_held, process_of, read_report, wait_until_released
from headrace.settings import Settings

_LOOK_SECS = 0.2


@click.command()
def down() -> None:
    """Stop the line of this home: every stage finishes its batch, then the services stop."""
    settings = Settings()
    paths = settings.paths()
    report = read_report(paths)
    if report is None or not is_held(paths):
        click.echo(f"nothing runs on {paths.home}")
        return
    supervisor = process_of(report["pid"], report["created_at"])
    if supervisor is not None:
        supervisor.send_signal(signal.SIGTERM)
    progress = Progress(click.echo)
    deadline = time.monotonic() + (len(report["processes"]) + 1) * settings.drain_secs
    while not wait_until_released(paths, _LOOK_SECS):
        if (now := read_report(paths)) is not None and now["phase"] == "draining":
            progress.show({**now, "processes": {k: v for k, v in now["processes"].items() if v["state"] == "stopped"}})
        if time.monotonic() > deadline:
            raise ServiceUnreachable(
                f"the line on {paths.home} does not stop (pid {report['pid']})", hint=f"kill -9 {report['pid']}"
            )
    click.echo("the line is stopped")
