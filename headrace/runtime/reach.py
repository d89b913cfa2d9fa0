"""Is there a line on this home to ask? One quick answer and one hint for every command, before any client waits."""

import fcntl
import json
import socket
from collections.abc import Mapping

from headrace.embedded.services import external_services
from headrace.errors import ServiceUnreachable
from headrace.runtime.home import is_held, read_report
from headrace.settings import Paths, Settings

NO_LINE_HINT = "headrace up starts one here; HEADRACE_HOME=FOLDER names the home of a line that runs elsewhere"
_PROBE_SECS = 1.0
_WATCHER = "watcher"


def no_line(paths: Paths, consequence: str = "") -> ServiceUnreachable:
    """Return the error that no line runs on a home, with what follows from it."""
    return ServiceUnreachable(
        f"no line runs on the home {paths.home}" + (f": {consequence}" if consequence else ""), hint=NO_LINE_HINT
    )


def require_services(settings: Settings, *names: str) -> None:
    """Raise ServiceUnreachable at once if services of this home are down because nothing runs on it.

    Services that the settings place elsewhere are not looked at, and where a line runs its services are believed to
    come (back): the clients wait for them. Another home's services on the same ports are never taken for this one's.
    """
    paths = settings.paths()
    wanted = [name for name in names if name not in external_services(settings)]
    if not wanted or is_held(paths):
        return
    addresses = _addresses(paths)
    if missing := [name for name in wanted if not _answers(addresses.get(name, ""))]:
        verb = "is" if len(missing) == 1 else "are"
        shown = " and ".join([", ".join(missing[:-1]), missing[-1]][len(missing) == 1 :])
        raise no_line(paths, f"its {shown} {verb} not there to ask")


def is_watched(paths: Paths) -> bool:
    """Return whether somebody takes files out of this home's inbox, or will in a moment."""
    if is_held(paths):
        report = read_report(paths)
        return report is None or _WATCHER in report["processes"]
    # A watcher may also run alone, beside services from elsewhere.
    try:
        with (paths.run / f"{_WATCHER}.lock").open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _addresses(paths: Paths) -> Mapping[str, str]:
    """Return what a running stack wrote down about this home; services that nobody started here are not in it."""
    try:
        found: dict[str, str] = json.loads(paths.stack_file.read_text())
    except FileNotFoundError:
        return {}
    return found


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port or 0)), _PROBE_SECS).close()
    except OSError:
        return False
    return True
