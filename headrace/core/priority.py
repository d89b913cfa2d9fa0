"""How much of the machine a process may have when others want it too."""

import os
from contextlib import suppress
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")


def stand_back(steps: int) -> None:
    """Let processes that have not stood back go first, wherever the machine is busy; on an idle one nothing changes.

    Called once, when a process begins. `steps` are those of nice(2): five leave a third of another's share. Linux may
    put a session of its own, as each stage has, into a group that has a nice value beside the process's own.
    """
    os.nice(steps)
    with suppress(OSError):  # there are no such groups here, or nobody may set theirs
        _AUTOGROUP.write_text(str(os.getpriority(os.PRIO_PROCESS, 0)))
