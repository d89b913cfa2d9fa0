"""headrace up: start the line, here or as a daemon."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click

from headrace.cli.stack_view import LineView, Progress
from headrace.embedded.jars import fetch_jars, print_progress
from headrace.embedded.ports import check_ports, pick_ports
from headrace.embedded.services import child_environment, external_services
from headrace.embedded.training import make_archive
from headrace.errors import ServiceUnreachable
from headrace.runtime.home import bury_leftovers, locked_home, read_report
from headrace.runtime.plan import CHOICES, listening, parse_services
from headrace.runtime.supervisor import StopFlag, supervise
from headrace.settings import Paths, Settings

_LOOK_SECS = 0.1
_DAEMON_SECS = 240.0


PORTS_OPTION = click.option(
    "--ports",
    type=click.Choice(["settings", "auto"]),
    default="settings",
    show_default=True,
    help="auto: pick free ports; headrace status tells them.",
)


@click.command()
@click.option("--detach", is_flag=True, help="Return when the line is ready; it goes on until headrace down.")
@PORTS_OPTION
@click.option("--services", default=",".join(CHOICES), show_default=True, help="What to start, by comma.")
def up(detach: bool, ports: str, services: str) -> None:
    """Start Kafka, the registry, the warehouse and the pipeline, and keep them running."""
    chosen = parse_services(services)
    settings = ready_to_start(Settings(), chosen, auto=ports == "auto")
    if detach:
        pid = start_daemon(settings, services)
        click.echo(f"the line is up (pid {pid}); headrace status shows it, headrace down stops it")
        return
    view, stop = LineView(settings), StopFlag()
    try:
        with stop.on_signals():
            supervise(settings, chosen, view, stop)
    finally:
        view.close()
    click.echo("the line is stopped")


def ready_to_start(settings: Settings, chosen: frozenset[str], *, auto: bool) -> Settings:
    """Check home, ports and jars before anything starts; return the settings with picked ports if `auto`."""
    embedded = chosen - external_services(settings)
    with locked_home(settings.paths()):
        bury_leftovers(settings.paths())
        if auto:
            settings = settings.model_copy(update=dict(pick_ports()))
        else:
            check_ports(settings, listening(settings, chosen))
        if "kafka" in embedded and fetch_jars(settings, print_progress):
            click.echo("Preparing Kafka for quick starts, once (10 s) ...", err=True)
            make_archive(settings)
    return settings


def start_daemon(settings: Settings, services: str) -> int:
    """Leave a supervisor behind and return its pid when the line is ready; ServiceUnreachable says why it is not.

    Ctrl-C while it starts stops it again.
    """
    paths = settings.paths()
    paths.logs.mkdir(parents=True, exist_ok=True)
    output = paths.logs / "supervisor.out"
    with output.open("wb") as stream:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "headrace.runtime.supervisor", services],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **child_environment(settings)},
            start_new_session=True,
        )
    try:
        if _is_ready(daemon, paths):
            return daemon.pid
    except KeyboardInterrupt:
        click.echo("\nstopping what was started")
        daemon.terminate()
        daemon.wait()
        raise
    if daemon.poll() is not None:
        raise _last_words(output)
    raise ServiceUnreachable(
        f"the line is not ready after {_DAEMON_SECS:.0f} s (pid {daemon.pid})", hint="headrace status; headrace down"
    )


def _is_ready(daemon: subprocess.Popen[bytes], paths: Paths) -> bool:
    """Show progress until the line is ready; return False if the daemon ends before, or it takes too long."""
    progress, deadline = Progress(click.echo), time.monotonic() + _DAEMON_SECS
    while time.monotonic() < deadline and daemon.poll() is None:
        report = read_report(paths)
        if report is not None and report["pid"] == daemon.pid:
            progress.show(report)
            if report["phase"] == "running":
                return True
        time.sleep(_LOOK_SECS)
    return False


def _last_words(output: Path) -> ServiceUnreachable:
    """Return the error that the daemon left as its last line, or that line as it is."""
    lines = output.read_text("utf-8", "replace").strip().splitlines() or ["it left no word"]
    try:
        words = json.loads(lines[-1])
        return ServiceUnreachable(words["message"], hint=words["hint"])
    except (ValueError, TypeError, KeyError):
        return ServiceUnreachable(f"the supervisor ended: {lines[-1]}", hint=f"see {output}")
