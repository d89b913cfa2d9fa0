"""What the embedded services tell."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class CutPartFound(Event):
    """The disk took only a piece of a part: an inserted one is taken back, for a merged one the warehouse restarts."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "the disk cut a part short: free space"
    metric: ClassVar[str] = "headrace_cut_parts_total"
    table: str
    part: str
    merged: bool


@dataclass(frozen=True, kw_only=True)
class SchemaReaderStopped(Event):
    """The registry cannot read its topic on, so it would answer from an old memory: it ends and is started again."""

    level: ClassVar[int] = logging.ERROR
    text: ClassVar[str] = "the registry's reader stopped"
    metric: ClassVar[str] = "headrace_stopped_schema_readers_total"
    cause: str
