"""One line of a log: its keys, as JSON for machines and as text for people."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired, TypedDict

from headrace.core.files import printable
from headrace.core.identity import root_span_id, trace_id

# OpenTelemetry's severity numbers, the first of each range.
SEVERITY_NUMBERS = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
_FILE_ID = re.compile(r"[0-9a-f]{16}")
_COLOURS = {"debug": "2", "info": "", "warning": "33", "error": "31", "critical": "31;1"}
_SHORT = {"warning": "warn", "critical": "crit"}
_SAID_ELSEWHERE = frozenset({"stage", "trace_id", "span_id"})


class LogJson(TypedDict):
    """A line as it stands in HOME/logs. The fields of the event follow under their own names."""

    time: Annotated[str, "When it was, UTC, ISO 8601 with milliseconds."]
    level: Annotated[str, "debug, info, warning, error or critical; error means that a person must act."]
    severity_number: Annotated[int, "The level as OpenTelemetry's severity number: 5, 9, 13, 17 or 21."]
    process: Annotated[str, "The process that wrote it: the name of its log file."]
    stage: Annotated[str, "The stage or service it is about; several processes may be of one stage."]
    logger: Annotated[str, "Who wrote it: headrace for events, else the library."]
    event: Annotated[str, "Stable name of the event (docs/guide/events.md); empty: a library's line."]
    message: Annotated[str, "What happened, in words."]
    dataset: NotRequired[Annotated[str, "The dataset, where the event has one."]]
    file: NotRequired[Annotated[str, "The file's id, as in the column _file."]]
    trace_id: NotRequired[Annotated[str, "Trace of the file, 32 hex digits: headrace trace shows it."]]
    span_id: NotRequired[Annotated[str, "The span it belongs to: the stage's own where it is known, else the root."]]
    repeated: NotRequired[Annotated[int, "How many lines alike were left out since the first of them was written."]]
    exception: NotRequired[Annotated[str, "Traceback of an error that nobody foresaw."]]


KEYS = frozenset(LogJson.__annotations__)


@dataclass(frozen=True)
class LogLine:
    """What a line says. `fields` are the event's own; `labels` name those that tell events of one kind apart."""

    time_ns: int
    level: str
    process: str
    stage: str
    logger: str
    event: str
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    exception: str = ""
    repeated: int = 0

    @property
    def trace(self) -> tuple[str, str]:
        """Return (trace id, span id); two empty texts where no file is known."""
        dataset, file = self.fields.get("dataset"), self.fields.get("file")
        if not (isinstance(dataset, str) and isinstance(file, str) and dataset and _FILE_ID.fullmatch(file)):
            return "", ""
        return trace_id(dataset, file), str(self.fields.get("span_id") or root_span_id(dataset, file))

    def as_dict(self) -> dict[str, Any]:
        """Return the line's keys and values, as LogJson tells them."""
        found: dict[str, Any] = {
            "time": iso_time(self.time_ns),
            "level": self.level,
            "severity_number": SEVERITY_NUMBERS.get(self.level, 0),
            "process": self.process,
            "stage": self.stage,
            "logger": self.logger,
            "event": self.event,
            "message": self.message,
        }
        found |= self.fields
        trace, span = self.trace
        found |= {"trace_id": trace, "span_id": span} if trace else {}
        found |= {"repeated": self.repeated} if self.repeated else {}
        return found | ({"exception": self.exception} if self.exception else {})

    def as_json(self) -> str:
        """Return the line; control characters in values are escaped by JSON itself."""
        return json.dumps(self.as_dict(), default=str, ensure_ascii=False)


def iso_time(time_ns: int) -> str:
    """Return a time as lines tell it; such texts sort as the times do.

    >>> iso_time(1_700_000_000_123_456_789)
    '2023-11-14T22:13:20.123+00:00'
    """
    whole = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).replace(microsecond=time_ns % 1_000_000_000 // 1_000)
    return whole.isoformat(timespec="milliseconds")


def as_text(line: Mapping[str, Any], *, colour: bool) -> str:
    """Return a line for a person: time of day, level, stage, what happened, then the event's fields.

    >>> as_text({"time": "2026-01-02T03:04:05.678+00:00", "level": "warning", "stage": "sink", "message": "waits",
    ...     "retry_secs": 2.0, "cause": "no room"}, colour=False)
    '03:04:05.678 warn  sink       waits  retry_secs=2.0 cause="no room"'
    """
    level = str(line.get("level", ""))
    shown = f"{_SHORT.get(level, level):<5}"
    if colour and (code := _COLOURS.get(level, "")):
        shown = f"\x1b[{code}m{shown}\x1b[0m"
    told = {name: value for name, value in line.items() if name not in KEYS or name in {"dataset", "file", "repeated"}}
    pairs = " ".join(f"{name}={_value(value)}" for name, value in told.items() if name not in _SAID_ELSEWHERE)
    about = str(line.get("stage") or line.get("process", ""))
    text = f"{str(line.get('time', ''))[11:23]} {shown} {about:<10} {printable(str(line.get('message', '')))}"
    text = f"{text}  {pairs}" if pairs else text
    exception = str(line.get("exception", "")).rstrip()
    return "\n    ".join([text, *(printable(one) for one in exception.splitlines())])


def _value(value: object) -> str:
    text = printable(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))
    return json.dumps(text, ensure_ascii=False) if not text or re.search(r'[\s"=]', text) else text


def level_number(level: str) -> int:
    """Return logging's number of a level's name.

    >>> level_number("warning")
    30
    """
    return logging.getLevelNamesMapping()[level.upper()]
