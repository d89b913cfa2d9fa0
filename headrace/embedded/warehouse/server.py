"""The warehouse as a server: the folder's lock, the port, the engine, and an orderly end."""

import logging
import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from headrace.core.child import EXIT_TERMINAL
from headrace.embedded.ports import port_taken
from headrace.embedded.server import Server
from headrace.embedded.warehouse.access import Doorkeeper, hosts_of, is_loopback, pipeline_password
from headrace.embedded.warehouse.app import WarehouseApp
from headrace.embedded.warehouse.engine import Bounds, Engine
from headrace.errors import HeadraceError, Terminal, WrongUse
from headrace.observability.events import StageStarted, StageStopped, emit
from headrace.observability.logs import configure_logs
from headrace.settings import Settings

NAME = "warehouse"
_KEEP_ALIVE_SECS = 75
_STOP_SECS = 10


def serve(settings: Settings) -> None:
    """Lock the folder, take the port, open the engine, and answer requests until SIGTERM or SIGINT."""
    paths = settings.paths()
    configure_logs(paths, NAME)
    # A broken-off answer ends by dropping its connection; uvicorn would log each as an error of its own.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    host, port = address(settings)
    password = settings.warehouse_password.get_secret_value()
    with bound_socket(host, port) as listener:
        engine = Engine(paths.warehouse, bounds(settings))
        doorkeeper = Doorkeeper(password, pipeline_password(paths.pipeline_password_file), hosts_of(host))
        app = WarehouseApp(engine, doorkeeper, empty_folder(paths.warehouse / "pipes"))
        config = uvicorn.Config(
            app,
            loop="uvloop",
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
        app.close()
        engine.close()
    emit(StageStopped(stage=NAME))


def address(settings: Settings) -> tuple[str, int]:
    """Return where to listen; beyond loopback only with a password."""
    found = urlsplit(settings.model_copy(update={"warehouse_url": ""}).warehouse_address())
    host, port = found.hostname or "", found.port or settings.warehouse_port
    if not is_loopback(host) and not settings.warehouse_password.get_secret_value():
        raise WrongUse(
            f"the warehouse does not listen on {host} without a password",
            hint="set HEADRACE_WAREHOUSE_PASSWORD, or let it listen on 127.0.0.1",
        )
    return host, port


def bounds(settings: Settings) -> Bounds:
    """Return what one query may take."""
    return Bounds(
        query_secs=settings.warehouse_query_secs,
        memory_bytes=settings.warehouse_memory_mb * 2**20,
        result_bytes=settings.warehouse_result_mb * 2**20,
    )


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that holds the address but does not answer yet: clients see a closed port until all is open."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise port_taken("warehouse_port", port) from error
    return found


def empty_folder(folder: Path) -> Path:
    """Return a folder of our own without what a killed process left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def main() -> None:
    """Run the warehouse of the home that HEADRACE_HOME names; an error is one line and what to do next."""
    try:
        serve(Settings())
    except HeadraceError as error:
        print(f"{error}; next: {error.hint}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_TERMINAL if isinstance(error, Terminal) else 1)
