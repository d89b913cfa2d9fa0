"""The warehouse as a server: the folder's lock, the port, the engine, and an orderly end."""

import logging
import shutil
from pathlib import Path

from headrace.core.child import say_and_leave
from headrace.core.hosts import names_of
from headrace.embedded.server import answer, bound_socket, listening_address
from headrace.embedded.warehouse.access import Doorkeeper, pipeline_password
from headrace.embedded.warehouse.app import WarehouseApp
from headrace.embedded.warehouse.engine import Bounds, Engine
from headrace.errors import HeadraceError
from headrace.observability.counter_export import process_metrics
from headrace.observability.events import StageStarted, StageStopped, emit
from headrace.observability.log_export import process_logs
from headrace.settings import Settings

NAME = "warehouse"
_STOP_SECS = 10


def serve(settings: Settings) -> None:
    """Lock the folder, take the port, open the engine, and answer requests until SIGTERM or SIGINT."""
    with process_logs(settings, NAME):
        _serve(settings)


def _serve(settings: Settings) -> None:
    paths = settings.paths()
    # A broken-off answer ends by dropping its connection; uvicorn would log each as an error of its own.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    host, port = listening_address(settings, NAME)
    password = settings.warehouse_password.get_secret_value()
    with bound_socket(NAME, host, port) as listener, process_metrics(settings, NAME, loops=False):
        engine = Engine(paths.warehouse, bounds(settings))
        doorkeeper = Doorkeeper(password, pipeline_password(paths.pipeline_password_file), names_of(host))
        app = WarehouseApp(engine, doorkeeper, empty_folder(paths.warehouse / "pipes"))
        emit(StageStarted(stage=NAME))
        answer(app, listener, loop="uvloop", stop_secs=_STOP_SECS)
        app.close()
        engine.close()
    emit(StageStopped(stage=NAME))


def bounds(settings: Settings) -> Bounds:
    """Return what one query may take."""
    return Bounds(
        query_secs=settings.warehouse_query_secs,
        memory_bytes=settings.warehouse_memory_mb * 2**20,
        result_bytes=settings.warehouse_result_mb * 2**20,
    )


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
        say_and_leave(error)
