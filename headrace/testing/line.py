"""A whole line as a user starts it, for end-to-end tests, failure tests and the bench: `headrace up` on free ports."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from headrace.cli.files import ledger_entries
from headrace.core.child import wait_until
from headrace.core.guarded import guarded_command
from headrace.errors import HeadraceError
from headrace.runtime.home import read_report
from headrace.runtime.status import stack_status
from headrace.schemas.ledger import receipt
from headrace.settings import Settings
from headrace.testing.commands import run_command

# Root passes over file permissions; a line that tests start must not.
AS_PERMITTED = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
HEADRACE = [sys.executable, "-m", "headrace.cli"]
FINAL = frozenset({"balanced", "partial", "changed", "rejected", "skipped"})
BACKGROUND_SECS = 200.0
"""How long to wait for what a line tells in the background (`stream_processors.background`): while any file is on its
way, that work is held up for a minute, gets its turn, and is held up again."""
_NOT_FOUND = 404
_NOT_READY = frozenset({"stopped", "waiting", "starting", "restarting", "failed"})
_START_SECS, _STOP_SECS = 180.0, 90.0


class RunningLine:
    """Starts the line in `home` (a temporary one if none is given) and stops it; use it from the main thread.

    `environment` holds settings by their variables' names. Without the `with` block it gives commands on a home.
    """

    def __init__(self, home: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._temporary = None if home else tempfile.TemporaryDirectory(prefix="headrace-line-")
        self.home = home or Path(self._temporary.name if self._temporary else "")
        self.environment = os.environ | {"HEADRACE_HOME": str(self.home), "HEADRACE_KAFKA_HEAP_MB": "512"}
        self.environment |= environment or {}
        self.settings = Settings(home=self.home)
        self._up: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RunningLine":
        """Start and return when everything is ready. The line dies with this process, whatever becomes of that."""
        program = [*HEADRACE, "up", "--ports", "auto"]
        command = guarded_command([*AS_PERMITTED, *program] if permissions_need_help() else program)
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "up.out").open("wb") as output:
            up = subprocess.Popen(command, env=self.environment, stdout=output, stderr=subprocess.STDOUT)
        self._up = up

        def ready() -> bool:
            if up.poll() is not None:
                raise RuntimeError(f"headrace up: exit {up.poll()}\n{self.output()}")
            report = read_report(self.settings.paths())
            return report is not None and report["phase"] == "running"

        try:
            wait_for(ready, _START_SECS, self.output)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def output(self) -> str:
        """Return what `headrace up` has printed."""
        return (self.home / "up.out").read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to `headrace up`, wait for its end and return its exit code."""
        if self._up is None:
            raise RuntimeError("the line is stopped already, or was never started")
        up, self._up = self._up, None
        up.send_signal(number)
        try:
            return up.wait(_STOP_SECS)
        finally:
            up.kill()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the line, unless the block did, and remove a temporary home; RuntimeError if it did not stop well."""
        try:
            code = self.stop() if self._up else 0
            if code and error is None:
                raise RuntimeError(f"headrace up: exit {code} when it was stopped\n{self.output()}")
        finally:
            if self._temporary:
                self._temporary.cleanup()

    def headrace(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a headrace command on this home, within this process.

        Raises RuntimeError with its output if it fails and `check` is set.
        """
        return _checked(run_command(arguments, self.environment), check=check)

    def process(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a headrace command on this home as a process of its own, as a shell does; for the rest as `headrace`."""
        command = [*HEADRACE, *arguments]
        return _checked(
            subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False), check=check
        )

    def status(self) -> dict[str, Any]:
        """Return what `headrace status --json` says, without a process for each look."""
        return dict(stack_status(self.settings))

    def pid(self, name: str) -> int:
        """Return the process id of a service or stage, 0 while it is not there."""
        return next(iter(self.pids(name)), 0)

    def pids(self, *names: str) -> list[int]:
        """Return the process ids of services and stages, without those that are not there."""
        status = self.status()
        found = status["services"] | status["stages"]
        return [pid for name in names if (pid := int(found.get(name, {}).get("pid") or 0))]

    def runs(self, *names: str) -> bool:
        """Return True if each of these services and stages has a process."""
        return len(self.pids(*names)) == len(names)

    def ready(self, *names: str) -> bool:
        """Return True if each of these has started: a service that has a process may not answer yet."""
        status = self.status()
        found = status["services"] | status["stages"]
        return not any(found.get(name, {}).get("state", "stopped") in _NOT_READY for name in names)

    def kill(self, *names: str) -> None:
        """Kill services and stages, all at one moment, as kill -9 does."""
        processes = [psutil.Process(pid) for pid in self.pids(*names)]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(timeout=10)

    def drop(self, dataset: str, name: str, content: bytes) -> str:
        """Put a file into the inbox in one move and return its SHA-256."""
        folder = self.settings.paths().inbox / dataset
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{name}"
        draft.write_bytes(content)
        draft.rename(folder / name)
        return hashlib.sha256(content).hexdigest()

    def receipts(self, dataset: str = "") -> list[dict[str, Any]]:
        """Return what `headrace files --json` says, without a process for each look."""
        return [dict(receipt(one)) for one in ledger_entries(self.settings) if dataset in {"", one.dataset}]

    def final_receipts(self, dataset: str, files: int, limit_secs: float = 90.0) -> list[dict[str, Any]]:
        """Wait until `files` files of a dataset have their final receipt, and return the receipts."""
        found: list[dict[str, Any]] = []

        def all_final() -> bool:
            try:
                found[:] = self.receipts(dataset)
            except HeadraceError:  # a test may have killed Kafka: it is asked again
                found.clear()
            return sum(map(is_final, found)) >= files

        wait_for(all_final, limit_secs, lambda: f"{files} final receipts of {dataset}; there are {found}", 0.4)
        return found

    def value(self, query: str) -> str:
        """Return what a query answers over ClickHouse's HTTP interface, "" while its table is not there yet."""
        url = f"{self.settings.warehouse_address()}/?query={urllib.parse.quote(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310
                return str(reply.read().decode().rstrip("\n"))
        except urllib.error.HTTPError as error:
            with error:  # it holds the socket
                if error.code == _NOT_FOUND:
                    return ""
                raise

    def column(self, query: str) -> list[str]:
        """Return a one-column query's values as text."""
        return self.value(query).splitlines()


def _checked(done: subprocess.CompletedProcess[str], *, check: bool) -> subprocess.CompletedProcess[str]:
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(done.args)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def permissions_need_help() -> bool:
    """Return True if file permissions bind this process's children only under AS_PERMITTED."""
    return os.geteuid() == 0 and shutil.which(AS_PERMITTED[0]) is not None


def is_final(receipt: dict[str, Any]) -> bool:
    """Return True if nothing more is to come for a file: it balanced, was refused or skipped."""
    unproved = receipt["state"] == "skipped" or (receipt["state"] == "rejected" and not receipt["rows_published"])
    return receipt["state"] in FINAL and (receipt["balanced"] or unproved)


def wait_for(
    condition: Callable[[], bool], limit_secs: float, what: Callable[[], str], every_secs: float = 0.1
) -> None:
    """Wait for a condition; raises TimeoutError with `what()` if it does not come within the limit."""
    if not wait_until(condition, limit_secs, every_secs=every_secs):
        raise TimeoutError(what())
