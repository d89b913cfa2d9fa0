"""Logs: one JSON line an event, in HOME/logs/<process>.log."""

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

from headrace.settings import Paths

LIBRDKAFKA = "headrace.librdkafka"
_LOG_BYTES = 20 * 2**20


class JsonLines(logging.Formatter):
    """A log record as one line of JSON; control characters in values are escaped by JSON itself."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "headrace", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logs(paths: Paths, process: str, *, level: int = logging.INFO) -> None:
    """Send this process's logs to HOME/logs/<process>.log, and warnings to standard error as well."""
    paths.logs.mkdir(parents=True, exist_ok=True)
    to_file = RotatingFileHandler(paths.logs / f"{process}.log", maxBytes=_LOG_BYTES, backupCount=3, encoding="utf-8")
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.WARNING)
    for handler in (to_file, to_terminal):
        handler.setFormatter(JsonLines(process))
    logging.basicConfig(level=level, handlers=[to_file, to_terminal], force=True)
    # A broker that is away is told by the stage that waits for it; librdkafka repeats it for every connection.
    to_terminal.addFilter(lambda record: record.name != LIBRDKAFKA)
    for library in ("faust", "mode", "aiokafka", "httpx", "httpx2", "headrace.stream_processors.faust_consumer"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
