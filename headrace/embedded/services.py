"""The three embedded services as processes: what starts each, what it waits for, and when it is ready."""

import http.client
import json
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from headrace.core.child import Child
from headrace.core.files import write_atomically
from headrace.errors import HeadraceError
from headrace.settings import LOOPBACK, Paths, Settings
from headrace.transport.kafka import Topics

_PROBE_SECS = 1.0
_LIST_SECS = 5.0


@dataclass(frozen=True)
class Service:
    """One embedded service. `after` names the services that must be ready before it starts."""

    name: str
    module: str
    ready: Callable[[Settings], bool]
    after: tuple[str, ...] = ()


def _kafka_ready(settings: Settings) -> bool:
    """Return whether a client can list topics; a closed port is seen at once, librdkafka would wait long for it."""
    try:
        socket.create_connection((LOOPBACK, settings.kafka_port), _PROBE_SECS).close()
        Topics(settings.kafka_client()).partitions(_LIST_SECS)
    except (OSError, HeadraceError):
        return False
    return True


def _http_ready(address: str, path: str) -> bool:
    """Return whether the service answers; a demand for its password is an answer too."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_PROBE_SECS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status in {http.HTTPStatus.OK, http.HTTPStatus.UNAUTHORIZED}
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# In the order of a start; a stop goes the other way.
SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service("kafka", "headrace.embedded.kafka", _kafka_ready),
        Service(
            "warehouse",
            "headrace.embedded.warehouse",
            lambda settings: _http_ready(settings.warehouse_address(), "/ping"),
        ),
        Service(
            "registry",
            "headrace.embedded.registry",
            lambda settings: _http_ready(settings.registry_address(), "/subjects"),
            after=("kafka",),
        ),
    )
}


# A part of the pipeline that listens: nothing of the line waits for it.
PREDICT = Service(
    "predict",
    "headrace.embedded.predict",
    lambda settings: _http_ready(settings.predict_address(), "/health"),
    after=("kafka", "registry"),
)
LISTENERS = (*SERVICES, PREDICT.name)


def external_services(settings: Settings) -> frozenset[str]:
    """Return the services that the settings place elsewhere; those are used, never started."""
    elsewhere = {
        "kafka": settings.kafka_bootstrap,
        "registry": settings.registry_url,
        "warehouse": settings.warehouse_url,
    }
    return frozenset(name for name, address in elsewhere.items() if address)


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the settings as the environment of a child, so that it reads the very same ones."""
    environment = {}
    for name, value in settings.model_dump(exclude_none=True).items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        environment[f"HEADRACE_{name.upper()}"] = text
    environment["HEADRACE_HOME"] = str(settings.home.absolute())
    return environment


def prepare_home(paths: Paths) -> None:
    """Make the folders of a home and a fresh random password for the pipeline's own warehouse user."""
    kept = (paths.contracts, paths.learners, paths.models)
    for folder in (paths.inbox, paths.work, paths.done, paths.rejected, *kept, paths.logs, paths.run):
        folder.mkdir(parents=True, exist_ok=True)
    paths.run.chmod(0o700)
    write_atomically(paths.pipeline_password_file, secrets.token_urlsafe(32).encode(), mode=0o600)


def write_addresses(settings: Settings, services: frozenset[str]) -> Mapping[str, str]:
    """Write HOME/run/stack.json, from which every client of this home learns where those are that listen."""
    addresses = {name: f"{LOOPBACK}:{getattr(settings, f'{name}_port')}" for name in LISTENERS if name in services}
    write_atomically(settings.paths().stack_file, json.dumps(addresses).encode())
    return addresses


def start_service(service: Service, settings: Settings) -> Child:
    """Start one service; its output goes to HOME/logs/<name>.out. Does not wait until it is ready."""
    return start_module(service.name, service.module, settings)


def start_module(name: str, module: str, settings: Settings) -> Child:
    """Start a module of headrace as a guarded child with these settings."""
    program = [sys.executable, "-m", module]
    environment = child_environment(settings) | {"PYTHONUNBUFFERED": "1"}
    return Child(name, program, environment, settings.paths().logs / f"{name}.out")
