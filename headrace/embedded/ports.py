"""Ports on the loopback address: is one free, and if not, which setting moves the service elsewhere."""

import errno
import random
import socket
from collections.abc import Iterator, Mapping

from headrace.errors import PortTaken, WrongUse
from headrace.settings import LOOPBACK, Settings

# setting -> what listens there; a service's ports are those whose setting begins with its name.
PORT_SETTINGS: dict[str, str] = {
    "kafka_port": "Kafka",
    "kafka_controller_port": "Kafka's controller",
    "registry_port": "the schema registry",
    "warehouse_port": "the warehouse",
    "predict_port": "the service of predictions",
}
# Below the range that Linux hands to outgoing connections, so that a picked port is not lost to one of those.
_PICK_FROM = range(15_000, 32_000)


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now. A port in TIME_WAIT is free, as for servers."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def service_ports(settings: Settings, services: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Yield (setting, port) of every port that the services need."""
    for setting in PORT_SETTINGS:
        if setting.split("_", maxsplit=1)[0] in services:
            yield setting, getattr(settings, setting)


def check_ports(settings: Settings, services: frozenset[str]) -> None:
    """Raise PortTaken for the first taken port of the services, WrongUse where two settings name one port."""
    seen: dict[int, str] = {}
    for setting, port in service_ports(settings, services):
        if port in seen:
            raise WrongUse(
                f"HEADRACE_{seen[port].upper()} and HEADRACE_{setting.upper()} both say {port}",
                hint="give each its own port",
            )
        seen[port] = setting
        if not is_free(port):
            raise port_taken(setting, port)


def port_taken(setting: str, port: int) -> PortTaken:
    """Return the error for a taken port: one line, and the setting to change."""
    return PortTaken(
        f"port {port} of {PORT_SETTINGS[setting]} is taken by another program",
        hint=f"stop that program, set HEADRACE_{setting.upper()} to a free port, or start with --ports auto",
    )


def pick_ports(chooser: random.Random | None = None) -> Mapping[str, int]:
    """Return a free port for every port setting, all different.

    Another program may still take one before our service does; it then says so.
    """
    choose = chooser or random.SystemRandom()
    picked: list[int] = []
    while len(picked) < len(PORT_SETTINGS):
        port = choose.choice(_PICK_FROM)
        if port not in picked and is_free(port):
            picked.append(port)
    return dict(zip(PORT_SETTINGS, picked, strict=True))
