"""A child process that dies with us: started guarded, its output in a file, stopped by SIGTERM and then by force."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from headrace.core.guarded import guarded_command
from headrace.errors import HeadraceError, Terminal

# A child that leaves with this code (sysexits' EX_CONFIG) says that a restart cannot help: a person has to act.
EXIT_TERMINAL = 78
_TAIL_BYTES = 16_384


def exit_status(error: BaseException) -> int:
    """Return the code with which a child leaves after an error."""
    return EXIT_TERMINAL if isinstance(error, Terminal) else 1


def say_and_leave(error: HeadraceError) -> NoReturn:
    """End this child: one line that says what is wrong and what to do next, and the code of the error."""
    print(f"{error}; next: {error.hint}", file=sys.stderr)  # noqa: T201
    sys.exit(exit_status(error))


class Child:
    """One running program. Start it from the main thread: the kernel's guard is bound to the thread that forks."""

    def __init__(self, name: str, program: list[str], environment: Mapping[str, str], output: Path) -> None:
        self.name = name
        self.output = output
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("ab") as stream:
            self._output_start = stream.tell()
            self._process = subprocess.Popen(
                guarded_command(program),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, **environment},
                # A group of its own: Ctrl-C in the terminal reaches the supervisor alone, which then drains in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process id; it stays the same through the guard's exec."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return None while it runs, else its exit code (negative: the signal that killed it). Never blocks."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to finish and leave. Does not wait; nothing happens if it has left."""
        if self.exit_code() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, limit_secs: float) -> int | None:
        """Wait for its end; return the exit code, None if it still runs after `limit_secs`."""
        try:
            return self._process.wait(max(limit_secs, 0.0))
        except subprocess.TimeoutExpired:
            return None

    def stop(self, limit_secs: float) -> int:
        """Terminate it, kill it if it still runs after `limit_secs`, and return the exit code."""
        self.terminate()
        code = self.wait(limit_secs)
        return self.kill() if code is None else code

    def kill(self) -> int:
        """Kill it and return its exit code; blocks until the kernel has buried it."""
        self._process.kill()
        return self._process.wait()

    def last_line(self) -> str:
        """Return the last line this child wrote to its output file, "" if it wrote none."""
        with self.output.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(self._output_start, size - _TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""


def wait_until(condition: Callable[[], bool], limit_secs: float, *, every_secs: float = 0.05) -> bool:
    """Return True as soon as the condition holds, False if it does not within `limit_secs`."""
    deadline = time.monotonic() + limit_secs
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_secs)
    return True
