"""python -m headrace.embedded.warehouse: the warehouse of one home, until SIGTERM or SIGINT."""

import logging
import shutil
import socket
import sys
from pathlib import Path

import uvicorn

from headrace.embedded.warehouse.access import Doorkeeper, hosts_of, is_loopback, pipeline_password
from headrace.embedded.warehouse.app import WarehouseApp
from headrace.embedded.warehouse.engine import Bounds, Engine
from headrace.errors import HeadraceError, PortTaken, WrongUse
from headrace.observability.logs import configure_logs
from headrace.settings import Settings


def main() -> None:
    """Serve until told to stop; what cannot be is one clear line and exit code 1."""
    settings = Settings()
    configure_logs(settings.paths(), "warehouse")
    try:
        serve(settings)
    except HeadraceError as error:
        hint = f"\n  next: {error.hint}" if error.hint else ""
        sys.stderr.write(f"headrace: {error}{hint}\n")
        sys.exit(1)


def serve(settings: Settings) -> None:
    """Open the engine, take the port, answer requests, and close in order."""
    paths = settings.paths()
    host, port = bind_address(settings)
    password = settings.warehouse_password.get_secret_value()
    if not is_loopback(host) and not password:
        raise WrongUse(
            f"the warehouse would listen on {host}, which other machines can reach, without a password",
            hint="set HEADRACE_WAREHOUSE_PASSWORD, or bind 127.0.0.1",
        )
    listener = _listen(host, port)
    with listener:
        engine = Engine(paths.warehouse, _bounds(settings))
        doorkeeper = Doorkeeper(password, pipeline_password(paths.pipeline_password_file), hosts_of(host))
        app = WarehouseApp(engine, doorkeeper, _empty_folder(paths.warehouse / "pipes"))
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=10,
        )
        uvicorn.Server(config).run(sockets=[listener])
        app.close()
        engine.close()


def bind_address(settings: Settings) -> tuple[str, int]:
    """Return the host and port of this home's warehouse, whatever warehouse_url points elsewhere."""
    own = settings.model_copy(update={"warehouse_url": ""})
    host, _, port = own.warehouse_address().removeprefix("http://").rpartition(":")
    return host.strip("[]"), int(port)


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        query_secs=settings.warehouse_query_secs,
        memory_bytes=settings.warehouse_memory_mb * 2**20,
        result_bytes=settings.warehouse_result_mb * 2**20,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"the warehouse cannot listen on {host}:{port}: {error.strerror}",
            hint="set HEADRACE_WAREHOUSE_PORT to a free port, or use `headrace up --ports auto`",
        ) from error
    return listener


def _empty_folder(folder: Path) -> Path:
    """Return a folder of our own without what a killed process left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


if __name__ == "__main__":
    main()
