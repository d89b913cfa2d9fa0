"""Processes that stand back: all their threads do, and their group where Linux makes one of a session."""

import json
import subprocess
import sys

# A thread that runs before: libraries begin some while they are imported.
PROGRAM = """
import json, os, threading
from pathlib import Path
from headrace.core.priority import stand_back
end = threading.Event()
threading.Thread(target=end.wait).start()
before = os.getpriority(os.PRIO_PROCESS, 0)
stand_back(7)
threads = [os.getpriority(os.PRIO_PROCESS, int(one.name)) - before for one in Path("/proc/self/task").iterdir()]
group = Path("/proc/self/autogroup")
print(json.dumps([threads, group.read_text().split()[-1] if group.exists() else str(before + 7), before]))
end.set()
"""


def test_all_threads_of_a_process_stand_back_and_its_group_though_others_ask_at_the_same_moment() -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(6)
    ]
    for process in started:
        threads, group, before = json.loads(process.communicate(timeout=60)[0])
        assert threads == [7, 7]
        assert int(group) == before + 7
