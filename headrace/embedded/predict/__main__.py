"""The service of predictions as a process: python -m headrace.embedded.predict, settings from the environment."""

import os
import signal
import threading
from urllib.parse import urlsplit

from headrace.core.child import say_and_leave
from headrace.embedded.predict.app import Fence, PredictApp
from headrace.embedded.predict.rack import Rack
from headrace.embedded.server import answer, bound_socket
from headrace.errors import HeadraceError, StageCrashed
from headrace.observability.counter_export import process_metrics
from headrace.observability.events import StageStarted, StageStopped, emit
from headrace.observability.learner_events import SnapshotReaderStopped
from headrace.observability.log_export import process_logs
from headrace.schemas.learner_store import declared_learners
from headrace.settings import LOOPBACK, Settings

NAME = "predict"
_STOP_SECS = 5
_LOOK_SECS = 1.0


class Reader:
    """The thread that keeps the rack stocked. If it dies the service ends: it would answer from an old model."""

    def __init__(self, settings: Settings, rack: Rack) -> None:
        self._settings, self._rack = settings, rack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def end(self) -> None:
        """Stop reading, and raise StageCrashed if it had stopped by itself."""
        self._stop.set()
        self._thread.join(_STOP_SECS)
        if self._error is not None:
            text = f"the reader of snapshots stopped: {self._error!r}"
            raise StageCrashed(text, hint="see predict.log") from self._error

    def _run(self) -> None:
        try:
            paths = self._settings.paths()
            # Models are loaded when there is one to serve: river takes two seconds, and a home without learners none.
            while not declared_learners(paths) and not self._stop.wait(_LOOK_SECS):
                self._rack.idle()
            if not self._stop.is_set():
                from headrace.embedded.predict.stocker import keep_stocked  # noqa: PLC0415  see above

                keep_stocked(self._settings, self._rack, self._stop)
        except Exception as error:
            self._error = error
            emit(SnapshotReaderStopped(cause=repr(error)))
            os.kill(os.getpid(), signal.SIGTERM)


def serve(settings: Settings) -> None:
    """Answer requests until SIGTERM or SIGINT, or until the snapshots cannot be read on."""
    with process_logs(settings, NAME):
        _serve(settings)


def _serve(settings: Settings) -> None:
    rack = Rack()
    port = urlsplit(settings.predict_address()).port or settings.predict_port
    # There is no password, so there is no other address than this machine's own.
    with bound_socket(NAME, LOOPBACK, port) as listener, process_metrics(settings, NAME, loops=False):
        reader = Reader(settings, rack)
        reader.start()
        try:
            emit(StageStarted(stage=NAME))
            answer(Fence(PredictApp(rack)), listener, loop="asyncio", stop_secs=_STOP_SECS)
        finally:
            reader.end()
    emit(StageStopped(stage=NAME))


def main() -> None:
    """Answer for the home that HEADRACE_HOME names; an error is one line and what to do next."""
    try:
        serve(Settings())
    except HeadraceError as error:
        say_and_leave(error)


if __name__ == "__main__":
    main()
