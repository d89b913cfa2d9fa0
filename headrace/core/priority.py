"""How much of the machine a process may have when others want it too."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from headrace.core.child import wait_until

_AUTOGROUP, _THREADS = Path("/proc/self/autogroup"), Path("/proc/self/task")
_MOST_SECS = 2.5


def stand_back(steps: int) -> None:
    """Let processes that have not stood back go first, wherever the machine is busy; on an idle one nothing changes.

    Called once, when a process begins. `steps` are those of nice(2): five leave a third of another's share. Linux may
    put a session of its own, as each stage has, into a group that has a nice value beside the process's own; then that
    of the group alone counts. Blocks while others ask for the same, 2.5 s at most.
    """
    os.nice(steps)  # noqa: TID251  this is its one place
    level = os.getpriority(os.PRIO_PROCESS, 0)
    # Linux knows a nice value of threads alone: libraries may have begun some while they were imported.
    with suppress(OSError):
        for thread in _THREADS.iterdir():
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), level)
    with suppress(OSError):  # there are no such groups here, or nobody may set theirs
        wait_until(partial(_take_level, level), _MOST_SECS)


def _take_level(level: int) -> bool:
    """Set the group's nice value. Linux takes one such request in a tenth of a second, from whomever it comes."""
    try:
        _AUTOGROUP.write_text(str(level))
    except BlockingIOError:
        return False
    return True
