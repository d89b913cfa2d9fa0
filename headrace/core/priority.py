"""How much of the machine a process may have when others want it too."""

import os
import time
from contextlib import suppress
from pathlib import Path

_AUTOGROUP, _THREADS = Path("/proc/self/autogroup"), Path("/proc/self/task")
_TRIES, _AGAIN_SECS = 50, 0.05


def stand_back(steps: int) -> None:
    """Let processes that have not stood back go first, wherever the machine is busy; on an idle one nothing changes.

    Called once, when a process begins. `steps` are those of nice(2): five leave a third of another's share. Linux may
    put a session of its own, as each stage has, into a group that has a nice value beside the process's own; then that
    of the group alone counts. Blocks for a few tenths of a second at most.
    """
    os.nice(steps)  # noqa: TID251  this is its one place
    level = os.getpriority(os.PRIO_PROCESS, 0)
    # Linux knows a nice value of threads alone: libraries may have begun some while they were imported.
    with suppress(OSError):
        for thread in _THREADS.iterdir():
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), level)
    with suppress(OSError):  # there are no such groups here, or nobody may set theirs
        _set_group(level)


def _set_group(level: int) -> None:
    """Set the group's nice value. Linux takes one such request in a tenth of a second, from whomever it comes."""
    for left in reversed(range(_TRIES)):
        try:
            _AUTOGROUP.write_text(str(level))
            return
        except BlockingIOError:
            if not left:
                raise
            time.sleep(_AGAIN_SECS)
