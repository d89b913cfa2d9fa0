"""The embedded services on free ports in a home of their own, for tests and for a quick look by hand.

`python -m headrace.testing.stack [--services kafka,registry,warehouse] [--home FOLDER]` prints the addresses and runs
until Ctrl-C.
"""

import json
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import click

from headrace.core.child import Child, wait_until
from headrace.embedded.jars import fetch_jars, print_progress
from headrace.embedded.ports import pick_ports
from headrace.embedded.services import SERVICES, prepare_home, start_service, write_addresses
from headrace.errors import HeadraceError, ServiceUnreachable
from headrace.schemas.topics import SYSTEM_TOPICS
from headrace.settings import Settings
from headrace.transport.kafka import Topics

START_LIMIT_SECS = 60.0
STOP_LIMIT_SECS = 15.0


class EmbeddedStack:
    """Starts the named services on free ports; `settings` points clients at them.

    A temporary home is removed at the end; a home that was given stays. Use it from the main thread.
    """

    def __init__(self, services: Sequence[str] = tuple(SERVICES), home: Path | None = None) -> None:
        self._names = frozenset(services)
        if unknown := self._names - SERVICES.keys():
            raise ValueError(f"unknown services: {', '.join(sorted(unknown))}")
        self._temporary = home is None
        self._home = home or Path(tempfile.mkdtemp(prefix="headrace-stack-"))
        self.children: dict[str, Child] = {}
        ours = Settings(home=self._home, kafka_heap_mb=256, kafka_bootstrap="", registry_url="", warehouse_url="")
        self.settings = ours.model_copy(update=pick_ports())

    def __enter__(self) -> "EmbeddedStack":
        """Start the services, create the system topics, and return when all answer."""
        fetch_jars(self.settings, print_progress)
        prepare_home(self.settings.paths())
        write_addresses(self.settings, self._names)
        try:
            for name in SERVICES:
                if name in self._names:
                    self._wait_for(*SERVICES[name].after)
                    self.start(name)
            self._wait_for(*self._names)
            if "kafka" in self._names:
                Topics(self.settings.kafka_client()).ensure(SYSTEM_TOPICS)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the services, the last one first."""
        self.close()

    def start(self, name: str) -> None:
        """Start one service (again, after a test killed it). Does not wait."""
        self.children[name] = start_service(SERVICES[name], self.settings)

    def restart(self, name: str) -> None:
        """Start one service again and return when it answers."""
        self.children[name].stop(STOP_LIMIT_SECS)
        self.start(name)
        self._wait_for(name)

    def kill(self, name: str) -> None:
        """Kill one service as kill -9 does."""
        self.children[name].kill()

    def close(self) -> None:
        """Stop what runs and remove a temporary home."""
        for child in reversed(self.children.values()):
            child.stop(STOP_LIMIT_SECS)
        if self._temporary:
            shutil.rmtree(self._home, ignore_errors=True)

    def _wait_for(self, *names: str) -> None:
        for name in names:
            if name not in self._names:
                continue
            child = self.children[name]
            answered = wait_until(lambda: self._answers_or_is_gone(name), START_LIMIT_SECS)  # noqa: B023
            if not answered or child.exit_code() is not None:
                raise ServiceUnreachable(
                    f"{name} did not start (exit code {child.exit_code()}): {child.last_line()}",
                    hint=f"see {child.output}",
                )

    def _answers_or_is_gone(self, name: str) -> bool:
        return self.children[name].exit_code() is not None or SERVICES[name].ready(self.settings)


@click.command()
@click.option("--services", default=",".join(SERVICES), show_default=True, help="Which services, by comma.")
@click.option("--home", type=click.Path(path_type=Path), help="Keep the data in this folder.")
def main(services: str, home: Path | None) -> None:
    """Start embedded services on free ports, print their addresses, run until Ctrl-C."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        with EmbeddedStack(services.split(","), home) as stack:
            addresses = json.loads(stack.settings.paths().stack_file.read_text())
            click.echo(json.dumps({"home": str(stack.settings.home), **addresses}))
            click.echo(f"use it: export HEADRACE_HOME={stack.settings.home}", err=True)
            stopped.wait()
    except HeadraceError as error:
        sys.exit(f"headrace: {error}; next: {error.hint}")


if __name__ == "__main__":
    main()
