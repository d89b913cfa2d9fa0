"""headrace down: let the line finish what is under way, and stop it."""

import signal
import time

import click

from headrace.cli.stack_view import Progress
from headrace.errors import ServiceUnreachable
from headrace.runtime.home import (
    ProcessReport,
    SupervisorReport,
    is_held,
    process_of,
    read_report,
    wait_until_released,
)
from headrace.settings import Settings

_LOOK_SECS = 0.2


@click.command()
def down() -> None:
    """Stop the line of this home: every stage finishes its batch, then the services stop."""
    settings = Settings()
    stopped = stop_line(settings)
    click.echo("the line is stopped" if stopped else f"nothing runs on {settings.paths().home}")


def stop_line(settings: Settings) -> bool:
    """Stop the line of a home and tell each process that ends; return False if nothing runs there."""
    paths = settings.paths()
    report = read_report(paths)
    if report is None or not is_held(paths):
        return False
    supervisor = process_of(report["pid"], report["created_at"])
    if supervisor is not None:
        supervisor.send_signal(signal.SIGTERM)
    progress = Progress(click.echo)
    deadline = time.monotonic() + (len(report["processes"]) + 1) * settings.drain_secs
    while not wait_until_released(paths, _LOOK_SECS):
        if (now := read_report(paths)) is not None and now["phase"] == "draining":
            report = now
            progress.show({**now, "processes": {k: v for k, v in now["processes"].items() if v["state"] == "stopped"}})
        if time.monotonic() > deadline:
            raise ServiceUnreachable(
                f"the line on {paths.home} does not stop (pid {report['pid']})", hint=f"kill -9 {report['pid']}"
            )
    # A supervisor takes its report away as it leaves, so the last to stop may not have been seen stopped.
    progress.show(_all_stopped(report))
    return True


def _all_stopped(report: SupervisorReport) -> SupervisorReport:
    processes: dict[str, ProcessReport] = {}
    for name, process in report["processes"].items():
        processes[name] = {**process, "state": "stopped"}
    return {**report, "phase": "draining", "processes": processes}
