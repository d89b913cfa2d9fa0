"""The registry as a process: python -m headrace.embedded.registry, with its settings from the environment."""

import os
import signal

from starlette.types import ASGIApp

from headrace.core.child import say_and_leave
from headrace.core.hosts import names_of
from headrace.embedded.registry import service
from headrace.embedded.registry.app import RegistryApp
from headrace.embedded.registry.fence import Fence
from headrace.embedded.registry.records import TOPIC
from headrace.embedded.registry.store import RecordRefused, RecordUnreadable, Store
from headrace.embedded.server import answer, bound_socket, listening_address
from headrace.errors import HeadraceError, SchemaRefused, ServiceUnreachable, StageCrashed
from headrace.observability.counter_export import process_metrics
from headrace.observability.embedded_events import SchemaReaderStopped
from headrace.observability.events import SchemaRecordSkipped, StageStarted, StageStopped, emit
from headrace.observability.log_export import process_logs
from headrace.settings import Settings
from headrace.transport.schema_log import Apply, SchemaLog

NAME = "registry"
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


def application(settings: Settings, store: Store, log: service.SchemaLog, names: frozenset[str]) -> ASGIApp:
    """Return the whole registry as an ASGI application behind its fence."""
    operations = service.RegistryService(store, log, incompatible_code=settings.registry_incompatible_code)
    return Fence(RegistryApp(operations), settings.registry_password.get_secret_value(), names)


class Reader:
    """What becomes of the service when the topic's reader stops: it is told, and the service ends with the error.

    A registry that went on would answer from an old memory. A new start reads the topic anew, and refuses it if it
    cannot be served.
    """

    def __init__(self) -> None:
        self._error: HeadraceError | None = None

    def stopped(self, error: HeadraceError) -> None:
        """Tell it and ask the server to leave; called from the reading thread."""
        self._error = error
        emit(SchemaReaderStopped(cause=str(error)))
        os.kill(os.getpid(), signal.SIGTERM)

    def check(self) -> None:
        """Raise StageCrashed if the reader has stopped."""
        if self._error is not None:
            text = f"the registry's reader stopped: {self._error}"
            raise StageCrashed(text, hint=self._error.hint or "see registry.log") from self._error


def serve(settings: Settings) -> None:
    """Load the topic and answer requests until SIGTERM or SIGINT, or until the topic cannot be read on."""
    with process_logs(settings, NAME):
        _serve(settings)


def _serve(settings: Settings) -> None:
    store, reader = Store(), Reader()
    host, port = listening_address(settings, NAME)
    with bound_socket(NAME, host, port) as listener, process_metrics(settings, NAME, loops=False):
        log = SchemaLog(
            settings.kafka_client(),
            TOPIC,
            applier(store),
            replication_factor=settings.replication_factor,
            stopped=reader.stopped,
        )
        try:
            log.open()
            emit(StageStarted(stage=NAME))
            answer(application(settings, store, log, names_of(host)), listener, loop="asyncio", stop_secs=_STOP_SECS)
            reader.check()
        except TimeoutError as error:
            raise ServiceUnreachable(str(error), hint="see Kafka's log") from error
        finally:
            log.close()
    emit(StageStopped(stage=NAME))


def main() -> None:
    """Run the registry of the home that HEADRACE_HOME names; an error is one line and what to do next."""
    try:
        serve(Settings())
    except HeadraceError as error:
        say_and_leave(error)


if __name__ == "__main__":
    main()
