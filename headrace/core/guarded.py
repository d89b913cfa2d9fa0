"""Start a program that dies with its parent: python -m headrace.core.guarded PARENT_PID PROGRAM [ARGUMENT...].

The kernel kills the program when its parent dies, whatever killed that (Linux: PR_SET_PDEATHSIG survives execve).
SIGKILL is safe to use since every part of the line survives kill -9. Start it from the parent's main thread: the
signal comes when the thread that forked ends.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent dies; exit at once if the parent is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(1)


def guarded_command(program: list[str]) -> list[str]:
    """Return the argument list that starts `program` as a child that dies with this process."""
    return [sys.executable, "-m", "headrace.core.guarded", str(os.getpid()), *program]


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
