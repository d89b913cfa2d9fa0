"""What `headrace doctor` looks at: each check says what it found and, if that is bad, what to do next."""

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.embedded.jars import jar_folder, pinned_jars, problem_of
from headrace.embedded.ports import PORT_SETTINGS, is_free, port_taken
from headrace.embedded.services import external_services
from headrace.runtime.home import is_held
from headrace.settings import Settings

MIN_PYTHON = (3, 11)
MIN_FREE_BYTES = 2 * 2**30
MIN_DESCRIPTORS = 4_096
MIN_WATCHES = 8_192
# Before this the project did not exist: a clock that says so would stamp wrong times on every record.
_EARLIEST = 1_767_225_600
_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")


@dataclass(frozen=True)
class Finding:
    """One check: `found` is what there is; `action` is what to do next, "" if all is well."""

    check: str
    found: str
    action: str = ""

    @property
    def ok(self) -> bool:
        """Return whether there is nothing to do."""
        return not self.action


def examine(settings: Settings, *, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Yield every finding, in the order in which a start would meet the problem. Uses no network."""
    yield check_python(sys.version_info[:3])
    yield check_home(settings)
    yield check_disk(settings)
    if "kafka" not in external_services(settings):
        yield check_jars(settings)
    yield from check_ports_free(settings)
    yield check_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield check_watches(_WATCHES)
    yield check_clock(now())


def check_python(version: tuple[int, ...]) -> Finding:
    """Is this Python new enough?

    >>> check_python((3, 9, 1)).action
    'install Python 3.11 or later, then: make clean setup PYTHON=python3.11'
    """
    found = ".".join(map(str, version))
    old = version < MIN_PYTHON
    return Finding(
        "Python", found, "install Python 3.11 or later, then: make clean setup PYTHON=python3.11" if old else ""
    )


def check_home(settings: Settings) -> Finding:
    """Can the home be written?"""
    home = settings.paths().home
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-"):
            pass
    except OSError as error:
        return Finding("home", f"{home}: {error.strerror}", "make it writable, or set HEADRACE_HOME to another folder")
    return Finding("home", f"{home} can be written")


def check_disk(settings: Settings) -> Finding:
    """Is there room for topics and tables?"""
    home = settings.paths().home
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    action = "" if free >= MIN_FREE_BYTES else "free at least 2 GB, or set HEADRACE_HOME to a larger disk"
    return Finding("disk space", f"{free / 1e9:.1f} GB free", action)


def check_jars(settings: Settings) -> Finding:
    """Are Kafka's jars there, and the very ones that are pinned?"""
    folder, jars = jar_folder(settings), pinned_jars()
    problems = [(jar, problem) for jar in jars if (problem := problem_of(jar, folder))]
    if not problems:
        return Finding("Kafka's jars", f"{len(jars)} in {folder}, all as pinned")
    altered = [f"{folder / jar.file_name}: {problem}" for jar, problem in problems if problem != "missing"]
    if altered:
        return Finding("Kafka's jars", altered[0], "delete that file, then: python -m headrace.embedded.jars")
    return Finding("Kafka's jars", f"{len(problems)} missing in {folder}", "python -m headrace.embedded.jars")


def check_ports_free(settings: Settings) -> Iterator[Finding]:
    """Are our ports free? Not asked while the line of this home runs: then they are ours."""
    if is_held(settings.paths()):
        yield Finding("ports", "in use by the running line of this home")
        return
    elsewhere = external_services(settings)
    for setting, listener in PORT_SETTINGS.items():
        if setting.split("_", maxsplit=1)[0] not in elsewhere:
            port = getattr(settings, setting)
            free = is_free(port)
            yield Finding(
                f"port {port}",
                f"{'free' if free else 'taken'} ({listener})",
                "" if free else port_taken(setting, port).hint,
            )


def check_descriptors(limit: int) -> Finding:
    """May we open enough files? Kafka and the warehouse hold hundreds each."""
    shown = "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
    low = limit != resource.RLIM_INFINITY and limit < MIN_DESCRIPTORS
    return Finding("open files", f"at most {shown}", f"raise it: ulimit -n {MIN_DESCRIPTORS}" if low else "")


def check_watches(setting: Path) -> Finding:
    """May we watch enough folders? A missed file event costs no data, only a rescan's delay."""
    try:
        watches = int(setting.read_text())
    except FileNotFoundError:
        return Finding("folder watches", "no inotify here; the rescan finds files")
    low = watches < MIN_WATCHES
    return Finding(
        "folder watches", f"at most {watches}", f"sysctl fs.inotify.max_user_watches={MIN_WATCHES}" if low else ""
    )


def check_clock(now: float) -> Finding:
    """Is the clock set?

    >>> check_clock(0.0).ok
    False
    """
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    return Finding("clock", shown, "set the clock: timedatectl set-ntp true" if now < _EARLIEST else "")
