"""Logs: one JSON line an event, in HOME/logs/<process>.log; what needs a person's eye on standard error as well.

Every line of a process passes one place, where secrets are taken out and repeats are counted; then it goes to the
outlets: the file, standard error, and the exporters that `log_export` adds.
"""

import logging
import os
import sys
import threading
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Protocol

from headrace.observability.counters import tell
from headrace.observability.events import measures_of
from headrace.observability.log_events import LinesRepeated
from headrace.observability.log_lines import LogLine, as_text, level_number
from headrace.observability.redaction import Redactor
from headrace.observability.repeats import WINDOW_SECS, Repeats
from headrace.settings import Settings

LIBRDKAFKA = "headrace.librdkafka"
_LOG_BYTES = 20 * 2**20
_KEPT = 3
_QUIET = ("faust", "mode", "aiokafka", "httpx", "httpx2", "headrace.stream_processors.faust_consumer")


class Outlet(Protocol):
    """Where lines go. `write` must not block on a network; it is called for lines of `level` and above."""

    level: int

    def write(self, line: LogLine) -> None:
        """Take a line."""

    def close(self) -> None:
        """Take no more."""


class LogFile:
    """A file of JSON lines that begins anew at 20 MiB; the three before it are kept as FILE.1 to FILE.3."""

    level = logging.DEBUG

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_KEPT, encoding="utf-8")

    def write(self, line: LogLine) -> None:
        """Append a line."""
        self._handler.handle(logging.makeLogRecord({"msg": line.as_json()}))

    def close(self) -> None:
        """Close the file."""
        self._handler.close()


class StandardError:
    """Warnings and errors: as text for the person at a terminal, as JSON where something else reads them."""

    level = logging.WARNING

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._colour = self._terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._handler = logging.StreamHandler(sys.stderr)

    def write(self, line: LogLine) -> None:
        """Print a line."""
        # A broker that is away is told by the stage that waits for it; librdkafka repeats it for every connection.
        if line.logger != LIBRDKAFKA:
            text = as_text(line.as_dict(), colour=self._colour) if self._terminal else line.as_json()
            self._handler.handle(logging.makeLogRecord({"msg": text}))

    def close(self) -> None:
        """Leave standard error open: it is not ours."""


class Logs(logging.Handler):
    """The one handler of a process: makes lines of records, and hands them to the outlets."""

    def __init__(self, process: str, stage: str, redactor: Redactor, repeats: Repeats) -> None:
        super().__init__()
        self._process, self._stage, self._redactor, self._repeats = process, stage, redactor, repeats
        self._outlets: list[Outlet] = []
        self._formatter = logging.Formatter()
        self._timer: threading.Timer | None = None

    def attach(self, outlet: Outlet) -> None:
        """Let lines go there as well from now on."""
        with self._guard():
            self._outlets.append(outlet)

    def detach(self, outlet: Outlet) -> None:
        """Tell what was left out, and let no line go there any more."""
        self.tell_repeats()
        with self._guard():
            self._outlets.remove(outlet)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line, unless it repeats one of the last seconds."""
        try:
            self._write(self._repeats.admit(self._line(record), time.monotonic()))
            self._wake_later()
        except Exception:  # logging's own way: a line that cannot be written must not stop the work
            self.handleError(record)

    def tell_repeats(self) -> None:
        """Write what is to be told of lines that were left out so far."""
        with self._guard():
            self._write(self._repeats.close())

    def close(self) -> None:
        """Tell what was left out, and close the outlets."""
        self.tell_repeats()
        with self._guard():
            if self._timer is not None:
                self._timer.cancel()
            for outlet in self._outlets:
                outlet.close()
            self._outlets.clear()
        super().close()

    def _guard(self) -> threading.RLock:
        assert self.lock is not None  # noqa: S101  made by logging.Handler
        return self.lock

    def _line(self, record: logging.LogRecord) -> LogLine:
        context = dict(getattr(record, "headrace", {}))
        line = LogLine(
            time_ns=int(record.created * 1_000_000_000),
            level=record.levelname.lower(),
            process=self._process,
            stage=str(context.pop("stage", self._stage)),
            logger=record.name,
            event=getattr(record, "headrace_event", ""),
            message=record.getMessage(),
            fields=context,
            labels=getattr(record, "headrace_labels", ()),
            exception=self._formatter.formatException(record.exc_info) if record.exc_info else "",
        )
        return self._redactor.clean(line)

    def _write(self, lines: list[LogLine]) -> None:
        for line in lines:
            if line.repeated:
                (suppressed,) = measures_of(LinesRepeated)
                tell(suppressed, line.repeated, {"severity": line.level})
            for outlet in self._outlets:
                if level_number(line.level) >= outlet.level:
                    outlet.write(line)

    def _wake_later(self) -> None:
        """Tell repeats in time even if no line comes any more."""
        if self._timer is None and self._repeats.pending():
            self._timer = threading.Timer(WINDOW_SECS, self._wake)
            self._timer.daemon = True
            self._timer.start()

    def _wake(self) -> None:
        with self._guard():
            self._timer = None
            self._write(self._repeats.ended(time.monotonic()))
            self._wake_later()


def configure_logs(settings: Settings, process: str, stage: str = "") -> Logs:
    """Send this process's logs to HOME/logs/<process>.log, and warnings to standard error as well."""
    logs = Logs(process, stage or process, Redactor(settings), Repeats())
    logs.attach(LogFile(settings.paths().logs / f"{process}.log"))
    logs.attach(StandardError())
    logging.basicConfig(level=level_number(settings.log_level), handlers=[logs], force=True)
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)
    # A timer that is late while windows close is no news: what waits is told as lag.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    return logs
