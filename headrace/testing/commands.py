"""Commands of headrace within this process: what a person sees of them, without the second that a process needs first.

What a process of its own is needed for (`up`, `demo`, signals, the terminal) is run as one.
"""

import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout

from headrace.cli import main


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command as `headrace ARGUMENTS` does, under these environment variables and no other.

    Returns its exit code and what it wrote; blocks until it ends. Only for the main thread: the environment and the
    output are those of the whole process meanwhile.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    before = dict(os.environ)
    _become(environment)
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(arguments)
    except SystemExit as end:
        code = end.code
    finally:
        _become(before)
    return subprocess.CompletedProcess(["headrace", *arguments], _number(code), _text(out), _text(err))


def _become(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _number(code: object) -> int:
    """Return the exit code of what `sys.exit` was given; a text is printed by Python and means 1."""
    if code is None or isinstance(code, int):
        return int(code or 0)
    print(code, file=sys.stderr)  # noqa: T201
    return 1


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.detach()
    assert isinstance(raw, io.BytesIO)  # noqa: S101  it was made so
    return raw.getvalue().decode()
