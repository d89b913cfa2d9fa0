"""The registry as a process: python -m headrace.embedded.registry, with its settings from the environment."""

import socket
import sys
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from headrace.core.child import EXIT_TERMINAL
from headrace.embedded.ports import port_taken
from headrace.embedded.registry import service
from headrace.embedded.registry.app import RegistryApp
from headrace.embedded.registry.fence import LOOPBACK_NAMES, Fence
from headrace.embedded.registry.records import TOPIC
from headrace.embedded.registry.store import RecordRefused, RecordUnreadable, Store
from headrace.embedded.server import Server
from headrace.errors import HeadraceError, SchemaRefused, Terminal, WrongUse
from headrace.observability.events import SchemaRecordSkipped, StageStarted, StageStopped, emit
from headrace.observability.logs import configure_logs
from headrace.settings import Settings
from headrace.transport.schema_log import Apply, SchemaLog

NAME = "registry"
_KEEP_ALIVE_SECS = 75
_STOP_SECS = 5


def applier(store: Store) -> Apply:
    """Return what takes the topic's records into the store: broken ones are skipped and told, foreign ones fatal."""

    def apply(key: bytes, value: bytes | None, offset: int) -> None:
        try:
            store.apply(key, value)
        except RecordUnreadable as error:
            emit(SchemaRecordSkipped(offset=offset, cause=str(error)))
        except RecordRefused as error:
            raise SchemaRefused(
                f'topic "{TOPIC}", offset {offset}: {error}',
                hint="serve this topic with the registry that wrote it, and name that with HEADRACE_REGISTRY_URL",
            ) from error

    return apply


def application(settings: Settings, store: Store, log: service.SchemaLog) -> ASGIApp:
    """Return the whole registry as an ASGI application behind its fence."""
    host, _port = address(settings)
    operations = service.RegistryService(store, log, incompatible_code=settings.registry_incompatible_code)
    return Fence(RegistryApp(operations), settings.registry_password.get_secret_value(), host not in LOOPBACK_NAMES)


def address(settings: Settings) -> tuple[str, int]:
    """Return where to listen; beyond loopback only with a password."""
    found = urlsplit(settings.model_copy(update={"registry_url": ""}).registry_address())
    host, port = found.hostname or "", found.port or settings.registry_port
    if host not in LOOPBACK_NAMES and not settings.registry_password.get_secret_value():
        raise WrongUse(
            f"the registry does not listen on {host} without a password",
            hint="set HEADRACE_REGISTRY_PASSWORD, or let it listen on 127.0.0.1",
        )
    return host, port


def bound_socket(settings: Settings) -> socket.socket:
    """Return a socket that holds the address but does not answer yet: clients see a closed port until all is loaded."""
    host, port = address(settings)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol spelled out, asyncio switches Nagle's delay off: 8 ms a request instead of 50.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise port_taken("registry_port", port) from error
    return found


def serve(settings: Settings) -> None:
    """Load the topic and answer requests until SIGTERM or SIGINT."""
    configure_logs(settings.paths(), NAME)
    store = Store()
    with bound_socket(settings) as listener:
        log = SchemaLog(settings.kafka_client(), TOPIC, applier(store), replication_factor=settings.replication_factor)
        try:
            log.open()
            config = uvicorn.Config(
                application(settings, store, log),
                loop="asyncio",
                http="httptools",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECS,
                timeout_graceful_shutdown=_STOP_SECS,
            )
            emit(StageStarted(stage=NAME))
            Server(config).run(sockets=[listener])
        finally:
            log.close()
    emit(StageStopped(stage=NAME))


def main() -> None:
    """Run the registry of the home that HEADRACE_HOME names; an error is one line and what to do next."""
    try:
        serve(Settings())
    except HeadraceError as error:
        print(f"{error}; next: {error.hint}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_TERMINAL if isinstance(error, Terminal) else 1)
    except TimeoutError as error:
        print(f"{error}; next: see Kafka's log", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
